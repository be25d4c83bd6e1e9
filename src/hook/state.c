// SPDX-License-Identifier: GPL-2.0-or-later
#include "state.h"

#include <string.h>

#include "utf8.h"

/* The seccomp section of config.json nests deepest, far from this. */
#define MAX_DEPTH	32

/* Annotations are meant for many; only these are usmd's business. */
#define KEY_PREFIX	"usm."

static int parse_object(const char *text, size_t length, size_t limit, cJSON **root,
			struct usm_error *err)
{
	const struct usm_json_limits limits = { .bytes = limit, .depth = MAX_DEPTH };
	cleanup_json cJSON *parsed = NULL;
	int r;

	r = usm_json_parse(text, length, &limits, &parsed, err);
	if (r < 0)
		return r;
	if (!cJSON_IsObject(parsed))
		return usm_error_set(err, EBADMSG, "the document must be a JSON object");
	*root = usm_steal_ptr(parsed);
	return 0;
}

/*
 * An annotation of any length is usmd's to refuse, in its own words; but the
 * message must fit the control socket. What is cut is still too long.
 */
#define VALUE_LIMIT	4100u

static int add_cut(cJSON *object, const char *key, const char *value)
{
	size_t length = strnlen(value, VALUE_LIMIT);
	cleanup_free char *cut = strndup(value, usm_utf8_valid_prefix(value, length));

	return cut ? usm_json_add_string(object, key, cut) : -ENOMEM;
}

/* *ours stays NULL if `root` has no annotations, null included. */
static int take_annotations(const cJSON *root, cJSON **ours, struct usm_error *err)
{
	const cJSON *all = cJSON_GetObjectItemCaseSensitive(root, "annotations");
	cleanup_json cJSON *taken = NULL;
	const cJSON *item;

	if (!all || cJSON_IsNull(all))
		return 0;
	if (!cJSON_IsObject(all))
		return usm_error_set(err, EBADMSG, "\"annotations\" must be an object");
	taken = cJSON_CreateObject();
	if (!taken)
		return usm_error_oom(err);
	cJSON_ArrayForEach(item, all) {
		if (strncmp(item->string, KEY_PREFIX, strlen(KEY_PREFIX)))
			continue;
		if (!cJSON_IsString(item))
			return usm_error_set(err, EBADMSG, "an annotation must be a string");
		if (add_cut(taken, item->string, item->valuestring) < 0)
			return usm_error_oom(err);
	}
	*ours = usm_steal_ptr(taken);
	return 0;
}

int usm_state_parse(struct usm_state *state, const char *text, size_t length,
		    struct usm_error *err)
{
	cleanup_state struct usm_state parsed = {};
	cleanup_json cJSON *root = NULL;
	const char *id, *bundle;
	uint64_t pid = 0;
	int r;

	r = parse_object(text, length, USM_STATE_MAX_BYTES, &root, err);
	if (r < 0)
		return r;
	r = usm_json_get_string(root, "id", &id, err);
	if (r < 0)
		return r;
	if (!*id)
		return usm_error_set(err, EBADMSG, "\"id\" must not be empty");
	parsed.id = strdup(id);
	if (!parsed.id)
		return usm_error_oom(err);

	/* Stages without a process leave the pid out or say 0. */
	if (cJSON_GetObjectItemCaseSensitive(root, "pid")) {
		r = usm_json_get_u64(root, "pid", &pid, err);
		if (r < 0)
			return r;
		if (pid > INT32_MAX)
			return usm_error_set(err, EBADMSG, "\"pid\" must be a process id");
		parsed.pid = (int64_t)pid;
	}
	if (cJSON_GetObjectItemCaseSensitive(root, "bundle")) {
		r = usm_json_get_string(root, "bundle", &bundle, err);
		if (r < 0)
			return r;
		parsed.bundle = strdup(bundle);
		if (!parsed.bundle)
			return usm_error_oom(err);
	}

	r = take_annotations(root, &parsed.annotations, err);
	if (r < 0)
		return r;
	*state = parsed;
	parsed = (struct usm_state){};
	return 0;
}

int usm_config_parse(const char *text, size_t length, cJSON **annotations, struct usm_error *err)
{
	cleanup_json cJSON *root = NULL;
	cleanup_json cJSON *taken = NULL;
	int r;

	r = parse_object(text, length, USM_CONFIG_MAX_BYTES, &root, err);
	if (r < 0)
		return r;
	r = take_annotations(root, &taken, err);
	if (r < 0)
		return r;
	if (!taken)
		taken = cJSON_CreateObject();
	if (!taken)
		return usm_error_oom(err);
	*annotations = usm_steal_ptr(taken);
	return 0;
}

void usm_state_clear(struct usm_state *state)
{
	free(state->id);
	free(state->bundle);
	cJSON_Delete(state->annotations);
	*state = (struct usm_state){};
}

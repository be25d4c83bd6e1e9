// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include <inttypes.h>
#include <string.h>

/* The annotation itself has at most 4 KiB; parameters nest no deeper than it does. */
static const struct usm_json_limits limits = { .bytes = 64u << 10, .depth = 8 };

void usm_instance_config_clear(struct usm_instance_config *config)
{
	if (!config)
		return;
	free(config->container);
	free(config->policy);
	cJSON_Delete(config->parameters);
	*config = (struct usm_instance_config){};
}

static int text_copy(const cJSON *root, const char *key, char **copy, struct usm_error *err)
{
	const char *value;
	int r = usm_json_get_string(root, key, &value, err);

	if (r < 0)
		return r;
	*copy = strdup(value);
	return *copy ? 0 : usm_error_oom(err);
}

static int domain_check(const cJSON *root, const char *domain, struct usm_error *err)
{
	const char *value;
	int r = usm_json_get_string(root, "domain", &value, err);

	if (r < 0)
		return r;
	if (strcmp(value, domain))
		return usm_error_set(err, EINVAL, "usmd sent domain %.32s, this is the instance of "
				     "domain %s", value, domain);
	return 0;
}

static int numbers_read(struct usm_instance_config *config, const cJSON *root,
			struct usm_error *err)
{
	uint64_t order;
	int r;

	r = usm_json_get_u64(root, "memory", &config->memory, err);
	if (r < 0)
		return r;

	r = usm_json_get_u64(root, "fault_order", &order, err);
	if (r < 0)
		return r;
	if (order > USM_INSTANCE_MAX_ORDER)
		return usm_error_set(err, EINVAL, "fault_order %" PRIu64 " is out of range", order);
	config->fault_order = (uint32_t)order;

	/* Of a usmd that knows nothing of eviction. */
	if (!cJSON_HasObjectItem(root, "store_quota"))
		return 0;
	return usm_json_get_u64(root, "store_quota", &config->store_quota, err);
}

static int mode_read(struct usm_instance_config *config, const cJSON *root, struct usm_error *err)
{
	const char *mode;
	int r;

	/* Of a usmd that knows only one. */
	if (!cJSON_HasObjectItem(root, "fault_mode"))
		return 0;
	r = usm_json_get_string(root, "fault_mode", &mode, err);
	if (r < 0)
		return r;
	config->upcall = !strcmp(mode, "upcall");
	if (!config->upcall && strcmp(mode, "supply"))
		return usm_error_set(err, EINVAL, "there is no fault_mode \"%.32s\"", mode);
	return 0;
}

int usm_instance_config_parse(struct usm_instance_config *config, const char *domain,
			      const char *text, size_t length, struct usm_error *err)
{
	cleanup_instance_config struct usm_instance_config c = {};
	cleanup_json cJSON *root = NULL;
	int r;

	r = usm_json_parse(text, length, &limits, &root, err);
	if (r < 0)
		return r;
	if (!cJSON_IsObject(root))
		return usm_error_set(err, EBADMSG, "the message is not an object");

	r = domain_check(root, domain, err);
	if (!r)
		r = text_copy(root, "container", &c.container, err);
	if (!r)
		r = text_copy(root, "policy", &c.policy, err);
	if (!r)
		r = numbers_read(&c, root, err);
	if (!r)
		r = mode_read(&c, root, err);
	if (r < 0)
		return r;

	c.parameters = cJSON_DetachItemFromObjectCaseSensitive(root, "parameters");
	if (c.parameters && cJSON_IsNull(c.parameters)) {
		cJSON_Delete(c.parameters);
		c.parameters = NULL;
	}
	if (c.parameters && !cJSON_IsObject(c.parameters))
		return usm_error_set(err, EBADMSG, "parameters is not an object");

	*config = c;
	c = (struct usm_instance_config){};
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "compact.h"

#include <string.h>

#include "utf8.h"

void usm_compact_clear(struct usm_compact *compact)
{
	cJSON_Delete(compact->root);
	free(compact->marks);
	*compact = (struct usm_compact){};
}

static size_t offset_of(const struct usm_compact *compact, const cJSON *item)
{
	for (size_t i = 0; i < compact->count; i++)
		if (compact->marks[i].item == item)
			return compact->marks[i].offset;
	return 0;
}

/* "/GROUP/KEY"; a dot nests once, so there are no more than two levels. */
static char *pointer_of(const char *group, const char *key)
{
	char *pointer = NULL;
	size_t size;
	FILE *out;

	out = open_memstream(&pointer, &size);
	if (!out)
		return NULL;
	if (group)
		usm_json_pointer_append(out, group);
	if (key)
		usm_json_pointer_append(out, key);
	if (fclose(out)) {
		free(pointer);
		return NULL;
	}
	return pointer;
}

static char *pointer_to(const struct usm_compact *compact, const cJSON *item)
{
	const cJSON *child, *grandchild;

	cJSON_ArrayForEach(child, compact->root) {
		if (child == item)
			return pointer_of(NULL, child->string);
		cJSON_ArrayForEach(grandchild, child)
			if (grandchild == item)
				return pointer_of(child->string, grandchild->string);
	}
	return pointer_of(NULL, NULL);
}

int usm_compact_locate(const struct usm_compact *compact, const cJSON *item,
		       struct usm_json_place *place, struct usm_error *err)
{
	char *pointer = pointer_to(compact, item);

	if (!pointer)
		return usm_error_oom(err);
	usm_json_place_clear(place);
	place->pointer = pointer;
	place->offset = offset_of(compact, item);
	return 0;
}

/*
 * Add a member and remember which word it came from. Takes `value` over, NULL
 * for want of memory included.
 */
static int add(struct usm_compact *compact, cJSON *parent, const char *key, cJSON *value,
	       size_t offset)
{
	struct usm_compact_mark *marks;

	if (usm_json_add_item(parent, key, value) < 0)
		return -ENOMEM;
	marks = reallocarray(compact->marks, compact->count + 1, sizeof(*marks));
	if (!marks)
		return -ENOMEM;
	compact->marks = marks;
	marks[compact->count++] = (struct usm_compact_mark){ value, offset };
	return 0;
}

/*
 * Integers and the two words of truth have their JSON type; all else is a
 * string, as is "007", which is no number in JSON. -ERANGE: beyond 2^53.
 */
static int create_value(const char *text, cJSON **value)
{
	const char *digits = text + (*text == '-');
	size_t count = strspn(digits, "0123456789");
	int64_t number = 0;

	if (!strcmp(text, "true") || !strcmp(text, "false")) {
		*value = cJSON_CreateBool(*text == 't');
	} else if (count && !digits[count] && (count == 1 || *digits != '0')) {
		for (const char *at = digits; *at; at++) {
			number = number * 10 + (*at - '0');
			if (number > USM_JSON_MAX_INTEGER)
				return -ERANGE;
		}
		*value = cJSON_CreateNumber((double)(digits == text ? number : -number));
	} else {
		*value = cJSON_CreateString(text);
	}
	return *value ? 0 : -ENOMEM;
}

static int duplicate(const struct usm_compact *compact, const cJSON *first, size_t offset,
		     struct usm_json_place *place, struct usm_error *err)
{
	cleanup_free char *predicate = NULL;

	if (asprintf(&predicate, "is a duplicate key, first given at byte %zu",
		     offset_of(compact, first)) < 0)
		return usm_error_oom(err);
	return usm_json_place_error(place, pointer_to(compact, first), offset, err, EBADMSG,
				    predicate);
}

static int bad_word(const char *word, size_t offset, const char *fault,
		    struct usm_json_place *place, struct usm_error *err)
{
	cleanup_free char *quote = usm_json_quote(word, strlen(word));
	cleanup_free char *predicate = NULL;

	if (!quote || asprintf(&predicate, "%s, not %s", fault, quote) < 0)
		return usm_error_oom(err);
	return usm_json_place_error(place, strdup(""), offset, err, EBADMSG, predicate);
}

/* Splits `word` in place. */
static int read_word(struct usm_compact *compact, char *word, size_t offset,
		     struct usm_json_place *place, struct usm_error *err)
{
	char *equals = strchr(word, '=');
	const char *group = NULL, *key = word;
	cJSON *parent = compact->root;
	cJSON *existing, *value;
	char *dot;
	int r;

	if (!equals || equals == word)
		return bad_word(word, offset, "must have key=value here", place, err);
	*equals = '\0';

	dot = strchr(word, '.');
	if (dot) {
		*dot = '\0';
		group = word;
		key = dot + 1;
		parent = cJSON_GetObjectItemCaseSensitive(compact->root, group);
		if (!parent) {
			parent = cJSON_CreateObject();
			if (add(compact, compact->root, group, parent, offset) < 0)
				return usm_error_oom(err);
		} else if (!cJSON_IsObject(parent)) {
			return duplicate(compact, parent, offset, place, err);
		}
	}
	existing = cJSON_GetObjectItemCaseSensitive(parent, key);
	if (existing)
		return duplicate(compact, existing, offset, place, err);

	r = create_value(equals + 1, &value);
	if (r == -ERANGE)
		return usm_json_place_error(place, pointer_of(group, key), offset, err, EBADMSG,
					    "is beyond 2^53, the largest exact integer");
	if (r < 0 || add(compact, parent, key, value, offset) < 0)
		return usm_error_oom(err);
	return 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* From `at` to the end of the word, which is returned in *end. */
static int scan_word(const char *text, size_t length, size_t at, size_t *end,
		     struct usm_json_place *place, struct usm_error *err)
{
	const char *fault = NULL;

	while (at < length && !is_space(text[at])) {
		size_t size = usm_utf8_character(text + at, length - at);
		unsigned char c = text[at];

		if (!c)
			fault = "has a NUL byte";
		else if (!size)
			fault = "has invalid UTF-8";
		else if (c < 0x20 || c == 0x7f)
			fault = "has a control character";
		else if (c == '"' || c == '\'' || c == ',')
			fault = "has a quote or a comma, which the compact form does not know";
		if (fault)
			return usm_json_place_error(place, strdup(""), at, err, EBADMSG, fault);
		at += size;
	}
	*end = at;
	return 0;
}

int usm_compact_parse(struct usm_compact *compact, const char *text, size_t length,
		      struct usm_json_place *place, struct usm_error *err)
{
	cleanup_compact struct usm_compact parsed = {};
	size_t at = 0, end = 0;
	int r;

	parsed.root = cJSON_CreateObject();
	if (!parsed.root)
		return usm_error_oom(err);

	for (;;) {
		cleanup_free char *word = NULL;

		while (at < length && is_space(text[at]))
			at++;
		if (at == length)
			break;
		r = scan_word(text, length, at, &end, place, err);
		if (r < 0)
			return r;
		word = strndup(text + at, end - at);
		if (!word)
			return usm_error_oom(err);
		if (parsed.count) {
			r = read_word(&parsed, word, at, place, err);
		} else if (strchr(word, '=')) {
			r = bad_word(word, at, "must begin with the name of a policy", place, err);
		} else {
			r = add(&parsed, parsed.root, "policy", cJSON_CreateString(word), at);
			if (r < 0)
				usm_error_oom(err);
		}
		if (r < 0)
			return r;
		at = end;
	}
	if (!parsed.count)
		return usm_json_place_error(place, strdup(""), 0, err, EBADMSG, "is empty");

	*compact = parsed;
	parsed = (struct usm_compact){};
	return 0;
}

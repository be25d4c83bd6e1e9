// SPDX-License-Identifier: GPL-2.0-or-later
/* Members of objects: the half of json.h that messages are read and built with. */
#include "json.h"

#include <inttypes.h>

static int wrong_type(struct usm_error *err, const char *key, const char *expected)
{
	return usm_error_set(err, EBADMSG, "\"%s\" must be %s", key, expected);
}

/* A member that is there and, where a type is asked for, of that type. */
static int find(const cJSON *object, const char *key, cJSON_bool (*is)(const cJSON *const item),
		const char *expected, const cJSON **item, struct usm_error *err)
{
	*item = cJSON_GetObjectItemCaseSensitive(object, key);
	if (!*item)
		return usm_error_set(err, ENOENT, "\"%s\" is missing", key);
	if (is && !is(*item))
		return wrong_type(err, key, expected);
	return 0;
}

int usm_json_get_string(const cJSON *object, const char *key, const char **value,
			struct usm_error *err)
{
	const cJSON *item;
	int r = find(object, key, cJSON_IsString, "a string", &item, err);

	if (!r)
		*value = item->valuestring;
	return r;
}

int usm_json_get_bool(const cJSON *object, const char *key, bool *value, struct usm_error *err)
{
	const cJSON *item;
	int r = find(object, key, cJSON_IsBool, "true or false", &item, err);

	if (!r)
		*value = cJSON_IsTrue(item);
	return r;
}

int usm_json_get_u64(const cJSON *object, const char *key, uint64_t *value, struct usm_error *err)
{
	const cJSON *item;
	double number;
	int r;

	r = find(object, key, NULL, NULL, &item, err);
	if (r < 0)
		return r;
	number = cJSON_IsNumber(item) ? item->valuedouble : -1;
	if (!(number >= 0 && number <= (double)USM_JSON_MAX_INTEGER) ||
	    (double)(uint64_t)number != number)
		return wrong_type(err, key, "an integer from 0 to 2^53");
	*value = (uint64_t)number;
	return 0;
}

int usm_json_get_object(const cJSON *object, const char *key, const cJSON **value,
			struct usm_error *err)
{
	const cJSON *item;
	int r = find(object, key, cJSON_IsObject, "an object", &item, err);

	if (!r)
		*value = item;
	return r;
}

int usm_json_add_item(cJSON *object, const char *key, cJSON *value)
{
	if (!value)
		return -ENOMEM;
	if (!cJSON_AddItemToObject(object, key, value)) {
		cJSON_Delete(value);
		return -ENOMEM;
	}
	return 0;
}

int usm_json_add_string(cJSON *object, const char *key, const char *value)
{
	return usm_json_add_item(object, key,
				 value ? cJSON_CreateString(value) : cJSON_CreateNull());
}

int usm_json_add_bool(cJSON *object, const char *key, bool value)
{
	return usm_json_add_item(object, key, cJSON_CreateBool(value));
}

int usm_json_add_u64(cJSON *object, const char *key, uint64_t value)
{
	if (value > (uint64_t)USM_JSON_MAX_INTEGER)
		value = (uint64_t)USM_JSON_MAX_INTEGER;
	return usm_json_add_item(object, key, cJSON_CreateNumber((double)value));
}

/* cJSON writes 10^15 as "1e+15", which many readers do not take for an integer. */
static bool is_misspelt(const cJSON *item)
{
	double number = item->valuedouble;

	return cJSON_IsNumber(item) && (number >= 1e15 || number <= -1e15) &&
	       number <= (double)USM_JSON_MAX_INTEGER && number >= -(double)USM_JSON_MAX_INTEGER &&
	       (double)(int64_t)number == number;
}

static bool has_misspelt(const cJSON *item)
{
	const cJSON *child;

	if (is_misspelt(item))
		return true;
	cJSON_ArrayForEach(child, item)
		if (has_misspelt(child))
			return true;
	return false;
}

static int spell(cJSON *item)
{
	cJSON *child;

	if (is_misspelt(item)) {
		if (asprintf(&item->valuestring, "%" PRId64, (int64_t)item->valuedouble) < 0) {
			item->valuestring = NULL;
			return -ENOMEM;
		}
		item->type = cJSON_Raw;
	}
	cJSON_ArrayForEach(child, item)
		if (spell(child) < 0)
			return -ENOMEM;
	return 0;
}

char *usm_json_print(const cJSON *item)
{
	cleanup_json cJSON *spelt = NULL;

	/* Allocated with malloc(): nobody here calls cJSON_InitHooks(). */
	if (!has_misspelt(item))
		return cJSON_PrintUnformatted(item);
	spelt = cJSON_Duplicate(item, true);
	if (!spelt || spell(spelt) < 0)
		return NULL;
	return cJSON_PrintUnformatted(spelt);
}

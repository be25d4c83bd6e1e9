// SPDX-License-Identifier: GPL-2.0-or-later
/* Members of objects: the half of json.h that messages are read and built with. */
#include "json.h"

static int wrong_type(struct usm_error *err, const char *key, const char *expected)
{
	return usm_error_set(err, EBADMSG, "\"%s\" must be %s", key, expected);
}

static int find(const cJSON *object, const char *key, const cJSON **item, struct usm_error *err)
{
	*item = cJSON_GetObjectItemCaseSensitive(object, key);
	if (!*item)
		return usm_error_set(err, ENOENT, "\"%s\" is missing", key);
	return 0;
}

int usm_json_get_string(const cJSON *object, const char *key, const char **value,
			struct usm_error *err)
{
	const cJSON *item;
	int r;

	r = find(object, key, &item, err);
	if (r < 0)
		return r;
	if (!cJSON_IsString(item))
		return wrong_type(err, key, "a string");
	*value = item->valuestring;
	return 0;
}

int usm_json_get_bool(const cJSON *object, const char *key, bool *value, struct usm_error *err)
{
	const cJSON *item;
	int r;

	r = find(object, key, &item, err);
	if (r < 0)
		return r;
	if (!cJSON_IsBool(item))
		return wrong_type(err, key, "true or false");
	*value = cJSON_IsTrue(item);
	return 0;
}

int usm_json_get_u64(const cJSON *object, const char *key, uint64_t *value, struct usm_error *err)
{
	const cJSON *item;
	double number;
	int r;

	r = find(object, key, &item, err);
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
	int r;

	r = find(object, key, &item, err);
	if (r < 0)
		return r;
	if (!cJSON_IsObject(item))
		return wrong_type(err, key, "an object");
	*value = item;
	return 0;
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

char *usm_json_print(const cJSON *item)
{
	/* Allocated with malloc(): nobody here calls cJSON_InitHooks(). */
	return cJSON_PrintUnformatted(item);
}

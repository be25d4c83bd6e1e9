// SPDX-License-Identifier: GPL-2.0-or-later
#include "annotation.h"

#include <stdarg.h>
#include <string.h>

#include "compact.h"
#include "size.h"

/* Characters of a parameter's name: it must fit a line of the journal. */
#define MAX_PARAMETER_NAME	64

struct reader {
	struct usm_annotation *annotation;
	const struct usm_json_doc *doc;		/* the JSON form, or NULL ... */
	const struct usm_compact *compact;	/* ... and this is the other */
	struct usm_json_place *place;
	struct usm_error *err;
};

struct key {
	const char *name;
	int (*read)(struct reader *reader, const cJSON *value);
};

/* "/POINTER at byte OFFSET PREDICATE". */
static int refuse(struct reader *reader, const cJSON *item, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(struct reader *reader, const cJSON *item, const char *fmt, ...)
{
	cleanup_json_place struct usm_json_place place = {};
	cleanup_free char *predicate = NULL;
	va_list ap;
	int r;

	if (reader->doc)
		r = usm_json_doc_locate(reader->doc, item, &place, reader->err);
	else
		r = usm_compact_locate(reader->compact, item, &place, reader->err);
	if (r < 0)
		return r;

	va_start(ap, fmt);
	if (vasprintf(&predicate, fmt, ap) < 0)
		predicate = NULL;
	va_end(ap);
	return usm_json_place_error(reader->place, usm_steal_ptr(place.pointer), place.offset,
				    reader->err, EINVAL, predicate);
}

static int refuse_value(struct reader *reader, const cJSON *value, const char *expected)
{
	cleanup_free char *found = usm_json_excerpt(value);

	if (!found)
		return usm_error_oom(reader->err);
	return refuse(reader, value, "must be %s, not %s", expected, found);
}

static int refuse_key(struct reader *reader, const cJSON *item, const struct key *keys)
{
	cleanup_free char *known = NULL;
	size_t size;
	FILE *out;

	out = open_memstream(&known, &size);
	if (!out)
		return usm_error_oom(reader->err);
	for (const struct key *key = keys; key->name; key++)
		fprintf(out, "%s%s", key == keys ? "" : ", ", key->name);
	if (fclose(out))
		return usm_error_oom(reader->err);
	return refuse(reader, item, "is not a known key here, where there is: %s", known);
}

static int read_keys(struct reader *reader, const cJSON *object, const struct key *keys)
{
	const cJSON *item;
	int r;

	cJSON_ArrayForEach(item, object) {
		const struct key *key = keys;

		while (key->name && strcmp(key->name, item->string))
			key++;
		if (!key->name)
			return refuse_key(reader, item, keys);
		r = key->read(reader, item);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The text was scanned before: a number is an integer and exact. */
static int read_integer(struct reader *reader, const cJSON *value, unsigned int min,
			unsigned int max, const char *expected, unsigned int *result)
{
	if (!cJSON_IsNumber(value) || value->valuedouble < min || value->valuedouble > max)
		return refuse_value(reader, value, expected);
	*result = (unsigned int)value->valuedouble;
	return 0;
}

static int read_size(struct reader *reader, const cJSON *value, uint64_t min, uint64_t *result)
{
	static const char expected[] = "a size such as \"256M\" or a number of bytes";
	char low[USM_SIZE_TEXT], high[USM_SIZE_TEXT], range[3 * USM_SIZE_TEXT];
	uint64_t bytes = 0;
	int r = 0;

	if (cJSON_IsString(value))
		r = usm_size_parse(value->valuestring, &bytes, NULL);
	else if (cJSON_IsNumber(value) && value->valuedouble >= 0)
		bytes = (uint64_t)value->valuedouble;
	else if (!cJSON_IsNumber(value))
		r = -EINVAL;
	if (r == -EINVAL)
		return refuse_value(reader, value, expected);

	if (r == -ERANGE || (cJSON_IsNumber(value) && value->valuedouble < 0) ||
	    bytes < min || bytes > USM_ANNOTATION_MAX_MEMORY) {
		snprintf(range, sizeof(range), "from %s to %s", usm_size_exact(min, low),
			 usm_size_exact(USM_ANNOTATION_MAX_MEMORY, high));
		return refuse_value(reader, value, range);
	}
	if (bytes % USM_ANNOTATION_MEMORY_STEP)
		return refuse_value(reader, value, "a multiple of 4K, the size of a page");
	*result = bytes;
	return 0;
}

static int read_policy(struct reader *reader, const cJSON *value)
{
	if (!cJSON_IsString(value) || !usm_annotation_name_valid(value->valuestring))
		return refuse_value(reader, value,
				    "the name of a policy, [a-z][a-z0-9-]{0,31}");
	reader->annotation->policy = strdup(value->valuestring);
	return reader->annotation->policy ? 0 : usm_error_oom(reader->err);
}

static int read_memory(struct reader *reader, const cJSON *value)
{
	reader->annotation->has_memory = true;
	return read_size(reader, value, USM_ANNOTATION_MIN_MEMORY, &reader->annotation->memory);
}

static int read_reserve(struct reader *reader, const cJSON *value)
{
	reader->annotation->has_reserve = true;
	return read_size(reader, value, 0, &reader->annotation->reserve);
}

static int read_order(struct reader *reader, const cJSON *value)
{
	return read_integer(reader, value, 0, USM_ANNOTATION_MAX_ORDER, "an integer from 0 to 9",
			    &reader->annotation->fault_order);
}

static int read_deadline(struct reader *reader, const cJSON *value)
{
	return read_integer(reader, value, 1, USM_ANNOTATION_MAX_DEADLINE_MS,
			    "an integer from 1 to 60000, in milliseconds",
			    &reader->annotation->deadline_ms);
}

static int read_mode(struct reader *reader, const cJSON *value)
{
	const char *mode = cJSON_IsString(value) ? value->valuestring : "";

	if (strcmp(mode, "supply") && strcmp(mode, "upcall"))
		return refuse_value(reader, value, "\"supply\" or \"upcall\"");
	reader->annotation->upcall = !strcmp(mode, "upcall");
	return 0;
}

/* "SIZE": the order in mappings that are smaller. */
static int read_orders(struct reader *reader, const cJSON *value)
{
	const cJSON *item;
	int r;

	if (!cJSON_IsObject(value))
		return refuse_value(reader, value, "an object");
	cJSON_ArrayForEach(item, value) {
		unsigned int order = 0, n;
		uint64_t bytes = 0;

		if (usm_size_parse(item->string, &bytes, NULL) < 0 || bytes & (bytes - 1) ||
		    bytes < 2 * USM_ANNOTATION_MEMORY_STEP ||
		    bytes > USM_ANNOTATION_MEMORY_STEP << USM_ANNOTATION_ORDER_SIZES)
			return refuse(reader, item, "is not a size of mappings: a power of two "
				      "from 8K to 8T, such as \"2M\"");
		r = read_integer(reader, item, 0, USM_ANNOTATION_MAX_ORDER,
				 "an integer from 0 to 9", &order);
		if (r < 0)
			return r;
		n = (unsigned int)__builtin_ctzll(bytes / USM_ANNOTATION_MEMORY_STEP) - 1;
		if (reader->annotation->size_orders >> n & 1)
			return refuse(reader, item, "names a size that was named before");
		reader->annotation->size_orders |= UINT32_C(1) << n;
		reader->annotation->order_below[n] = (unsigned char)order;
	}
	return 0;
}

unsigned int usm_annotation_order(const struct usm_annotation *annotation, unsigned int n)
{
	for (; n < USM_ANNOTATION_ORDER_SIZES; n++)
		if (annotation->size_orders >> n & 1)
			return annotation->order_below[n] < annotation->fault_order ?
			       annotation->order_below[n] : annotation->fault_order;
	return annotation->fault_order;
}

static const struct key fault_keys[] = {
	{ "order", read_order },
	{ "mode", read_mode },
	{ }
};

static int read_fault(struct reader *reader, const cJSON *value)
{
	if (!cJSON_IsObject(value))
		return refuse_value(reader, value, "an object");
	return read_keys(reader, value, fault_keys);
}

static int read_quota(struct reader *reader, const cJSON *value)
{
	reader->annotation->has_store_quota = true;
	return read_size(reader, value, 0, &reader->annotation->store_quota);
}

static const struct key store_keys[] = {
	{ "quota", read_quota },
	{ }
};

static int read_store(struct reader *reader, const cJSON *value)
{
	if (!cJSON_IsObject(value))
		return refuse_value(reader, value, "an object");
	return read_keys(reader, value, store_keys);
}

static bool parameter_name_valid(const char *name)
{
	size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return length && length <= MAX_PARAMETER_NAME && !name[length];
}

static int read_parameters(struct reader *reader, const cJSON *value)
{
	unsigned int count = 0;
	const cJSON *item;
	cJSON *copy;

	if (!cJSON_IsObject(value))
		return refuse_value(reader, value, "an object");
	cJSON_ArrayForEach(item, value) {
		if (++count > USM_ANNOTATION_MAX_PARAMETERS)
			return refuse(reader, item, "is one parameter too many: there may be %d",
				      USM_ANNOTATION_MAX_PARAMETERS);
		if (!parameter_name_valid(item->string))
			return refuse(reader, item,
				      "is not the name of a parameter, [A-Za-z0-9._-]{1,%d}",
				      MAX_PARAMETER_NAME);
		if (!cJSON_IsString(item) && !cJSON_IsNumber(item) && !cJSON_IsBool(item))
			return refuse_value(reader, item, "a string, an integer, true or false");
	}

	copy = cJSON_Duplicate(value, true);
	if (!copy)
		return usm_error_oom(reader->err);
	cJSON_Delete(reader->annotation->parameters);
	reader->annotation->parameters = copy;
	return 0;
}

/* In the order of usm.policy(5). */
static const struct key root_keys[] = {
	{ "policy", read_policy },
	{ "memory", read_memory },
	{ "reserve", read_reserve },
	{ "fault", read_fault },
	{ "orders", read_orders },
	{ "deadline", read_deadline },
	{ "store", read_store },
	{ "parameters", read_parameters },
	{ }
};

static int read_root(struct reader *reader, const cJSON *root)
{
	int r;

	if (!cJSON_IsObject(root))
		return refuse_value(reader, root, "an object");
	r = read_keys(reader, root, root_keys);
	if (r < 0)
		return r;
	if (!reader->annotation->policy)
		return refuse(reader, root, "lacks the key \"policy\"");
	return 0;
}

/* JSON that is not an object is refused as such, not as a strange name. */
static bool looks_like_json(const char *text, size_t length)
{
	size_t at = 0;

	while (at < length && strchr(" \t\n\r", text[at]) && text[at])
		at++;
	return at < length && text[at] && strchr("{[\"", text[at]);
}

static int read_text(struct reader *reader, const char *text, size_t length)
{
	static const struct usm_json_limits limits = {
		.bytes = USM_ANNOTATION_MAX_BYTES,
		.depth = USM_ANNOTATION_MAX_DEPTH,
		.integers = true,
	};
	cleanup_json_doc struct usm_json_doc doc = {};
	cleanup_compact struct usm_compact compact = {};
	int r;

	/* The limit is the same for both forms, and so is its sentence. */
	if (looks_like_json(text, length) || length > limits.bytes) {
		r = usm_json_doc_parse(&doc, text, length, &limits, reader->place, reader->err);
		if (r < 0)
			return r;
		reader->doc = &doc;
		return read_root(reader, doc.root);
	}
	r = usm_compact_parse(&compact, text, length, reader->place, reader->err);
	if (r < 0)
		return r;
	reader->compact = &compact;
	return read_root(reader, compact.root);
}

int usm_annotation_parse(struct usm_annotation *annotation, const char *text,
			 size_t length, struct usm_json_place *place,
			 struct usm_error *err)
{
	cleanup_annotation struct usm_annotation parsed = {
		.fault_order = USM_ANNOTATION_DEFAULT_ORDER,
		.deadline_ms = USM_ANNOTATION_DEFAULT_DEADLINE_MS,
		.parameters = cJSON_CreateObject(),
	};
	struct reader reader = { .annotation = &parsed, .place = place, .err = err };
	int r;

	if (!parsed.parameters)
		return usm_error_oom(err);
	r = read_text(&reader, text, length);
	if (r < 0)
		return r;

	*annotation = parsed;
	parsed = (struct usm_annotation){};
	return 0;
}

int usm_annotation_parse_required(const char *text, size_t length, bool *required,
				  struct usm_error *err)
{
	cleanup_free char *quote = NULL;

	if (length == 4 && !memcmp(text, "true", 4)) {
		*required = true;
		return 0;
	}
	if (length == 5 && !memcmp(text, "false", 5)) {
		*required = false;
		return 0;
	}
	quote = usm_json_quote(text, length);
	if (!quote)
		return usm_error_oom(err);
	return usm_error_set(err, EINVAL, USM_ANNOTATION_REQUIRED_KEY
			     " must be \"true\" or \"false\", not %s", quote);
}

bool usm_annotation_name_valid(const char *name)
{
	size_t length;

	if (*name < 'a' || *name > 'z')
		return false;
	length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return length <= USM_ANNOTATION_MAX_NAME && !name[length];
}

const char *usm_annotation_mode(const struct usm_annotation *annotation)
{
	return annotation->upcall ? "upcall" : "supply";
}

static cJSON *orders_to_json(const struct usm_annotation *annotation)
{
	cleanup_json cJSON *orders = cJSON_CreateObject();
	char size[USM_SIZE_TEXT];

	for (unsigned int n = 0; n < USM_ANNOTATION_ORDER_SIZES; n++) {
		if (!(annotation->size_orders >> n & 1))
			continue;
		usm_size_exact(USM_ANNOTATION_MEMORY_STEP << (n + 1), size);
		if (!orders || usm_json_add_u64(orders, size, annotation->order_below[n]) < 0)
			return NULL;
	}
	return usm_steal_ptr(orders);
}

static cJSON *store_to_json(uint64_t quota)
{
	cleanup_json cJSON *store = cJSON_CreateObject();
	char size[USM_SIZE_TEXT];

	if (!store || usm_json_add_string(store, "quota", usm_size_exact(quota, size)) < 0)
		return NULL;
	return usm_steal_ptr(store);
}

cJSON *usm_annotation_to_json(const struct usm_annotation *annotation)
{
	cleanup_json cJSON *root = cJSON_CreateObject();
	cleanup_json cJSON *fault = cJSON_CreateObject();
	char size[USM_SIZE_TEXT];
	int r = 0;

	if (!root || !fault)
		return NULL;
	r |= usm_json_add_string(root, "policy", annotation->policy);
	if (annotation->has_memory)
		r |= usm_json_add_string(root, "memory", usm_size_exact(annotation->memory, size));
	if (annotation->has_reserve)
		r |= usm_json_add_string(root, "reserve", usm_size_exact(annotation->reserve, size));
	r |= usm_json_add_u64(fault, "order", annotation->fault_order);
	r |= usm_json_add_string(fault, "mode", usm_annotation_mode(annotation));
	r |= usm_json_add_item(root, "fault", usm_steal_ptr(fault));
	if (annotation->size_orders)
		r |= usm_json_add_item(root, "orders", orders_to_json(annotation));
	r |= usm_json_add_u64(root, "deadline", annotation->deadline_ms);
	if (annotation->has_store_quota)
		r |= usm_json_add_item(root, "store", store_to_json(annotation->store_quota));
	r |= usm_json_add_item(root, "parameters", cJSON_Duplicate(annotation->parameters, true));
	return r < 0 ? NULL : usm_steal_ptr(root);
}

void usm_annotation_clear(struct usm_annotation *annotation)
{
	if (!annotation)
		return;
	free(annotation->policy);
	cJSON_Delete(annotation->parameters);
	*annotation = (struct usm_annotation){};
}

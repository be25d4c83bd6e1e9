// SPDX-License-Identifier: GPL-2.0-or-later
#include "json.h"

#include <stdarg.h>
#include <string.h>

#include "json_scan.h"
#include "utf8.h"

/* Characters of foreign text in one of our sentences. */
#define QUOTE_LENGTH	40
#define POINTER_LENGTH	80

void usm_json_place_clear(struct usm_json_place *place)
{
	if (!place)
		return;
	usm_free_cleanup(&place->pointer);
	*place = (struct usm_json_place){};
}

void usm_json_doc_clear(struct usm_json_doc *doc)
{
	cJSON_Delete(doc->root);
	*doc = (struct usm_json_doc){};
}

/*
 * C0, DEL and C1 controls and whatever is not UTF-8 become \xNN: the text may
 * end up on a terminal. Returns false where the text was cut.
 */
static bool write_printable(FILE *out, const char *text, size_t length, size_t limit)
{
	size_t at = 0;

	for (size_t written = 0; at < length; written++) {
		size_t size = usm_utf8_character(text + at, length - at);
		unsigned char c = text[at];

		if (written == limit)
			return false;
		if (!size || c < 0x20 || c == 0x7f) {
			fprintf(out, "\\x%02x", c);
			size = 1;
		} else if (c == 0xc2 && (unsigned char)text[at + 1] < 0xa0) {
			fprintf(out, "\\x%02x", (unsigned char)text[at + 1]);
		} else {
			fwrite(text + at, 1, size, out);
		}
		at += size;
	}
	return true;
}

static char *printable(const char *quote, const char *text, size_t length, size_t limit)
{
	char *result = NULL;
	size_t size;
	FILE *out;

	out = open_memstream(&result, &size);
	if (!out)
		return NULL;
	fputs(quote, out);
	if (!write_printable(out, text, length, limit))
		fputs("...", out);
	fputs(quote, out);
	if (fclose(out)) {
		free(result);
		return NULL;
	}
	return result;
}

char *usm_json_quote(const char *text, size_t length)
{
	return printable("\"", text, length, QUOTE_LENGTH);
}

char *usm_json_escape(const char *text)
{
	return printable("", text, strlen(text), SIZE_MAX);
}

char *usm_json_excerpt(const cJSON *item)
{
	cleanup_free char *text = usm_json_print(item);

	return text ? printable("", text, strlen(text), QUOTE_LENGTH) : NULL;
}

int usm_json_place_error(struct usm_json_place *place, char *pointer, size_t offset,
			 struct usm_error *err, int code, const char *predicate)
{
	cleanup_free char *owned = pointer;
	cleanup_free char *name = NULL;

	if (!owned || !predicate)
		return usm_error_oom(err);
	name = printable("", *owned ? owned : "the document",
			 strlen(*owned ? owned : "the document"), POINTER_LENGTH);
	if (!name)
		return usm_error_oom(err);
	if (place) {
		usm_json_place_clear(place);
		place->pointer = usm_steal_ptr(owned);
		place->offset = offset;
	}
	return usm_error_set(err, code, "%s at byte %zu %s", name, offset, predicate);
}

/* ---------------------------------------------------------------- parsing */

/* Spelling, depth and numbers; and whether there is anything at all. */
static int check_tokens(const char *text, size_t length, const struct usm_json_limits *limits,
			struct usm_json_place *place, struct usm_error *err)
{
	cleanup_error struct usm_error predicate = {};
	struct usm_json_scan scan;
	int token;

	usm_json_scan_init(&scan, text, length, limits, &predicate);
	while ((token = usm_json_scan_next(&scan)) > 0)
		;
	if (token < 0)
		return usm_json_place_error(place, usm_json_scan_pointer(&scan), scan.token, err,
					    EBADMSG, predicate.message);
	if (!scan.complete)
		return usm_json_place_error(place, strdup(""), scan.token, err, EBADMSG, "is empty");
	if (scan.depth)
		return usm_json_place_error(place, usm_json_scan_pointer(&scan), length, err, EBADMSG,
					    "ends before a closing bracket");
	return 0;
}

/* cJSON stopped at `offset`: name the token there. */
static int syntax_error(const char *text, size_t length, const struct usm_json_limits *limits,
			size_t offset, struct usm_json_place *place, struct usm_error *err)
{
	cleanup_free char *predicate = NULL;
	cleanup_free char *token = NULL;
	struct usm_json_scan scan;

	usm_json_scan_init(&scan, text, length, limits, NULL);
	while (usm_json_scan_next(&scan) > 0 && scan.next <= offset)
		;
	token = printable("", text + scan.token, scan.next - scan.token, QUOTE_LENGTH);
	if (!token || asprintf(&predicate, "is not valid JSON: unexpected %s", token) < 0)
		return usm_error_oom(err);
	return usm_json_place_error(place, usm_json_scan_pointer(&scan), scan.token, err, EBADMSG,
				    predicate);
}

struct member {
	const cJSON *item;
	size_t position;
};

static int member_compare(const void *a, const void *b)
{
	const struct member *left = a, *right = b;
	int order = strcmp(left->item->string, right->item->string);

	if (order)
		return order;
	return left->position < right->position ? -1 : left->position > right->position;
}

/* The first member, in order of the text, whose key was there before: 1 and set. */
static int find_duplicate(const cJSON *object, const cJSON **found, const cJSON **original)
{
	cleanup_free struct member *members = NULL;
	size_t count = 0, best = SIZE_MAX;
	const cJSON *item;

	cJSON_ArrayForEach(item, object)
		count++;
	if (count < 2)
		return 0;
	/* Sorted, since a peer could send thousands of members. */
	members = calloc(count, sizeof(*members));
	if (!members)
		return -ENOMEM;
	count = 0;
	cJSON_ArrayForEach(item, object) {
		members[count] = (struct member){ item, count };
		count++;
	}
	qsort(members, count, sizeof(*members), member_compare);
	for (size_t i = 1; i < count; i++) {
		if (strcmp(members[i - 1].item->string, members[i].item->string) ||
		    members[i].position >= best)
			continue;
		best = members[i].position;
		*found = members[i].item;
		*original = members[i - 1].item;
	}
	return best != SIZE_MAX;
}

static int check_duplicates(const struct usm_json_doc *doc, const cJSON *item,
			    struct usm_json_place *place, struct usm_error *err)
{
	cleanup_json_place struct usm_json_place first = {};
	const cJSON *found = NULL, *original = NULL;
	const cJSON *child;
	int r;

	if (cJSON_IsObject(item)) {
		r = find_duplicate(item, &found, &original);
		if (r < 0)
			return usm_error_oom(err);
		if (r) {
			r = usm_json_doc_locate(doc, original, &first, err);
			if (r < 0)
				return r;
			return usm_json_doc_error(doc, found, place, err, EBADMSG,
						  "is a duplicate key, first given at byte %zu",
						  first.offset);
		}
	}
	/* The depth of recursion is that of the text, which is limited. */
	cJSON_ArrayForEach(child, item) {
		r = check_duplicates(doc, child, place, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int usm_json_doc_parse(struct usm_json_doc *doc, const char *text, size_t length,
		       const struct usm_json_limits *limits,
		       struct usm_json_place *place, struct usm_error *err)
{
	cleanup_json_doc struct usm_json_doc parsed = { .text = text, .length = length };
	const char *end = text;
	int r;

	if (length > limits->bytes) {
		cleanup_free char *predicate = NULL;

		if (asprintf(&predicate, "goes on beyond the limit of %zu bytes", limits->bytes) < 0)
			return usm_error_oom(err);
		return usm_json_place_error(place, strdup(""), limits->bytes, err, EMSGSIZE, predicate);
	}

	r = check_tokens(text, length, limits, place, err);
	if (r < 0)
		return r;

	parsed.root = cJSON_ParseWithLengthOpts(text, length, &end, false);
	if (!parsed.root)
		return syntax_error(text, length, limits, (size_t)(end - text), place, err);
	while (end < text + length && strchr(" \t\n\r", *end))
		end++;
	if (end < text + length)
		return usm_json_place_error(place, strdup(""), (size_t)(end - text), err, EBADMSG,
					    "goes on after its end");

	r = check_duplicates(&parsed, parsed.root, place, err);
	if (r < 0)
		return r;
	*doc = parsed;
	parsed.root = NULL;
	return 0;
}

int usm_json_parse(const char *text, size_t length, const struct usm_json_limits *limits,
		   cJSON **root, struct usm_error *err)
{
	struct usm_json_doc doc;
	int r;

	r = usm_json_doc_parse(&doc, text, length, limits, NULL, err);
	if (r == 0)
		*root = doc.root;
	return r;
}

/* ----------------------------------------------------------------- places */

/* How many values of the text begin before `wanted`: 1 and *ordinal, or 0. */
static int find_ordinal(const cJSON *item, const cJSON *wanted, size_t *ordinal)
{
	const cJSON *child;

	if (item == wanted)
		return 1;
	(*ordinal)++;
	cJSON_ArrayForEach(child, item)
		if (find_ordinal(child, wanted, ordinal))
			return 1;
	return 0;
}

int usm_json_doc_locate(const struct usm_json_doc *doc, const cJSON *item,
			struct usm_json_place *place, struct usm_error *err)
{
	const struct usm_json_limits limits = { .depth = USM_JSON_MAX_DEPTH };
	struct usm_json_scan scan;
	size_t ordinal = 0;
	char *pointer;
	int token;

	if (!find_ordinal(doc->root, item, &ordinal))
		return usm_error_set(err, EINVAL, "an item is looked for in another document");

	usm_json_scan_init(&scan, doc->text, doc->length, &limits, NULL);
	while ((token = usm_json_scan_next(&scan)) > 0)
		if (token == USM_JSON_VALUE && !ordinal--)
			break;
	pointer = usm_json_scan_pointer(&scan);
	if (!pointer)
		return usm_error_oom(err);
	usm_json_place_clear(place);
	place->pointer = pointer;
	place->offset = usm_json_scan_offset(&scan);
	return 0;
}

int usm_json_doc_error(const struct usm_json_doc *doc, const cJSON *item,
		       struct usm_json_place *place, struct usm_error *err,
		       int code, const char *fmt, ...)
{
	cleanup_json_place struct usm_json_place found = {};
	cleanup_free char *predicate = NULL;
	va_list ap;
	int r;

	r = usm_json_doc_locate(doc, item, &found, err);
	if (r < 0)
		return r;
	va_start(ap, fmt);
	if (vasprintf(&predicate, fmt, ap) < 0)
		predicate = NULL;
	va_end(ap);
	return usm_json_place_error(place, usm_steal_ptr(found.pointer), found.offset, err, code,
				    predicate);
}

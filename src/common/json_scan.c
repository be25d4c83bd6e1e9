// SPDX-License-Identifier: GPL-2.0-or-later
#include "json_scan.h"

#include <string.h>

#include "utf8.h"

void usm_json_scan_init(struct usm_json_scan *scan, const char *text, size_t length,
			const struct usm_json_limits *limits, struct usm_error *err)
{
	*scan = (struct usm_json_scan){
		.text = text,
		.length = length,
		.limits = *limits,
		.err = err,
	};
	if (scan->limits.depth > USM_JSON_MAX_DEPTH)
		scan->limits.depth = USM_JSON_MAX_DEPTH;
}

/* The sentence is only a predicate; the caller knows how to name the place. */
static int fault(struct usm_json_scan *scan, size_t at, const char *predicate)
{
	scan->token = at;
	return usm_error_set(scan->err, EBADMSG, "%s", predicate);
}

static struct usm_json_level *innermost(struct usm_json_scan *scan)
{
	return scan->depth ? &scan->level[scan->depth - 1] : NULL;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* From the opening quote to behind the closing one. */
static int scan_string(struct usm_json_scan *scan)
{
	size_t at = scan->token + 1;

	while (at < scan->length) {
		unsigned char c = scan->text[at];
		size_t size;

		if (c == '"') {
			scan->next = at + 1;
			return 0;
		}
		if (!c)
			return fault(scan, at, "has a NUL byte");
		if (c < 0x20)
			return fault(scan, at, "has a control character, which must be escaped");
		if (c == '\\') {
			/*
			 * cJSON decodes this into the terminator, and the rest
			 * of the string would go unseen.
			 */
			if (scan->length - at >= 6 && !memcmp(scan->text + at, "\\u0000", 6))
				return fault(scan, at, "has an escaped NUL");
			at++;
			/* Only these two mislead; what else may be escaped, cJSON knows. */
			if (at < scan->length && (scan->text[at] == '"' || scan->text[at] == '\\'))
				at++;
			continue;
		}
		size = usm_utf8_character(scan->text + at, scan->length - at);
		if (!size)
			return fault(scan, at, "has invalid UTF-8");
		at += size;
	}
	return fault(scan, scan->length, "ends inside a string");
}

/* The grammar of RFC 8259: cJSON leaves it to strtod(), which takes "01" and "1.". */
static bool number_valid(const char *at, const char *end, bool *integer)
{
	*integer = true;
	if (at < end && *at == '-')
		at++;
	if (at == end || !is_digit(*at))
		return false;
	if (*at++ != '0')
		while (at < end && is_digit(*at))
			at++;
	if (at < end && *at == '.') {
		*integer = false;
		at++;
		if (at == end || !is_digit(*at))
			return false;
		while (at < end && is_digit(*at))
			at++;
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		*integer = false;
		at++;
		if (at < end && (*at == '+' || *at == '-'))
			at++;
		if (at == end || !is_digit(*at))
			return false;
		while (at < end && is_digit(*at))
			at++;
	}
	return at == end;
}

/* Looked at as text: as a double, 2^53 + 1 would already be 2^53. */
static bool integer_in_range(const char *at, const char *end)
{
	int64_t value = 0;

	if (*at == '-')
		at++;
	for (; at < end; at++) {
		value = value * 10 + (*at - '0');
		if (value > USM_JSON_MAX_INTEGER)
			return false;
	}
	return true;
}

/* A number or one of the three words. */
static int scan_scalar(struct usm_json_scan *scan)
{
	const char *start = scan->text + scan->token;
	const char *end = scan->text + scan->length;
	const char *at = start;
	bool integer;
	size_t size;

	while (at < end && !is_space(*at) && !strchr("{}[]:,\"", *at))
		at++;
	size = (size_t)(at - start);
	scan->next = scan->token + size;

	if (*start == '-' || is_digit(*start)) {
		if (!number_valid(start, at, &integer))
			return fault(scan, scan->token, "has a malformed number");
		if (scan->limits.integers && !integer)
			return fault(scan, scan->token,
				     "must be an integer, without fraction or exponent");
		if (scan->limits.integers && !integer_in_range(start, at))
			return fault(scan, scan->token, "is beyond 2^53, the largest exact integer");
		return 0;
	}
	if ((size == 4 && !memcmp(start, "true", 4)) || (size == 5 && !memcmp(start, "false", 5)) ||
	    (size == 4 && !memcmp(start, "null", 4)))
		return 0;

	if (!*start)
		return fault(scan, scan->token, "has a NUL byte");
	/* The first bad byte is told rather than the token: it may be deep inside. */
	size = usm_utf8_valid_prefix(start, size);
	if (start + size < at)
		return fault(scan, scan->token + size, "has invalid UTF-8");
	return fault(scan, scan->token, "has something that is no JSON value");
}

static int close_level(struct usm_json_scan *scan, bool object)
{
	struct usm_json_level *level = innermost(scan);

	if (!level || level->object != object)
		return fault(scan, scan->token, "has a closing bracket that fits no opening one");
	scan->depth--;
	return USM_JSON_OTHER;
}

int usm_json_scan_next(struct usm_json_scan *scan)
{
	struct usm_json_level *level;
	char c;
	int r;

	/* Only now, so that the path at `{` or a comma was that of the value there. */
	if (scan->opens) {
		bool object = scan->text[scan->token] == '{';

		scan->level[scan->depth++] = (struct usm_json_level){
			.object = object,
			.expects_key = object,
		};
		scan->opens = false;
	}
	level = innermost(scan);
	if (scan->separates && level) {
		level->index++;
		level->expects_key = level->object;
		level->has_key = false;
	}
	scan->separates = false;

	while (scan->next < scan->length && is_space(scan->text[scan->next]))
		scan->next++;
	scan->token = scan->next;
	if (scan->token == scan->length)
		return USM_JSON_END;

	c = scan->text[scan->next];
	if (!scan->depth && scan->complete && c)
		return fault(scan, scan->token, "goes on after its end");
	scan->complete = true;
	scan->next++;
	switch (c) {
	case '{':
	case '[':
		if (scan->depth == scan->limits.depth)
			return usm_error_set(scan->err, EBADMSG, "is nested deeper than %u levels",
					     scan->limits.depth);
		scan->opens = true;
		return USM_JSON_VALUE;
	case '}':
	case ']':
		return close_level(scan, c == '}');
	case ',':
		scan->separates = true;
		return USM_JSON_OTHER;
	case ':':
		return USM_JSON_OTHER;
	case '"':
		r = scan_string(scan);
		if (r < 0)
			return r;
		if (!level || !level->expects_key)
			return USM_JSON_VALUE;
		level->expects_key = false;
		level->has_key = true;
		level->key = scan->token;
		level->key_length = scan->next - scan->token;
		return USM_JSON_OTHER;
	default:
		r = scan_scalar(scan);
		return r < 0 ? r : USM_JSON_VALUE;
	}
}

void usm_json_pointer_append(FILE *out, const char *key)
{
	putc('/', out);
	for (; *key; key++) {
		if (*key == '~')
			fputs("~0", out);
		else if (*key == '/')
			fputs("~1", out);
		else
			putc(*key, out);
	}
}

static void append_key(FILE *out, const char *key, size_t length)
{
	cleanup_json cJSON *decoded = cJSON_ParseWithLength(key, length);

	/* A key with a bad escape: the text as it stands is still the best name. */
	if (cJSON_IsString(decoded))
		usm_json_pointer_append(out, decoded->valuestring);
	else
		fprintf(out, "/%.*s", (int)length, key);
}

char *usm_json_scan_pointer(const struct usm_json_scan *scan)
{
	char *pointer = NULL;
	size_t size;
	FILE *out;

	out = open_memstream(&pointer, &size);
	if (!out)
		return NULL;
	for (unsigned int i = 0; i < scan->depth; i++) {
		const struct usm_json_level *level = &scan->level[i];

		if (level->object && !level->has_key)
			break;
		if (level->object)
			append_key(out, scan->text + level->key, level->key_length);
		else
			fprintf(out, "/%zu", level->index);
	}
	if (fclose(out)) {
		free(pointer);
		return NULL;
	}
	return pointer;
}

size_t usm_json_scan_offset(const struct usm_json_scan *scan)
{
	const struct usm_json_level *level;

	if (!scan->depth)
		return scan->token;
	level = &scan->level[scan->depth - 1];
	return level->object && level->has_key ? level->key : scan->token;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Strict JSON over cJSON. cJSON is the parser, but it is a lenient one: it
 * keeps duplicate keys, stops at a NUL, decodes "\u0000" into the end of the
 * string, takes invalid UTF-8, control characters, "01" and numbers that a
 * double cannot hold. All of this is refused here, with the place where it is.
 */
#ifndef USM_COMMON_JSON_H
#define USM_COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "cleanup.h"
#include "error.h"

/* Largest depth that usm_json_limits may allow: one bit a level in the scanner. */
#define USM_JSON_MAX_DEPTH	32

/* The integers that every JSON implementation can hold exactly. */
#define USM_JSON_MAX_INTEGER	(INT64_C(1) << 53)

struct usm_json_limits {
	size_t bytes;		/* of the text */
	unsigned int depth;	/* nested objects and arrays, the outermost is 1 */
	bool integers;		/* refuse numbers that are not integers as well */
};

/* Where in a text something is. */
struct usm_json_place {
	char *pointer;		/* RFC 6901; "" is the whole document */
	size_t offset;		/* bytes from the start of the text */
};

void usm_json_place_clear(struct usm_json_place *place);
#define cleanup_json_place	usm_cleanup(usm_json_place_clear)

/* A parsed text that still knows where each value stood. */
struct usm_json_doc {
	cJSON *root;
	const char *text;	/* the caller's; must outlive the doc for _locate() */
	size_t length;
};

/*
 * Parse `length` bytes (no terminator needed). Errors: -EBADMSG not strict
 * JSON, -EMSGSIZE longer than limits->bytes, -ENOMEM. On -EBADMSG and
 * -EMSGSIZE *place (may be NULL) says where. The sentence names pointer and
 * offset as well.
 */
int usm_json_doc_parse(struct usm_json_doc *doc, const char *text, size_t length,
		       const struct usm_json_limits *limits,
		       struct usm_json_place *place, struct usm_error *err);
void usm_json_doc_clear(struct usm_json_doc *doc);
#define cleanup_json_doc	usm_cleanup(usm_json_doc_clear)

/*
 * The place of an item of the doc: for a member of an object the offset is
 * that of its key, otherwise that of the value. -ENOMEM or 0.
 */
int usm_json_doc_locate(const struct usm_json_doc *doc, const cJSON *item,
			struct usm_json_place *place, struct usm_error *err);

/*
 * Set err to "POINTER at byte OFFSET PREDICATE", e.g. "/fault/order at byte 31
 * must be ...", fill *place (may be NULL) and return -code.
 */
int usm_json_doc_error(const struct usm_json_doc *doc, const cJSON *item,
		       struct usm_json_place *place, struct usm_error *err,
		       int code, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/*
 * The same for a place that is known already: `pointer` is taken over, NULL
 * means that memory ran out, as does a predicate of NULL.
 */
int usm_json_place_error(struct usm_json_place *place, char *pointer, size_t offset,
			 struct usm_error *err, int code, const char *predicate);

/* Write "/KEY", escaped as RFC 6901 wants it. */
void usm_json_pointer_append(FILE *out, const char *key);

/* For messages, where no place is wanted. */
int usm_json_parse(const char *text, size_t length,
		   const struct usm_json_limits *limits, cJSON **root,
		   struct usm_error *err);

/*
 * Read a member of an object: 0 and *value set (strings are borrowed), or
 * -ENOENT if there is no such member, or -EBADMSG if it has another type or is
 * not an exact integer. All of them fill err.
 */
int usm_json_get_string(const cJSON *object, const char *key, const char **value,
			struct usm_error *err);
int usm_json_get_bool(const cJSON *object, const char *key, bool *value,
		      struct usm_error *err);
int usm_json_get_u64(const cJSON *object, const char *key, uint64_t *value,
		     struct usm_error *err);
int usm_json_get_object(const cJSON *object, const char *key, const cJSON **value,
			struct usm_error *err);

/*
 * Add a member; a string of NULL adds null. Numbers above 2^53 do not survive
 * JSON and are written as 2^53. Returns 0 or -ENOMEM. The results of several
 * calls may be or-ed together: the outcome is negative if one failed.
 */
int usm_json_add_string(cJSON *object, const char *key, const char *value);
int usm_json_add_bool(cJSON *object, const char *key, bool value);
int usm_json_add_u64(cJSON *object, const char *key, uint64_t value);
/* Takes `value` over in any case, NULL included (then -ENOMEM). */
int usm_json_add_item(cJSON *object, const char *key, cJSON *value);

/* Compact text for the wire; NULL without memory. Free with free(). */
char *usm_json_print(const cJSON *item);

/*
 * Excerpts of foreign text and values that are safe on a terminal and in a line
 * of the journal: controls escaped, at most about 40 characters. The first puts
 * quotes around the text. NULL without memory.
 */
char *usm_json_quote(const char *text, size_t length);
char *usm_json_excerpt(const cJSON *item);

/* The same for all of a text, without quotes. */
char *usm_json_escape(const char *text);

USM_DEFINE_CLEANUP(cJSON *, cJSON_Delete)
#define cleanup_json	usm_cleanup(cJSON_Delete_cleanup)

#endif /* USM_COMMON_JSON_H */

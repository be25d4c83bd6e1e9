/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scanner that walks over the tokens of a JSON text. It is no parser: what a
 * text means is cJSON's business. It checks the spelling of tokens, where cJSON
 * is lenient, and knows at each token by which path one got there, which cJSON
 * does not keep.
 */
#ifndef USM_COMMON_JSON_SCAN_H
#define USM_COMMON_JSON_SCAN_H

#include "json.h"

struct usm_json_level {
	bool object;
	bool expects_key;	/* of an object: the next string is a key */
	bool has_key;
	size_t key;		/* text of the key, quotes included */
	size_t key_length;
	size_t index;		/* of an array */
};

struct usm_json_scan {
	const char *text;
	size_t length;
	struct usm_json_limits limits;
	size_t token;		/* offset of the current token */
	size_t next;		/* offset behind it */
	unsigned int depth;
	bool complete;		/* at depth 0: the one value has been seen */
	bool opens;		/* the current token opens a level ... */
	bool separates;		/* ... or is a comma: both take effect behind it */
	struct usm_error *err;
	struct usm_json_level level[USM_JSON_MAX_DEPTH];
};

enum usm_json_token {
	USM_JSON_END = 0,
	USM_JSON_VALUE = 1,	/* a value begins; the path is the path to it */
	USM_JSON_OTHER = 2,	/* key or punctuation */
};

void usm_json_scan_init(struct usm_json_scan *scan, const char *text, size_t length,
			const struct usm_json_limits *limits, struct usm_error *err);

/*
 * enum usm_json_token, or -EBADMSG: the fault is at scan->token, and the error
 * holds the predicate of a sentence, such as "is not valid UTF-8".
 */
int usm_json_scan_next(struct usm_json_scan *scan);

/* The path at the current token as a JSON pointer; NULL without memory. */
char *usm_json_scan_pointer(const struct usm_json_scan *scan);

/* Offset of the key if the current value is a member of an object, else its own. */
size_t usm_json_scan_offset(const struct usm_json_scan *scan);

#endif /* USM_COMMON_JSON_SCAN_H */

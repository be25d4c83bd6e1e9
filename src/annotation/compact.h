/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The compact form, `NAME key=value ...`: read into the same tree as the JSON
 * form, so that there is one schema. Dots in keys stand for nesting.
 */
#ifndef USM_ANNOTATION_COMPACT_H
#define USM_ANNOTATION_COMPACT_H

#include "json.h"

struct usm_compact_mark {
	const cJSON *item;
	size_t offset;		/* of the word that made the item */
};

struct usm_compact {
	cJSON *root;
	struct usm_compact_mark *marks;
	size_t count;
};

/* -EBADMSG with place and err; -ENOMEM. */
int usm_compact_parse(struct usm_compact *compact, const char *text, size_t length,
		      struct usm_json_place *place, struct usm_error *err);

/* The place of an item of the tree. -ENOMEM or 0. */
int usm_compact_locate(const struct usm_compact *compact, const cJSON *item,
		       struct usm_json_place *place, struct usm_error *err);

void usm_compact_clear(struct usm_compact *compact);
#define cleanup_compact	usm_cleanup(usm_compact_clear)

#endif /* USM_ANNOTATION_COMPACT_H */

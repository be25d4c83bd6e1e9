/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The annotation `usm.policy`, by which the author of a container asks for a
 * policy: see usm.policy(5) for the schema. Pure: text in, struct out; what the
 * admin allows and what memory.max permits is checked by usmd. All text is
 * hostile, whoever wrote it.
 */
#ifndef USM_ANNOTATION_H
#define USM_ANNOTATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "json.h"

#define USM_ANNOTATION_KEY		"usm.policy"
#define USM_ANNOTATION_REQUIRED_KEY	"usm.policy.required"

#define USM_ANNOTATION_MAX_BYTES	4096
#define USM_ANNOTATION_MAX_DEPTH	4
#define USM_ANNOTATION_MAX_NAME		32	/* characters of a policy's name */
#define USM_ANNOTATION_MAX_PARAMETERS	32
#define USM_ANNOTATION_MIN_MEMORY	(UINT64_C(1) << 20)
#define USM_ANNOTATION_MAX_MEMORY	(UINT64_C(1) << 44)
#define USM_ANNOTATION_MEMORY_STEP	UINT64_C(4096)
#define USM_ANNOTATION_MAX_ORDER	9
#define USM_ANNOTATION_DEFAULT_ORDER	4
#define USM_ANNOTATION_ORDER_SIZES	31	/* of mappings, from 8K to 8T */
#define USM_ANNOTATION_MAX_DEADLINE_MS	60000
#define USM_ANNOTATION_DEFAULT_DEADLINE_MS 200

struct usm_annotation {
	char *policy;
	bool has_memory;	/* false: memory.max less the reserve */
	uint64_t memory;	/* bytes */
	bool has_reserve;	/* false: the admin's default */
	uint64_t reserve;	/* bytes */
	unsigned int fault_order;
	/* The order of faults in mappings smaller than 2^(n+1) pages, where size_orders has bit n. */
	uint32_t size_orders;
	unsigned char order_below[USM_ANNOTATION_ORDER_SIZES];
	bool upcall;		/* fault.mode: each fault asks the policy */
	unsigned int deadline_ms;
	bool has_store_quota;	/* false: the admin's default */
	uint64_t store_quota;	/* bytes that evicted pages may take; 0: none are evicted */
	cJSON *parameters;	/* object of strings, integers and bools; never NULL */
};

/*
 * Parse the JSON form (first byte that is not white space is '{') or the
 * compact form. On failure *annotation is untouched, err names the key and the
 * place in one sentence, and *place (may be NULL) has them apart: a JSON
 * pointer, also for the compact form, and the byte offset. -EBADMSG: not
 * well-formed, -EINVAL: against the schema, -EMSGSIZE: too long, -ENOMEM.
 */
int usm_annotation_parse(struct usm_annotation *annotation, const char *text,
			 size_t length, struct usm_json_place *place,
			 struct usm_error *err);

/* The value of `usm.policy.required`: "true" or "false" and nothing else. */
int usm_annotation_parse_required(const char *text, size_t length, bool *required,
				  struct usm_error *err);

/*
 * The order of faults in mappings of 2^n to 2^(n+1)-1 pages: that of the smallest size they
 * are below, and never more than fault_order.
 */
unsigned int usm_annotation_order(const struct usm_annotation *annotation, unsigned int n);

/* Whether `name` has the form of a policy's name, [a-z][a-z0-9-]{0,31}. */
bool usm_annotation_name_valid(const char *name);

/* The word for how its faults are answered. */
const char *usm_annotation_mode(const struct usm_annotation *annotation);

/* Normal form, with all defaults written out; NULL without memory. */
cJSON *usm_annotation_to_json(const struct usm_annotation *annotation);

void usm_annotation_clear(struct usm_annotation *annotation);
#define cleanup_annotation	usm_cleanup(usm_annotation_clear)

#endif /* USM_ANNOTATION_H */

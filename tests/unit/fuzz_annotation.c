// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any text is either refused, with a sentence and a place inside of it, or has
 * a normal form that is accepted and is its own normal form.
 */
#include <stdlib.h>
#include <string.h>

#include "annotation.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

static char *normal_form(const struct usm_annotation *annotation)
{
	cleanup_json cJSON *json = usm_annotation_to_json(annotation);
	char *text = json ? usm_json_print(json) : NULL;

	must(text);
	return text;
}

static void check_ranges(const struct usm_annotation *annotation)
{
	must(usm_annotation_name_valid(annotation->policy));
	must(annotation->fault_order <= USM_ANNOTATION_MAX_ORDER);
	must(annotation->deadline_ms >= 1 &&
	     annotation->deadline_ms <= USM_ANNOTATION_MAX_DEADLINE_MS);
	must(annotation->memory <= USM_ANNOTATION_MAX_MEMORY);
	must(!annotation->has_memory || annotation->memory >= USM_ANNOTATION_MIN_MEMORY);
	must(annotation->memory % USM_ANNOTATION_MEMORY_STEP == 0);
	must(annotation->reserve <= USM_ANNOTATION_MAX_MEMORY);
	must(annotation->reserve % USM_ANNOTATION_MEMORY_STEP == 0);
	must(cJSON_IsObject(annotation->parameters));
	must(cJSON_GetArraySize(annotation->parameters) <= USM_ANNOTATION_MAX_PARAMETERS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_annotation struct usm_annotation annotation = {}, again = {};
	cleanup_json_place struct usm_json_place place = {};
	cleanup_error struct usm_error err = {};
	cleanup_free char *text = NULL, *text_again = NULL;
	const char *message;

	if (usm_annotation_parse(&annotation, (const char *)data, size, &place, &err) < 0) {
		message = usm_error_message(&err);
		must(err.code && err.message && place.pointer && place.offset <= size);
		must(usm_utf8_valid_prefix(message, strlen(message)) == strlen(message));
		for (const char *at = message; *at; at++)
			must((unsigned char)*at >= 0x20 && *at != 0x7f);
		return 0;
	}
	must(size <= USM_ANNOTATION_MAX_BYTES && !err.message);
	check_ranges(&annotation);

	text = normal_form(&annotation);
	/* Defaults written out may carry a text at the limit over it. */
	if (strlen(text) > USM_ANNOTATION_MAX_BYTES)
		return 0;
	must(usm_annotation_parse(&again, text, strlen(text), NULL, NULL) == 0);
	text_again = normal_form(&again);
	must(!strcmp(text, text_again));
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* What the hook reads on standard input and from a bundle. */
#include <stdlib.h>
#include <string.h>

#include "state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

static void check_annotations(const cJSON *annotations)
{
	const cJSON *item;

	must(cJSON_IsObject(annotations));
	cJSON_ArrayForEach(item, annotations)
		must(cJSON_IsString(item) && !strncmp(item->string, "usm.", 4) &&
		     strlen(item->valuestring) <= 4100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_state struct usm_state state = {};
	cleanup_error struct usm_error err = {};
	cleanup_json cJSON *annotations = NULL;

	if (usm_state_parse(&state, (const char *)data, size, &err) < 0) {
		must(err.message && !state.id && !state.bundle && !state.annotations);
	} else {
		must(*state.id && state.pid >= 0 && state.pid <= INT32_MAX);
		if (state.annotations)
			check_annotations(state.annotations);
	}
	if (usm_config_parse((const char *)data, size, &annotations, NULL) == 0)
		check_annotations(annotations);
	return 0;
}

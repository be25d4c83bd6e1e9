// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rehearse DIRECTORY NAME [PARAMETERS]: whether a policy passes its rehearsal, with
 * a table that has free and used frames in it. For tests of policies that are
 * built outside of the tree.
 */
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "model.h"
#include "rehearsal.h"

int main(int argc, char **argv)
{
	cleanup_error struct usm_error err = {};
	cleanup_json cJSON *parameters = NULL;
	struct model model;
	int r;

	if (argc < 3 || argc > 4)
		return EXIT_FAILURE;
	parameters = cJSON_Parse(argc == 4 ? argv[3] : "{}");

	model_init(&model, 8192, 4);
	for (uint32_t i = 0; i < 4096; i += 16) {
		model_populate(&model, i, 16, i % 64 != 0);
		model_occupy(&model, i + i / 16 % 16, 1 + i % 3);
	}
	r = usm_rehearsal_run(&(struct usm_rehearsal){
		.mapping = &model.mapping,
		.directory = argv[1],
		.policy = argv[2],
		.parameters = parameters,
		.fault_order = 4,
		.ceiling = model.mapping.frames,
	}, &err);
	model_done(&model);
	if (r < 0)
		fprintf(stderr, "%s\n", usm_error_message(&err));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The `parameters` of an annotation as a policy reads them in init(). Here is
 * remembered what was asked for and what did not fit, so that a typo in an
 * annotation is told to its author instead of being taken for the default.
 */
#ifndef USM_INSTANCE_PARAMETERS_H
#define USM_INSTANCE_PARAMETERS_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "json.h"

#define USM_PARAMETERS_MAX	32	/* as the annotation allows */

struct usm_parameters {
	const cJSON *object;	/* borrowed; NULL: none */
	uint64_t asked;		/* bit n: member n was asked for */
	struct usm_error err;	/* the first value that did not fit */
};

/* Takes `object` by reference. -E2BIG: too many members. */
int usm_parameters_init(struct usm_parameters *parameters, const cJSON *object,
			struct usm_error *err);
void usm_parameters_done(struct usm_parameters *parameters);

const char *usm_parameters_string(struct usm_parameters *parameters, const char *name,
				  const char *fallback);
int64_t usm_parameters_number(struct usm_parameters *parameters, const char *name,
			      int64_t min, int64_t max, int64_t fallback);
bool usm_parameters_bool(struct usm_parameters *parameters, const char *name, bool fallback);

/* After init(): -EINVAL if a value did not fit or was never asked for. */
int usm_parameters_verdict(const struct usm_parameters *parameters, struct usm_error *err);

#endif /* USM_INSTANCE_PARAMETERS_H */

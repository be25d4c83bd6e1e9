/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host side of the policy ABI: struct usm_host over an index, a mapping and
 * the parameters of the annotation.
 */
#ifndef USM_INSTANCE_HOST_H
#define USM_INSTANCE_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include <usm/policy.h>

#include "error.h"
#include "index.h"
#include "parameters.h"

struct usm_vault;

struct usm_runtime {
	struct usm_host host;		/* what the policy gets; ->runtime is this struct */
	const struct usm_index *index;
	const struct usm_mapping *mapping;
	struct usm_parameters *parameters;
	const struct usm_vault *vault;	/* NULL: there are no stores */
	bool beginning;			/* in init(): parameters may be asked for */
	uint64_t now;			/* ns, monotonic */

	/* The policy's own request for growth, for the engine to pass on. */
	bool growing;			/* one is under way */
	uint32_t ceiling;		/* frames */
	uint32_t grow;			/* frames; 0: none */
	int32_t grow_node;

	uint32_t sample_rate;		/* frames a second that the policy wants sampled */
	bool evicts;			/* the policy has evict() */
	uint32_t evict;			/* frames that it wants to be asked for; 0: none */
};

void usm_runtime_init(struct usm_runtime *runtime, const struct usm_index *index,
		      const struct usm_mapping *mapping, struct usm_parameters *parameters,
		      uint32_t fault_order, uint32_t ceiling);

#endif /* USM_INSTANCE_HOST_H */

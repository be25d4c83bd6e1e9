/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much memory a domain may hold: what the container asks for, what its
 * memory.max permits and what the administrator allows. Pure arithmetic, all
 * in bytes unless said.
 */
#ifndef USMD_BUDGET_H
#define USMD_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

#define USM_BUDGET_UNLIMITED	UINT64_MAX

struct usm_budget_request {
	bool has_memory;
	uint64_t memory;	/* of the annotation */
	bool has_reserve;
	uint64_t reserve;	/* of the annotation, or else of the configuration */
	uint64_t memory_max;	/* of the cgroup and its ancestors; USM_BUDGET_UNLIMITED */
	uint64_t allowed;	/* by the administrator; USM_BUDGET_UNLIMITED */
	uint64_t host;		/* memory of the host */
	bool has_store;
	uint64_t store;		/* of the annotation */
	uint64_t store_allowed;	/* by the administrator; USM_BUDGET_UNLIMITED */
};

struct usm_budget {
	uint64_t ceiling;	/* a multiple of USM_BUDGET_PAGE */
	uint64_t reserve;
	uint64_t store;		/* that evicted pages may take; 0: none are evicted */
};

#define USM_BUDGET_PAGE		UINT64_C(4096)

/* A domain smaller than this would only ever wait for frames. */
#define USM_BUDGET_MIN		(UINT64_C(1) << 20)

/* -ERANGE with a sentence when the request cannot be granted. */
int usm_budget_decide(const struct usm_budget_request *request, struct usm_budget *budget,
		      struct usm_error *err);

#endif /* USMD_BUDGET_H */

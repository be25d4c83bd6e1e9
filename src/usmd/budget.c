// SPDX-License-Identifier: GPL-2.0-or-later
#include "budget.h"

#include <errno.h>

#include "size.h"

/*
 * The reserve is for what reaches memory.max without asking the policy: page
 * cache, stacks, page tables, the kernel's own objects. A sixteenth keeps pace
 * with them in large containers; below 8 MiB a single fork of a threaded server
 * can use it up; above 64 MiB it would only be memory that nobody may use.
 */
#define RESERVE_SHARE	16
#define RESERVE_MIN	(UINT64_C(8) << 20)
#define RESERVE_MAX	(UINT64_C(64) << 20)

static uint64_t default_reserve(uint64_t memory_max)
{
	uint64_t share;

	if (memory_max == USM_BUDGET_UNLIMITED)
		return RESERVE_MAX;
	share = memory_max / RESERVE_SHARE;
	return share < RESERVE_MIN ? RESERVE_MIN : share > RESERVE_MAX ? RESERVE_MAX : share;
}

static int decide_asked(const struct usm_budget_request *q, uint64_t *ceiling,
			struct usm_error *err)
{
	char asked[USM_SIZE_TEXT], limit[USM_SIZE_TEXT];

	if (q->memory > q->memory_max)
		return usm_error_set(err, ERANGE,
				     "memory of %s is above the container's memory.max of %s",
				     usm_size_exact(q->memory, asked),
				     usm_size_exact(q->memory_max, limit));
	if (q->memory > q->allowed)
		return usm_error_set(err, ERANGE,
				     "memory of %s is more than the %s that the administrator allows",
				     usm_size_exact(q->memory, asked),
				     usm_size_exact(q->allowed, limit));
	*ceiling = q->memory;
	return 0;
}

static int decide_default(const struct usm_budget_request *q, uint64_t reserve,
			  uint64_t *ceiling, struct usm_error *err)
{
	char max[USM_SIZE_TEXT], kept[USM_SIZE_TEXT];

	if (q->memory_max == USM_BUDGET_UNLIMITED) {
		/* Half: an unlimited container must not be able to take the host. */
		*ceiling = q->host / 2;
	} else if (q->memory_max < reserve + USM_BUDGET_MIN) {
		return usm_error_set(err, ERANGE,
				     "memory.max of %s leaves no memory above the reserve of %s",
				     usm_size_exact(q->memory_max, max),
				     usm_size_exact(reserve, kept));
	} else {
		*ceiling = q->memory_max - reserve;
	}
	if (*ceiling > q->allowed)
		*ceiling = q->allowed;
	return 0;
}

static int decide_store(const struct usm_budget_request *q, uint64_t ceiling, uint64_t *store,
			struct usm_error *err)
{
	/* What it may have in memory, once more. */
	uint64_t own = q->memory_max == USM_BUDGET_UNLIMITED ? ceiling : q->memory_max;
	uint64_t allowed = q->store_allowed == USM_BUDGET_UNLIMITED ? own : q->store_allowed;
	char asked[USM_SIZE_TEXT], limit[USM_SIZE_TEXT];

	if (!q->has_store) {
		*store = own < allowed ? own : allowed;
		return 0;
	}
	/* It is the host's memory and not the container's. */
	if (q->store > allowed)
		return usm_error_set(err, ERANGE, "a store of %s is more than the %s that %s",
				     usm_size_exact(q->store, asked), usm_size_exact(allowed, limit),
				     allowed == q->store_allowed ? "the administrator allows" :
				     "a container may have unless the administrator allows more");
	*store = q->store;
	return 0;
}

int usm_budget_decide(const struct usm_budget_request *q, struct usm_budget *budget,
		      struct usm_error *err)
{
	uint64_t reserve = q->has_reserve ? q->reserve : default_reserve(q->memory_max);
	char kept[USM_SIZE_TEXT], max[USM_SIZE_TEXT];
	uint64_t ceiling = 0, store = 0;
	int r;

	if (q->memory_max != USM_BUDGET_UNLIMITED && reserve >= q->memory_max)
		return usm_error_set(err, ERANGE,
				     "the reserve of %s is not below the container's memory.max of %s",
				     usm_size_exact(reserve, kept),
				     usm_size_exact(q->memory_max, max));

	r = q->has_memory ? decide_asked(q, &ceiling, err) :
			    decide_default(q, reserve, &ceiling, err);
	if (r < 0)
		return r;

	ceiling -= ceiling % USM_BUDGET_PAGE;
	if (ceiling < USM_BUDGET_MIN)
		return usm_error_set(err, ERANGE, "%s is too little for a domain: at least %s",
				     usm_size_exact(ceiling, kept),
				     usm_size_exact(USM_BUDGET_MIN, max));
	r = decide_store(q, ceiling, &store, err);
	if (r < 0)
		return r;
	*budget = (struct usm_budget) { .ceiling = ceiling, .reserve = reserve, .store = store };
	return 0;
}

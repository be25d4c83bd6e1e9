// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Gives wrong answers of the kind that the parameter `lie` names: from answer
 * number `from` on, and `after` milliseconds after the first one. A rehearsal
 * takes less than one by the clock that a policy sees.
 */
#include <usm/policy.h>

#include <stdlib.h>
#include <string.h>

struct liar {
	const struct usm_host *host;
	char lie[32];
	int64_t from;
	int64_t answers;
	int64_t after;
	uint64_t first;
};

static int liar_init(const struct usm_host *host, void **state)
{
	struct liar *liar = calloc(1, sizeof(*liar));

	liar->host = host;
	strncpy(liar->lie, host->parameter_string(host, "lie", ""), sizeof(liar->lie) - 1);
	liar->from = host->parameter_number(host, "from", 0, 1 << 30, 0);
	liar->after = host->parameter_number(host, "after", 0, 60000, 0);
	liar->first = host->now(host);
	*state = liar;
	return 0;
}

static uint32_t truth(const struct liar *liar, const struct usm_supply_request *request,
		      struct usm_run *runs)
{
	const struct usm_host *host = liar->host;
	uint32_t most = request->frames < USM_RUN_MAX ? request->frames : USM_RUN_MAX;

	runs[0].frame = host->find(host, 0, 0);
	if (runs[0].frame == USM_FRAME_NOWHERE)
		return 0;
	runs[0].count = host->length(host, runs[0].frame, most);
	return 1;
}

static uint32_t liar_supply(void *state, const struct usm_supply_request *request,
			    struct usm_run *runs, uint32_t capacity)
{
	struct liar *liar = state;
	const struct usm_host *host = liar->host;

	if (liar->answers++ < liar->from || !truth(liar, request, runs) ||
	    host->now(host) - liar->first < (uint64_t)liar->after * 1000000)
		return truth(liar, request, runs);

	if (!strcmp(liar->lie, "range")) {
		runs[0].frame = host->frames - 1;
		runs[0].count = 2;
	} else if (!strcmp(liar->lie, "wrap")) {
		runs[0].frame = UINT32_MAX - 1;
		runs[0].count = 4;
	} else if (!strcmp(liar->lie, "twice")) {
		runs[0].count = 1;
		runs[1] = runs[0];
		return 2;
	} else if (!strcmp(liar->lie, "used")) {
		for (runs[0].frame = 0; runs[0].frame < host->frames; runs[0].frame++)
			if (!host->length(host, runs[0].frame, 1))
				break;
		runs[0].count = 1;
	} else if (!strcmp(liar->lie, "nothing")) {
		runs[0].count = 0;
	} else if (!strcmp(liar->lie, "long")) {
		runs[0].count = USM_RUN_MAX + 1;
	} else if (!strcmp(liar->lie, "greedy")) {
		runs[0].count = host->length(host, runs[0].frame, request->frames + 1);
	} else if (!strcmp(liar->lie, "many")) {
		return capacity + 1;
	} else if (!strcmp(liar->lie, "idle")) {
		return 0;
	}
	return 1;
}

static uint32_t liar_fault(void *state, const struct usm_fault_request *request,
			   struct usm_run *runs, uint32_t capacity)
{
	struct usm_supply_request same = { .size = sizeof(same), .frames = request->frames };

	return liar_supply(state, &same, runs, capacity);
}

const struct usm_policy usm_policy = {
	.abi = USM_POLICY_ABI,
	.size = sizeof(struct usm_policy),
	.name = "liar",
	.init = liar_init,
	.fini = free,
	.supply = liar_supply,
	.fault = liar_fault,
};

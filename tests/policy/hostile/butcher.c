// SPDX-License-Identifier: GPL-2.0-or-later
/* Supplies honestly, and names victims as the parameter `lie` says. */
#include <usm/policy.h>

#include <stdlib.h>
#include <string.h>

struct butcher {
	const struct usm_host *host;
	char lie[32];
};

static int butcher_init(const struct usm_host *host, void **state)
{
	struct butcher *butcher = calloc(1, sizeof(*butcher));

	if (!butcher)
		return -1;
	butcher->host = host;
	strncpy(butcher->lie, host->parameter_string(host, "lie", ""), sizeof(butcher->lie) - 1);
	*state = butcher;
	return 0;
}

static uint32_t butcher_supply(void *state, const struct usm_supply_request *request,
			       struct usm_run *runs, uint32_t capacity)
{
	const struct usm_host *host = ((struct butcher *)state)->host;

	runs[0] = (struct usm_run){ .frame = host->find(host, 0, 0), .count = 1 };
	return runs[0].frame != USM_FRAME_NOWHERE;
}

static uint32_t butcher_evict(void *state, const struct usm_evict_request *request,
			      struct usm_run *runs, uint32_t capacity)
{
	const struct butcher *butcher = state;

	/* Honest: two frames, whatever they hold. */
	runs[0] = (struct usm_run){ .frame = 0, .count = 1 };
	runs[1] = (struct usm_run){ .frame = 1, .count = 1 };
	if (!strcmp(butcher->lie, "range"))
		runs[1].frame = butcher->host->frames;
	else if (!strcmp(butcher->lie, "wrap"))
		runs[1] = (struct usm_run){ .frame = UINT32_MAX, .count = 2 };
	else if (!strcmp(butcher->lie, "twice"))
		runs[1].frame = 0;
	else if (!strcmp(butcher->lie, "nothing"))
		runs[1].count = 0;
	else if (!strcmp(butcher->lie, "greedy"))
		runs[1].count = request->frames;
	else if (!strcmp(butcher->lie, "many"))
		return capacity + 1;
	else if (!strcmp(butcher->lie, "crash"))
		abort();
	return 2;
}

static void butcher_sampled(void *state, const struct usm_sampled_note *note)
{
	const struct butcher *butcher = state;

	if (note->last && !strcmp(butcher->lie, "crash when sampled"))
		abort();
}

const struct usm_policy usm_policy = {
	.abi = USM_POLICY_ABI,
	.size = sizeof(struct usm_policy),
	.name = "butcher",
	.init = butcher_init,
	.fini = free,
	.supply = butcher_supply,
	.evict = butcher_evict,
	.sampled = butcher_sampled,
};

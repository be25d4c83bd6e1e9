// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Not hostile: a policy of the header before eviction, whose struct ends with tick().
 * What follows in memory must not be called.
 */
#include <usm/policy.h>

#include <stdlib.h>

static int elder_init(const struct usm_host *host, void **state)
{
	*state = (void *)host;
	return 0;
}

static uint32_t elder_supply(void *state, const struct usm_supply_request *request,
			     struct usm_run *runs, uint32_t capacity)
{
	const struct usm_host *host = state;

	runs[0] = (struct usm_run){ .frame = host->find(host, 0, 0), .count = 1 };
	return runs[0].frame != USM_FRAME_NOWHERE;
}

static uint32_t elder_beyond(void *state, const struct usm_evict_request *request,
			     struct usm_run *runs, uint32_t capacity)
{
	abort();
}

const struct usm_policy usm_policy = {
	.abi = USM_POLICY_ABI,
	.size = offsetof(struct usm_policy, tick) + sizeof(usm_policy.tick),
	.name = "elder",
	.init = elder_init,
	.supply = elder_supply,
	.evict = elder_beyond,
};

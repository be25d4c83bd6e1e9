// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Not hostile: a policy of an older header, whose struct ends with supply(). What
 * follows in memory must not be called.
 */
#include <usm/policy.h>

#include <stdlib.h>

static int old_init(const struct usm_host *host, void **state)
{
	*state = (void *)host;
	return 0;
}

static uint32_t old_supply(void *state, const struct usm_supply_request *request,
			   struct usm_run *runs, uint32_t capacity)
{
	const struct usm_host *host = state;

	runs[0] = (struct usm_run){ .frame = host->find(host, 0, 0), .count = 1 };
	return runs[0].frame != USM_FRAME_NOWHERE;
}

static void old_beyond(void *state, uint64_t now)
{
	abort();
}

const struct usm_policy usm_policy = {
	.abi = USM_POLICY_ABI,
	.size = offsetof(struct usm_policy, supply) + sizeof(usm_policy.supply),
	.name = "old",
	.init = old_init,
	.supply = old_supply,
	.tick = old_beyond,
};

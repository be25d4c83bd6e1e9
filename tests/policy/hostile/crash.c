// SPDX-License-Identifier: GPL-2.0-or-later
/* Crashes in init(). */
#include <usm/policy.h>

#include <stddef.h>

static int crash_init(const struct usm_host *host, void **state)
{
	*(volatile int *)NULL = 1;
	return 0;
}

static uint32_t crash_supply(void *state, const struct usm_supply_request *request,
			     struct usm_run *runs, uint32_t capacity)
{
	return 0;
}

const struct usm_policy usm_policy = {
	.abi = USM_POLICY_ABI,
	.size = sizeof(struct usm_policy),
	.name = "crash",
	.init = crash_init,
	.supply = crash_supply,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* Never comes back from supply(). */
#include <usm/policy.h>

static uint32_t hang_supply(void *state, const struct usm_supply_request *request,
			    struct usm_run *runs, uint32_t capacity)
{
	for (volatile int forever = 1; forever;)
		;
	return 0;
}

const struct usm_policy usm_policy = {
	.abi = USM_POLICY_ABI,
	.size = sizeof(struct usm_policy),
	.name = "hang",
	.supply = hang_supply,
};

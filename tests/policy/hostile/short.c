// SPDX-License-Identifier: GPL-2.0-or-later
/* Says that its struct ends before supply(). */
#include <usm/policy.h>

static uint32_t short_supply(void *state, const struct usm_supply_request *request,
			     struct usm_run *runs, uint32_t capacity)
{
	return 0;
}

const struct usm_policy usm_policy = {
	.abi = USM_POLICY_ABI,
	.size = offsetof(struct usm_policy, supply),
	.name = "short",
	.supply = short_supply,
};

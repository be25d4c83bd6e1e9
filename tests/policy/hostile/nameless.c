// SPDX-License-Identifier: GPL-2.0-or-later
/* Says that it is another policy, and says so at length. */
#include <usm/policy.h>

static uint32_t nameless_supply(void *state, const struct usm_supply_request *request,
				struct usm_run *runs, uint32_t capacity)
{
	return 0;
}

const struct usm_policy usm_policy = {
	.abi = USM_POLICY_ABI,
	.size = sizeof(struct usm_policy),
	.name = "firstfit-and-more-than-fits-into-one-line-of-a-journal",
	.supply = nameless_supply,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* Was built for an ABI that does not exist. */
#include <usm/policy.h>

static uint32_t abi_supply(void *state, const struct usm_supply_request *request,
			   struct usm_run *runs, uint32_t capacity)
{
	return 0;
}

const struct usm_policy usm_policy = {
	.abi = USM_POLICY_ABI + 1,
	.size = sizeof(struct usm_policy),
	.name = "abi",
	.supply = abi_supply,
};

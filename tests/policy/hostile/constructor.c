// SPDX-License-Identifier: GPL-2.0-or-later
/* Aborts as soon as it is loaded, before anybody has called it. */
#include <usm/policy.h>

#include <stdlib.h>

__attribute__((constructor)) static void constructor(void)
{
	abort();
}

static uint32_t constructor_supply(void *state, const struct usm_supply_request *request,
				   struct usm_run *runs, uint32_t capacity)
{
	return 0;
}

const struct usm_policy usm_policy = {
	.abi = USM_POLICY_ABI,
	.size = sizeof(struct usm_policy),
	.name = "constructor",
	.supply = constructor_supply,
};

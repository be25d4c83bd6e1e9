// SPDX-License-Identifier: GPL-2.0-or-later
/* Refuses to begin, as an honest policy may. */
#include <usm/policy.h>

#include <errno.h>

static int refuse_init(const struct usm_host *host, void **state)
{
	return -EOPNOTSUPP;
}

static uint32_t refuse_supply(void *state, const struct usm_supply_request *request,
			      struct usm_run *runs, uint32_t capacity)
{
	return 0;
}

const struct usm_policy usm_policy = {
	.abi = USM_POLICY_ABI,
	.size = sizeof(struct usm_policy),
	.name = "refuse",
	.init = refuse_init,
	.supply = refuse_supply,
};

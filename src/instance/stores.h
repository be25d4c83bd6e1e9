/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stores of a domain: got back from it, or made and given to it. */
#ifndef USM_INSTANCE_STORES_H
#define USM_INSTANCE_STORES_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "mapping.h"
#include "vault.h"

/*
 * Once the domain is armed. Opens what it holds, whether or not anything will be
 * evicted, since pages may be in there; makes a store if `evicts` and the quota (bytes)
 * is not 0. Returns 1 with the vault ready, its calls still to be set, 0: there are no
 * stores, and nothing is away, or negative: what is there cannot be opened now.
 */
int usm_stores_open(int domain_fd, const struct usm_mapping *mapping, bool evicts,
		    uint64_t quota, struct usm_vault *vault, struct usm_error *err);

/* Takes a zeroed vault. */
void usm_stores_close(struct usm_vault *vault);

#endif /* USM_INSTANCE_STORES_H */

/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_NODE_H
#define USM_NODE_H

#include <linux/nodemask.h>

#include "domain.h"

/* Look again which nodes the container may use; false: this was done a moment ago. */
bool usm_nodes_update(struct usm_domain *domain);

/*
 * Memory of `node`, or, where that is NUMA_NO_NODE, of a near one that the container may
 * use; NULL: there is none. Charged to whom set_active_memcg() says.
 */
struct page *usm_node_alloc(struct usm_domain *domain, int node, gfp_t gfp, unsigned int order);

static inline bool usm_node_allowed(struct usm_domain *domain, int node)
{
	return node_isset(node, domain->nodes);
}

#endif /* USM_NODE_H */

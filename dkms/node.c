// SPDX-License-Identifier: GPL-2.0-only
/*
 * NUMA nodes. Frames are allocated by a worker, which may use every node; the container
 * may not. Its cpuset is known by what its tasks were given of it.
 */
#include <linux/cgroup.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "domain.h"
#include "node.h"

/* A cpuset is changed by hand; looking at all tasks of the host is not for free. */
#define USM_NODES_EVERY	HZ

/* What any task of the subtree may use; all nodes with memory where there is none. */
static void usm_nodes_collect(struct usm_domain *domain, nodemask_t *nodes)
{
	struct task_struct *task;

	nodes_clear(*nodes);
	rcu_read_lock();
	for_each_process(task)
		if (!(task->flags & PF_KTHREAD) &&
		    cgroup_is_descendant(task_dfl_cgroup(task), domain->cgroup))
			/* A word that is being changed is looked at again before long. */
			nodes_or(*nodes, *nodes, task->mems_allowed);
	rcu_read_unlock();
	nodes_and(*nodes, *nodes, node_states[N_MEMORY]);
	if (nodes_empty(*nodes))
		*nodes = node_states[N_MEMORY];
}

bool usm_nodes_update(struct usm_domain *domain)
{
	nodemask_t nodes;

	if (nr_node_ids == 1 ||
	    (domain->nodes_seen && time_before(jiffies, domain->nodes_seen + USM_NODES_EVERY)))
		return false;
	domain->nodes_seen = jiffies | 1;
	usm_nodes_collect(domain, &nodes);
	domain->nodes = nodes;
	return true;
}

static bool usm_node_current(struct usm_domain *domain)
{
	bool ours;

	rcu_read_lock();
	ours = usm_domain_current() == domain;
	rcu_read_unlock();
	return ours;
}

struct page *usm_node_alloc(struct usm_domain *domain, int node, gfp_t gfp, unsigned int order)
{
	int tries = 1;
	struct page *page;

	if (node != NUMA_NO_NODE) {
		if (!usm_node_allowed(domain, node))
			return NULL;
		gfp |= __GFP_THISNODE;
	} else if (usm_node_current(domain)) {
		/* What a task gets for itself its own cpuset bounds. */
		gfp |= __GFP_HARDWALL;
	} else if (!nodes_equal(domain->nodes, node_states[N_MEMORY])) {
		tries = nodes_weight(domain->nodes);
		gfp |= __GFP_THISNODE;
		node = numa_mem_id();
		if (!usm_node_allowed(domain, node))
			node = first_node(domain->nodes);
	}
	do {
		page = alloc_pages_node(node, gfp, order);
		if (page || !--tries)
			return page;
		node = next_node_in(node, domain->nodes);
	} while (node < MAX_NUMNODES);
	return NULL;
}

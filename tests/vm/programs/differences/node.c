// SPDX-License-Identifier: GPL-2.0-or-later
/* Where the memory lies, on a host with two NUMA nodes, and who can move it. */
#include "differences.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NODE_BITS	(8 * sizeof(unsigned long))

/* The node of a page, or a negative errno. */
static int node_of(char *page)
{
	void *pages = page;
	int status = -1;

	must(!syscall(SYS_move_pages, 0, 1ul, &pages, NULL, &status, 0));
	return status;
}

static int node_other(char *page)
{
	int node = node_of(page);

	must(node == 0 || node == 1);
	return !node;
}

static void node_tell(char *page, int wanted)
{
	tell("%s", node_of(page) == wanted ? "moved" : "stays");
	must(*page == 1);
}

static void ask_node(long argument)
{
	int node = node_of(area_touched(AREA));

	tell("%s", node == 0 || node == 1 ? "is known" : "is not known");
}

static void move_page(long argument)
{
	char *area = area_touched(AREA);
	void *pages = area;
	int wanted = node_other(area), status = -1;

	/* Positive: so many pages were not moved. */
	must(syscall(SYS_move_pages, 0, 1ul, &pages, &wanted, &status, MPOL_MF_MOVE) >= 0);
	node_tell(area, wanted);
}

static void migrate(long argument)
{
	char *area = area_touched(AREA);
	int wanted = node_other(area);
	unsigned long from = 1ul << !wanted, to = 1ul << wanted;

	must(syscall(SYS_migrate_pages, 0, NODE_BITS, &from, &to) >= 0);
	node_tell(area, wanted);
}

static void bind_touched(long flags)
{
	char *area = area_touched(AREA);
	int wanted = node_other(area);
	unsigned long nodes = 1ul << wanted;

	if (syscall(SYS_mbind, area, AREA, MPOL_BIND, &nodes, NODE_BITS, flags) < 0)
		tell_call(-1);
	else
		node_tell(area, wanted);
}

static void bind_untouched(long argument)
{
	int wanted = node_other(area_touched(AREA));
	unsigned long nodes = 1ul << wanted;
	char *area = area_map(AREA);

	must(!syscall(SYS_mbind, area, AREA, MPOL_BIND, &nodes, NODE_BITS, 0));
	*area = 1;
	tell("%s", node_of(area) == wanted ? "on that node" : "on another");
}

static void ask_policy(long argument)
{
	unsigned long nodes = 1;
	int mode = -1;
	char *area = area_map(AREA);

	must(!syscall(SYS_mbind, area, AREA, MPOL_BIND, &nodes, NODE_BITS, 0));
	must(!syscall(SYS_get_mempolicy, &mode, NULL, 0ul, area, MPOL_F_ADDR));
	tell("%s", mode == MPOL_BIND ? "the policy" : "another one");
}

const struct probe node_probes[] = {
	{ "move_pages, asking for the node", ask_node, 0 },
	{ "move_pages to another node", move_page, 0 },
	{ "migrate_pages to another node", migrate, 0 },
	{ "mbind with MPOL_MF_MOVE", bind_touched, MPOL_MF_MOVE },
	{ "mbind with MPOL_MF_MOVE and MPOL_MF_STRICT", bind_touched,
	  MPOL_MF_MOVE | MPOL_MF_STRICT },
	{ "mbind, then first touch", bind_untouched, 0 },
	{ "get_mempolicy after mbind", ask_policy, 0 },
	{ 0 }
};

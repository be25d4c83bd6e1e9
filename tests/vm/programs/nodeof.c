// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nodeof - on which NUMA nodes does memory lie that is touched now?
 *
 * nodeof --mib N [--then FILE] touches N MiB and prints "nodeof: A pages on node 0, B on node
 * 1"; with --then it waits until FILE is there, and does so once more with new memory.
 */
#include "util.h"

#include <err.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NODES	2

static void node_count(char *area, size_t pages)
{
	unsigned long on[NODES] = { 0 };

	for (size_t page = 0; page < pages; page++) {
		void *address = area + page * UTIL_PAGE;
		int status = -1;

		util_page_fill(area, page, 1);
		if (syscall(SYS_move_pages, 0, 1ul, &address, NULL, &status, 0) < 0)
			err(1, "move_pages");
		if (status < 0 || status >= NODES)
			errx(1, "page %zu lies on node %d", page, status);
		on[status]++;
	}
	util_say("nodeof: %lu pages on node 0, %lu on node 1", on[0], on[1]);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "mib", required_argument, NULL, 'm' },
		{ "then", required_argument, NULL, 't' },
		{ 0 }
	};
	unsigned long mib = 1;
	const char *then = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'm': mib = util_number("--mib", optarg, 1, 1 << 20); break;
		case 't': then = optarg; break;
		default: return 2;
		}
	}
	node_count(util_map(mib * UTIL_MIB), mib * (UTIL_MIB / UTIL_PAGE));
	if (then) {
		while (access(then, F_OK) < 0)
			usleep(50000);
		node_count(util_map(mib * UTIL_MIB), mib * (UTIL_MIB / UTIL_PAGE));
	}
	return 0;
}

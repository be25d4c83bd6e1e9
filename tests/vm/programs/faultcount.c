// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * faultcount - how many minor faults does it take to touch N pages?
 *
 * Touches one word of each page, in order, and prints where they are and what
 * getrusage counted: "faultcount: at ADDRESS N pages, F faults".
 */
#include "util.h"

#include <err.h>
#include <getopt.h>
#include <sys/mman.h>
#include <sys/resource.h>

static unsigned long faults_now(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) < 0)
		err(1, "getrusage");
	return usage.ru_minflt + usage.ru_majflt;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pages", required_argument, NULL, 'p' },
		{ "read", no_argument, NULL, 'r' },
		{ 0 }
	};
	unsigned long pages = 4096, before, after;
	bool write = true;
	char *area;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'p': pages = util_number("--pages", optarg, 1, 1 << 28); break;
		case 'r': write = false; break;
		default: return 2;
		}
	}
	area = util_map(pages * UTIL_PAGE);
	/* The question is about small pages, or about what a policy makes of them. */
	madvise(area, pages * UTIL_PAGE, MADV_NOHUGEPAGE);
	faults_now();
	before = faults_now();
	for (unsigned long page = 0; page < pages; page++) {
		volatile char *byte = area + page * UTIL_PAGE;

		if (write)
			*byte = 1;
		else
			(void)*byte;
	}
	after = faults_now();
	util_say("faultcount: at %p %lu pages, %lu faults", (void *)area, pages, after - before);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hotset - use some pages again and again, and many others once.
 *
 * N MiB are written and then read over and over; between two rounds some pages of M MiB
 * are written, which nobody looks at afterwards. Counts how many of the pages in use were
 * not there when they were read: "hotset: N pages had to come back, N errors".
 */
#include "util.h"

#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

/* Pages written between two rounds. */
#define STEP		32
#define PRESENT		(UINT64_C(1) << 63)

/* Of the pages at `area`, how many have no page table entry. */
static size_t missing(int pagemap, const char *area, size_t pages, uint64_t *entries)
{
	size_t bytes = pages * sizeof(*entries), n = 0;
	off_t offset = (off_t)((uintptr_t)area / UTIL_PAGE * sizeof(*entries));

	if (pread(pagemap, entries, bytes, offset) != (ssize_t)bytes)
		err(1, "pagemap");
	for (size_t i = 0; i < pages; i++)
		n += !(entries[i] & PRESENT);
	return n;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "hot-mib", required_argument, NULL, 'h' },
		{ "once-mib", required_argument, NULL, 'o' },
		{},
	};
	size_t hot = 0, once = 0, back = 0, errors;
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), c;
	char *hot_area, *once_area;
	uint64_t *entries;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'h')
			hot = util_number("--hot-mib", optarg, 1, 1 << 20) * UTIL_MIB / UTIL_PAGE;
		else if (c == 'o')
			once = util_number("--once-mib", optarg, 1, 1 << 20) * UTIL_MIB / UTIL_PAGE;
		else
			return 2;
	}
	if (!hot || !once || optind != argc)
		errx(2, "usage: hotset --hot-mib N --once-mib M");
	if (pagemap < 0)
		err(1, "pagemap");
	hot_area = util_map(hot * UTIL_PAGE);
	once_area = util_map(once * UTIL_PAGE);
	entries = calloc(hot, sizeof(*entries));
	if (!entries)
		err(1, "calloc");

	for (size_t page = 0; page < hot; page++)
		util_page_fill(hot_area, page, 1);
	for (size_t page = 0; page < once; page++) {
		once_area[page * UTIL_PAGE] = 1;
		if (page % STEP)
			continue;
		back += missing(pagemap, hot_area, hot, entries);
		for (size_t i = 0; i < hot; i++)
			(void)((volatile char *)hot_area)[i * UTIL_PAGE];
	}
	errors = util_pages_verify(hot_area, hot, 1);
	util_say("hotset: %zu pages had to come back, %zu errors", back, errors);
	return errors ? 1 : 0;
}

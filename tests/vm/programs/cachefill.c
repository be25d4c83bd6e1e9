// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cachefill - fill the page cache, and with it a cgroup's memory limit.
 *
 * Writes a file of N MiB, reads it --rounds times and verifies it each time, then
 * removes it. Last line: "cachefill: N pages, R rounds, W wrong".
 */
#include "util.h"

#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "mib", required_argument, NULL, 'm' },
		{ "file", required_argument, NULL, 'f' },
		{ "rounds", required_argument, NULL, 'r' },
		{ 0 }
	};
	/* In .bss, which is not adopted: this program is about the cache alone. */
	static char page[UTIL_PAGE] __attribute__((aligned(UTIL_PAGE)));
	unsigned long pages = 64 * (UTIL_MIB / UTIL_PAGE), rounds = 1, wrong = 0;
	const char *path = "cachefill.tmp";
	int c, fd;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'm': pages = util_number("--mib", optarg, 1, 1 << 20) *
				  (UTIL_MIB / UTIL_PAGE); break;
		case 'f': path = optarg; break;
		case 'r': rounds = util_number("--rounds", optarg, 1, 1000000); break;
		default: return 2;
		}
	}

	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		err(1, "cannot create %s", path);
	unlink(path);
	for (unsigned long i = 0; i < pages; i++) {
		util_page_fill(page, 0, i);
		if (write(fd, page, UTIL_PAGE) != UTIL_PAGE)
			err(1, "cannot write %s", path);
	}
	for (unsigned long round = 0; round < rounds; round++)
		for (unsigned long i = 0; i < pages; i++) {
			if (pread(fd, page, UTIL_PAGE, (off_t)i * UTIL_PAGE) != UTIL_PAGE)
				err(1, "cannot read %s", path);
			wrong += !util_page_verify(page, 0, i);
		}
	util_say("cachefill: %lu pages, %lu rounds, %lu wrong", pages, rounds, wrong);
	return wrong ? 1 : 0;
}

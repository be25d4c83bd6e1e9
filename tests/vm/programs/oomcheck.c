// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * oomcheck - what happens to a process that wants more memory than it may have?
 *
 * A child, which offers itself to the OOM killer, touches up to --mib MiB; the
 * parent verifies its own memory afterwards. Prints "oomcheck: the child touched N
 * of M pages and ended by signal S" (or by status S). Exit status 0 when the child
 * was killed with SIGKILL (with --expect fit: when it got all), else 1.
 */
#include "util.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWN_PAGES	1024
#define SALT_OWN	11
#define SALT_CHILD	12

/* The higher, the sooner chosen. Raising it needs no privilege. */
static void oom_score_adjust(const char *value)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		warn("cannot set oom_score_adj");
	if (fd >= 0)
		close(fd);
}

static void child_run(size_t pages, volatile size_t *touched)
{
	char *area;

	oom_score_adjust("1000");
	area = util_map(pages * UTIL_PAGE);
	for (size_t page = 0; page < pages; page++) {
		util_page_fill(area, page, SALT_CHILD);
		*touched = page + 1;
	}
	_exit(util_pages_verify(area, pages, SALT_CHILD) ? 3 : 0);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "mib", required_argument, NULL, 'm' },
		{ "expect", required_argument, NULL, 'e' },
		{ 0 }
	};
	size_t pages = 256 * UTIL_MIB / UTIL_PAGE, wrong;
	volatile size_t *touched;
	bool expect_kill = true, met;
	char *own;
	pid_t child;
	int c, status;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'm': pages = util_number("--mib", optarg, 1, 1 << 20) *
				  (UTIL_MIB / UTIL_PAGE); break;
		case 'e':
			if (strcmp(optarg, "kill") && strcmp(optarg, "fit"))
				errx(2, "--expect: '%s' is not kill or fit", optarg);
			expect_kill = strcmp(optarg, "kill") == 0;
			break;
		default: return 2;
		}
	}

	touched = mmap(NULL, UTIL_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (touched == MAP_FAILED)
		err(1, "mmap");
	own = util_map(OWN_PAGES * UTIL_PAGE);
	for (size_t page = 0; page < OWN_PAGES; page++)
		util_page_fill(own, page, SALT_OWN);
	fflush(NULL);
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (child == 0)
		child_run(pages, touched);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			err(1, "waitpid");

	util_say("oomcheck: the child touched %zu of %zu pages and ended by %s %d", *touched,
		 pages, WIFSIGNALED(status) ? "signal" : "status",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	wrong = util_pages_verify(own, OWN_PAGES, SALT_OWN);
	met = expect_kill ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL : status == 0;
	if (!met)
		util_say("FAIL expected %s", expect_kill ? "SIGKILL" : "that all fits");
	return met && !wrong ? 0 : 1;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * forkload - forks that copy memory, as many as are asked for and no more.
 *
 * A parent holds N MiB. Children, some at a time, verify all of it, write to a
 * part of it (which copies that), verify again and end. A child that is killed and
 * a fork that fails for lack of memory are counted: with --allow-kills they are
 * what a limit is for, and --allow-sigbus adds the end of a child that could not
 * get all its pages. A wrong byte is never allowed.
 * Last line: "forkload: F forks, K killed, D denied, W wrong".
 */
#include "util.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SALT_PARENT	1
#define STATUS_WRONG	3

struct load {
	char *area;
	size_t pages;
	size_t written;		/* pages that each child copies */
	unsigned long forks;
	unsigned long killed;
	unsigned long denied;
	unsigned long wrong;
	bool sigbus;		/* is how a child ends that lacks a page */
};

static void child_run(const struct load *load, unsigned long number)
{
	/* Each child copies another part. */
	size_t first = number * 7919 % (load->pages - load->written + 1);
	uint64_t salt = SALT_PARENT + 1 + number;
	size_t wrong = util_pages_verify(load->area, load->pages, SALT_PARENT);

	for (size_t page = first; page < first + load->written; page++)
		util_page_fill(load->area, page, salt);
	for (size_t page = 0; page < load->pages; page++)
		wrong += !util_page_verify(load->area, page,
					   page >= first && page < first + load->written ?
					   salt : SALT_PARENT);
	_exit(wrong ? STATUS_WRONG : 0);
}

static void child_reap(struct load *load)
{
	int status;

	if (wait(&status) < 0)
		err(1, "wait");
	/* SIGSEGV where the kernel met the page itself, in a thread's rseq area. */
	if (WIFSIGNALED(status) &&
	    (WTERMSIG(status) == SIGKILL ||
	     (load->sigbus && (WTERMSIG(status) == SIGBUS || WTERMSIG(status) == SIGSEGV))))
		load->killed++;
	else if (status != 0) {
		util_say("forkload: a child ended with wait status %#x", status);
		load->wrong++;
	}
}

static void load_run(struct load *load, unsigned long forks, unsigned long at_once)
{
	unsigned long running = 0;

	for (unsigned long i = 0; i < forks; i++) {
		pid_t pid;

		if (running == at_once) {
			child_reap(load);
			running--;
		}
		pid = fork();
		if (pid == 0)
			child_run(load, i);
		if (pid < 0) {
			if (errno != ENOMEM && errno != EAGAIN)
				err(1, "fork");
			load->denied++;
			continue;
		}
		load->forks++;
		running++;
	}
	while (running--)
		child_reap(load);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "mib", required_argument, NULL, 'm' },
		{ "write-mib", required_argument, NULL, 'w' },
		{ "forks", required_argument, NULL, 'f' },
		{ "at-once", required_argument, NULL, 'a' },
		{ "allow-kills", no_argument, NULL, 'k' },
		{ "allow-sigbus", no_argument, NULL, 'b' },
		{ 0 }
	};
	unsigned long mib = 16, write_mib = 4, forks = 100, at_once = 4;
	struct load load = { 0 };
	bool allow_kills = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'm': mib = util_number("--mib", optarg, 1, 1 << 20); break;
		case 'w': write_mib = util_number("--write-mib", optarg, 0, 1 << 20); break;
		case 'f': forks = util_number("--forks", optarg, 1, 1000000); break;
		case 'a': at_once = util_number("--at-once", optarg, 1, 1000); break;
		case 'k': allow_kills = true; break;
		case 'b': load.sigbus = true; break;
		default: return 2;
		}
	}
	if (write_mib > mib)
		errx(2, "--write-mib is more than --mib");

	load.pages = mib * (UTIL_MIB / UTIL_PAGE);
	load.written = write_mib * (UTIL_MIB / UTIL_PAGE);
	load.area = util_map(load.pages * UTIL_PAGE);
	for (size_t page = 0; page < load.pages; page++)
		util_page_fill(load.area, page, SALT_PARENT);
	load_run(&load, forks, at_once);
	load.wrong += util_pages_verify(load.area, load.pages, SALT_PARENT);

	util_say("forkload: %lu forks, %lu killed, %lu denied, %lu wrong", load.forks,
		 load.killed, load.denied, load.wrong);
	if (load.wrong || !load.forks)
		return 1;
	return (load.killed || load.denied) && !allow_kills ? 1 : 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench-memory [--huge] [--first-touch] [--userfaultfd] - what anonymous memory costs a program:
 * nanoseconds a page for the first touch, for giving pages back, for fork and for the
 * copy on write after it, and for mmap and munmap. In a guest that counts instructions
 * a nanosecond is one.
 *
 * "own" is the CPU time of this thread alone, kernel included. "all" of the first touch
 * is what the machine's only CPU did for it, whoever ran: what passed on the clock, until
 * everybody was done with it, without the time of a process that runs when nobody else
 * wants to, and without what the same wait costs when nothing was touched. It includes
 * zeroing, the policy and the kernel's threads. Of the rest, "all" is what passed on the
 * clock.
 *
 * --userfaultfd: only the first touch, of memory whose faults a thread of this program
 * answers with UFFDIO_ZEROPAGE, as soon as it has read of one: nothing is cheaper there.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "meter.h"

#define PAGE		4096ul
#define PAGES		8192ul		/* 32 MiB, within any container of ours */
#define ROUNDS		5		/* the median of them counts */
#define MAPPINGS	1000ul
#define HUGE		512ul		/* pages */

struct cost {
	uint64_t own;
	uint64_t all;
};

static struct cost begin(void)
{
	return (struct cost){ meter_now(CLOCK_THREAD_CPUTIME_ID), meter_now(CLOCK_MONOTONIC) };
}

static struct cost end(struct cost since, unsigned long count)
{
	struct cost at = begin();

	return (struct cost){ (at.own - since.own) / count, (at.all - since.all) / count };
}

static char *map(unsigned long pages)
{
	char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err(EXIT_FAILURE, "mmap");
	return p;
}

static void touch(char *p)
{
	for (unsigned long i = 0; i < PAGES; i++)
		((volatile char *)p)[i * PAGE] = 1;
}

static unsigned long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (unsigned long)usage.ru_minflt;
}

static struct cost give_back(char *p)
{
	struct cost since = begin();

	if (madvise(p, PAGES * PAGE, MADV_DONTNEED) < 0)
		err(EXIT_FAILURE, "madvise");
	return end(since, PAGES);
}

/* The child only holds its share until the parent has written everything. */
static void fork_and_copy(char *p, struct cost *forked, struct cost *copied)
{
	struct cost since;
	int hold[2];
	pid_t child;
	char byte;

	if (pipe(hold) < 0)
		err(EXIT_FAILURE, "pipe");
	since = begin();
	child = fork();
	if (child < 0)
		err(EXIT_FAILURE, "fork");
	if (child == 0) {
		close(hold[1]);
		_exit(read(hold[0], &byte, 1) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	*forked = end(since, PAGES);
	since = begin();
	touch(p);
	*copied = end(since, PAGES);
	close(hold[0]);
	close(hold[1]);
	if (waitpid(child, NULL, 0) < 0)
		err(EXIT_FAILURE, "waitpid");
}

static struct cost map_and_unmap(void)
{
	struct cost since = begin();

	for (unsigned long i = 0; i < MAPPINGS; i++)
		if (munmap(map(1), PAGE) < 0)
			err(EXIT_FAILURE, "munmap");
	return end(since, MAPPINGS);
}

/* What a round of first touch has cost, in nanoseconds of the whole of it but for `own`. */
struct round {
	uint64_t own;		/* a page */
	uint64_t busy;		/* without giving back */
	uint64_t wait;		/* the same wait, with nothing touched */
};

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static uint64_t median(uint64_t *values)
{
	qsort(values, ROUNDS, sizeof(*values), by_size);
	return values[ROUNDS / 2];
}

/* What the machine does besides falls into one round or another: each has its median. */
static void print(const char *name, const struct cost *costs)
{
	uint64_t own[ROUNDS], all[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		own[i] = costs[i].own;
		all[i] = costs[i].all;
	}
	printf("%s %llu %llu\n", name, (unsigned long long)median(own),
	       (unsigned long long)median(all));
}

/*
 * It falls into waits as it does into rounds, and a wait in which there was much of it tells
 * nothing of the round after it: so each of the two has its median before one is subtracted.
 */
static void print_rounds(const char *name, const struct round *rounds)
{
	uint64_t own[ROUNDS], busy[ROUNDS], wait[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		own[i] = rounds[i].own;
		busy[i] = rounds[i].busy;
		wait[i] = rounds[i].wait;
	}
	if (median(busy) < median(wait))
		errx(EXIT_FAILURE, "the machine did more while nothing was touched");
	printf("%s %llu %llu\n", name, (unsigned long long)median(own),
	       (unsigned long long)((median(busy) - median(wait)) / PAGES));
}

/*
 * A page is got ready before it is touched or after: what is counted is a whole round, in
 * which as many pages are given back as are touched. Giving back is a cost of its own.
 */
static struct round first_touch(char *p, unsigned long *faulted)
{
	struct cost cost, given;
	struct round round;
	uint64_t start;

	meter_settle();
	start = meter_busy();
	meter_settle();
	round.wait = meter_busy() - start;

	start = meter_busy();
	*faulted = faults();
	cost = begin();
	touch(p);
	round.own = end(cost, PAGES).own;
	*faulted = faults() - *faulted;
	given = give_back(p);
	meter_settle();
	round.busy = meter_busy() - start - given.own * PAGES;
	return round;
}

static void *answer(void *arg)
{
	int uffd = *(int *)arg;
	struct uffd_msg message;

	for (;;) {
		struct uffdio_zeropage zero = { .range.len = PAGE };

		if (read(uffd, &message, sizeof(message)) != sizeof(message))
			err(EXIT_FAILURE, "read of a fault");
		zero.range.start = message.arg.pagefault.address & -PAGE;
		if (ioctl(uffd, UFFDIO_ZEROPAGE, &zero) < 0)
			err(EXIT_FAILURE, "UFFDIO_ZEROPAGE");
	}
	return NULL;
}

static void answer_start(char *p)
{
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)p, .len = PAGES * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };
	static int uffd;
	pthread_t thread;

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) < 0 ||
	    ioctl(uffd, UFFDIO_REGISTER, &range) < 0)
		err(EXIT_FAILURE, "userfaultfd");
	errno = pthread_create(&thread, NULL, answer, &uffd);
	if (errno)
		err(EXIT_FAILURE, "pthread_create");
}

static void others(char *p)
{
	static struct cost given[ROUNDS], forked[ROUNDS], copied[ROUNDS], mapped[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		touch(p);
		fork_and_copy(p, &forked[i], &copied[i]);
		given[i] = give_back(p);
		mapped[i] = map_and_unmap();
	}
	print("dontneed", given);
	print("fork", forked);
	print("copy-on-write", copied);
	print("mmap+munmap", mapped);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "huge", no_argument, NULL, 'h' },
		{ "first-touch", no_argument, NULL, 'f' },
		{ "userfaultfd", no_argument, NULL, 'u' },
		{}
	};
	/* Unless asked for, small pages: what is compared is the way to answer a fault. */
	int advice = MADV_NOHUGEPAGE, option;
	struct round touched[ROUNDS];
	unsigned long faulted = 0;
	bool all = true, watched = false;
	char *p;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			advice = MADV_HUGEPAGE;
			break;
		case 'u':
			watched = true;
			/* fallthrough */
		case 'f':
			all = false;
			break;
		default:
			return EXIT_FAILURE;
		}
	}
	p = map(PAGES + HUGE);
	p += -(uintptr_t)p % (HUGE * PAGE);
	if (madvise(p, PAGES * PAGE, advice) < 0 && advice == MADV_HUGEPAGE)
		err(EXIT_FAILURE, "MADV_HUGEPAGE");
	meter_start();
	if (watched)
		answer_start(p);
	/* The first round is everybody's first. */
	for (int i = -1; i < ROUNDS; i++)
		touched[i < 0 ? 0 : i] = first_touch(p, &faulted);
	meter_stop();
	print_rounds("first-touch", touched);
	printf("faults %lu %lu\n", faulted, PAGES);
	if (all)
		others(p);
	return EXIT_SUCCESS;
}

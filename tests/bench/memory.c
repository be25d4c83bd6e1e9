// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What anonymous memory costs a program: nanoseconds a page for the first touch,
 * for giving pages back, for fork and for the copy on write after it, and for
 * mmap and munmap. In a guest that counts instructions a nanosecond is one.
 *
 * "own" is the CPU time of this thread alone, kernel included; "all" is what
 * passed on the clock, so on one CPU it includes the policy's work.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096ul
#define PAGES		8192ul		/* 32 MiB, within any container of ours */
#define ROUNDS		5		/* the median of them counts */
#define MAPPINGS	1000ul

struct cost {
	uint64_t own;
	uint64_t all;
};

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct cost begin(void)
{
	return (struct cost){ now(CLOCK_THREAD_CPUTIME_ID), now(CLOCK_MONOTONIC) };
}

static struct cost end(struct cost since, unsigned long count)
{
	struct cost at = begin();

	return (struct cost){ (at.own - since.own) / count, (at.all - since.all) / count };
}

static void die(const char *what)
{
	fprintf(stderr, "bench-memory: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static char *map(unsigned long pages)
{
	char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static void touch(char *p)
{
	for (unsigned long i = 0; i < PAGES; i++)
		((volatile char *)p)[i * PAGE] = 1;
}

static struct cost first_touch(char *p)
{
	struct cost since = begin();

	touch(p);
	return end(since, PAGES);
}

static struct cost give_back(char *p)
{
	struct cost since = begin();

	if (madvise(p, PAGES * PAGE, MADV_DONTNEED) < 0)
		die("madvise");
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
		die("pipe");
	since = begin();
	child = fork();
	if (child < 0)
		die("fork");
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
		die("waitpid");
}

static struct cost map_and_unmap(void)
{
	struct cost since = begin();

	for (unsigned long i = 0; i < MAPPINGS; i++)
		if (munmap(map(1), PAGE) < 0)
			die("munmap");
	return end(since, MAPPINGS);
}

static int by_own(const void *a, const void *b)
{
	const struct cost *x = a, *y = b;

	return x->own < y->own ? -1 : x->own > y->own;
}

static void print(const char *name, struct cost *costs)
{
	qsort(costs, ROUNDS, sizeof(*costs), by_own);
	printf("%s %llu %llu\n", name, (unsigned long long)costs[ROUNDS / 2].own,
	       (unsigned long long)costs[ROUNDS / 2].all);
}

int main(void)
{
	static struct cost touched[ROUNDS], given[ROUNDS], forked[ROUNDS], copied[ROUNDS], mapped[ROUNDS];
	char *p = map(PAGES);

	/* Small pages: what is compared is the way to answer a fault. */
	madvise(p, PAGES * PAGE, MADV_NOHUGEPAGE);
	for (int i = 0; i < ROUNDS; i++) {
		touched[i] = first_touch(p);
		fork_and_copy(p, &forked[i], &copied[i]);
		given[i] = give_back(p);
		mapped[i] = map_and_unmap();
	}
	print("first-touch", touched);
	print("dontneed", given);
	print("fork", forked);
	print("copy-on-write", copied);
	print("mmap+munmap", mapped);
	return EXIT_SUCCESS;
}

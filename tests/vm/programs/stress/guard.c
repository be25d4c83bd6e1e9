// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guard regions, where the kernel has them: what is touched there is SIGSEGV, what was
 * there is gone, and nothing else is.
 */
#include "stress.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif

#define GUARD_PAGES	64
#define GUARD_LENGTH	(GUARD_PAGES * PAGE)

/* Memory that may have guards; NULL: this kernel has none for it. */
static char *guard_map(size_t length)
{
	char *area = memory_map(length);

	if (!madvise(area, PAGE, MADV_GUARD_INSTALL)) {
		check_call(madvise(area, PAGE, MADV_GUARD_REMOVE));
		return area;
	}
	check(errno == EINVAL, "MADV_GUARD_INSTALL: %s", strerror(errno));
	skip("MADV_GUARD_INSTALL: %s", strerror(errno));
	memory_unmap(area, length);
	return NULL;
}

/* As a signal would say, but for any thread. */
static bool guard_is(char *page)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { page, 1 };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) < 0 && errno == EFAULT;
}

/* Long enough for whoever takes pages away behind our back. */
static void guard_pause(void)
{
	struct timespec time = { .tv_nsec = 10 * 1000 * 1000 };

	nanosleep(&time, NULL);
}

/* ------------------------------------------------------------------------ plain use */

static void region_child(void *context)
{
	char *area = context;

	check(memory_read_faults(area + 9 * PAGE), "a guard is not in the child");
	pattern_verify(area, 8 * PAGE, 9, 0, 1, "page before a guard in the child");
	pattern_fill(area, 8 * PAGE, 9, 0, 2);
}

static void region_run(void)
{
	char *area = guard_map(GUARD_LENGTH);

	if (!area)
		return;
	pattern_fill(area, GUARD_LENGTH, 9, 0, 1);
	check_call(madvise(area + 8 * PAGE, 4 * PAGE, MADV_GUARD_INSTALL));
	check(memory_read_faults(area + 8 * PAGE), "a guard can be read");
	check(memory_write_faults(area + 11 * PAGE), "a guard can be written");
	child_run(region_child, area);
	/* A discard leaves them. */
	check_call(madvise(area + 10 * PAGE, 4 * PAGE, MADV_DONTNEED));
	check(guard_is(area + 11 * PAGE), "a guard was discarded");
	zero_verify(area + 12 * PAGE, 2 * PAGE, "discarded page behind a guard");
	check_call(madvise(area, GUARD_LENGTH, MADV_GUARD_REMOVE));
	zero_verify(area + 8 * PAGE, 4 * PAGE, "page whose guard was removed");
	pattern_verify(area, 8 * PAGE, 9, 0, 1, "page before a guard");
	pattern_verify(area + 14 * PAGE, GUARD_LENGTH - 14 * PAGE, 9, 14 * PAGE_WORDS, 1,
		       "page behind a guard");
	memory_unmap(area, GUARD_LENGTH);
}

/* --------------------------------------------------------------------- one thread */

#define GUARDED		UINT32_MAX

static void random_verify(char *area, const uint32_t *generation)
{
	for (size_t i = 0; i < GUARD_PAGES; i++) {
		if (generation[i] == GUARDED)
			check(guard_is(area + i * PAGE), "page %zu has lost its guard", i);
		else if (generation[i])
			pattern_verify(area + i * PAGE, PAGE, 1, i * PAGE_WORDS,
				       generation[i], "page among guards");
		else
			zero_verify(area + i * PAGE, PAGE, "page that had a guard");
	}
}

static void random_fill(char *area, uint32_t *generation, size_t first, size_t count,
			uint32_t step)
{
	for (size_t i = first; i < first + count; i++) {
		if (generation[i] == GUARDED)
			continue;
		generation[i] = step;
		pattern_fill(area + i * PAGE, PAGE, 1, i * PAGE_WORDS, step);
	}
}

/* Pages are filled, left alone until they may be elsewhere, and then guarded or not. */
static void random_run(void)
{
	uint32_t generation[GUARD_PAGES] = { 0 };
	unsigned int steps = stress_times(120);
	char *area = guard_map(GUARD_LENGTH);
	struct rng rng;

	if (!area)
		return;
	rng_seed(&rng, 0);
	for (unsigned int step = 1; step <= steps; step++) {
		size_t first = rng_below(&rng, GUARD_PAGES);
		size_t count = 1 + rng_below(&rng, GUARD_PAGES - first);

		if (step & 1) {
			random_fill(area, generation, first, count, step);
			guard_pause();
		} else if (rng_below(&rng, 2)) {
			check_call(madvise(area + first * PAGE, count * PAGE,
					   MADV_GUARD_INSTALL));
			for (size_t i = first; i < first + count; i++)
				generation[i] = GUARDED;
		} else {
			check_call(madvise(area + first * PAGE, count * PAGE,
					   MADV_GUARD_REMOVE));
			for (size_t i = first; i < first + count; i++)
				if (generation[i] == GUARDED)
					generation[i] = 0;
		}
		if (step % 8 == 0)
			random_verify(area, generation);
	}
	random_verify(area, generation);
	memory_unmap(area, GUARD_LENGTH);
}

/* ----------------------------------------------------------------------- children */

/* Page tables of its own, in which there is nothing else. */
#define FORK_FAR	(4 * MIB)
#define FORK_LENGTH	(8 * MIB)

static void fork_verify(char *area, const char *whose)
{
	pattern_verify(area, 4 * PAGE, 3, 0, 1, whose);
	check(guard_is(area + 4 * PAGE) && guard_is(area + 7 * PAGE), "%s: no guard", whose);
	pattern_verify(area + 8 * PAGE, 8 * PAGE, 3, 8 * PAGE_WORDS, 1, whose);
	check(guard_is(area + FORK_FAR) && guard_is(area + FORK_FAR + 3 * PAGE),
	      "%s: no guard where nothing else is", whose);
	zero_verify(area + FORK_FAR + 4 * PAGE, PAGE, whose);
}

static void fork_grandchild(void *context)
{
	fork_verify(context, "grandchild");
}

static void fork_child(void *context)
{
	char *area = context, *moved;

	fork_verify(area, "child");
	child_run(fork_grandchild, area);
	/* They move with the pages. */
	moved = mremap(area, FORK_LENGTH, FORK_LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED,
		       memory_reserve(FORK_LENGTH));
	must(moved != MAP_FAILED, "mremap: %s", strerror(errno));
	fork_verify(moved, "child, moved");
	check_call(madvise(moved, FORK_LENGTH, MADV_GUARD_REMOVE));
	zero_verify(moved + 4 * PAGE, 4 * PAGE, "page whose guard the child removed");
	zero_verify(moved + FORK_FAR, 4 * PAGE, "page whose guard the child removed");
	pattern_fill(moved, 16 * PAGE, 3, 0, 2);
}

static void fork_run(void)
{
	char *area = guard_map(FORK_LENGTH);

	if (!area)
		return;
	for (unsigned int i = 0; i < stress_times(8); i++) {
		pattern_fill(area, 16 * PAGE, 3, 0, 1);
		if (i & 1)
			guard_pause();
		check_call(madvise(area + 4 * PAGE, 4 * PAGE, MADV_GUARD_INSTALL));
		check_call(madvise(area + FORK_FAR, 4 * PAGE, MADV_GUARD_INSTALL));
		child_run(fork_child, area);
		fork_verify(area, "parent");
		check_call(madvise(area, FORK_LENGTH, MADV_GUARD_REMOVE));
		zero_verify(area + 4 * PAGE, 4 * PAGE, "page whose guard the parent removed");
		check_call(madvise(area, FORK_LENGTH, MADV_DONTNEED));
	}
	memory_unmap(area, FORK_LENGTH);
}

/* ------------------------------------------------------------------------- racing */

struct race {
	char *area;
	unsigned int threads;
	bool stop;
};

static void race_child(void *context)
{
}

/* Shared pages are copied when they are written to next. */
static void race_forker(struct worker *worker)
{
	struct race *race = worker->context;

	while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
		child_run(race_child, race->area);
		guard_pause();
	}
}

/*
 * Pages of the threads lie side by side: each fills one of its own, guards it, and finds
 * zeros when the guard is gone; what it has filled meanwhile stays.
 */
static void race_worker(struct worker *worker)
{
	struct race *race = worker->context;
	size_t mine = GUARD_PAGES / race->threads;
	uint32_t generation[GUARD_PAGES] = { 0 };

	for (unsigned int step = 1; step <= stress_times(600); step++) {
		size_t i = rng_below(&worker->rng, mine);
		size_t page = i * race->threads + worker->index;
		char *at = race->area + page * PAGE;

		if (generation[i])
			pattern_verify(at, PAGE, worker->index, page * PAGE_WORDS,
				       generation[i], "page beside guards");
		generation[i] = step;
		pattern_fill(at, PAGE, worker->index, page * PAGE_WORDS, step);
		if (rng_below(&worker->rng, 2))
			continue;
		if (rng_below(&worker->rng, 16) == 0)
			guard_pause();
		check_call(madvise(at, PAGE, MADV_GUARD_INSTALL));
		sched_yield();
		check(guard_is(at), "page %zu has lost its guard", page);
		check_call(madvise(at, PAGE, MADV_GUARD_REMOVE));
		zero_verify(at, PAGE, "page that had a guard among others");
		generation[i] = 0;
	}
}

static void race_run(void)
{
	struct race race = {
		.area = guard_map(GUARD_LENGTH),
		.threads = settings.threads < 8 ? settings.threads : 8,
	};
	struct crew *forker;

	if (!race.area)
		return;
	forker = crew_start(1, race_forker, &race);
	crew_run(race.threads, race_worker, &race);
	__atomic_store_n(&race.stop, true, __ATOMIC_RELAXED);
	crew_join(forker);
	memory_unmap(race.area, GUARD_LENGTH);
}

const struct scenario guard_scenarios[] = {
	{ "guard-region", "guards fault, are inherited and can be removed", region_run },
	{ "guard-random", "guards come and go over pages of any kind", random_run },
	{ "guard-fork", "guards of children and grandchildren, and moved ones", fork_run },
	{ "guard-race", "guards come and go beside each other, and forks", race_run },
	{ 0 }
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* mremap in all its forms, and remap_file_pages, which private memory refuses. */
#include "stress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

#define REMAP_PAGES	96

static char *remap_or_die(char *old, size_t old_length, size_t length, int flags, char *new)
{
	char *moved = mremap(old, old_length, length, flags, new);

	must(moved != MAP_FAILED, "mremap of %zu to %zu bytes: %s", old_length, length,
	     strerror(errno));
	return moved;
}

/* ------------------------------------------------------------- in place */

static void grow_run(void)
{
	for (unsigned int i = 0; i < 20; i++) {
		char *area = memory_map(2 * REMAP_PAGES * PAGE);
		size_t length = REMAP_PAGES * PAGE;

		/* The room behind it is free for certain. */
		memory_unmap(area + length, length);
		pattern_fill(area, length, 1, 0, i);
		must(remap_or_die(area, length, 2 * length, 0, NULL) == area,
		     "mremap without MREMAP_MAYMOVE moved");
		pattern_verify(area, length, 1, 0, i, "page before the growth");
		zero_verify(area + length, length, "page that the growth added");
		pattern_fill(area + length, length, 1, length / 8, i);

		/* What was cut off must not come back. */
		must(remap_or_die(area, 2 * length, length / 2, 0, NULL) == area,
		     "mremap to less moved");
		check(memory_read_faults(area + length / 2), "memory that was cut off is there");
		must(remap_or_die(area, length / 2, length, 0, NULL) == area,
		     "mremap without MREMAP_MAYMOVE moved");
		pattern_verify(area, length / 2, 1, 0, i, "page that was kept");
		zero_verify(area + length / 2, length / 2, "page after shrinking and growing");
		memory_unmap(area, length);
	}
}

/* --------------------------------------------------------------- moving */

static void move_run(void)
{
	size_t length = REMAP_PAGES * PAGE;
	char *area = memory_map(length);
	struct rng rng;

	rng_seed(&rng, 0);
	pattern_fill(area, length, 2, 0, 0);
	for (unsigned int i = 0; i < 40; i++) {
		char *target = memory_reserve(length + 2 * MIB);
		/* Offsets within a page table that differ, agree, and cross its end. */
		char *moved = target + rng_below(&rng, 2 * MIB / PAGE) * PAGE;
		char *old = area;

		area = remap_or_die(area, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, moved);
		check(area == moved, "mremap with MREMAP_FIXED went to %p", (void *)area);
		check(memory_read_faults(old), "memory is still there after its move");
		pattern_verify(area, length, 2, 0, i, "moved page");
		pattern_fill(area, length, 2, 0, i + 1);
		if (moved > target)
			memory_unmap(target, moved - target);
		memory_unmap(moved + length, target + 2 * MIB - moved);
	}
	memory_unmap(area, length);
}

/* Growth that has to move, over and over, as realloc does it. */
static void realloc_run(void)
{
	size_t length = 4 * PAGE;
	char *area = memory_map(length);
	char *fence = NULL;

	pattern_fill(area, length, 3, 0, 1);
	while (length < memory_share(4)) {
		size_t grown = length * 3 / 2 & ~(PAGE - 1);

		/* Something right behind it makes growth in place impossible. */
		fence = mmap(area + length, PAGE, PROT_READ,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		area = remap_or_die(area, length, grown, MREMAP_MAYMOVE, NULL);
		pattern_verify(area, length, 3, 0, 1, "page after growing");
		zero_verify(area + length, grown - length, "page that growing added");
		pattern_fill(area + length, grown - length, 3, length / 8, 1);
		if (fence != MAP_FAILED)
			memory_unmap(fence, PAGE);
		length = grown;
	}
	memory_unmap(area, length);
}

/* Parts move away and between: pages that were neighbours no longer are. */
static void parts_run(void)
{
	char *areas[2] = { memory_map(REMAP_PAGES * PAGE), memory_map(REMAP_PAGES * PAGE) };
	struct { uint64_t tag; bool there; } pages[2][REMAP_PAGES];
	struct rng rng;

	rng_seed(&rng, 0);
	for (unsigned int a = 0; a < 2; a++)
		for (size_t i = 0; i < REMAP_PAGES; i++) {
			pages[a][i].tag = a * 1000 + i;
			pages[a][i].there = true;
			pattern_fill(areas[a] + i * PAGE, PAGE, a * 1000 + i, 0, 0);
		}
	for (unsigned int step = 0; step < 300; step++) {
		unsigned int from = rng_below(&rng, 2), to = rng_below(&rng, 2);
		size_t i = rng_below(&rng, REMAP_PAGES), j = rng_below(&rng, REMAP_PAGES);

		if ((from == to && i == j) || !pages[from][i].there)
			continue;
		remap_or_die(areas[from] + i * PAGE, PAGE, PAGE,
			     MREMAP_MAYMOVE | MREMAP_FIXED, areas[to] + j * PAGE);
		pages[to][j] = pages[from][i];
		pages[from][i].there = false;
	}
	for (unsigned int a = 0; a < 2; a++)
		for (size_t i = 0; i < REMAP_PAGES; i++)
			if (pages[a][i].there)
				pattern_verify(areas[a] + i * PAGE, PAGE, pages[a][i].tag, 0,
					       0, "page that moved alone");
			else
				check(memory_read_faults(areas[a] + i * PAGE),
				      "page %p is still there after its move",
				      (void *)(areas[a] + i * PAGE));
	memory_unmap(areas[0], REMAP_PAGES * PAGE);
	memory_unmap(areas[1], REMAP_PAGES * PAGE);
}

/* ----------------------------------------------------------------- with sharing */

static void fork_child(void *context)
{
	size_t length = REMAP_PAGES * PAGE;
	char *area = context;
	char *target = memory_reserve(length);

	area = remap_or_die(area, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, target);
	pattern_verify(area, length, 4, 0, 1, "shared page after a move in the child");
	pattern_fill(area, length, 4, 0, 2);
	pattern_verify(area, length, 4, 0, 2, "page that the child moved and wrote");
}

static void fork_run(void)
{
	size_t length = REMAP_PAGES * PAGE;
	char *area = memory_map(length);

	for (unsigned int i = 0; i < 10; i++) {
		char *target = memory_reserve(length);
		pid_t child;

		pattern_fill(area, length, 4, 0, 1);
		child = child_start(fork_child, area);
		area = remap_or_die(area, length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
				    target);
		pattern_verify(area, length, 4, 0, 1, "shared page after a move in the parent");
		pattern_fill(area, length / 2, 4, 0, 3);
		child_join(child);
		pattern_verify(area, length / 2, 4, 0, 3, "page that the parent moved and wrote");
		pattern_verify(area + length / 2, length / 2, 4, length / 16, 1,
			       "page that the parent only moved");
	}
	memory_unmap(area, length);
}

/* ------------------------------------------------------------------- DONTUNMAP */

static void dontunmap_run(void)
{
	size_t length = REMAP_PAGES * PAGE;
	char *area = memory_map(length);
	char *moved;

	pattern_fill(area, length, 5, 0, 1);
	moved = mremap(area, length, length, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	if (moved == MAP_FAILED && errno == EINVAL) {
		skip("no MREMAP_DONTUNMAP");
		return;
	}
	must(moved != MAP_FAILED, "mremap: %s", strerror(errno));
	pattern_verify(moved, length, 5, 0, 1, "page moved with MREMAP_DONTUNMAP");
	zero_verify(area, length, "page left behind by MREMAP_DONTUNMAP");
	pattern_fill(area, length, 6, 0, 1);
	pattern_verify(moved, length, 5, 0, 1, "moved page after the old place was written");
	memory_unmap(moved, length);
	pattern_verify(area, length, 6, 0, 1, "old place after the moved one is gone");
	memory_unmap(area, length);
}

/* -------------------------------------------------------------- what is refused */

/* A move that was refused leaves nothing behind that a later one could trip over. */
static void refused_then_moved(char *area, size_t length)
{
	char *other = memory_map(length);

	pattern_fill(other, length, 7, 1, 2);
	check_fails((intptr_t)mremap(area, 0, length, MREMAP_MAYMOVE), EINVAL);
	memory_unmap(area, length);
	remap_or_die(other, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, area);
	pattern_verify(area, length, 7, 1, 2, "memory moved to where a move was refused");
	check_call(madvise(area, length, MADV_DONTNEED));
	zero_verify(area, length, "discarded after the move");
	memory_unmap(area, length);
}

static void refused_run(void)
{
	size_t length = 16 * PAGE;
	char *area = memory_map(length);

	pattern_fill(area, length, 7, 0, 1);
	/* On shared memory this would make a second mapping of the same pages. */
	check_fails((intptr_t)mremap(area, 0, length, MREMAP_MAYMOVE), EINVAL);
	check_fails((intptr_t)mremap(area, 0, PAGE, MREMAP_MAYMOVE), EINVAL);
	check_fails((intptr_t)mremap(area, length, length, MREMAP_FIXED, area + length), EINVAL);
	check_fails((intptr_t)mremap(area, length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
				     area + PAGE), EINVAL);
	/* On shared memory this would reorder pages. */
	check_fails(syscall(SYS_remap_file_pages, area, PAGE, 0, 3, 0), EINVAL);
	check_fails(syscall(SYS_remap_file_pages, area + PAGE, 2 * PAGE, 0, 0, 0), EINVAL);
	pattern_verify(area, length, 7, 0, 1, "memory after refused calls");
	refused_then_moved(area, length);
}

/* ----------------------------------------------------------------------- racing */

/* Each thread moves its own memory between its slots; page tables are shared. */
static void race_worker(struct worker *worker)
{
	pthread_barrier_t *reserved = worker->context;
	size_t length = 24 * PAGE;
	char *slots = memory_reserve(4 * length);
	unsigned int slot = 0;

	check_call(mprotect(slots, length, PROT_READ | PROT_WRITE));
	/* From here on nobody asks for a place, so that no slot is taken while empty. */
	pthread_barrier_wait(reserved);
	pattern_fill(slots, length, worker->index, 0, 0);
	for (uint32_t i = 0; i < stress_times(250); i++) {
		unsigned int next = (slot + 1 + rng_below(&worker->rng, 3)) % 4;

		remap_or_die(slots + slot * length, length, length,
			     MREMAP_MAYMOVE | MREMAP_FIXED, slots + next * length);
		slot = next;
		pattern_verify(slots + slot * length, length, worker->index, 0, i,
			       "page moved beside other threads");
		pattern_fill(slots + slot * length, length, worker->index, 0, i + 1);
	}
	pthread_barrier_wait(reserved);
	memory_unmap(slots, 4 * length);
}

static void race_run(void)
{
	pthread_barrier_t reserved;

	pthread_barrier_init(&reserved, NULL, settings.threads);
	crew_run(settings.threads, race_worker, &reserved);
	pthread_barrier_destroy(&reserved);
}

const struct scenario remap_scenarios[] = {
	{ "mremap-grow", "grow and shrink in place", grow_run },
	{ "mremap-move", "move with MREMAP_FIXED to odd places", move_run },
	{ "mremap-realloc", "growth that has to move", realloc_run },
	{ "mremap-parts", "single pages move within and between areas", parts_run },
	{ "mremap-fork", "moves of shared pages", fork_run },
	{ "mremap-keep", "MREMAP_DONTUNMAP", dontunmap_run },
	{ "mremap-refused", "old_len 0 and remap_file_pages fail as on private memory",
	  refused_run },
	{ "mremap-race", "threads move their memory", race_run },
	{ 0 }
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* What may be mapped where: MAP_FIXED, partial munmap, merges, arenas, holes. */
#include "stress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAP_PAGES	128

/* ------------------------------------------------------------------ MAP_FIXED */

static void map_over(char *address, size_t length, int prot)
{
	must(mmap(address, length, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	     address, "mmap with MAP_FIXED: %s", strerror(errno));
}

static void fixed_run(void)
{
	char *area = memory_map(MAP_PAGES * PAGE);
	uint32_t generation[MAP_PAGES];
	struct rng rng;

	rng_seed(&rng, 0);
	pattern_fill(area, MAP_PAGES * PAGE, 1, 0, 1);
	for (size_t i = 0; i < MAP_PAGES; i++)
		generation[i] = 1;
	for (unsigned int step = 2; step < 150; step++) {
		size_t first = rng_below(&rng, MAP_PAGES);
		size_t count = 1 + rng_below(&rng, MAP_PAGES - first);

		if (count > 20)
			count = 1 + count % 20;
		map_over(area + first * PAGE, count * PAGE, PROT_READ | PROT_WRITE);
		zero_verify(area + first * PAGE, count * PAGE, "page mapped over");
		for (size_t i = first; i < first + count; i++) {
			/* Some are left untouched, to be mapped over once more. */
			generation[i] = rng_below(&rng, 4) ? step : 0;
			if (generation[i])
				pattern_fill(area + i * PAGE, PAGE, 1, i * PAGE_WORDS, step);
		}
	}
	for (size_t i = 0; i < MAP_PAGES; i++)
		if (generation[i])
			pattern_verify(area + i * PAGE, PAGE, 1, i * PAGE_WORDS,
				       generation[i], "page beside one mapped over");
		else
			zero_verify(area + i * PAGE, PAGE, "page mapped over, untouched");
	check_fails((intptr_t)mmap(area, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS |
				   MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	memory_unmap(area, MAP_PAGES * PAGE);
}

/* A file mapped over adopted memory, and the other way round. */
static void fixed_file_run(void)
{
	char *area = memory_map(4 * PAGE);
	int fd = memfd_create("stress", MFD_CLOEXEC);

	must(fd >= 0, "memfd_create: %s", strerror(errno));
	must(ftruncate(fd, 4 * PAGE) == 0, "ftruncate: %s", strerror(errno));
	pattern_fill(area, 4 * PAGE, 1, 0, 1);
	must(mmap(area + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) !=
	     MAP_FAILED, "mmap: %s", strerror(errno));
	must(mmap(area + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd,
		  0) != MAP_FAILED, "mmap: %s", strerror(errno));
	zero_verify(area + PAGE, 2 * PAGE, "file mapped over memory");
	pattern_fill(area + PAGE, PAGE, 2, 0, 1);
	pattern_verify(area + 2 * PAGE, PAGE, 2, 0, 1, "private file page seen through");
	pattern_fill(area + 2 * PAGE, PAGE, 3, 0, 1);
	pattern_verify(area + PAGE, PAGE, 2, 0, 1, "shared file page beside a private one");
	pattern_verify(area, PAGE, 1, 0, 1, "memory before the file");
	pattern_verify(area + 3 * PAGE, PAGE, 1, 3 * PAGE_WORDS, 1, "memory behind the file");
	map_over(area + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE);
	zero_verify(area + PAGE, 2 * PAGE, "memory mapped over a file");
	close(fd);
	memory_unmap(area, 4 * PAGE);
}

/* ------------------------------------------------------------- partial munmap */

static void unmap_run(void)
{
	for (unsigned int round = 0; round < 12; round++) {
		char *area = memory_reserve(MAP_PAGES * PAGE);
		bool mapped[MAP_PAGES];
		struct rng rng;

		rng_seed(&rng, round);
		map_over(area, MAP_PAGES * PAGE, PROT_READ | PROT_WRITE);
		pattern_fill(area, MAP_PAGES * PAGE, round, 0, 1);
		memset(mapped, true, sizeof(mapped));
		for (unsigned int hole = 0; hole < 12; hole++) {
			size_t first = rng_below(&rng, MAP_PAGES);
			size_t count = 1 + rng_below(&rng, 7);

			if (first + count > MAP_PAGES)
				count = MAP_PAGES - first;
			check_call(munmap(area + first * PAGE, count * PAGE));
			memset(mapped + first, false, count);
		}
		for (size_t i = 0; i < MAP_PAGES; i++)
			if (mapped[i])
				pattern_verify(area + i * PAGE, PAGE, round, i * PAGE_WORDS,
					       1, "page beside a munmap");
			else
				check(memory_read_faults(area + i * PAGE),
				      "page %p is unmapped but can be read",
				      (void *)(area + i * PAGE));
		memory_unmap(area, MAP_PAGES * PAGE);
	}
}

/* Threads map, touch and unmap: page tables come and go under the others. */
static void churn_worker(struct worker *worker)
{
	for (unsigned int step = 0; step < stress_times(250); step++) {
		size_t pages = 1 + rng_below(&worker->rng, 96);
		size_t cut = rng_below(&worker->rng, pages);
		char *area = memory_map(pages * PAGE);

		pattern_fill(area, pages * PAGE, worker->index, 0, step);
		pattern_verify(area, pages * PAGE, worker->index, 0, step, "fresh mapping");
		if (cut)
			memory_unmap(area, cut * PAGE);
		pattern_verify(area + cut * PAGE, (pages - cut) * PAGE, worker->index,
			       cut * PAGE_WORDS, step, "rest of a mapping");
		memory_unmap(area + cut * PAGE, (pages - cut) * PAGE);
	}
}

static void churn_run(void)
{
	crew_run(settings.threads, churn_worker, NULL);
}

/* ----------------------------------------------------------- merges and arenas */

#define ARENA_STEPS	64
#define NEIGHBOURS	50

/* What grows step by step, or piece by piece, must not end as a VMA a step. */
static void merge_run(void)
{
	size_t step = 33 * PAGE;
	size_t reserve = (ARENA_STEPS + 2) * step;
	char *arena = memory_reserve(reserve);
	char *pieces = memory_reserve((NEIGHBOURS + 2) * PAGE);
	unsigned int count;

	for (unsigned int i = 1; i <= ARENA_STEPS; i++) {
		check_call(mprotect(arena + step, i * step, PROT_READ | PROT_WRITE));
		pattern_fill(arena + i * step, step, 1, i * step / 8, 1);
	}
	count = maps_count((uintptr_t)arena, (uintptr_t)arena + reserve);
	check(count <= 4, "an arena grown by mprotect in %u steps has %u VMAs", ARENA_STEPS,
	      count);
	pattern_verify(arena + step, ARENA_STEPS * step, 1, step / 8, 1, "arena");

	for (unsigned int i = 1; i <= NEIGHBOURS; i++) {
		map_over(pieces + i * PAGE, PAGE, PROT_READ | PROT_WRITE);
		pattern_fill(pieces + i * PAGE, PAGE, 2, i * PAGE_WORDS, 1);
	}
	count = maps_count((uintptr_t)pieces, (uintptr_t)pieces + (NEIGHBOURS + 2) * PAGE);
	check(count <= 4, "%u adjacent mappings have %u VMAs", NEIGHBOURS, count);
	pattern_verify(pieces + PAGE, NEIGHBOURS * PAGE, 2, PAGE_WORDS, 1, "pieces");

	/* Split at every other page, and merged again. */
	for (unsigned int i = 1; i <= NEIGHBOURS; i += 2)
		check_call(mprotect(pieces + i * PAGE, PAGE, PROT_READ));
	for (unsigned int i = 1; i <= NEIGHBOURS; i += 2)
		check_call(mprotect(pieces + i * PAGE, PAGE, PROT_READ | PROT_WRITE));
	count = maps_count((uintptr_t)pieces, (uintptr_t)pieces + (NEIGHBOURS + 2) * PAGE);
	check(count <= 4, "after splits and merges there are %u VMAs", count);
	pattern_verify(pieces + PAGE, NEIGHBOURS * PAGE, 2, PAGE_WORDS, 1,
		       "pieces after splits and merges");
	memory_unmap(arena, reserve);
	memory_unmap(pieces, (NEIGHBOURS + 2) * PAGE);
}

/* -------------------------------------------------------------------- holes */

#define SPARSE_TOUCHES	12

/* Far more than there is memory for, with a word here and there. */
static void sparse_run(void)
{
	size_t length = sizeof(void *) == 8 ? 4096 * MIB : 256 * MIB;
	char *area = memory_map_flags(length, PROT_READ | PROT_WRITE, MAP_NORESERVE);
	uint64_t *words[SPARSE_TOUCHES];
	struct rng rng;

	rng_seed(&rng, 0);
	for (size_t i = 0; i < SPARSE_TOUCHES; i++) {
		/* Each in its own twelfth, so that no word is chosen twice. */
		size_t stride = length / SPARSE_TOUCHES;

		words[i] = (uint64_t *)(area + ((i * stride + rng_below(&rng, stride - PAGE)) &
						~(size_t)7));
		zero_verify(words[i], sizeof(uint64_t), "word of a hole");
		*words[i] = pattern_word(i, 0, 0);
		zero_verify((char *)((uintptr_t)words[i] & ~(PAGE - 1)) +
			    (((uintptr_t)words[i] & (PAGE - 1)) < PAGE / 2 ? PAGE / 2 : 0),
			    PAGE / 2, "other half of a page with one word");
	}
	for (size_t i = 0; i < SPARSE_TOUCHES; i++)
		word_verify(words[i], pattern_word(i, 0, 0), "lonely word");
	memory_unmap(area, length);
}

/* Untouched memory that is read must be zero, however the run of a fault falls. */
static void fresh_run(void)
{
	struct rng rng;

	rng_seed(&rng, 0);
	for (unsigned int i = 0; i < 60; i++) {
		size_t pages = 1 + rng_below(&rng, 600);
		char *area = memory_map(pages * PAGE);
		size_t first = rng_below(&rng, pages);

		/* From a random page first, then the whole. */
		((volatile char *)area)[first * PAGE + 17] = 1;
		((volatile char *)area)[first * PAGE + 17] = 0;
		zero_verify(area, pages * PAGE, "fresh memory");
		/* Left dirty: the next owner of these frames must not see it. */
		memset(area, 0xee, pages * PAGE);
		memory_unmap(area, pages * PAGE);
	}
}

/* ------------------------------------------------------------------------ brk */

/*
 * The break may grow or be refused, as with any limit; what it gives is zero and
 * stays, and malloc works in either case.
 */
static void brk_run(void)
{
	char *start = (char *)syscall(SYS_brk, 0);
	size_t given = 0;
	uint64_t *blocks[64];

	for (unsigned int i = 0; i < 64; i++) {
		char *wanted = start + given + 64 * KIB;

		if ((char *)syscall(SYS_brk, wanted) != wanted)
			break;
		/* The heap's first page may hold bytes of .bss's last one. */
		zero_verify(start + given + PAGE, 63 * KIB - PAGE, "memory from brk");
		memset(start + given, 0x33, 64 * KIB);
		given += 64 * KIB;
	}
	if (given < 64 * 64 * KIB)
		note("brk grew by %zu KiB and was refused then", given / KIB);
	for (size_t i = 0; i < given; i++)
		if (start[i] != 0x33)
			must(false, "byte from brk at %p: expected 33, got %02x",
			     (void *)(start + i), start[i]);
	check((char *)syscall(SYS_brk, start) == start, "brk cannot shrink");

	for (unsigned int i = 0; i < ARRAY_SIZE(blocks); i++) {
		blocks[i] = malloc(60 * KIB);
		must(blocks[i] != NULL, "malloc: %s", strerror(errno));
		pattern_fill(blocks[i], 60 * KIB, i, 0, 0);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(blocks); i++) {
		pattern_verify(blocks[i], 60 * KIB, i, 0, 0, "block from malloc");
		free(blocks[i]);
	}
}

const struct scenario map_scenarios[] = {
	{ "map-fixed", "MAP_FIXED over memory in use", fixed_run },
	{ "map-file", "files over memory and memory over files", fixed_file_run },
	{ "munmap", "holes at odd places", unmap_run },
	{ "map-churn", "threads map, touch and unmap", churn_run },
	{ "map-merge", "VMAs merge: arenas, neighbours, splits", merge_run },
	{ "map-sparse", "single words in a huge mapping", sparse_run },
	{ "map-fresh", "fresh memory reads zero", fresh_run },
	{ "brk", "the program break, and malloc without it", brk_run },
	{ 0 }
};

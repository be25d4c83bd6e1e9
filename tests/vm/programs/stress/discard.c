// SPDX-License-Identifier: GPL-2.0-or-later
/* MADV_DONTNEED: zero afterwards, and nothing else is touched. */
#include "stress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ------------------------------------------------------------------ one thread */

#define DISCARD_PAGES	256
#define DISCARD_STEPS	150

static void discard_verify(const char *area, const uint32_t *generation)
{
	for (size_t i = 0; i < DISCARD_PAGES; i++)
		if (generation[i])
			pattern_verify(area + i * PAGE, PAGE, 1, i * PAGE_WORDS,
				       generation[i], "neighbour of a discarded page");
		else
			zero_verify(area + i * PAGE, PAGE, "discarded page");
}

static void discard_run(void)
{
	char *area = memory_map(DISCARD_PAGES * PAGE);
	uint32_t generation[DISCARD_PAGES] = { 0 };
	struct rng rng;

	rng_seed(&rng, 0);
	for (unsigned int step = 1; step <= DISCARD_STEPS; step++) {
		size_t first = rng_below(&rng, DISCARD_PAGES);
		size_t count = 1 + rng_below(&rng, DISCARD_PAGES - first);

		if (step & 1) {
			for (size_t i = first; i < first + count; i++) {
				generation[i] = step;
				pattern_fill(area + i * PAGE, PAGE, 1, i * PAGE_WORDS, step);
			}
		} else {
			count = 1 + rng_below(&rng, count < 16 ? count : 16);
			check_call(madvise(area + first * PAGE, count * PAGE,
					   MADV_DONTNEED));
			memset(generation + first, 0, count * sizeof(generation[0]));
		}
		if (step % 10 == 0)
			discard_verify(area, generation);
	}
	discard_verify(area, generation);
	/* A length that is no multiple of the page size counts up to the page's end. */
	pattern_fill(area, 3 * PAGE, 2, 0, 1);
	check_call(madvise(area, PAGE + 1, MADV_DONTNEED));
	zero_verify(area, 2 * PAGE, "pages of a discard by bytes");
	pattern_verify(area + 2 * PAGE, PAGE, 2, 2 * PAGE_WORDS, 1, "page behind it");
	check_fails(madvise(area + 1, PAGE, MADV_DONTNEED), EINVAL);
	memory_unmap(area, DISCARD_PAGES * PAGE);
}

/* --------------------------------------------------------------------- racing */

#define RACE_PAGES	64
#define RACE_STEPS	1200

struct race {
	char *area;
	bool stop;
};

/*
 * In every page each thread owns a word, and any thread discards pages. A word
 * reads as what its owner wrote last, or zero; an older value or somebody else's
 * means that a page came back from the dead.
 */
static void race_worker(struct worker *worker)
{
	struct race *race = worker->context;
	uint64_t last[RACE_PAGES] = { 0 };

	for (unsigned int step = 1; step <= RACE_STEPS; step++) {
		size_t page = rng_below(&worker->rng, RACE_PAGES);
		uint64_t *word = (uint64_t *)(race->area + page * PAGE) + worker->index;
		uint64_t value = __atomic_load_n(word, __ATOMIC_RELAXED);

		check(value == last[page] || value == 0,
		      "at %p: expected %llx or 0, got %llx", (void *)word,
		      (unsigned long long)last[page], (unsigned long long)value);
		last[page] = pattern_word(page, worker->index, step);
		__atomic_store_n(word, last[page], __ATOMIC_RELAXED);
		if (rng_below(&worker->rng, 4) == 0) {
			size_t victim = rng_below(&worker->rng, RACE_PAGES);

			check_call(madvise(race->area + victim * PAGE, PAGE, MADV_DONTNEED));
		}
	}
}

static void race_run(void)
{
	struct race race = { .area = memory_map(RACE_PAGES * PAGE) };

	crew_run(settings.threads < PAGE_WORDS ? settings.threads : PAGE_WORDS, race_worker,
		 &race);
	check_call(madvise(race.area, RACE_PAGES * PAGE, MADV_DONTNEED));
	zero_verify(race.area, RACE_PAGES * PAGE, "page after all discards");
	memory_unmap(race.area, RACE_PAGES * PAGE);
}

/* ------------------------------------------------ neighbours of somebody's discards */

static void discarder(struct worker *worker)
{
	struct race *race = worker->context;

	while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
		/* Odd pages are discarded, even pages belong to the others. */
		size_t page = rng_below(&worker->rng, RACE_PAGES / 2) * 2 + 1;

		((volatile uint64_t *)(race->area + page * PAGE))[worker->index] = 1;
		check_call(madvise(race->area + page * PAGE, PAGE, MADV_DONTNEED));
	}
}

static void neighbour(struct worker *worker)
{
	struct race *race = worker->context;
	uint32_t generation[RACE_PAGES] = { 0 };

	for (unsigned int step = 1; step <= RACE_STEPS / 2; step++) {
		size_t page = rng_below(&worker->rng, RACE_PAGES / 2) * 2;
		/* A quarter page for each of up to four threads. */
		char *part = race->area + page * PAGE + worker->index * (PAGE / 4);

		if (generation[page])
			pattern_verify(part, PAGE / 4, worker->index, page * PAGE_WORDS,
				       generation[page], "part of a page beside discards");
		generation[page] = step;
		pattern_fill(part, PAGE / 4, worker->index, page * PAGE_WORDS, step);
	}
}

static void neighbours_run(void)
{
	struct race race = { .area = memory_map(RACE_PAGES * PAGE) };
	struct crew *discarders = crew_start(2, discarder, &race);

	crew_run(settings.threads < 4 ? settings.threads : 4, neighbour, &race);
	__atomic_store_n(&race.stop, true, __ATOMIC_RELAXED);
	crew_join(discarders);
	memory_unmap(race.area, RACE_PAGES * PAGE);
}

/* -------------------------------------------------------- against fork and copies */

static void discard_in_child(void *context)
{
	char *area = context;

	check_call(madvise(area, DISCARD_PAGES / 2 * PAGE, MADV_DONTNEED));
	zero_verify(area, DISCARD_PAGES / 2 * PAGE, "page discarded in the child");
	pattern_fill(area, DISCARD_PAGES / 2 * PAGE, 7, 0, 7);
	pattern_verify(area + DISCARD_PAGES / 2 * PAGE, DISCARD_PAGES / 2 * PAGE, 1,
		       DISCARD_PAGES / 2 * PAGE_WORDS, 1, "page that the child kept");
}

static void fork_run(void)
{
	char *area = memory_map(DISCARD_PAGES * PAGE);

	for (unsigned int i = 0; i < 10; i++) {
		pid_t child;

		pattern_fill(area, DISCARD_PAGES * PAGE, 1, 0, 1);
		child = child_start(discard_in_child, area);
		check_call(madvise(area + DISCARD_PAGES / 4 * PAGE, PAGE, MADV_DONTNEED));
		child_join(child);
		pattern_verify(area, DISCARD_PAGES / 4 * PAGE, 1, 0, 1,
			       "page that the child discarded");
		zero_verify(area + DISCARD_PAGES / 4 * PAGE, PAGE,
			    "shared page that the parent discarded");
		pattern_verify(area + (DISCARD_PAGES / 4 + 1) * PAGE,
			       (DISCARD_PAGES * 3 / 4 - 1) * PAGE, 1,
			       (DISCARD_PAGES / 4 + 1) * PAGE_WORDS, 1,
			       "page beside one that the parent discarded");
	}
	memory_unmap(area, DISCARD_PAGES * PAGE);
}

const struct scenario discard_scenarios[] = {
	{ "dontneed", "discarded pages read zero, neighbours are unharmed", discard_run },
	{ "dontneed-race", "discards race with writers of the same pages", race_run },
	{ "dontneed-near", "discards race with writers of the next page", neighbours_run },
	{ "dontneed-fork", "discards on either side of a fork", fork_run },
	{ 0 }
};

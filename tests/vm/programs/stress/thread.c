// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads that write and verify; first touches that race; allocators. */
#include "stress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ------------------------------------------------------------------ patterns */

#define PATTERN_STEPS	400

/* Own area a thread; every page has its own generation. */
static void patterns_worker(struct worker *worker)
{
	size_t length = memory_share(settings.threads);
	size_t pages = length / PAGE;
	char *area = memory_map(length);
	uint32_t *generation = calloc(pages, sizeof(*generation));
	uint64_t tag = 0x7a77000000000000ull + worker->index;

	must(generation != NULL, "calloc: %s", strerror(errno));
	for (unsigned int step = 0; step < PATTERN_STEPS; step++) {
		size_t page = rng_below(&worker->rng, pages);
		char *p = area + page * PAGE;

		if (generation[page])
			pattern_verify(p, PAGE, tag, page * PAGE_WORDS,
				       generation[page], "page of an earlier step");
		else
			zero_verify(p, PAGE, "page before its first write");
		pattern_fill(p, PAGE, tag, page * PAGE_WORDS, ++generation[page]);
	}
	for (size_t page = 0; page < pages; page++)
		if (generation[page])
			pattern_verify(area + page * PAGE, PAGE, tag, page * PAGE_WORDS,
				       generation[page], "page at the end");
		else
			zero_verify(area + page * PAGE, PAGE, "page never written");
	free(generation);
	memory_unmap(area, length);
}

static void patterns_run(void)
{
	crew_run(settings.threads, patterns_worker, NULL);
}

/* --------------------------------------------------------------- first touch */

#define TOUCH_ROUNDS	300

struct touch {
	pthread_barrier_t barrier;
	char *area;
	size_t pages;
};

/* All threads fault on the same pages at the same moment; no word may be lost. */
static void touch_worker(struct worker *worker)
{
	struct touch *touch = worker->context;

	for (unsigned int round = 0; round < TOUCH_ROUNDS; round++) {
		pthread_barrier_wait(&touch->barrier);
		for (size_t page = 0; page < touch->pages; page++) {
			uint64_t *words = (uint64_t *)(touch->area + page * PAGE);

			__atomic_store_n(&words[worker->index],
					 pattern_word(page, worker->index, round),
					 __ATOMIC_RELAXED);
		}
		pthread_barrier_wait(&touch->barrier);
		for (size_t page = 0; page < touch->pages; page++) {
			uint64_t *words = (uint64_t *)(touch->area + page * PAGE);

			for (unsigned int i = 0; i < settings.threads; i++)
				word_verify(&words[i], pattern_word(page, i, round),
					    "word written in a racing first touch");
		}
		if (pthread_barrier_wait(&touch->barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
			check_call(madvise(touch->area, touch->pages * PAGE,
					   MADV_DONTNEED));
	}
}

static void touch_run(void)
{
	struct touch touch = { .pages = 20 };

	if (settings.threads > PAGE_WORDS)
		settings.threads = PAGE_WORDS;
	touch.area = memory_map(touch.pages * PAGE);
	pthread_barrier_init(&touch.barrier, NULL, settings.threads);
	crew_run(settings.threads, touch_worker, &touch);
	pthread_barrier_destroy(&touch.barrier);
	memory_unmap(touch.area, touch.pages * PAGE);
}

/* ------------------------------------------------------------------ allocator */

#define BLOCKS		256
#define BLOCK_STEPS	3000

struct block {
	uint64_t *memory;
	size_t words;
	uint64_t tag;
};

struct heap {
	pthread_mutex_t lock;
	struct block blocks[BLOCKS];
};

static size_t block_words(struct rng *rng)
{
	size_t roll = rng_below(rng, 100);

	/* Small ones from arenas, large ones past the mmap threshold. */
	if (roll < 80)
		return 1 + rng_below(rng, 512);
	if (roll < 98)
		return 1 + rng_below(rng, 8192);
	return 1 + rng_below(rng, 65536);
}

static void heap_step(struct block *block, struct rng *rng)
{
	size_t words = block_words(rng);

	if (block->memory)
		pattern_verify(block->memory, block->words * sizeof(uint64_t), block->tag,
			       0, 0, "heap block");
	if (block->memory && rng_below(rng, 3) == 0) {
		size_t kept = words < block->words ? words : block->words;
		uint64_t *moved = realloc(block->memory, words * sizeof(uint64_t));

		must(moved != NULL, "realloc: %s", strerror(errno));
		pattern_verify(moved, kept * sizeof(uint64_t), block->tag, 0, 0,
			       "heap block after realloc");
		block->memory = moved;
	} else {
		free(block->memory);
		block->memory = rng_below(rng, 2) ? malloc(words * sizeof(uint64_t)) :
						    calloc(words, sizeof(uint64_t));
		must(block->memory != NULL, "malloc: %s", strerror(errno));
	}
	block->words = words;
	block->tag = rng_next(rng);
	pattern_fill(block->memory, words * sizeof(uint64_t), block->tag, 0, 0);
}

/* Threads verify and free what another one has allocated. */
static void heap_worker(struct worker *worker)
{
	struct heap *heap = worker->context;

	for (unsigned int step = 0; step < stress_times(BLOCK_STEPS); step++) {
		size_t slot = rng_below(&worker->rng, BLOCKS);
		struct block block;

		pthread_mutex_lock(&heap->lock);
		block = heap->blocks[slot];
		heap->blocks[slot] = (struct block){ 0 };
		pthread_mutex_unlock(&heap->lock);

		heap_step(&block, &worker->rng);

		pthread_mutex_lock(&heap->lock);
		if (!heap->blocks[slot].memory) {
			heap->blocks[slot] = block;
			block.memory = NULL;
		}
		pthread_mutex_unlock(&heap->lock);
		free(block.memory);
	}
}

static void heap_run(void)
{
	struct heap *heap = calloc(1, sizeof(*heap));

	must(heap != NULL, "calloc: %s", strerror(errno));
	pthread_mutex_init(&heap->lock, NULL);
	crew_run(settings.threads, heap_worker, heap);
	for (size_t i = 0; i < BLOCKS; i++)
		free(heap->blocks[i].memory);
	free(heap);
}

/* --------------------------------------------------------------- thread storm */

#define STORMS		40

static void *storm_thread(void *argument)
{
	volatile uint64_t on_stack[PAGE_WORDS * 3];
	uint64_t tag = (uintptr_t)argument;

	pattern_fill((void *)on_stack, sizeof(on_stack), tag, 0, 1);
	sched_yield();
	pattern_verify((const void *)on_stack, sizeof(on_stack), tag, 0, 1,
		       "stack of a short thread");
	return (void *)(uintptr_t)pattern_word(tag, 0, 2);
}

/*
 * Joining waits on the thread id in the thread's stack mapping with a futex that
 * is not private, and glibc reuses stacks from a cache.
 */
static void storm_run(void)
{
	unsigned int count = settings.threads * 2;
	pthread_t *threads = calloc(count, sizeof(*threads));
	pthread_attr_t attr;

	must(threads != NULL, "calloc: %s", strerror(errno));
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * KIB);
	for (uintptr_t storm = 0; storm < STORMS; storm++) {
		for (uintptr_t i = 0; i < count; i++) {
			int r = pthread_create(&threads[i], &attr, storm_thread,
					       (void *)(storm * 1000 + i));

			must(r == 0, "pthread_create: %s", strerror(r));
		}
		for (uintptr_t i = 0; i < count; i++) {
			uintptr_t expected = pattern_word(storm * 1000 + i, 0, 2);
			void *result;
			int r = pthread_join(threads[i], &result);

			check(r == 0, "pthread_join: %s", strerror(r));
			check((uintptr_t)result == expected, "result of thread %zu: %p",
			      (size_t)i, result);
		}
	}
	pthread_attr_destroy(&attr);
	free(threads);
}

const struct scenario thread_scenarios[] = {
	{ "patterns", "threads write and verify their own areas", patterns_run },
	{ "first-touch", "threads race for the first touch of the same pages", touch_run },
	{ "heap", "malloc, realloc and free across threads", heap_run },
	{ "thread-storm", "create and join many short threads", storm_run },
	{ 0 }
};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * allocload THREADS STEPS - what an allocator has to bear: blocks of all sizes, grown,
 * shrunk and aligned, freed by other threads than those that took them, and a child that
 * goes on with a copy. Each block's content is checked whenever it changes hands. Prints
 * what allocator it was and a sum of all that it read, the same with each of them.
 */
#include <err.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS	3000	/* blocks of one thread */
#define PASSED	64	/* on their way from one thread to the next */

struct block {
	unsigned char *at;
	size_t size;
	uint64_t seed;
};

struct worker {
	pthread_t thread;
	uint64_t random, sum, blocks;
	long steps;
	struct block held[SLOTS];
	struct block passed[PASSED];	/* what the one before it puts there */
	struct worker *next;
	pthread_barrier_t *barrier;
};

static uint64_t roll(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A word every 64 bytes, and the last byte: that is every line of every page. */
static void fill(const struct block *block, size_t from)
{
	for (size_t i = (from + 63) & ~(size_t)63; i + 8 <= block->size; i += 64) {
		uint64_t word = block->seed * (i + 1);

		memcpy(block->at + i, &word, 8);
	}
	block->at[block->size - 1] = (unsigned char)block->seed;
}

static void check(struct worker *w, const struct block *block)
{
	uint64_t last = block->at[block->size - 1];

	for (size_t i = 0; i + 8 < block->size; i += 64) {
		uint64_t word;

		memcpy(&word, block->at + i, 8);
		if (word != block->seed * (i + 1))
			errx(EXIT_FAILURE, "wrong content at %zu of %zu bytes", i, block->size);
		w->sum = w->sum * 31 + word;
	}
	if (last != (unsigned char)block->seed)
		errx(EXIT_FAILURE, "wrong last of %zu bytes", block->size);
	w->sum = w->sum * 31 + last;
	w->blocks++;
}

/* Mostly small ones, some of pages, few that are mappings of their own. */
static size_t size_any(struct worker *w)
{
	uint64_t number = roll(&w->random), kind = number >> 56;

	if (kind < 200)
		return 9 + number % 500;
	if (kind < 250)
		return 600 + number % 12000;
	return 16384 + number % 300000;
}

static struct block block_make(struct worker *w)
{
	struct block block = { .size = size_any(w), .seed = roll(&w->random) };
	unsigned int kind = block.seed % 16;
	void *at = NULL;

	if (kind == 0) {
		size_t align = (size_t)64 << (block.seed >> 8) % 7;
		int r;

		/* mimalloc 2.0.9 does not align what is as large as its alignment. */
		block.size |= 1;
		r = posix_memalign(&at, align, block.size);
		if (r || (uintptr_t)at % align)
			errx(EXIT_FAILURE, "%zu bytes aligned to %zu: %p, %s", block.size, align, at,
			     strerror(r));
	} else if (kind < 4) {
		const unsigned char *c = at = calloc(1, block.size);

		for (size_t i = 0; c && i < block.size; i += 64)
			if (c[i])
				errx(EXIT_FAILURE, "calloc: byte %zu is not zero", i);
	} else {
		at = malloc(block.size);
	}
	block.at = at;
	if (!at)
		err(EXIT_FAILURE, "%zu bytes", block.size);
	fill(&block, 0);
	return block;
}

static void block_end(struct worker *w, struct block *block)
{
	if (!block->at)
		return;
	check(w, block);
	free(block->at);
	block->at = NULL;
}

static void block_resize(struct worker *w, struct block *block)
{
	size_t size = size_any(w), was = block->size;

	check(w, block);
	block->at = realloc(block->at, size);
	if (!block->at)
		err(EXIT_FAILURE, "%zu bytes", size);
	block->size = size;
	/* What it kept is checked at the next occasion; the word across its end is new. */
	fill(block, was < size ? was & ~(size_t)63 : size);
}

static void step(struct worker *w)
{
	uint64_t number = roll(&w->random);
	struct block *block = &w->held[number % SLOTS];

	if (!block->at)
		*block = block_make(w);
	else if (number >> 62 == 0)
		block_resize(w, block);
	else
		block_end(w, block);
}

static void *work(void *context)
{
	struct worker *w = context;

	/* In rounds: between two of them nobody looks at what another one puts. */
	for (long i = 0; i < w->steps; i += 1000) {
		for (int k = 0; k < 1000; k++)
			step(w);
		pthread_barrier_wait(w->barrier);
		for (int k = 0; k < PASSED; k++) {
			w->next->passed[k] = w->held[k];
			w->held[k].at = NULL;
		}
		pthread_barrier_wait(w->barrier);
		for (int k = 0; k < PASSED; k++)
			block_end(w, &w->passed[k]);
	}
	return NULL;
}

/* A child reads and frees what it got by fork; so does its parent. */
static void finish(struct worker *workers, int threads)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		err(EXIT_FAILURE, "fork");
	for (int t = 0; t < threads; t++)
		for (int i = 0; i < SLOTS; i++)
			block_end(&workers[t], &workers[t].held[i]);
	if (!child)
		_exit((int)(workers[0].sum & 0x7f));
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != (int)(workers[0].sum & 0x7f))
		errx(EXIT_FAILURE, "the child read something else (status %#x)", status);
}

/* Who it is that serves malloc(), so that a preload that did not work is seen. */
static void print_allocator(void)
{
	static const char *const names[] = { "jemalloc", "mimalloc", "tcmalloc" };
	const char *found = "glibc";
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4400];

	while (maps && fgets(line, sizeof(line), maps))
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			if (strstr(line, names[i]))
				found = names[i];
	if (maps)
		fclose(maps);
	printf("%s: ", found);
}

int main(int argc, char **argv)
{
	int threads = argc == 3 ? atoi(argv[1]) : 0;
	struct worker *workers = calloc((size_t)threads, sizeof(*workers));
	pthread_barrier_t barrier;
	uint64_t sum = 0, blocks = 0;

	if (threads < 1 || !workers)
		errx(2, "usage: allocload THREADS STEPS");
	pthread_barrier_init(&barrier, NULL, (unsigned int)threads);
	for (int t = 0; t < threads; t++) {
		workers[t].random = 88172645463325252u + (uint64_t)t * 7919;
		workers[t].steps = atol(argv[2]);
		workers[t].barrier = &barrier;
		workers[t].next = &workers[(t + 1) % threads];
		if (pthread_create(&workers[t].thread, NULL, work, &workers[t]))
			errx(EXIT_FAILURE, "no thread");
	}
	for (int t = 0; t < threads; t++)
		pthread_join(workers[t].thread, NULL);
	finish(workers, threads);
	for (int t = 0; t < threads; t++) {
		sum = sum * 31 + workers[t].sum;
		blocks += workers[t].blocks;
	}
	print_allocator();
	printf("%llu blocks, sum %016llx\n", (unsigned long long)blocks, (unsigned long long)sum);
	free(workers);
	return EXIT_SUCCESS;
}

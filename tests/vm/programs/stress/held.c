// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Words that are written once and verified for ever, in pages whose other words
 * are written all the time. A writer that rewrites what it checks never notices
 * that its page was lost in between; these words do.
 */
#include "stress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HELD_PAGES	128
#define HELD_WORDS	8		/* at both ends of the page */
#define WRITER_BATCH	32
#define DISTURBANCES	40

struct held {
	/* Writers hold it for reading; what moves the area, for writing. */
	pthread_rwlock_t lock;
	char *area;
	bool stop;
};

/* Every fourth page holds nothing and may be discarded, unmapped, protected. */
static bool page_is_victim(size_t page)
{
	return page % 4 == 3;
}

static uint64_t *held_words(const struct held *held, size_t page, bool end)
{
	uint64_t *words = (uint64_t *)(held->area + page * PAGE);

	return end ? words + PAGE_WORDS - HELD_WORDS : words;
}

static void held_fill(struct held *held)
{
	for (size_t page = 0; page < HELD_PAGES; page++)
		for (unsigned int end = 0; end < 2 && !page_is_victim(page); end++)
			pattern_fill(held_words(held, page, end),
				     HELD_WORDS * sizeof(uint64_t), page, end, 0);
}

static void held_verify(const struct held *held, const char *what)
{
	for (size_t page = 0; page < HELD_PAGES; page++)
		for (unsigned int end = 0; end < 2 && !page_is_victim(page); end++)
			pattern_verify(held_words(held, page, end),
				       HELD_WORDS * sizeof(uint64_t), page, end, 0, what);
}

static void held_writer(struct worker *worker)
{
	struct held *held = worker->context;

	while (!__atomic_load_n(&held->stop, __ATOMIC_RELAXED)) {
		pthread_rwlock_rdlock(&held->lock);
		for (unsigned int i = 0; i < WRITER_BATCH; i++) {
			size_t page = rng_below(&worker->rng, HELD_PAGES);
			uint64_t *words = (uint64_t *)(held->area + page * PAGE);
			size_t word = HELD_WORDS +
				      rng_below(&worker->rng, PAGE_WORDS - 2 * HELD_WORDS);

			if (!page_is_victim(page))
				__atomic_store_n(&words[word], rng_next(&worker->rng),
						 __ATOMIC_RELAXED);
		}
		pthread_rwlock_unlock(&held->lock);
	}
}

static void held_reader(struct worker *worker)
{
	struct held *held = worker->context;

	while (!__atomic_load_n(&held->stop, __ATOMIC_RELAXED)) {
		pthread_rwlock_rdlock(&held->lock);
		held_verify(held, "held words under way");
		pthread_rwlock_unlock(&held->lock);
	}
}

/* ----------------------------------------------------------------- disturbances */

static size_t victim_choose(struct rng *rng)
{
	return rng_below(rng, HELD_PAGES / 4) * 4 + 3;
}

static void disturb_child(void *context)
{
	struct held *held = context;

	held_verify(held, "held words in a child");
	memset(held->area, 0x55, HELD_PAGES * PAGE);
}

static void disturb_fork(struct held *held, struct rng *rng)
{
	pid_t first = child_start(disturb_child, held);

	/* Two at once every other time: frames are then shared by three. */
	if (rng_below(rng, 2))
		child_run(disturb_child, held);
	child_join(first);
}

static void disturb_discard(struct held *held, struct rng *rng)
{
	size_t page = victim_choose(rng);

	*(volatile uint64_t *)(held->area + page * PAGE) = 1;
	check_call(madvise(held->area + page * PAGE, PAGE, MADV_DONTNEED));
}

static void disturb_protect(struct held *held, struct rng *rng)
{
	char *page = held->area + victim_choose(rng) * PAGE;

	check_call(mprotect(page, PAGE, rng_below(rng, 2) ? PROT_READ : PROT_NONE));
	check_call(mprotect(page, PAGE, PROT_READ | PROT_WRITE));
}

static void disturb_protect_all(struct held *held, struct rng *rng)
{
	pthread_rwlock_wrlock(&held->lock);
	check_call(mprotect(held->area, HELD_PAGES * PAGE, PROT_READ));
	held_verify(held, "held words while read-only");
	check_call(mprotect(held->area, HELD_PAGES * PAGE, PROT_READ | PROT_WRITE));
	pthread_rwlock_unlock(&held->lock);
	(void)rng;
}

static void disturb_unmap(struct held *held, struct rng *rng)
{
	char *page = held->area + victim_choose(rng) * PAGE;
	char *again;

	/* Under the lock, or another thread's mmap could land in the hole. */
	pthread_rwlock_wrlock(&held->lock);
	check_call(munmap(page, PAGE));
	again = mmap(page, PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	pthread_rwlock_unlock(&held->lock);
	must(again == page, "mmap: %s", strerror(errno));
	zero_verify(page, PAGE, "page mapped where one was unmapped");
}

static void disturb_move(struct held *held, struct rng *rng)
{
	size_t length = HELD_PAGES * PAGE;
	char *target = memory_reserve(length + MIB);
	/* Not always at the same offset in its page table. */
	char *moved = target + rng_below(rng, MIB / PAGE) * PAGE;
	size_t head = moved - target;

	pthread_rwlock_wrlock(&held->lock);
	/*
	 * The area consists of several VMAs where a victim was unmapped and did
	 * not merge, and mremap moves one: page by page then.
	 */
	if (mremap(held->area, length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
		   moved) == MAP_FAILED) {
		for (size_t page = 0; page < HELD_PAGES; page++)
			check(mremap(held->area + page * PAGE, PAGE, PAGE,
				     MREMAP_MAYMOVE | MREMAP_FIXED,
				     moved + page * PAGE) != MAP_FAILED,
			      "mremap of one page: %s", strerror(errno));
	}
	held->area = moved;
	held_verify(held, "held words after mremap");
	pthread_rwlock_unlock(&held->lock);
	if (head)
		memory_unmap(target, head);
	memory_unmap(moved + length, MIB - head);
}

static void (*const disturbances[])(struct held *held, struct rng *rng) = {
	disturb_fork,
	disturb_discard,
	disturb_protect,
	disturb_protect_all,
	disturb_unmap,
	disturb_move,
};

static void held_disturb(void (*const *choice)(struct held *held, struct rng *rng),
			 size_t choices)
{
	struct held held = { .area = memory_map(HELD_PAGES * PAGE) };
	struct crew *writers, *reader;
	pthread_rwlockattr_t attr;
	struct rng rng;

	rng_seed(&rng, choices);
	pthread_rwlockattr_init(&attr);
	/* The default lets the stream of readers starve the disturbances. */
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&held.lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	held_fill(&held);
	writers = crew_start(settings.threads, held_writer, &held);
	reader = crew_start(1, held_reader, &held);
	for (unsigned int i = 0; i < stress_times(DISTURBANCES); i++)
		choice[rng_below(&rng, choices)](&held, &rng);
	__atomic_store_n(&held.stop, true, __ATOMIC_RELAXED);
	crew_join(writers);
	crew_join(reader);
	held_verify(&held, "held words at the end");
	pthread_rwlock_destroy(&held.lock);
	memory_unmap(held.area, HELD_PAGES * PAGE);
}

static void held_fork_run(void)
{
	held_disturb(disturbances, 1);
}

static void held_all_run(void)
{
	held_disturb(disturbances, ARRAY_SIZE(disturbances));
}

const struct scenario held_scenarios[] = {
	{ "held-fork", "words that nobody writes, under forks", held_fork_run },
	{ "held-all", "the same under forks, discards, protection, moves", held_all_run },
	{ 0 }
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* Copy-on-write: what either side writes after a fork is its own. */
#include "stress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---------------------------------------------------------------------- trees */

#define TREE_PAGES	96
#define TREE_DEPTH	3
#define TREE_WRITES	24

/* What a process knows of its own copy; it lies in copied memory as well. */
struct page_state {
	uint64_t tag;
	uint32_t generation;	/* 0: never written */
};

struct tree {
	char *area;
	struct page_state pages[TREE_PAGES];
	unsigned int depth;
	uint64_t path;		/* identifies the process in the tree */
	struct rng rng;
};

static void tree_verify(const struct tree *tree, const char *what)
{
	for (size_t i = 0; i < TREE_PAGES; i++) {
		const struct page_state *page = &tree->pages[i];

		if (page->generation)
			pattern_verify(tree->area + i * PAGE, PAGE, page->tag,
				       i * PAGE_WORDS, page->generation, what);
		else
			zero_verify(tree->area + i * PAGE, PAGE, what);
	}
}

static void tree_write(struct tree *tree)
{
	for (unsigned int i = 0; i < TREE_WRITES; i++) {
		size_t index = rng_below(&tree->rng, TREE_PAGES);
		struct page_state *page = &tree->pages[index];

		page->tag = tree->path;
		page->generation++;
		pattern_fill(tree->area + index * PAGE, PAGE, page->tag,
			     index * PAGE_WORDS, page->generation);
	}
}

/* Drop some pages of this side; the other one still has them. */
static void tree_discard(struct tree *tree)
{
	size_t first = rng_below(&tree->rng, TREE_PAGES - 4);

	check_call(madvise(tree->area + first * PAGE, 4 * PAGE, MADV_DONTNEED));
	memset(tree->pages + first, 0, 4 * sizeof(tree->pages[0]));
}

static void tree_grow(void *context)
{
	struct tree *tree = context;
	pid_t children[2];
	uint64_t path = tree->path;

	tree_verify(tree, "page inherited by a child");
	tree_write(tree);
	if (tree->depth == TREE_DEPTH) {
		tree_verify(tree, "page of a leaf after its writes");
		return;
	}
	tree->depth++;
	for (unsigned int i = 0; i < ARRAY_SIZE(children); i++) {
		/* The child continues from here with its own copy of all this. */
		tree->path = path * 3 + i + 1;
		rng_seed(&tree->rng, tree->path);
		children[i] = child_start(tree_grow, tree);
		tree->path = path;
		tree_write(tree);
		if (i == 0)
			tree_discard(tree);
	}
	tree->depth--;
	tree_verify(tree, "page of a parent while its children write");
	for (unsigned int i = 0; i < ARRAY_SIZE(children); i++)
		child_join(children[i]);
	tree_verify(tree, "page of a parent after its children");
}

static void tree_run(void)
{
	struct tree *tree = memory_map((sizeof(*tree) + PAGE - 1) & ~(PAGE - 1));

	memset(tree, 0, sizeof(*tree));
	tree->area = memory_map(TREE_PAGES * PAGE);
	tree->path = 1;
	rng_seed(&tree->rng, 0);
	tree_write(tree);
	tree_grow(tree);
	/* All alone again: no trace of sharing may be left in what is written now. */
	for (size_t i = 0; i < TREE_PAGES; i++) {
		tree->pages[i] = (struct page_state){ .tag = 99, .generation = 1 };
		pattern_fill(tree->area + i * PAGE, PAGE, 99, i * PAGE_WORDS, 1);
	}
	tree_verify(tree, "page after the whole tree is gone");
}

/* ------------------------------------------------------------------ generations */

static void chain_link(void *context)
{
	struct tree *tree = context;

	tree_verify(tree, "page of an ancestor");
	tree_write(tree);
	if (tree->depth-- > 0) {
		pid_t child;

		tree->path++;
		child = child_start(chain_link, tree);
		/*
		 * The ancestor ends first half of the time: its frames then belong
		 * to the descendants alone.
		 */
		if (tree->depth & 1)
			child_join(child);
	}
	tree_verify(tree, "page of an ancestor at its end");
}

static void chain_run(void)
{
	struct tree *tree = memory_map((sizeof(*tree) + PAGE - 1) & ~(PAGE - 1));

	memset(tree, 0, sizeof(*tree));
	tree->area = memory_map(TREE_PAGES * PAGE);
	tree->depth = 12;
	tree->path = 1000;
	rng_seed(&tree->rng, 1);
	tree_write(tree);
	child_run(chain_link, tree);
	tree_verify(tree, "page of the first ancestor");
}

/* ------------------------------------------------- threads that write meanwhile */

#define LANE_WORDS	8
#define RACE_PAGES	32
#define RACE_FORKS	15

struct race {
	char *area;
	bool stop;
	uint64_t *progress;	/* shared with the children */
};

static uint64_t *race_lane(const struct race *race, size_t page, unsigned int thread)
{
	return (uint64_t *)(race->area + page * PAGE) + 8 + (size_t)thread * LANE_WORDS;
}

/* Writes its lane of each page from the first to the last word, over and over. */
static void race_worker(struct worker *worker)
{
	struct race *race = worker->context;
	uint64_t value[RACE_PAGES] = { 0 };

	while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
		size_t page = rng_below(&worker->rng, RACE_PAGES);
		uint64_t *lane = race_lane(race, page, worker->index);

		for (unsigned int i = 0; i < LANE_WORDS; i++)
			check(__atomic_load_n(&lane[i], __ATOMIC_RELAXED) == value[page],
			      "thread %u, page %zu at %p: expected %llu, got %llu",
			      worker->index, page, (void *)&lane[i],
			      (unsigned long long)value[page], (unsigned long long)lane[i]);
		value[page]++;
		for (unsigned int i = 0; i < LANE_WORDS; i++)
			__atomic_store_n(&lane[i], value[page], __ATOMIC_RELEASE);
		__atomic_fetch_add(race->progress, 1, __ATOMIC_RELAXED);
	}
}

static void race_child(void *context)
{
	struct race *race = context;
	uint64_t until = __atomic_load_n(race->progress, __ATOMIC_RELAXED) + 100;
	char *copy = malloc(RACE_PAGES * PAGE);

	must(copy != NULL, "malloc: %s", strerror(errno));
	memcpy(copy, race->area, RACE_PAGES * PAGE);
	for (size_t page = 0; page < RACE_PAGES; page++) {
		word_verify((uint64_t *)(race->area + page * PAGE),
			    pattern_word(page, 0, 0), "word that no racing writer touches");
		for (unsigned int t = 0; t < settings.threads; t++) {
			const uint64_t *lane = race_lane(race, page, t);

			/* Written in order, so at most one step lies between them. */
			for (unsigned int i = 1; i < LANE_WORDS; i++)
				check(lane[i - 1] - lane[i] <= 1,
				      "torn copy at %p: %llu before %llu", (void *)lane,
				      (unsigned long long)lane[i - 1],
				      (unsigned long long)lane[i]);
		}
	}
	/* What the parent's threads write from now on must not be seen here. */
	while (__atomic_load_n(race->progress, __ATOMIC_RELAXED) < until)
		sched_yield();
	for (size_t page = 0; page < RACE_PAGES; page++)
		check(memcmp(copy + page * PAGE, race->area + page * PAGE, PAGE) == 0,
		      "the parent's writes show in its child's page at %p",
		      (void *)(race->area + page * PAGE));
	/* Nor may the threads there see these; they check all that they read. */
	memset(race->area, 0xaa, RACE_PAGES * PAGE);
}

static void race_run(void)
{
	struct race race = { .area = memory_map(RACE_PAGES * PAGE) };
	struct crew *crew;

	if (settings.threads > (PAGE_WORDS - 8) / LANE_WORDS)
		settings.threads = (PAGE_WORDS - 8) / LANE_WORDS;
	race.progress = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(race.progress != MAP_FAILED, "mmap: %s", strerror(errno));
	for (size_t page = 0; page < RACE_PAGES; page++)
		*(uint64_t *)(race.area + page * PAGE) = pattern_word(page, 0, 0);

	crew = crew_start(settings.threads, race_worker, &race);
	for (unsigned int i = 0; i < stress_times(RACE_FORKS); i++) {
		child_run(race_child, &race);
		for (size_t page = 0; page < RACE_PAGES; page++)
			word_verify((uint64_t *)(race.area + page * PAGE),
				    pattern_word(page, 0, 0), "held word of the parent");
	}
	__atomic_store_n(&race.stop, true, __ATOMIC_RELAXED);
	crew_join(crew);
	memory_unmap(race.area, RACE_PAGES * PAGE);
}

/* ------------------------------------------------------ both sides, same moment */

#define BOTH_WORD	5

struct both {
	char *area;
	size_t pages;
	uint64_t tag;
	struct gate *gate;
};

static uint64_t *both_word(const struct both *both, size_t page)
{
	return (uint64_t *)(both->area + page * PAGE) + BOTH_WORD;
}

static void both_write(void *context)
{
	struct both *both = context;

	gate_wait(both->gate);
	for (size_t page = 0; page < both->pages; page++) {
		uint64_t *word = both_word(both, page);

		*word = both->tag;
		word_verify(word, both->tag, "word just written beside the other side");
	}
}

/* One word was written: the rest of the page must have come along with the copy. */
static void both_verify(const struct both *both)
{
	for (size_t page = 0; page < both->pages; page++) {
		uint64_t *word = both_word(both, page);

		word_verify(word, both->tag, "word that the other side wrote too");
		*word = pattern_word(1, page * PAGE_WORDS + BOTH_WORD, 1);
		pattern_verify(both->area + page * PAGE, PAGE, 1, page * PAGE_WORDS, 1,
			       "copied page");
		*word = both->tag;
	}
}

static void both_child(void *context)
{
	both_write(context);
	both_verify(context);
}

static void both_run(void)
{
	struct both both = { .pages = 64 };

	both.area = memory_map(both.pages * PAGE);
	for (unsigned int i = 0; i < stress_times(20); i++) {
		pid_t child;

		pattern_fill(both.area, both.pages * PAGE, 1, 0, 1);
		both.gate = gate_create();
		both.tag = 0x1111;
		child = child_start(both_child, &both);
		both.tag = 0x2222;
		gate_open(both.gate);
		both_write(&both);
		child_join(child);
		both_verify(&both);
		gate_destroy(both.gate);
	}
	memory_unmap(both.area, both.pages * PAGE);
}

/* --------------------------------------------------- the child ends without exec */

static void quick_child(void *context)
{
	(void)context;
}

/* A page that is the last user's again must be written in place, with its words. */
static void reuse_run(void)
{
	size_t pages = 64;
	char *area = memory_map(pages * PAGE);

	for (uint32_t round = 1; round <= stress_times(40); round++) {
		pattern_fill(area, pages * PAGE, 3, 0, round);
		child_run(quick_child, NULL);
		for (size_t page = 0; page < pages; page++) {
			uint64_t *words = (uint64_t *)(area + page * PAGE);

			words[page] = pattern_word(3, page * PAGE_WORDS + page, round);
		}
		pattern_verify(area, pages * PAGE, 3, 0, round, "page after the child ended");
	}
	memory_unmap(area, pages * PAGE);
}

/* ------------------------- two threads write to what is theirs alone any moment */

#define WRITERS		2

struct writer {
	char *area;
	size_t pages;
	unsigned int word;
	uint64_t value;
	pthread_t thread;
};

static void *writer_run(void *context)
{
	struct writer *writer = context;

	for (size_t page = 0; page < writer->pages; page++)
		((uint64_t *)(writer->area + page * PAGE))[writer->word] = writer->value;
	return NULL;
}

static void brief_child(void *context)
{
	usleep(*(useconds_t *)context);
}

/* Each thread may find the page shared, or its own again: no word of the other is lost. */
static void writers_run(void)
{
	struct writer writers[WRITERS];
	size_t pages = 32;
	char *area = memory_map(pages * PAGE);

	for (uint64_t round = 1; round <= stress_times(20); round++) {
		useconds_t life = (useconds_t)round * 997 % 20000;
		pid_t child;

		pattern_fill(area, pages * PAGE, 4, 0, (uint32_t)round);
		child = child_start(brief_child, &life);
		for (unsigned int i = 0; i < WRITERS; i++) {
			writers[i] = (struct writer){ area, pages, 7 * i, round << 8 | i, 0 };
			must(pthread_create(&writers[i].thread, NULL, writer_run, &writers[i]) == 0,
			     "cannot start a thread");
		}
		for (unsigned int i = 0; i < WRITERS; i++)
			pthread_join(writers[i].thread, NULL);
		child_join(child);
		for (size_t page = 0; page < pages; page++)
			for (unsigned int i = 0; i < WRITERS; i++)
				word_verify((uint64_t *)(area + page * PAGE) + 7 * i, writers[i].value,
					    "word beside another thread's");
	}
	memory_unmap(area, pages * PAGE);
}

const struct scenario fork_scenarios[] = {
	{ "fork-tree", "fork trees, writes and discards on all sides", tree_run },
	{ "fork-chain", "descendants that outlive their ancestors", chain_run },
	{ "fork-threads", "fork while other threads write", race_run },
	{ "fork-both", "both sides copy the same pages at once", both_run },
	{ "fork-writers", "two threads write to the same pages while a child ends", writers_run },
	{ "fork-reuse", "pages that are no longer shared", reuse_run },
	{ 0 }
};

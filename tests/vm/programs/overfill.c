// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * overfill - use more memory than there is room for, and look at every byte of it.
 *
 * Threads read, verify, rewrite and drop pages of N MiB at random, most of them in a
 * hot eighth; now and then a child verifies what it was forked with. Contents compress
 * well, badly or to nothing. Goes on until a file is there, then verifies everything:
 * "overfill: N checks, N errors".
 */
#include "util.h"

#include <err.h>
#include <getopt.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS		3
#define CHILD_CHECKS	256
/* One page in so many that are looked at. */
#define DROP_ONE_IN	64

struct area {
	char *pages;
	uint32_t *versions;	/* 0: dropped or never written, reads zero */
	size_t count;
};

/* Each has every THREADS-th page to itself. */
struct lane {
	const struct area *area;
	size_t index;
	uint64_t random, checks, errors;
	pthread_t thread;
};

static bool ending;
/*
 * Held for reading while a page is not what its version says. Who forks wants it for
 * writing, and goes first: mutexes would be taken again by the threads that let go of
 * them before it had its turn.
 */
static pthread_rwlock_t stepping;

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

enum kind { KIND_WORD, KIND_TEXT, KIND_NOISE };

static enum kind kind_of(size_t page)
{
	return page % 8 == 0 ? KIND_WORD : page % 8 < 6 ? KIND_TEXT : KIND_NOISE;
}

/* Words that repeat with small changes, as most memory does. */
static uint64_t word_of(size_t page, size_t word, uint32_t version)
{
	uint64_t base = (uint64_t)page << 32 | version;

	return kind_of(page) == KIND_WORD ? base : base + (word % 64 ? word % 8 : word);
}

static void page_write(const struct area *area, size_t page, uint32_t version)
{
	uint64_t *words = (uint64_t *)(area->pages + page * UTIL_PAGE);

	if (kind_of(page) == KIND_NOISE) {
		util_page_fill(area->pages, page, version);
		return;
	}
	for (size_t i = 0; i < UTIL_WORDS; i++)
		words[i] = word_of(page, i, version);
}

static bool page_verify(const struct area *area, size_t page)
{
	const uint64_t *words = (const uint64_t *)(area->pages + page * UTIL_PAGE);
	uint32_t version = area->versions[page];

	if (version && kind_of(page) == KIND_NOISE)
		return util_page_verify(area->pages, page, version);
	for (size_t i = 0; i < UTIL_WORDS; i++) {
		uint64_t wanted = version ? word_of(page, i, version) : 0;

		if (words[i] == wanted)
			continue;
		util_say("FAIL page %zu, word %zu: expected %016llx, got %016llx", page, i,
			 (unsigned long long)wanted, (unsigned long long)words[i]);
		return false;
	}
	return true;
}

static size_t page_choose(struct lane *lane)
{
	size_t mine = lane->area->count / THREADS, hot = mine / 8;
	uint64_t random = random_next(&lane->random);
	size_t at = random % 5 ? (random >> 8) % hot : (random >> 8) % mine;

	return at * THREADS + lane->index;
}

static void step(struct lane *lane)
{
	const struct area *area = lane->area;
	size_t page = page_choose(lane);
	uint64_t random = random_next(&lane->random);

	lane->checks++;
	lane->errors += !page_verify(area, page);
	if (random % DROP_ONE_IN == 0) {
		if (madvise(area->pages + page * UTIL_PAGE, UTIL_PAGE, MADV_DONTNEED) < 0)
			err(1, "madvise");
		area->versions[page] = 0;
	} else if (random & 1 << 20) {
		page_write(area, page, ++area->versions[page]);
	}
}

static void *lane_run(void *argument)
{
	struct lane *lane = argument;

	while (!__atomic_load_n(&ending, __ATOMIC_RELAXED)) {
		pthread_rwlock_rdlock(&stepping);
		step(lane);
		pthread_rwlock_unlock(&stepping);
	}
	return NULL;
}

static int child_verify(const struct area *area, uint64_t random)
{
	int errors = 0;

	for (int i = 0; i < CHILD_CHECKS; i++)
		errors += !page_verify(area, random_next(&random) % area->count);
	return errors ? 1 : 0;
}

/* The child has all as it was, whoever evicts it for whom. True: no error. */
static bool fork_verify(const struct area *area, uint64_t random)
{
	int status;
	pid_t pid;

	pthread_rwlock_wrlock(&stepping);
	pid = fork();
	if (!pid)
		_exit(child_verify(area, random));
	pthread_rwlock_unlock(&stepping);
	if (pid < 0)
		err(1, "fork");
	if (waitpid(pid, &status, 0) != pid)
		err(1, "waitpid");
	if (status)
		util_say("FAIL a child ended with status 0x%x", status);
	return !status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "mib", required_argument, NULL, 'm' },
		{ "until", required_argument, NULL, 'u' },
		{},
	};
	struct lane lanes[THREADS] = {};
	pthread_rwlockattr_t attributes;
	const char *until = NULL;
	uint64_t checks = 0, errors = 0, random = 88172645463325252u;
	struct area area = {};
	unsigned long mib = 64;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'm')
			mib = util_number("--mib", optarg, 1, 1 << 20);
		else if (c == 'u')
			until = optarg;
		else
			return 2;
	}
	if (!until || optind != argc)
		errx(2, "usage: overfill [--mib N] --until FILE");
	area.count = mib * UTIL_MIB / UTIL_PAGE / THREADS * THREADS;
	area.pages = util_map(area.count * UTIL_PAGE);
	area.versions = (uint32_t *)util_map(area.count * sizeof(*area.versions));
	for (size_t page = 0; page < area.count; page++)
		page_write(&area, page, ++area.versions[page]);
	util_say("overfill: filled %zu pages", area.count);

	pthread_rwlockattr_init(&attributes);
	pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&stepping, &attributes);
	for (size_t i = 0; i < THREADS; i++) {
		lanes[i] = (struct lane){ .area = &area, .index = i, .random = random + i };
		if (pthread_create(&lanes[i].thread, NULL, lane_run, &lanes[i]))
			errx(1, "cannot start a thread");
	}
	while (access(until, F_OK) < 0) {
		errors += !fork_verify(&area, random_next(&random));
		checks += CHILD_CHECKS;
		usleep(200000);
	}
	__atomic_store_n(&ending, true, __ATOMIC_RELAXED);
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(lanes[i].thread, NULL);
		checks += lanes[i].checks;
		errors += lanes[i].errors;
	}
	for (size_t page = 0; page < area.count; page++)
		errors += !page_verify(&area, page);
	checks += area.count;
	util_say("overfill: %llu checks, %llu errors", (unsigned long long)checks,
		 (unsigned long long)errors);
	return errors ? 1 : 0;
}

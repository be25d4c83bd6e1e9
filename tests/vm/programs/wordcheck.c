// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wordcheck - processes that read all of their memory over and over, know what each
 * word has to be, and tell outside how many they have found right.
 *
 * Each of N processes has M MiB. A sweep goes over all pages in another order each time:
 * every word of a page is verified, and some pages are then rewritten, discarded, mapped
 * anew or left to a child that verifies and changes its copy; after a sweep the whole may
 * move. The first word that is wrong is printed and ends everything.
 *
 *   wordcheck --state FILE [--processes N] [--mib M] [--seed S] [--until FILE]
 *             [--rest-ms N] [--allow-sigbus] [--allow-kills]
 *   wordcheck --await FILE [--seconds N]	until each process has begun and ended a sweep
 *					after this; prints the words since, and in all
 *   wordcheck --show FILE
 *
 * The state is a file that is mapped, so that it is nobody's anonymous memory. With
 * --allow-sigbus a page that SIGBUS says is lost is discarded and counted; with
 * --allow-kills a process that was killed is followed by another. What runs here is
 * linked statically and asks for no memory but the one that it checks.
 * Last line: "wordcheck: W words in S sweeps, B lost pages, K killed, 0 wrong".
 */
#include "util.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROCESSES	64
#define STATUS_WRONG	3
#define STATUS_LOST	4	/* could not get at its memory any more */
/* So many lost pages without a good one between them are a space that is broken. */
#define LOST_AT_MOST	64
/* One page in so many that are verified. */
#define WRITE_ONE_IN	4
#define DISCARD_ONE_IN	64
#define FORK_ONE_IN	512
#define MAP_ONE_IN	2048
#define CHILD_PAGES	32
#define CHILDREN	2

struct tally {
	uint64_t words, sweeps, lost, writes, discards, forks, moves;
};

struct state {
	uint32_t processes, pages;
	uint32_t ending;
	uint32_t wrong;
	uint64_t killed;
	struct tally tally[MAX_PROCESSES];
	/* Of each page of each process: 0: reads zero; else which content. */
	uint32_t versions[];
};

struct worker {
	struct state *state;
	struct tally *tally;
	uint32_t *versions;
	char *area, *elsewhere;	/* where it is, and where it may move to */
	size_t pages;
	uint64_t random, salt;
	unsigned int children;
	unsigned int lost;	/* in a row */
};

static bool allow_sigbus, allow_kills;
static unsigned long rest_ms;	/* after each sweep */
static uint64_t seed = 1;
static struct worker self;
static sigjmp_buf lost_page;
static volatile bool checking;

/* Neither stdio's lock nor its buffer. */
__attribute__((format(printf, 1, 2)))
static void say(const char *fmt, ...)
{
	char line[300];
	va_list ap;
	int used;
	ssize_t ignored;

	va_start(ap, fmt);
	used = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if ((size_t)used > sizeof(line) - 2)
		used = sizeof(line) - 2;
	line[used++] = '\n';
	ignored = write(STDOUT_FILENO, line, used);
	(void)ignored;
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* ------------------------------------------------------------------- one page */

/* A quarter compresses well, the rest does not; none is ever 0. */
static uint64_t word_of(uint64_t salt, size_t page, size_t word, uint32_t version)
{
	uint64_t x = salt + ((uint64_t)version << 32) + page * 0x9e3779b97f4a7c15ull;

	if (page % 4)
		x += word * 0xbf58476d1ce4e5b9ull;
	else
		x += word % 8;
	return (x ^ x >> 31) | 1;
}

static void page_write(struct worker *w, size_t page, uint32_t version)
{
	volatile uint64_t *words = (volatile uint64_t *)(w->area + page * UTIL_PAGE);

	for (size_t i = 0; i < UTIL_WORDS; i++)
		words[i] = word_of(w->salt, page, i, version);
	add(&w->tally->writes, 1);
}

static void page_verify(struct worker *w, size_t page, uint32_t version)
{
	const volatile uint64_t *words =
		(const volatile uint64_t *)(w->area + page * UTIL_PAGE);

	for (size_t i = 0; i < UTIL_WORDS; i++) {
		uint64_t wanted = version ? word_of(w->salt, page, i, version) : 0;
		uint64_t got = words[i];

		if (got == wanted)
			continue;
		say("FAIL process %d, page %zu at %p, version %u, word %zu: expected %016llx, "
		    "got %016llx, read again %016llx",
		    (int)(w->tally - w->state->tally), page, (const void *)words, version, i,
		    (unsigned long long)wanted, (unsigned long long)got,
		    (unsigned long long)words[i]);
		_exit(STATUS_WRONG);
	}
	add(&w->tally->words, UTIL_WORDS);
	w->lost = 0;
}

static void page_discard(struct worker *w, size_t page)
{
	if (madvise(w->area + page * UTIL_PAGE, UTIL_PAGE, MADV_DONTNEED) < 0)
		_exit(STATUS_LOST);
	w->versions[page] = 0;
	add(&w->tally->discards, 1);
}

static void page_map(struct worker *w, size_t page)
{
	char *at = w->area + page * UTIL_PAGE;

	if (mmap(at, UTIL_PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at) {
		say("FAIL cannot map a page: %d", errno);
		_exit(STATUS_WRONG);
	}
	w->versions[page] = 0;
}

/* ------------------------------------------------------------------ lost pages */

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr, area = (uintptr_t)self.area;

	(void)context;
	if (allow_sigbus && checking && at - area < self.pages * UTIL_PAGE)
		siglongjmp(lost_page, 1 + (int)((at - area) / UTIL_PAGE));
	signal(number, SIG_DFL);
	raise(number);
}

static void page_lost(struct worker *w, size_t page)
{
	add(&w->tally->lost, 1);
	if (++w->lost > LOST_AT_MOST)
		_exit(STATUS_LOST);
	page_discard(w, page);
}

/* ----------------------------------------------------------------------- children */

struct copy {
	size_t first, count;
	uint32_t versions[CHILD_PAGES];
};

/* Never comes back. The parent goes on meanwhile, so its versions are not to be used. */
static void child_run(struct worker *w, const struct copy *copy)
{
	int page;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	page = sigsetjmp(lost_page, 0);
	if (page)
		_exit(STATUS_LOST);
	checking = true;
	for (size_t i = 0; i < copy->count; i++)
		page_verify(w, copy->first + i, copy->versions[i]);
	for (size_t i = 0; i < copy->count; i += 2)
		page_write(w, copy->first + i, UINT32_MAX);
	for (size_t i = 0; i < copy->count; i++)
		page_verify(w, copy->first + i, i % 2 ? copy->versions[i] : UINT32_MAX);
	_exit(0);
}

static bool status_allowed(int status)
{
	if (WIFSIGNALED(status))
		return (allow_kills && WTERMSIG(status) == SIGKILL) ||
		       (allow_sigbus && (WTERMSIG(status) == SIGBUS ||
					 WTERMSIG(status) == SIGSEGV));
	return WEXITSTATUS(status) == 0 || (allow_sigbus && WEXITSTATUS(status) == STATUS_LOST);
}

static void children_reap(struct worker *w, bool all)
{
	int status;

	while (w->children && waitpid(-1, &status, all ? 0 : WNOHANG) > 0) {
		w->children--;
		if (!status_allowed(status)) {
			if (!WIFEXITED(status))
				say("FAIL a child ended with wait status %#x", status);
			_exit(STATUS_WRONG);
		}
	}
}

static void child_start(struct worker *w, size_t page)
{
	struct copy copy = { .first = page, .count = CHILD_PAGES };
	pid_t pid;

	children_reap(w, false);
	if (w->children == CHILDREN)
		return;
	if (copy.count > w->pages - page)
		copy.count = w->pages - page;
	memcpy(copy.versions, w->versions + page, copy.count * sizeof(copy.versions[0]));
	pid = fork();
	if (pid == 0)
		child_run(w, &copy);
	/* Without memory for it there is none. */
	if (pid < 0)
		return;
	w->children++;
	add(&w->tally->forks, 1);
}

/* ---------------------------------------------------------------------- one process */

static void page_step(struct worker *w, size_t page)
{
	uint64_t random = random_next(&w->random) >> 8;

	page_verify(w, page, w->versions[page]);
	if (random % FORK_ONE_IN == 0)
		child_start(w, page);
	if (random % MAP_ONE_IN == 1) {
		page_map(w, page);
	} else if (random % DISCARD_ONE_IN == 2) {
		page_discard(w, page);
	} else if (random % WRITE_ONE_IN == 3) {
		uint32_t version = w->versions[page] % (UINT32_MAX / 2) + 1;

		page_write(w, page, version);
		w->versions[page] = version;
	}
}

static void area_move(struct worker *w)
{
	size_t length = w->pages * UTIL_PAGE;

	/* It may have become several mappings, which do not move at once. */
	if (mremap(w->area, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, w->elsewhere) ==
	    w->elsewhere) {
		char *was = w->area;

		w->area = w->elsewhere;
		w->elsewhere = was;
		add(&w->tally->moves, 1);
	}
}

static void sweep(struct worker *w)
{
	/* As many pages as a power of two: each odd step comes to all of them. */
	volatile size_t page = random_next(&w->random) % w->pages;
	size_t step = random_next(&w->random) % w->pages | 1;
	volatile size_t done = 0;
	int lost = sigsetjmp(lost_page, 0);

	if (lost)
		page_lost(w, lost - 1);
	checking = true;
	while (done < w->pages && !__atomic_load_n(&w->state->ending, __ATOMIC_RELAXED)) {
		page_step(w, page);
		page = (page + step) % w->pages;
		done++;
	}
	checking = false;
}

static void worker_run(struct state *state, uint32_t index)
{
	size_t length = state->pages * (size_t)UTIL_PAGE;
	struct sigaction action = { .sa_sigaction = on_sigbus,
				    .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct worker *w = &self;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGBUS, &action, NULL);
	*w = (struct worker){
		.state = state,
		.tally = &state->tally[index],
		.versions = state->versions + (size_t)index * state->pages,
		.pages = state->pages,
		.random = seed * 0x9e3779b97f4a7c15ull + index * 7919 + state->killed + 1,
	};
	w->salt = w->random << 20;
	memset(w->versions, 0, w->pages * sizeof(*w->versions));
	w->elsewhere = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			    -1, 0);
	w->area = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->area == MAP_FAILED || w->elsewhere == MAP_FAILED)
		_exit(STATUS_LOST);
	for (;;) {
		sweep(w);
		children_reap(w, true);
		if (__atomic_load_n(&state->ending, __ATOMIC_RELAXED))
			break;
		__atomic_fetch_add(&w->tally->sweeps, 1, __ATOMIC_RELEASE);
		area_move(w);
		usleep(rest_ms * 1000);
	}
	_exit(0);
}

/* --------------------------------------------------------------------------- outside */

static struct state *state_open(const char *path, uint32_t processes, uint32_t pages)
{
	size_t size = sizeof(struct state);
	int fd = open(path, processes ? O_RDWR | O_CREAT | O_TRUNC : O_RDWR, 0644);
	struct state *state;

	if (fd < 0)
		err(2, "cannot open %s", path);
	if (processes) {
		size += (size_t)processes * pages * sizeof(uint32_t);
		if (ftruncate(fd, size) < 0)
			err(2, "cannot make %s", path);
	}
	state = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (state == MAP_FAILED)
		err(2, "cannot map %s", path);
	close(fd);
	if (processes) {
		state->pages = pages;
		__atomic_store_n(&state->processes, processes, __ATOMIC_RELEASE);
	}
	return state;
}

static struct tally total(const struct state *state)
{
	struct tally sum = { 0 };

	for (uint32_t i = 0; i < state->processes; i++) {
		sum.words += __atomic_load_n(&state->tally[i].words, __ATOMIC_RELAXED);
		sum.sweeps += __atomic_load_n(&state->tally[i].sweeps, __ATOMIC_ACQUIRE);
		sum.lost += state->tally[i].lost;
		sum.writes += state->tally[i].writes;
		sum.discards += state->tally[i].discards;
		sum.forks += state->tally[i].forks;
		sum.moves += state->tally[i].moves;
	}
	return sum;
}

static int show(const char *path)
{
	struct state *state = state_open(path, 0, 0);
	struct tally sum = total(state);

	say("words %llu\nsweeps %llu\nlost %llu\nwrites %llu\ndiscards %llu\nforks %llu\n"
	    "moves %llu\nkilled %llu\nwrong %u",
	    (unsigned long long)sum.words, (unsigned long long)sum.sweeps,
	    (unsigned long long)sum.lost, (unsigned long long)sum.writes,
	    (unsigned long long)sum.discards, (unsigned long long)sum.forks,
	    (unsigned long long)sum.moves, (unsigned long long)state->killed, state->wrong);
	return state->wrong != 0;
}

/* A sweep that is under way began before; the one after it has seen everything. */
static int await(const char *path, unsigned long seconds)
{
	struct state *state = state_open(path, 0, 0);
	uint64_t before[MAX_PROCESSES], words = total(state).words;
	time_t end = time(NULL) + (time_t)seconds;

	for (uint32_t i = 0; i < state->processes; i++)
		before[i] = __atomic_load_n(&state->tally[i].sweeps, __ATOMIC_ACQUIRE);
	for (uint32_t i = 0; i < state->processes && !state->wrong; i++) {
		while (__atomic_load_n(&state->tally[i].sweeps, __ATOMIC_ACQUIRE) <
		       before[i] + 2 && !state->wrong) {
			if (time(NULL) > end)
				errx(1, "process %u ended %llu sweeps in %lu s", i,
				     (unsigned long long)(state->tally[i].sweeps - before[i]),
				     seconds);
			usleep(20000);
		}
	}
	say("%llu %llu", (unsigned long long)(total(state).words - words),
	    (unsigned long long)total(state).words);
	return state->wrong != 0;
}

static volatile bool told_to_end;

static void on_signal(int number)
{
	if (number == SIGTERM)
		told_to_end = true;
}

/* Until all are gone; a line about each that should not be. */
static int supervise(struct state *state, const char *until)
{
	static const struct itimerval often = { { 0, 200000 }, { 0, 200000 } };
	struct sigaction action = { .sa_handler = on_signal };
	pid_t pids[MAX_PROCESSES];
	uint32_t alive = 0;
	struct tally sum;

	/* Interrupts what waits below. */
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	for (uint32_t i = 0; i < state->processes; i++, alive++) {
		pids[i] = fork();
		if (pids[i] == 0)
			worker_run(state, i);
		if (pids[i] < 0)
			err(2, "fork");
	}
	setitimer(ITIMER_REAL, &often, NULL);
	while (alive) {
		uint32_t i = 0;
		int status;
		pid_t pid;

		if (told_to_end || (until && access(until, F_OK) == 0))
			state->ending = 1;
		pid = waitpid(-1, &status, 0);
		if (pid < 0)
			continue;
		while (i < state->processes && pids[i] != pid)
			i++;
		alive--;
		if (!status_allowed(status)) {
			if (!WIFEXITED(status))
				say("FAIL process %u ended with wait status %#x", i, status);
			state->wrong = state->ending = 1;
		}
		if (status)
			state->killed++;
		if (state->ending)
			continue;
		pids[i] = fork();
		if (pids[i] == 0)
			worker_run(state, i);
		if (pids[i] < 0)
			err(2, "fork");
		alive++;
	}
	sum = total(state);
	say("wordcheck: %llu words in %llu sweeps, %llu lost pages, %llu killed, %u wrong",
	    (unsigned long long)sum.words, (unsigned long long)sum.sweeps,
	    (unsigned long long)sum.lost, (unsigned long long)state->killed, state->wrong);
	return state->wrong || !sum.words;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "state", required_argument, NULL, 's' },
		{ "processes", required_argument, NULL, 'p' },
		{ "mib", required_argument, NULL, 'm' },
		{ "seed", required_argument, NULL, 'r' },
		{ "until", required_argument, NULL, 'u' },
		{ "rest-ms", required_argument, NULL, 'i' },
		{ "allow-sigbus", no_argument, NULL, 'b' },
		{ "allow-kills", no_argument, NULL, 'k' },
		{ "await", required_argument, NULL, 'a' },
		{ "seconds", required_argument, NULL, 't' },
		{ "show", required_argument, NULL, 'w' },
		{ 0 }
	};
	const char *path = NULL, *until = NULL, *awaited = NULL, *shown = NULL;
	unsigned long processes = 3, mib = 4, seconds = 60;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 's': path = optarg; break;
		case 'p': processes = util_number("--processes", optarg, 1, MAX_PROCESSES); break;
		case 'm': mib = util_number("--mib", optarg, 1, 1024); break;
		case 'r': seed = util_number("--seed", optarg, 0, 1ul << 31); break;
		case 'u': until = optarg; break;
		case 'i': rest_ms = util_number("--rest-ms", optarg, 0, 10000); break;
		case 'b': allow_sigbus = true; break;
		case 'k': allow_kills = true; break;
		case 'a': awaited = optarg; break;
		case 't': seconds = util_number("--seconds", optarg, 1, 100000); break;
		case 'w': shown = optarg; break;
		default: return 2;
		}
	}
	if (shown)
		return show(shown);
	if (awaited)
		return await(awaited, seconds);
	if (!path)
		errx(2, "--state is missing");
	if (mib & (mib - 1))
		errx(2, "--mib has to be a power of two");
	return supervise(state_open(path, processes, mib * (UTIL_MIB / UTIL_PAGE)), until);
}

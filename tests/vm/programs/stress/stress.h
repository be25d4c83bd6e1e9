/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stress - does anonymous memory behave as anonymous memory?
 *
 * Each scenario is one function that runs in a process of its own, does what
 * programs do to memory, and verifies every byte that it can know. The program
 * knows nothing of USM: it passes on stock memory, and it has to pass on
 * adopted memory. Everything random comes from the seed.
 */
#ifndef STRESS_H
#define STRESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE		((size_t)4096)
#define PAGE_WORDS	(PAGE / sizeof(uint64_t))
#define KIB		((size_t)1024)
#define MIB		(1024 * KIB)

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

struct settings {
	unsigned int threads;
	unsigned long mib;	/* what one scenario may have in use, roughly */
	uint64_t seed;		/* of this round */
	unsigned int round;
	const char *dir;	/* for files: must allow O_DIRECT to test that */
	const char *self;	/* path of this program */
	bool quick;
	bool verbose;
};

extern struct settings settings;

/* How often to repeat what only becomes more likely to show by repetition. */
unsigned int stress_times(unsigned int times);

/* ----------------------------------------------------------------- verdicts */

/* Shared by all processes of a run, and outside of the memory under test. */
struct tally {
	uint64_t checks;
	uint64_t errors;
	uint64_t skips;
	uint64_t notes;
};

extern struct tally *tally;
extern const char *scenario_name;

/* Count a check; print what is wrong, and where, when @ok is false. */
bool check_at(bool ok, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
#define check(ok, ...)		check_at((ok), __func__, __VA_ARGS__)

/* A call that has to succeed (return >= 0), or to fail with an errno. */
bool check_call_at(long result, const char *call, const char *where);
#define check_call(call)	check_call_at((long)(call), #call, __func__)
bool check_fails_at(long result, int expected, const char *call, const char *where);
#define check_fails(call, e)	check_fails_at((long)(call), (e), #call, __func__)

/* What the scenario cannot go on without: an error, and the process ends. */
#define must(ok, ...)							\
	do {								\
		if (!check((ok), __VA_ARGS__))				\
			stress_abandon();				\
	} while (0)
void stress_abandon(void) __attribute__((noreturn));

/* Not to be had here (counted); and a difference that is worth a line only. */
void skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ------------------------------------------------------------------- content */

struct rng {
	uint64_t state;
};

void rng_seed(struct rng *rng, uint64_t salt);
uint64_t rng_next(struct rng *rng);
/* 0 to @limit - 1 */
size_t rng_below(struct rng *rng, size_t limit);

/* The word that belongs at index @word of an area: @tag names the area. */
static inline uint64_t pattern_word(uint64_t tag, size_t word, uint32_t generation)
{
	uint64_t x = tag ^ (uint64_t)word * 0x9e3779b97f4a7c15ull ^
		     (uint64_t)generation << 40;

	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ull;
	/* Never zero: a page that was lost reads zero. */
	return (x ^ x >> 32) | 1;
}

/* @first is the word index of @memory in its area. Lengths are in bytes. */
void pattern_fill(void *memory, size_t length, uint64_t tag, size_t first,
		  uint32_t generation);
/* One check a page. */
bool pattern_verify(const void *memory, size_t length, uint64_t tag, size_t first,
		    uint32_t generation, const char *what);
bool zero_verify(const void *memory, size_t length, const char *what);
bool word_verify(const volatile uint64_t *word, uint64_t expected, const char *what);

/* ------------------------------------------------------------ memory helpers */

/* Private anonymous memory; the scenario ends when there is none. */
void *memory_map(size_t length);
void *memory_map_flags(size_t length, int prot, int flags);
void memory_unmap(void *memory, size_t length);
/* @length bytes that may be mapped over with MAP_FIXED. */
void *memory_reserve(size_t length);
/* A share of what the scenario may use, in whole pages. */
size_t memory_share(unsigned int parts);

/* VMAs of this process that lie within the range (all: 0, -1). */
unsigned int maps_count(uintptr_t start, uintptr_t end);
/* "Rss:" and its kin in smaps, KiB, of the VMAs that lie in the range. */
long smaps_sum(const void *start, size_t length, const char *field);
/* True when touching the byte is answered with SIGSEGV (SIGBUS counts as error). */
bool memory_read_faults(const volatile void *address);
bool memory_write_faults(volatile void *address);

/* ------------------------------------------------------ threads and processes */

struct worker {
	unsigned int index;
	void *context;
	struct rng rng;
};

struct crew;

/* Run @function in @count threads; join waits for all of them. */
struct crew *crew_start(unsigned int count, void (*function)(struct worker *worker),
			void *context);
void crew_join(struct crew *crew);
static inline void crew_run(unsigned int count, void (*function)(struct worker *worker),
			    void *context)
{
	crew_join(crew_start(count, function, context));
}

/*
 * Run @function in a child and end it with _exit. Its checks count here; the
 * join verifies that it came to an orderly end.
 */
pid_t child_start(void (*function)(void *context), void *context);
void child_join(pid_t pid);
static inline void child_run(void (*function)(void *context), void *context)
{
	child_join(child_start(function, context));
}

/* A flag that threads or processes wait for; it lives in shared memory. */
struct gate;
struct gate *gate_create(void);
void gate_open(struct gate *gate);
void gate_wait(struct gate *gate);
void gate_destroy(struct gate *gate);

/* ---------------------------------------------------------------- scenarios */

struct scenario {
	const char *name;
	const char *what;
	void (*run)(void);
};

/* One list a file, ended by a scenario without name. */
extern const struct scenario thread_scenarios[];
extern const struct scenario stack_scenarios[];
extern const struct scenario futex_scenarios[];
extern const struct scenario fork_scenarios[];
extern const struct scenario spawn_scenarios[];
extern const struct scenario discard_scenarios[];
extern const struct scenario held_scenarios[];
extern const struct scenario map_scenarios[];
extern const struct scenario protect_scenarios[];
extern const struct scenario remap_scenarios[];
extern const struct scenario direct_scenarios[];
extern const struct scenario pipe_scenarios[];
extern const struct scenario peek_scenarios[];
extern const struct scenario core_scenarios[];
extern const struct scenario lock_scenarios[];
extern const struct scenario advice_scenarios[];
extern const struct scenario guard_scenarios[];
extern const struct scenario special_scenarios[];

/* What `stress --helper NAME` does, for scenarios that exec this program. */
int spawn_helper(const char *name);

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/* mprotect: read-only, none, executable, and back, with the content in place. */
#include "stress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PROTECT_PAGES	64

static void protect_run(void)
{
	char *area = memory_map(PROTECT_PAGES * PAGE);
	struct rng rng;

	rng_seed(&rng, 0);
	pattern_fill(area, PROTECT_PAGES * PAGE, 1, 0, 1);
	for (unsigned int i = 0; i < 100; i++) {
		size_t first = rng_below(&rng, PROTECT_PAGES);
		size_t count = 1 + rng_below(&rng, PROTECT_PAGES - first);
		char *range = area + first * PAGE;
		bool none = rng_below(&rng, 2);

		check_call(mprotect(range, count * PAGE, none ? PROT_NONE : PROT_READ));
		check(memory_write_faults(range + rng_below(&rng, count * PAGE)),
		      "protected page %p can be written", (void *)range);
		if (none)
			check(memory_read_faults(range), "page %p can be read",
			      (void *)range);
		else
			pattern_verify(range, count * PAGE, 1, first * PAGE_WORDS, 1,
				       "read-only page");
		check_call(mprotect(range, count * PAGE, PROT_READ | PROT_WRITE));
		*(volatile uint64_t *)range = pattern_word(1, first * PAGE_WORDS, 1);
	}
	pattern_verify(area, PROTECT_PAGES * PAGE, 1, 0, 1, "page after all protections");
	memory_unmap(area, PROTECT_PAGES * PAGE);
}

/* Read-only before the first touch: reads give zero, writes are refused. */
static void untouched_run(void)
{
	char *area = memory_map_flags(16 * PAGE, PROT_READ, 0);

	zero_verify(area, 8 * PAGE, "read-only page never written");
	check(memory_write_faults(area), "a read-only page can be written");
	check(memory_write_faults(area + 12 * PAGE), "an untouched read-only page can be written");
	check_call(mprotect(area, 16 * PAGE, PROT_READ | PROT_WRITE));
	pattern_fill(area, 16 * PAGE, 1, 0, 1);
	check_call(mprotect(area, 16 * PAGE, PROT_NONE));
	check(memory_read_faults(area + PAGE), "a page without access can be read");
	check_call(mprotect(area, 16 * PAGE, PROT_READ));
	pattern_verify(area, 16 * PAGE, 1, 0, 1, "page that was without access");
	memory_unmap(area, 16 * PAGE);
}

/* ---------------------------------------------------- protection and sharing */

static void cow_child(void *context)
{
	char *area = context;

	pattern_verify(area, PROTECT_PAGES * PAGE, 2, 0, 1, "read-only page in a child");
	check(memory_write_faults(area), "the child can write a read-only page");
	check_call(mprotect(area, PROTECT_PAGES * PAGE, PROT_READ | PROT_WRITE));
	pattern_fill(area, PROTECT_PAGES * PAGE, 3, 0, 1);
	pattern_verify(area, PROTECT_PAGES * PAGE, 3, 0, 1, "page of the child");
}

/* Making a shared page writable again must not make it the other side's too. */
static void cow_run(void)
{
	char *area = memory_map(PROTECT_PAGES * PAGE);

	for (unsigned int i = 0; i < 10; i++) {
		pid_t child;

		check_call(mprotect(area, PROTECT_PAGES * PAGE, PROT_READ | PROT_WRITE));
		pattern_fill(area, PROTECT_PAGES * PAGE, 2, 0, 1);
		check_call(mprotect(area, PROTECT_PAGES * PAGE, PROT_READ));
		child = child_start(cow_child, area);
		check_call(mprotect(area, PROTECT_PAGES / 2 * PAGE, PROT_READ | PROT_WRITE));
		((volatile uint64_t *)area)[0] = 1;
		((volatile uint64_t *)area)[0] = pattern_word(2, 0, 1);
		child_join(child);
		pattern_verify(area, PROTECT_PAGES * PAGE, 2, 0, 1, "page of the parent");
		check(memory_write_faults(area + (PROTECT_PAGES - 1) * PAGE),
		      "the parent can write a read-only page");
	}
	memory_unmap(area, PROTECT_PAGES * PAGE);
}

/* ------------------------------------------------------------------------- code */

#if defined(__x86_64__) || defined(__i386__)
/* mov eax, imm32; ret */
static void code_write(uint8_t *code, uint32_t value)
{
	code[0] = 0xb8;
	memcpy(code + 1, &value, sizeof(value));
	code[5] = 0xc3;
}

static void code_verify(const uint8_t *code, uint32_t value, const char *what)
{
	uint32_t (*function)(void);
	uint32_t got;

	memcpy(&function, &code, sizeof(function));
	got = function();
	check(got == value, "%s at %p: expected %x, got %x", what, (const void *)code, value,
	      got);
}

static void code_child(void *context)
{
	uint8_t *code = context;

	code_verify(code, 0xc0de, "code in a child");
	check_call(mprotect(code, PAGE, PROT_READ | PROT_WRITE));
	code_write(code, 0xbad);
	check_call(mprotect(code, PAGE, PROT_READ | PROT_EXEC));
	code_verify(code, 0xbad, "code that the child wrote");
}

static void exec_run(void)
{
	uint8_t *code = memory_map(4 * PAGE);

	for (uint32_t i = 0; i < 30; i++) {
		size_t offset = i % 4 * PAGE + i * 16;

		code_write(code + offset, 0x1000 + i);
		check_call(mprotect(code, 4 * PAGE, PROT_READ | PROT_EXEC));
		code_verify(code + offset, 0x1000 + i, "code");
		check(memory_write_faults(code + offset), "code can be written");
		check_call(mprotect(code, 4 * PAGE, PROT_READ | PROT_WRITE));
	}
	code_write(code, 0xc0de);
	check_call(mprotect(code, 4 * PAGE, PROT_READ | PROT_EXEC));
	child_run(code_child, code);
	code_verify(code, 0xc0de, "code that the child changed for itself");
	memory_unmap(code, 4 * PAGE);

	code = memory_map_flags(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, 0);
	for (uint32_t i = 0; i < 100; i++) {
		code_write(code, i);
		code_verify(code, i, "code in writable memory");
	}
	memory_unmap(code, PAGE);
}
#else
static void exec_run(void)
{
	skip("no code snippet for this machine");
}
#endif

/* --------------------------------------------------------------------- racing */

struct race {
	char *area;
	bool stop;
};

static void race_toggler(struct worker *worker)
{
	struct race *race = worker->context;

	while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
		size_t page = rng_below(&worker->rng, PROTECT_PAGES);

		/* Still writable, but the entries are rewritten and VMAs split. */
		check_call(mprotect(race->area + page * PAGE, PAGE,
				    PROT_READ | PROT_WRITE | PROT_EXEC));
		check_call(mprotect(race->area + page * PAGE, PAGE, PROT_READ | PROT_WRITE));
	}
}

static void race_writer(struct worker *worker)
{
	struct race *race = worker->context;
	uint64_t last[PROTECT_PAGES] = { 0 };

	for (unsigned int step = 1; step <= 4000; step++) {
		size_t page = rng_below(&worker->rng, PROTECT_PAGES);
		uint64_t *word = (uint64_t *)(race->area + page * PAGE) + worker->index;

		word_verify(word, last[page], "word in a page whose protection changes");
		last[page] = pattern_word(page, worker->index, step);
		__atomic_store_n(word, last[page], __ATOMIC_RELAXED);
	}
}

static void race_run(void)
{
	struct race race = { .area = memory_map(PROTECT_PAGES * PAGE) };
	struct crew *toggler = crew_start(1, race_toggler, &race);

	crew_run(settings.threads < PAGE_WORDS ? settings.threads : PAGE_WORDS, race_writer,
		 &race);
	__atomic_store_n(&race.stop, true, __ATOMIC_RELAXED);
	crew_join(toggler);
	memory_unmap(race.area, PROTECT_PAGES * PAGE);
}

const struct scenario protect_scenarios[] = {
	{ "mprotect", "read-only and no access, and back", protect_run },
	{ "mprotect-fresh", "protection before the first touch", untouched_run },
	{ "mprotect-cow", "protection changes on shared pages", cow_run },
	{ "mprotect-exec", "code is written, run, changed", exec_run },
	{ "mprotect-race", "protection changes under writers", race_run },
	{ 0 }
};

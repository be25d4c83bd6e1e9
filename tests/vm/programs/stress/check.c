// SPDX-License-Identifier: GPL-2.0-or-later
#include "stress.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct tally *tally;
const char *scenario_name = "stress";

/*
 * Straight to the descriptor: children of threaded processes come here too,
 * where the lock of a stdio stream may be held by a thread that is not there.
 */
static void line_print(const char *kind, const char *where, const char *fmt, va_list ap)
{
	char line[600];
	int used = snprintf(line, sizeof(line), "%s %s: ", kind, scenario_name);
	int saved = errno;
	ssize_t ignored;

	if (where)
		used += snprintf(line + used, sizeof(line) - used, "%s: ", where);
	used += vsnprintf(line + used, sizeof(line) - used, fmt, ap);
	if ((size_t)used > sizeof(line) - 2)
		used = sizeof(line) - 2;
	line[used++] = '\n';
	ignored = write(STDOUT_FILENO, line, used);
	(void)ignored;
	errno = saved;
}

static void tally_add(uint64_t *counter, uint64_t count)
{
	__atomic_fetch_add(counter, count, __ATOMIC_RELAXED);
}

bool check_at(bool ok, const char *where, const char *fmt, ...)
{
	va_list ap;

	tally_add(&tally->checks, 1);
	if (ok)
		return true;
	tally_add(&tally->errors, 1);
	va_start(ap, fmt);
	line_print("FAIL", where, fmt, ap);
	va_end(ap);
	return false;
}

bool check_call_at(long result, const char *call, const char *where)
{
	return check_at(result != -1, where, "%s: %s", call, strerror(errno));
}

bool check_fails_at(long result, int expected, const char *call, const char *where)
{
	int got = errno;

	if (result != -1)
		return check_at(false, where, "%s: expected '%s', but it succeeded",
				call, strerror(expected));
	return check_at(got == expected, where, "%s: expected '%s', got '%s'", call,
			strerror(expected), strerror(got));
}

unsigned int stress_times(unsigned int times)
{
	return settings.quick ? (times + 3) / 4 : times;
}

void stress_abandon(void)
{
	_exit(1);
}

void skip(const char *fmt, ...)
{
	va_list ap;

	tally_add(&tally->skips, 1);
	va_start(ap, fmt);
	line_print("skip", NULL, fmt, ap);
	va_end(ap);
}

void note(const char *fmt, ...)
{
	va_list ap;

	tally_add(&tally->notes, 1);
	va_start(ap, fmt);
	line_print("note", NULL, fmt, ap);
	va_end(ap);
}

void rng_seed(struct rng *rng, uint64_t salt)
{
	rng->state = (settings.seed + 1) * 0x9e3779b97f4a7c15ull ^
		     (salt + 1) * 0xd1342543de82ef95ull;
	if (!rng->state)
		rng->state = 1;
	rng_next(rng);
}

/* xorshift64*, Vigna 2016, doi:10.1145/2845077 */
uint64_t rng_next(struct rng *rng)
{
	uint64_t x = rng->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	rng->state = x;
	return x * 0x2545f4914f6cdd1dull;
}

size_t rng_below(struct rng *rng, size_t limit)
{
	return (size_t)((rng_next(rng) >> 16) % limit);
}

void pattern_fill(void *memory, size_t length, uint64_t tag, size_t first,
		  uint32_t generation)
{
	volatile uint64_t *words = memory;

	for (size_t i = 0; i < length / sizeof(*words); i++)
		words[i] = pattern_word(tag, first + i, generation);
}

/* Count one check a page and print the first wrong word, and how many follow. */
static bool words_verify(const volatile uint64_t *words, size_t count, bool zero,
			 uint64_t tag, size_t first, uint32_t generation,
			 const char *what)
{
	size_t wrong = 0, wrong_at = 0;
	uint64_t wrong_value = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t value = words[i];

		if (value == (zero ? 0 : pattern_word(tag, first + i, generation)))
			continue;
		if (wrong++ == 0) {
			wrong_at = i;
			wrong_value = value;
		}
	}
	tally_add(&tally->checks, (count * sizeof(*words) + PAGE - 1) / PAGE);
	if (!wrong)
		return true;

	tally_add(&tally->checks, -1);
	return check_at(false, what,
			"%zu of %zu words wrong; first at %p (word %zu): expected %016llx, got %016llx",
			wrong, count, (void *)(words + wrong_at), wrong_at,
			zero ? 0ull : (unsigned long long)pattern_word(tag, first + wrong_at,
								       generation),
			(unsigned long long)wrong_value);
}

bool pattern_verify(const void *memory, size_t length, uint64_t tag, size_t first,
		    uint32_t generation, const char *what)
{
	return words_verify(memory, length / sizeof(uint64_t), false, tag, first,
			    generation, what);
}

bool zero_verify(const void *memory, size_t length, const char *what)
{
	return words_verify(memory, length / sizeof(uint64_t), true, 0, 0, 0, what);
}

bool word_verify(const volatile uint64_t *word, uint64_t expected, const char *what)
{
	uint64_t value = *word;

	return check_at(value == expected, what,
			"at %p: expected %016llx, got %016llx", (void *)word,
			(unsigned long long)expected, (unsigned long long)value);
}

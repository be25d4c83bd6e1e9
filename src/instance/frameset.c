// SPDX-License-Identifier: GPL-2.0-or-later
#include "frameset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS	USM_FRAMESET_WORD
#define WORD_ORDER	6u	/* log2 of WORD_BITS */

static uint32_t words_of(uint32_t bits)
{
	return bits / WORD_BITS + !!(bits % WORD_BITS);
}

int usm_frameset_init(struct usm_frameset *set, uint32_t frames)
{
	uint32_t words = words_of(frames) ?: 1;
	struct usm_frameset s = {
		.words = calloc(words, sizeof(uint64_t)),
		.some = calloc(words_of(words), sizeof(uint64_t)),
		.full = calloc(words_of(words), sizeof(uint64_t)),
		.frames = frames,
	};

	if (!s.words || !s.some || !s.full) {
		usm_frameset_done(&s);
		return -ENOMEM;
	}
	*set = s;
	return 0;
}

void usm_frameset_done(struct usm_frameset *set)
{
	free(set->words);
	free(set->some);
	free(set->full);
	*set = (struct usm_frameset){};
}

/* Only what has members is written, so that untouched memory stays so. */
void usm_frameset_empty(struct usm_frameset *set)
{
	uint32_t summaries = words_of(words_of(set->frames));

	for (uint32_t i = 0; i < summaries; i++) {
		while (set->some[i]) {
			unsigned int bit = (unsigned int)__builtin_ctzll(set->some[i]);

			set->words[i * WORD_BITS + bit] = 0;
			set->some[i] &= set->some[i] - 1;
		}
		if (set->full[i])
			set->full[i] = 0;
	}
	set->count = 0;
}

/* Ones from bit `low`, `count` of them; count >= 1, low + count <= 64. */
static uint64_t ones(unsigned int low, unsigned int count)
{
	return (~UINT64_C(0) >> (WORD_BITS - count)) << low;
}

static void word_store(struct usm_frameset *set, uint32_t index, uint64_t value)
{
	uint64_t bit = UINT64_C(1) << index % WORD_BITS;
	uint64_t *some = &set->some[index / WORD_BITS];
	uint64_t *full = &set->full[index / WORD_BITS];

	set->words[index] = value;
	*some = value ? *some | bit : *some & ~bit;
	*full = value == ~UINT64_C(0) ? *full | bit : *full & ~bit;
}

static uint32_t range_change(struct usm_frameset *set, uint32_t frame, uint32_t count, bool add)
{
	uint32_t changed = 0;

	if (frame >= set->frames)
		return 0;
	if (count > set->frames - frame)
		count = set->frames - frame;

	while (count) {
		unsigned int low = frame % WORD_BITS;
		unsigned int here = count < WORD_BITS - low ? count : WORD_BITS - low;
		uint64_t mask = ones(low, here);
		uint64_t old = set->words[frame / WORD_BITS];
		uint64_t new = add ? old | mask : old & ~mask;

		if (new != old) {
			changed += (uint32_t)__builtin_popcountll(new ^ old);
			word_store(set, frame / WORD_BITS, new);
		}
		frame += here;
		count -= here;
	}
	return changed;
}

void usm_frameset_assign(struct usm_frameset *set, uint32_t word, uint64_t mask, uint64_t members)
{
	uint64_t old = set->words[word], new = (old & ~mask) | (members & mask);

	if (new == old)
		return;
	set->count += (uint32_t)__builtin_popcountll(new & ~old);
	set->count -= (uint32_t)__builtin_popcountll(old & ~new);
	word_store(set, word, new);
}

uint32_t usm_frameset_add(struct usm_frameset *set, uint32_t frame, uint32_t count)
{
	uint32_t added = range_change(set, frame, count, true);

	set->count += added;
	return added;
}

uint32_t usm_frameset_remove(struct usm_frameset *set, uint32_t frame, uint32_t count)
{
	uint32_t removed = range_change(set, frame, count, false);

	set->count -= removed;
	return removed;
}

/* Bits of `word` that start an aligned run of 2^order ones. */
static uint64_t word_runs(uint64_t word, unsigned int order)
{
	static const uint64_t aligned[WORD_ORDER + 1] = {
		0xffffffffffffffff, 0x5555555555555555, 0x1111111111111111,
		0x0101010101010101, 0x0001000100010001, 0x0000000100000001,
		0x0000000000000001,
	};

	for (unsigned int k = 0; k < order; k++)
		word &= word >> (1u << k);
	return word & aligned[order];
}

/* The first word from `index` on that has a member, or `words`. */
static uint32_t word_next(const struct usm_frameset *set, uint32_t index, uint32_t words)
{
	while (index < words) {
		uint64_t some = set->some[index / WORD_BITS] >> index % WORD_BITS;

		if (some)
			return index + (uint32_t)__builtin_ctzll(some);
		index = (index / WORD_BITS + 1) * WORD_BITS;
	}
	return words;
}

/*
 * A run of at most a word lies within one of the words; a longer one is a run
 * of full words, which the summary `full` shows in the same way.
 */
uint32_t usm_frameset_find(const struct usm_frameset *set, uint32_t from, unsigned int order)
{
	bool wide = order > WORD_ORDER;
	unsigned int shift = wide ? WORD_ORDER : 0;	/* log2 of frames a bit */
	const uint64_t *array = wide ? set->full : set->words;
	uint32_t bits = wide ? words_of(set->frames) : set->frames;
	uint32_t words = words_of(bits);
	uint32_t bit = (from >> shift) + (from & ((1u << shift) - 1) ? 1 : 0);
	uint32_t index = bit / WORD_BITS;
	uint64_t mask = ~UINT64_C(0) << bit % WORD_BITS;

	if (from >= set->frames)
		return USM_FRAMESET_NONE;
	if (!wide && !array[index]) {
		index = word_next(set, index, words);
		mask = ~UINT64_C(0);
	}

	while (index < words) {
		uint64_t starts = word_runs(array[index], order - shift) & mask;

		if (starts)
			return (index * WORD_BITS + (uint32_t)__builtin_ctzll(starts)) << shift;
		mask = ~UINT64_C(0);
		index = wide ? index + 1 : word_next(set, index + 1, words);
	}
	return USM_FRAMESET_NONE;
}

uint32_t usm_frameset_find_below(const struct usm_frameset *set, uint32_t below,
				 unsigned int order)
{
	bool wide = order > WORD_ORDER;
	unsigned int shift = wide ? WORD_ORDER : 0;
	const uint64_t *array = wide ? set->full : set->words;
	uint32_t size = 1u << (order - shift);		/* of a run, in bits */
	uint32_t end = (below < set->frames ? below : set->frames) >> shift;
	uint32_t start;

	if (end < size)
		return USM_FRAMESET_NONE;
	start = (end - size) & ~(size - 1);		/* the highest candidate */

	for (uint32_t index = start / WORD_BITS + 1; index--;) {
		uint64_t mask = index == start / WORD_BITS ?
				ones(0, start % WORD_BITS + 1) : ~UINT64_C(0);
		uint64_t starts = word_runs(array[index], order - shift) & mask;

		if (starts)
			return (index * WORD_BITS + 63 - (uint32_t)__builtin_clzll(starts)) << shift;
	}
	return USM_FRAMESET_NONE;
}

uint32_t usm_frameset_length(const struct usm_frameset *set, uint32_t frame, uint32_t max)
{
	uint32_t length = 0;

	while (length < max && frame < set->frames) {
		unsigned int low = frame % WORD_BITS;
		uint64_t gaps = ~(set->words[frame / WORD_BITS] >> low);
		uint32_t here = gaps ? (uint32_t)__builtin_ctzll(gaps) : WORD_BITS;

		/* The shift brought zeros in from above: they look like gaps. */
		length += here;
		frame += here;
		if (here < WORD_BITS - low)
			break;
	}
	return length < max ? length : max;
}

uint32_t usm_frameset_weight(const struct usm_frameset *set, uint32_t frame, uint32_t count)
{
	uint32_t weight = 0;

	if (frame >= set->frames)
		return 0;
	if (count > set->frames - frame)
		count = set->frames - frame;

	while (count) {
		unsigned int low = frame % WORD_BITS;
		unsigned int here = count < WORD_BITS - low ? count : WORD_BITS - low;
		uint64_t word = set->words[frame / WORD_BITS] & ones(low, here);

		weight += (uint32_t)__builtin_popcountll(word);
		frame += here;
		count -= here;
	}
	return weight;
}

uint32_t usm_frameset_nth(const struct usm_frameset *set, uint32_t n)
{
	uint32_t summaries = words_of(words_of(set->frames));

	if (n >= set->count)
		return USM_FRAMESET_NONE;

	for (uint32_t i = 0; i < summaries; i++) {
		for (uint64_t some = set->some[i]; some; some &= some - 1) {
			uint32_t index = i * WORD_BITS + (uint32_t)__builtin_ctzll(some);
			uint64_t word = set->words[index];
			uint32_t here = (uint32_t)__builtin_popcountll(word);

			if (n >= here) {
				n -= here;
				continue;
			}
			while (n--)
				word &= word - 1;
			return index * WORD_BITS + (uint32_t)__builtin_ctzll(word);
		}
	}
	return USM_FRAMESET_NONE;
}

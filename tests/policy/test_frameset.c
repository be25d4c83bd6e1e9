// SPDX-License-Identifier: GPL-2.0-or-later
/* The set of frames against a byte a frame. */
#include <stdlib.h>
#include <string.h>

#include "frameset.h"
#include "suite.h"

static const uint32_t sizes[] = { 1, 63, 64, 65, 512, 1000, 4096, 4097, 70000 };

static uint32_t naive_find(const char *member, uint32_t frames, uint32_t from, unsigned int order)
{
	uint32_t size = 1u << order;

	for (uint32_t f = (from + size - 1) & ~(size - 1); f + size <= frames; f += size) {
		uint32_t n = 0;

		while (n < size && member[f + n])
			n++;
		if (n == size)
			return f;
	}
	return USM_FRAMESET_NONE;
}

static uint32_t naive_find_below(const char *member, uint32_t below, unsigned int order)
{
	uint32_t size = 1u << order, f = below & ~(size - 1);

	while (f >= size) {
		f -= size;
		if (naive_find(member, f + size, f, order) == f)
			return f;
	}
	return USM_FRAMESET_NONE;
}

START_TEST(agrees_with_a_byte_a_frame)
{
	uint32_t frames = sizes[_i];
	char *member = calloc(1, frames);
	struct usm_frameset set;

	srandom((unsigned int)_i + 1);
	ck_assert_int_eq(usm_frameset_init(&set, frames), 0);
	for (int step = 0; step < 400; step++) {
		uint32_t frame = (uint32_t)random() % frames;
		uint32_t count = 1 + (uint32_t)random() % (step % 4 ? 600 : 9);
		uint32_t inside = count < frames - frame ? count : frames - frame;
		bool add = random() % 5 < 3;
		uint32_t expected = 0, members = 0, length = 0;
		unsigned int order = (unsigned int)random() % (USM_FRAMESET_MAX_ORDER + 1);
		uint32_t from = (uint32_t)random() % frames;

		for (uint32_t i = frame; i < frame + inside; i++)
			expected += member[i] != add;
		memset(member + frame, add, inside);
		ck_assert_uint_eq(add ? usm_frameset_add(&set, frame, count) :
				  usm_frameset_remove(&set, frame, count), expected);

		for (uint32_t i = 0; i < frames; i++)
			members += (uint32_t)member[i];
		ck_assert_uint_eq(set.count, members);
		ck_assert_uint_eq(usm_frameset_find(&set, from, order),
				  naive_find(member, frames, from, order));
		ck_assert_uint_eq(usm_frameset_find_below(&set, from, order),
				  naive_find_below(member, from, order));
		while (from + length < frames && length < 700 && member[from + length])
			length++;
		ck_assert_uint_eq(usm_frameset_length(&set, from, 700), length);
		ck_assert_int_eq(usm_frameset_has(&set, from), member[from]);
		if (member[from]) {
			uint32_t below = 0;

			for (uint32_t i = 0; i < from; i++)
				below += (uint32_t)member[i];
			ck_assert_uint_eq(usm_frameset_nth(&set, below), from);
		}
		ck_assert_uint_eq(usm_frameset_nth(&set, members), USM_FRAMESET_NONE);
		for (uint32_t i = expected = 0; i < count && from + i < frames; i++)
			expected += (uint32_t)member[from + i];
		ck_assert_uint_eq(usm_frameset_weight(&set, from, count), expected);
	}
	usm_frameset_empty(&set);
	ck_assert_uint_eq(set.count, 0);
	ck_assert_uint_eq(usm_frameset_find(&set, 0, 0), USM_FRAMESET_NONE);
	ck_assert_uint_eq(usm_frameset_find(&set, 0, 9), USM_FRAMESET_NONE);
	usm_frameset_done(&set);
	free(member);
}
END_TEST

START_TEST(ranges_beyond_the_end_are_clipped)
{
	struct usm_frameset set;

	ck_assert_int_eq(usm_frameset_init(&set, 100), 0);
	ck_assert_uint_eq(usm_frameset_add(&set, 90, UINT32_MAX), 10);
	ck_assert_uint_eq(usm_frameset_add(&set, 100, 1), 0);
	ck_assert_uint_eq(usm_frameset_add(&set, UINT32_MAX, UINT32_MAX), 0);
	ck_assert_uint_eq(usm_frameset_length(&set, 95, 1000), 5);
	ck_assert_uint_eq(usm_frameset_find(&set, UINT32_MAX, 0), USM_FRAMESET_NONE);
	ck_assert(!usm_frameset_has(&set, 100));
	usm_frameset_done(&set);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("frameset");
	TCase *tcase = tcase_create("frameset");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, agrees_with_a_byte_a_frame, 0, sizeof(sizes) / sizeof(*sizes));
	tcase_add_test(tcase, ranges_beyond_the_end_are_clipped);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

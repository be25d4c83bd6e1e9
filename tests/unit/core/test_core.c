// SPDX-License-Identifier: GPL-2.0-or-later
/* The module's arithmetic: rings with free indices, which pages a fault maps, sums of words. */
#include <stdint.h>

#include "nh.h"
#include "ring.h"
#include "suite.h"
#include "window.h"

#define ENTRIES	256u
#define BAD	UINT32_MAX

START_TEST(ring_used)
{
	ck_assert_uint_eq(usm_ring_used(0, 0, ENTRIES, BAD), 0);
	ck_assert_uint_eq(usm_ring_used(7, 3, ENTRIES, BAD), 4);
	ck_assert_uint_eq(usm_ring_used(ENTRIES, 0, ENTRIES, BAD), ENTRIES);
	/* Indices run through the end of their type. */
	ck_assert_uint_eq(usm_ring_used(2, UINT32_MAX, ENTRIES, BAD), 3);
	ck_assert_uint_eq(usm_ring_slot(UINT32_MAX, ENTRIES), ENTRIES - 1);
	ck_assert_uint_eq(usm_ring_slot(0, ENTRIES), 0);
}
END_TEST

START_TEST(ring_hostile)
{
	/* A head from nowhere, ahead or behind. */
	ck_assert_uint_eq(usm_ring_used(ENTRIES + 1, 0, ENTRIES, BAD), BAD);
	ck_assert_uint_eq(usm_ring_used(3, 4, ENTRIES, BAD), BAD);
	ck_assert_uint_eq(usm_ring_used(1u << 31, 0, ENTRIES, 0), 0);
}
END_TEST

START_TEST(window_aligned)
{
	struct usm_window w = usm_window_around(0x12345, 4, 0, 1ul << 40);

	ck_assert_uint_eq(w.first, 0x12340);
	ck_assert_uint_eq(w.end, 0x12350);
	w = usm_window_around(0x12345, 0, 0, 1ul << 40);
	ck_assert_uint_eq(w.first, 0x12345);
	ck_assert_uint_eq(w.end, 0x12346);
}
END_TEST

START_TEST(window_cut)
{
	/* To the mapping, at either end and at both. */
	struct usm_window w = usm_window_around(100, 9, 90, 110);

	ck_assert_uint_eq(w.first, 90);
	ck_assert_uint_eq(w.end, 110);
	w = usm_window_around(512, 9, 512, 513);
	ck_assert_uint_eq(w.first, 512);
	ck_assert_uint_eq(w.end, 513);
}
END_TEST

/* Sums that are known, and of which the carries between all parts are seen. */
START_TEST(nh_known)
{
	unsigned long long words[32] = {}, key[32] = {};
	struct usm_nh_sum sum = usm_nh(words, key, 32);

	ck_assert(!sum.low && !sum.high);
	for (int i = 0; i < 32; i++)
		words[i] = UINT64_MAX;
	/* Sixteen times (2^64 - 1)^2 = 2^128 - 2^65 + 1, modulo 2^128. */
	sum = usm_nh(words, key, 32);
	ck_assert_uint_eq(sum.low, 16);
	ck_assert_uint_eq(sum.high, UINT64_MAX - 31);
	/* The key is added without a carry: all of it is 0 again. */
	for (int i = 0; i < 32; i++)
		key[i] = 1;
	sum = usm_nh(words, key, 32);
	ck_assert(!sum.low && !sum.high);
	words[30] = 2;
	words[31] = 4;
	sum = usm_nh(words, key, 32);
	ck_assert_uint_eq(sum.low, 15);
	ck_assert_uint_eq(sum.high, 0);
}
END_TEST

/* Each bit of each word changes it, under a key in which no word is a special one. */
START_TEST(nh_every_bit)
{
	unsigned long long words[64], key[64], state = 1;
	struct usm_nh_sum sum;

	for (int i = 0; i < 64; i++) {
		words[i] = state *= 6364136223846793005ull;
		key[i] = state *= 6364136223846793005ull;
	}
	sum = usm_nh(words, key, 64);
	for (int i = 0; i < 64 * 64; i++) {
		struct usm_nh_sum other;

		words[i / 64] ^= 1ull << (i % 64);
		other = usm_nh(words, key, 64);
		words[i / 64] ^= 1ull << (i % 64);
		ck_assert(other.low != sum.low || other.high != sum.high);
	}
}
END_TEST

/* Whatever the order, the page is in it and it stays in one page table. */
START_TEST(window_invariants)
{
	for (unsigned long page = 1000; page < 3000; page += 7) {
		for (unsigned int order = 0; order <= USM_WINDOW_SHIFT; order++) {
			struct usm_window w = usm_window_around(page, order, 990, 3001);

			ck_assert(w.first <= page && page < w.end);
			ck_assert(w.first >= 990 && w.end <= 3001);
			ck_assert_uint_le(w.end - w.first, 1ul << order);
			ck_assert_uint_eq(w.first >> USM_WINDOW_SHIFT,
					  (w.end - 1) >> USM_WINDOW_SHIFT);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("core");
	TCase *ring = tcase_create("ring"), *window = tcase_create("window");
	TCase *nh = tcase_create("nh");

	tcase_add_test(ring, ring_used);
	tcase_add_test(ring, ring_hostile);
	suite_add_tcase(suite, ring);
	tcase_add_test(window, window_aligned);
	tcase_add_test(window, window_cut);
	tcase_add_test(window, window_invariants);
	suite_add_tcase(suite, window);
	tcase_add_test(nh, nh_known);
	tcase_add_test(nh, nh_every_bit);
	suite_add_tcase(suite, nh);
	return suite_run(suite);
}

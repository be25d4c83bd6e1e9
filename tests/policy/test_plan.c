// SPDX-License-Identifier: GPL-2.0-or-later
/* The instance's arithmetic: rations, growth, and the message from usmd. */
#include <errno.h>
#include <string.h>

#include "config.h"
#include "growth.h"
#include "ration.h"
#include "suite.h"

#define SECOND	1000000000ull

START_TEST(a_ring_gets_a_burst_and_no_more)
{
	struct usm_ration plan = usm_ration_plan(1u << 20, 2, 1, 4);

	ck_assert_uint_eq(plan.active, 1024);
	ck_assert_uint_eq(plan.seed, 256);

	/* Large faults: some of them must fit. */
	plan = usm_ration_plan(1u << 20, 2, 2, 9);
	ck_assert_uint_eq(plan.active, 2048);
}
END_TEST

START_TEST(rings_hold_half_of_what_is_free_at_most)
{
	for (uint32_t free = 0; free < 20000; free += 7) {
		for (uint32_t cpus = 1; cpus <= 64; cpus *= 2) {
			struct usm_ration plan = usm_ration_plan(free, cpus, cpus, 4);

			if (plan.active >= 16 && free / 2 / cpus >= 16)
				ck_assert_uint_le(plan.active * cpus, free / 2);
			ck_assert_uint_le(plan.active, 1024);
		}
	}
}
END_TEST

START_TEST(scarce_frames_are_spread)
{
	struct usm_ration plan = usm_ration_plan(10, 4, 4, 4);

	ck_assert_uint_eq(plan.active, 3);
	ck_assert_uint_eq(plan.seed, 3);
	ck_assert_uint_eq(usm_ration_plan(1, 4, 4, 9).active, 1);
	ck_assert_uint_eq(usm_ration_plan(0, 4, 0, 4).active, 0);
}
END_TEST

START_TEST(a_full_ring_is_far_from_asking_for_more)
{
	for (uint32_t entries = 16; entries <= 4096; entries *= 2) {
		uint32_t entry = usm_ration_entry(1024, entries, 4);

		ck_assert_uint_ge(entry * entries, 1024);
		if (entries <= 512)
			ck_assert_uint_ge(1024 / entry, entries);
	}
	ck_assert_uint_eq(usm_ration_entry(1u << 20, 16, 4), 512);
	ck_assert_uint_eq(usm_ration_entry(0, 16, 4), 1);
}
END_TEST

START_TEST(a_fault_gathers_few_entries)
{
	ck_assert_uint_ge(8 * usm_ration_entry(2048, 256, 9), 512);
	ck_assert_uint_ge(8 * usm_ration_entry(1024, 256, 8), 256);
	/* Not when that would leave most rings without any. */
	ck_assert_uint_eq(usm_ration_entry(10, 256, 9), 1);
}
END_TEST

START_TEST(a_call_for_more_is_answered)
{
	ck_assert_uint_eq(usm_ration_due(1024, 1024, 4, false), 0);
	ck_assert_uint_eq(usm_ration_due(600, 1024, 4, false), 0);
	ck_assert_uint_eq(usm_ration_due(500, 1024, 4, false), 524);
	ck_assert_uint_eq(usm_ration_due(600, 1024, 4, true), 424);
	/* Even when the ration is there, in too few entries. */
	ck_assert_uint_eq(usm_ration_due(1024, 1024, 4, true), 4);
	ck_assert_uint_eq(usm_ration_due(0, 0, 1, false), 0);
}
END_TEST

/* From nothing to 64 GiB in requests whose number does not grow with the size. */
START_TEST(growth_is_geometric)
{
	struct usm_growth growth = {};
	struct usm_growth_view view = { .ceiling = 1u << 24 };
	uint32_t small = 0, all = 0;

	while (view.present < view.ceiling) {
		uint32_t n = usm_growth_request(&growth, &view, SECOND);

		ck_assert_uint_gt(n, 0);
		view.present += n;
		view.free += n;
		all++;
		small += view.present <= 1u << 18;
		view.free = usm_growth_goal(&view) - 1;	/* and it is used up again */
	}
	ck_assert_uint_lt(small, 60);
	ck_assert_uint_lt(all, 600);	/* beyond the cap: 128 MiB each */
}
END_TEST

START_TEST(growth_stops_at_the_ceiling)
{
	struct usm_growth growth = {};
	struct usm_growth_view view = { .present = 1000, .free = 0, .ceiling = 1003 };

	ck_assert_uint_eq(usm_growth_request(&growth, &view, 1), 3);
	view.present = 1003;
	ck_assert_uint_eq(usm_growth_request(&growth, &view, 1), 0);
	view.ceiling = 500;
	ck_assert_uint_eq(usm_growth_request(&growth, &view, 1), 0);
}
END_TEST

START_TEST(growth_backs_off_at_a_limit)
{
	struct usm_growth growth = {};
	struct usm_growth_view view = { .present = 1000, .free = 0, .ceiling = 100000 };
	uint64_t now = SECOND;
	unsigned int requests = 0;

	for (; now < 61 * SECOND; now += SECOND / 100) {
		if (!usm_growth_request(&growth, &view, now))
			continue;
		usm_growth_asked(&growth, now);
		ck_assert_uint_eq(usm_growth_request(&growth, &view, now), 0);
		usm_growth_limited(&growth, now);
		requests++;
	}
	ck_assert_uint_ge(requests, 8);
	ck_assert_uint_le(requests, 14);

	/* Success ends it. */
	usm_growth_answered(&growth, false);
	ck_assert_uint_gt(usm_growth_request(&growth, &view, now), 0);
}
END_TEST

START_TEST(an_answer_that_never_came_is_forgotten)
{
	struct usm_growth growth = {};
	struct usm_growth_view view = { .present = 1000, .free = 0, .ceiling = 100000 };

	usm_growth_asked(&growth, SECOND);
	ck_assert_uint_eq(usm_growth_request(&growth, &view, 2 * SECOND), 0);
	ck_assert_uint_gt(usm_growth_request(&growth, &view, 7 * SECOND), 0);
}
END_TEST

START_TEST(idle_frames_go_back_after_a_while)
{
	struct usm_growth growth = {};
	struct usm_growth_view view = { .present = 100000, .free = 90000, .ceiling = 100000 };
	uint32_t keep = 3 * usm_growth_goal(&view);
	uint64_t now = SECOND;

	ck_assert_uint_eq(usm_growth_surplus(&growth, &view, now), 0);
	ck_assert_uint_eq(usm_growth_surplus(&growth, &view, now + 9 * SECOND), 0);
	ck_assert_uint_eq(usm_growth_surplus(&growth, &view, now + 10 * SECOND), 8);

	/* Needed in between: the time begins anew. */
	view.free = keep;
	ck_assert_uint_eq(usm_growth_surplus(&growth, &view, now + 11 * SECOND), 0);
	view.free = 90000;
	ck_assert_uint_eq(usm_growth_surplus(&growth, &view, now + 12 * SECOND), 0);
	ck_assert_uint_eq(usm_growth_surplus(&growth, &view, now + 21 * SECOND), 0);
	ck_assert_uint_eq(usm_growth_surplus(&growth, &view, now + 22 * SECOND), 8);

	/* What goes back is never asked for again at once. */
	view.present -= view.free - keep;
	view.free = keep;
	ck_assert_uint_eq(usm_growth_request(&growth, &view, now), 0);
}
END_TEST

static const struct {
	const char *text;
	int error;
	const char *says;
	uint64_t store_quota;
} messages[] = {
	{ "{\"domain\":\"7\",\"container\":\"c\",\"policy\":\"firstfit\",\"memory\":1048576,"
	  "\"fault_order\":4,\"parameters\":{\"a\":1},\"news\":[]}", 0, NULL, 0 },
	{ "{\"domain\":\"7\",\"container\":\"c\",\"policy\":\"firstfit\",\"memory\":1048576,"
	  "\"fault_order\":4,\"parameters\":null}", 0, NULL, 0 },
	{ "{\"domain\":\"7\",\"container\":\"c\",\"policy\":\"firstfit\",\"memory\":1048576,"
	  "\"fault_order\":4,\"store_quota\":134217728}", 0, NULL, 134217728 },
	{ "{\"domain\":\"7\",\"container\":\"c\",\"policy\":\"firstfit\",\"memory\":1048576,"
	  "\"fault_order\":4,\"store_quota\":\"1M\"}", EBADMSG, "store_quota", 0 },
	{ "{\"domain\":\"8\",\"container\":\"c\",\"policy\":\"firstfit\",\"memory\":1048576,"
	  "\"fault_order\":4}", EINVAL, "domain 8, this is the instance of domain 7", 0 },
	{ "{\"domain\":\"7\",\"container\":\"c\",\"policy\":\"firstfit\",\"memory\":1048576,"
	  "\"fault_order\":10}", EINVAL, "fault_order 10", 0 },
	{ "{\"domain\":\"7\",\"container\":\"c\",\"policy\":\"firstfit\",\"memory\":\"1M\","
	  "\"fault_order\":4}", EBADMSG, "memory", 0 },
	{ "{\"domain\":\"7\",\"container\":\"c\",\"policy\":\"firstfit\",\"memory\":1048576,"
	  "\"fault_order\":4,\"parameters\":[]}", EBADMSG, "parameters", 0 },
	{ "{\"domain\":\"7\",\"container\":\"c\",\"memory\":1048576,\"fault_order\":4}", ENOENT,
	  "policy", 0 },
	{ "{\"domain\":\"7\",\"container\":\"c\",\"policy\":\"firstfit\",\"memory\":1048576,"
	  "\"fault_order\":4,\"fault_mode\":\"upcall\"}", 0, NULL, 0 },
	{ "{\"domain\":\"7\",\"container\":\"c\",\"policy\":\"firstfit\",\"memory\":1048576,"
	  "\"fault_order\":4,\"fault_mode\":\"supply\"}", 0, NULL, 0 },
	{ "{\"domain\":\"7\",\"container\":\"c\",\"policy\":\"firstfit\",\"memory\":1048576,"
	  "\"fault_order\":4,\"fault_mode\":\"later\"}", EINVAL, "no fault_mode \"later\"", 0 },
	{ "{\"domain\":\"7\",\"container\":\"c\",\"policy\":\"firstfit\",\"memory\":1048576,"
	  "\"fault_order\":4,\"fault_mode\":1}", EBADMSG, "fault_mode", 0 },
	{ "[]", EBADMSG, "not an object", 0 },
	{ "", EBADMSG, NULL, 0 },
	{ "{\"domain\":\"7\"} x", EBADMSG, NULL, 0 },
};

START_TEST(the_message_from_usmd)
{
	cleanup_instance_config struct usm_instance_config config = {};
	cleanup_error struct usm_error err = {};
	const char *text = messages[_i].text;
	int r = usm_instance_config_parse(&config, "7", text, strlen(text), &err);

	ck_assert_msg(r == -messages[_i].error, "%d: %s", r, usm_error_message(&err));
	if (messages[_i].says)
		ck_assert_msg(strstr(usm_error_message(&err), messages[_i].says) != NULL, "%s",
			      usm_error_message(&err));
	if (r < 0) {
		ck_assert_ptr_null(config.policy);
		return;
	}
	ck_assert_str_eq(config.container, "c");
	ck_assert_str_eq(config.policy, "firstfit");
	ck_assert_uint_eq(config.memory, 1048576);
	ck_assert_uint_eq(config.fault_order, 4);
	ck_assert_uint_eq(config.store_quota, messages[_i].store_quota);
	ck_assert_int_eq(config.upcall, strstr(text, "\"upcall\"") != NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("plan");

	suite_add(suite, "ration", a_ring_gets_a_burst_and_no_more);
	suite_add(suite, "ration", rings_hold_half_of_what_is_free_at_most);
	suite_add(suite, "ration", scarce_frames_are_spread);
	suite_add(suite, "ration", a_full_ring_is_far_from_asking_for_more);
	suite_add(suite, "ration", a_fault_gathers_few_entries);
	suite_add(suite, "ration", a_call_for_more_is_answered);
	suite_add(suite, "growth", growth_is_geometric);
	suite_add(suite, "growth", growth_stops_at_the_ceiling);
	suite_add(suite, "growth", growth_backs_off_at_a_limit);
	suite_add(suite, "growth", an_answer_that_never_came_is_forgotten);
	suite_add(suite, "growth", idle_frames_go_back_after_a_while);
	suite_add_rows(suite, "config", the_message_from_usmd, messages);
	return suite_run(suite);
}

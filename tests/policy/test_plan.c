// SPDX-License-Identifier: GPL-2.0-or-later
/* The instance's arithmetic: rations, growth, and the message from usmd. */
#include <errno.h>
#include <string.h>

#include "config.h"
#include "growth.h"
#include "ration.h"
#include "sampler.h"
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

START_TEST(a_ring_holds_its_ration)
{
	for (uint32_t entries = 16; entries <= 4096; entries *= 2) {
		for (unsigned int order = 0; order <= 9; order++) {
			uint32_t ration = usm_ration_plan(1u << 20, 1, 1, order).active;
			uint32_t entry = usm_ration_entry(ration, entries, order);

			ck_assert_uint_ge(entry * entries, ration);
			ck_assert_uint_ge(ration / entry, 4);
			/* Full, it is far from asking for more; and it asks in time. */
			ck_assert_uint_le(usm_ration_low(ration, entry), ration / entry / 2);
			ck_assert_uint_ge(usm_ration_low(ration, entry), 2);
		}
	}
	ck_assert_uint_eq(usm_ration_entry(1u << 20, 16, 4), 512);
	ck_assert_uint_eq(usm_ration_entry(0, 16, 4), 1);
	ck_assert_uint_eq(usm_ration_low(1024, 16), 16);
}
END_TEST

START_TEST(an_entry_is_a_whole_fault)
{
	for (unsigned int order = 0; order <= 9; order++) {
		uint32_t ration = usm_ration_plan(1u << 20, 1, 1, order).active;

		ck_assert_uint_eq(usm_ration_entry(ration, 256, order),
				  order < 4 ? 16 : 1u << order);
	}
	/* Not when that would leave most rings without any. */
	ck_assert_uint_eq(usm_ration_entry(10, 256, 9), 2);
	ck_assert_uint_eq(usm_ration_entry(3, 256, 9), 1);
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

/* All portions of this moment; how many frames. */
static uint32_t sample(struct usm_sampler *sampler, uint32_t rate, uint32_t top, uint64_t now)
{
	uint32_t n, total = 0;

	while ((n = usm_sampler_portion(sampler, rate, top, now))) {
		ck_assert_uint_le(n, USM_SAMPLER_PORTION);
		ck_assert_uint_le(sampler->next, top);
		total += n;
	}
	return total;
}

START_TEST(rounds_come_as_they_are_needed)
{
	struct usm_sampler sampler = {};
	uint64_t now = 100 * SECOND;

	/* At once, then every eight seconds. */
	ck_assert_uint_eq(sample(&sampler, 65536, 10000, now), 10000);
	ck_assert_uint_eq(sample(&sampler, 65536, 10000, now + 8 * SECOND - 1), 0);
	ck_assert_uint_eq(sample(&sampler, 65536, 10000, now += 8 * SECOND), 10000);
	/* Something was evicted: every second. */
	usm_sampler_evicted(&sampler, now);
	ck_assert_uint_eq(sample(&sampler, 65536, 10000, now + SECOND - 1), 0);
	ck_assert_uint_eq(sample(&sampler, 65536, 10000, now += SECOND), 10000);
	/* Much was supplied, and there is no more: now. */
	usm_sampler_supplied(&sampler, 5000, false);
	usm_sampler_supplied(&sampler, 6249, true);
	ck_assert_uint_eq(sample(&sampler, 65536, 10000, now + 1), 0);
	usm_sampler_supplied(&sampler, 6250, true);
	ck_assert_uint_eq(sample(&sampler, 65536, 10000, now + 2), 10000);
	/* Long ago: seldom again. */
	ck_assert_uint_eq(sample(&sampler, 65536, 10000, now += 9 * SECOND), 10000);
	ck_assert_uint_eq(sample(&sampler, 65536, 10000, now += 7 * SECOND), 0);
}
END_TEST

START_TEST(no_more_is_sampled_than_the_policy_wants)
{
	struct usm_sampler sampler = {};
	uint64_t now = 100 * SECOND, total = 0;

	for (int i = 0; i < 10000; i++, now += SECOND / 1000) {
		usm_sampler_supplied(&sampler, sampler.supplied + 1000, true);
		total += sample(&sampler, 5000, 100000, now);
	}
	/* Ten seconds' worth, and what there was at first. */
	ck_assert_uint_le(total, 55000);
	ck_assert_uint_ge(total, 49000);

	/* Less than a portion a second, and none. */
	sampler = (struct usm_sampler){};
	for (total = 0; now < 10000 * SECOND; now += SECOND)
		total += sample(&sampler, 3, 100000, now);
	ck_assert_uint_ge(total, 3 * 9800);
	ck_assert_uint_le(total, 3 * 9900);
	ck_assert_uint_eq(sample(&sampler, 0, 100000, now), 0);
	ck_assert_uint_eq(sample(&sampler, 3, 0, now), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("plan");

	suite_add(suite, "ration", a_ring_gets_a_burst_and_no_more);
	suite_add(suite, "ration", rings_hold_half_of_what_is_free_at_most);
	suite_add(suite, "ration", scarce_frames_are_spread);
	suite_add(suite, "ration", a_ring_holds_its_ration);
	suite_add(suite, "ration", an_entry_is_a_whole_fault);
	suite_add(suite, "ration", a_call_for_more_is_answered);
	suite_add(suite, "growth", growth_is_geometric);
	suite_add(suite, "growth", growth_stops_at_the_ceiling);
	suite_add(suite, "growth", growth_backs_off_at_a_limit);
	suite_add(suite, "growth", an_answer_that_never_came_is_forgotten);
	suite_add(suite, "growth", idle_frames_go_back_after_a_while);
	suite_add(suite, "sampler", rounds_come_as_they_are_needed);
	suite_add(suite, "sampler", no_more_is_sampled_than_the_policy_wants);
	suite_add_rows(suite, "config", the_message_from_usmd, messages);
	return suite_run(suite);
}

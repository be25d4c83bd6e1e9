// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The policy firstfit as it is installed, in the trusted runtime, against a model
 * of the module: what faults get, and what the runtime keeps ready.
 */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "json.h"
#include "model.h"
#include "policy.h"
#include "suite.h"
#include "support.h"

#define FRAMES	16384u
#define SECOND	1000000000ull

static char *directory;
static struct model model;
static struct usm_policy_object object;
static struct usm_parameters parameters;
static struct usm_engine engine;
static cJSON *annotation;
static uint64_t now;

static void setup(void)
{
	now = SECOND;
	model_init(&model, FRAMES, 2);
	ck_assert_int_eq(usm_policy_load(&object, directory, "firstfit", NULL), 0);
}

static void teardown(void)
{
	usm_engine_done(&engine);
	usm_parameters_done(&parameters);
	cJSON_Delete(annotation);
	usm_policy_unload(&object);
	model_done(&model);
}

/* Until a poll of the domain's descriptor would find nothing. */
static void settle(void)
{
	const struct usm_ring *events = model.mapping.events.ring;
	int turns = 0;

	while (usm_engine_turn(&engine, now) == USM_ENGINE_MORE || events->head != events->tail)
		ck_assert_int_lt(++turns, 10000);
}

static void arm(unsigned int fault_order, const char *text)
{
	cleanup_error struct usm_error err = {};

	annotation = cJSON_Parse(text);
	ck_assert_int_eq(usm_parameters_init(&parameters, annotation, NULL), 0);
	ck_assert_int_eq(usm_engine_init(&engine, &(struct usm_engine_setup){
		.mapping = &model.mapping,
		.policy = &object.policy,
		.parameters = &parameters,
		.fault_order = fault_order,
		.ceiling = FRAMES,
		.ops = &model_ops,
		.context = &model,
	}), 0);
	ck_assert_msg(usm_engine_begin(&engine, now, &err) == 0, "%s", usm_error_message(&err));
	usm_engine_reset(&engine, now);
	settle();
}

/* A fault of `pages`, and a little time for the instance after it. */
static uint32_t fault(uint32_t cpu, uint32_t pages, uint32_t *frames)
{
	uint32_t n = model_fault(&model, cpu, pages, frames);

	now += SECOND / 1000;
	settle();
	return n;
}

START_TEST(lowest_frames_first)
{
	uint32_t frames[16];

	model_populate(&model, 0, 4096, true);
	arm(4, "{}");
	for (uint32_t i = 0; i < 256; i += 16) {
		ck_assert_uint_eq(fault(0, 16, frames), 16);
		for (uint32_t k = 0; k < 16; k++)
			ck_assert_uint_eq(frames[k], i + k);
	}
}
END_TEST

/* 256 frames to begin with, in runs of 16, with one left out: few entries all the same. */
START_TEST(runs_beside_each_other_share_an_entry)
{
	uint32_t frames[16];

	model_populate(&model, 0, 4096, true);
	model_occupy(&model, 100, 1);
	model.limit = 4096;
	arm(4, "{}");
	ck_assert_uint_eq(engine.lanes[0].held, 256);
	ck_assert_uint_le(usm_supply_queued(&model.mapping, 0), 256 / USM_RATION_ENTRY + 1);

	/* In the order of the answer, that frame left out. */
	for (uint32_t f = 0; f < 256; f += 16) {
		if (f == 96)
			continue;
		ck_assert_uint_eq(fault(0, 16, frames), 16);
		ck_assert_uint_eq(frames[0], f);
		ck_assert_uint_eq(frames[15], f + 15);
	}
}
END_TEST

START_TEST(whole_runs_before_splinters)
{
	uint32_t frames[16];

	model_populate(&model, 0, 64, true);
	model_occupy(&model, 3, 1);
	model_occupy(&model, 40, 1);
	model.limit = 64;
	arm(4, "{}");

	/* 16-31 and 48-63 are whole; they go first, before what lies lower. */
	ck_assert_uint_eq(model_fault(&model, 0, 16, frames), 16);
	ck_assert_uint_eq(frames[0], 16);
	ck_assert_uint_eq(frames[15], 31);
}
END_TEST

START_TEST(strictly_lowest_on_request)
{
	uint32_t frames[16];

	model_populate(&model, 0, 64, true);
	model_occupy(&model, 3, 1);
	model.limit = 64;
	arm(4, "{\"whole-runs\":false}");
	ck_assert_uint_eq(model_fault(&model, 0, 4, frames), 4);
	ck_assert_uint_eq(frames[0], 0);
	ck_assert_uint_eq(frames[2], 2);
	ck_assert_uint_eq(frames[3], 4);
}
END_TEST

/* Every last frame can be had, in whatever pieces it is. */
START_TEST(exhaustion)
{
	uint32_t frames[16], total = 0, n;
	char had[1024] = "";

	model_populate(&model, 0, 1024, true);
	for (uint32_t i = 0; i < 1024; i += 5)
		model_occupy(&model, i, 1);
	model.limit = 1024;
	arm(4, "{}");

	while ((n = fault(total & 1, 16, frames))) {
		for (uint32_t k = 0; k < n; k++) {
			ck_assert_int_eq(had[frames[k]], 0);
			had[frames[k]] = 1;
		}
		total += n;
	}
	ck_assert_uint_eq(total, 1024 - 205);
	ck_assert_uint_eq(model_count(&model, USM_FRAME_FREE), 0);
	ck_assert_uint_eq(model.refused, 0);

	/* And what comes back is supplied again, by itself. */
	model_free(&model, 77, 1);
	settle();
	ck_assert_uint_eq(fault(1, 16, frames), 1);
	ck_assert_uint_eq(frames[0], 77);
}
END_TEST

START_TEST(scarce_frames_reach_every_cpu)
{
	model_populate(&model, 0, 8, true);
	model.limit = 8;
	arm(9, "{}");
	ck_assert_uint_eq(engine.lanes[0].held, 4);
	ck_assert_uint_eq(engine.lanes[1].held, 4);
}
END_TEST

START_TEST(growth_keeps_ahead_up_to_the_ceiling)
{
	uint32_t frames[16], total = 0;

	model_populate(&model, 0, 512, true);
	arm(4, "{}");
	while (total < FRAMES) {
		uint32_t n = fault(0, 16, frames);

		ck_assert_uint_gt(n, 0);
		total += n;
	}
	ck_assert_uint_eq(fault(0, 16, frames), 0);
	ck_assert_uint_eq(model.present, FRAMES);
	ck_assert_uint_lt(model.grows, 40);
	ck_assert_uint_eq(model.refused, 0);
}
END_TEST

START_TEST(a_limit_is_not_run_against)
{
	uint32_t frames[16];

	model_populate(&model, 0, 512, true);
	model.limit = 1000;
	arm(4, "{}");
	while (fault(0, 16, frames))
		;
	ck_assert_uint_eq(model_count(&model, USM_FRAME_MAPPED), 1000);
	/* A minute at the limit: a handful of attempts. */
	for (int s = 0; s < 60; s++) {
		now += SECOND;
		usm_engine_tick(&engine, now);
		settle();
	}
	ck_assert_uint_lt(model.grows, 24);
	model.limit = 2000;
	now += 9 * SECOND;
	settle();
	ck_assert_uint_eq(fault(0, 16, frames), 16);
}
END_TEST

START_TEST(freed_frames_are_zeroed_ahead)
{
	uint32_t frames[16];

	model_populate(&model, 0, 4096, true);
	model.limit = 4096;
	arm(4, "{}");
	for (int i = 0; i < 64; i++)
		ck_assert_uint_eq(fault(0, 16, frames), 16);
	ck_assert_uint_eq(model.zeroed, 0);

	/* There are more than enough clean ones, but these are the next to be used. */
	for (uint32_t f = 0; f < 4096; f++)
		if (model_state(&model, f) == USM_FRAME_MAPPED)
			model_free(&model, f, 1);
	settle();
	/* But for those that the module may still have in hand. */
	ck_assert_uint_ge(model.zeroed, 1024 - USM_RATION_ENTRY);
	ck_assert_uint_eq(engine.index.dirty.count, 0);
	ck_assert_uint_eq(model.refused, 0);
}
END_TEST

START_TEST(lost_events_cost_a_scan)
{
	uint32_t frames[16];

	model_populate(&model, 0, 1024, true);
	model.limit = 1024;
	arm(0, "{}");
	while (fault(0, 16, frames))
		;
	/* Four times what the event ring holds; only the first are told. */
	for (uint32_t i = 0; i < 4 * MODEL_EVENTS; i++)
		model_free(&model, i * 2, 1);
	ck_assert_uint_gt(model.mapping.events.ring->lost, 0);
	settle();
	for (uint32_t i = 0; i < 4 * MODEL_EVENTS; i++)
		ck_assert_uint_eq(fault(1, 1, frames), 1);
	ck_assert_uint_eq(fault(1, 1, frames), 0);
	ck_assert_uint_eq(model.refused, 0);
}
END_TEST

START_TEST(reclaimed_frames_are_replaced)
{
	uint32_t frames[16];

	model_populate(&model, 0, 4096, true);
	model.limit = 4096;
	arm(4, "{}");
	/* Seed of the rings: the lowest frames, which is where a shrinker begins. */
	model_reclaim(&model, 0, 1024);
	settle();
	ck_assert_uint_ge(engine.lanes[0].held, 16);
	ck_assert_uint_ge(engine.lanes[1].held, 16);
	ck_assert_uint_eq(fault(0, 16, frames), 16);
	ck_assert_uint_ge(frames[0], 1024);
	ck_assert_uint_eq(fault(1, 16, frames), 16);
	/* It does not ask for them back at once. */
	ck_assert_uint_eq(model.grows, 0);
}
END_TEST

START_TEST(idle_blocks_go_back_from_the_high_end)
{
	model_populate(&model, 0, FRAMES, true);
	arm(4, "{}");
	for (int s = 0; s < 60; s++) {
		now += SECOND;
		ck_assert_int_eq(usm_engine_tick(&engine, now), 0);
		settle();
	}
	ck_assert_uint_lt(model.present, FRAMES / 4);
	ck_assert_uint_gt(model.present, USM_GROWTH_FLOOR_MIN);
	ck_assert_uint_eq(model_state(&model, FRAMES - 1), USM_FRAME_NONE);
	ck_assert_uint_eq(model_state(&model, 0), USM_FRAME_FREE);
	ck_assert_uint_eq(model.grows, 0);

	/* Back after a stop: everything is still right. */
	ck_assert_uint_eq(model.shrinks + model.present, FRAMES);
}
END_TEST

START_TEST(a_fallback_stops_the_supply)
{
	uint32_t frames[16];
	uint64_t put;

	model_populate(&model, 0, 1024, true);
	arm(4, "{}");
	model_post(&model, &(struct usm_event){ .type = USM_EV_FALLBACK,
						.arg = USM_FALLBACK_DEADLINE });
	settle();
	ck_assert(!engine.armed);
	ck_assert_uint_eq(engine.fallback, USM_FALLBACK_DEADLINE);
	put = engine.put;
	while (fault(0, 16, frames))
		;
	ck_assert_uint_eq(engine.put, put);

	/* Armed again: what the module served by itself in between is not offered. */
	model_arm(&model);
	usm_engine_reset(&engine, now);
	settle();
	ck_assert_uint_gt(fault(0, 16, frames), 0);
	ck_assert_uint_eq(model.refused, 0);
}
END_TEST

/*
 * Anything in any order: no frame is lost, and hardly any is offered twice (only
 * where nothing else was left, see lane_withdraw_refused()).
 */
START_TEST(churn)
{
	uint32_t frames[512], served = 0;

	srandom((unsigned int)_i);
	model_populate(&model, 0, 300, true);
	model.limit = 6000;
	arm((unsigned int)(_i % 10), "{}");

	for (int step = 0; step < 20000; step++) {
		uint32_t cpu = (uint32_t)random() % 2;

		if (random() % 3) {
			served += model_fault(&model, cpu, 1u << random() % 10, frames);
		} else {
			uint32_t f = (uint32_t)random() % FRAMES, n = 0;

			while (f + n < FRAMES && n < 200 &&
			       model_state(&model, f + n) == USM_FRAME_MAPPED)
				n++;
			if (n)
				model_free(&model, f, n);
		}
		now += SECOND / 2000;
		if (random() % 4 == 0)
			ck_assert_int_ge(usm_engine_turn(&engine, now), 0);
		if (random() % 200 == 0)
			ck_assert_int_eq(usm_engine_tick(&engine, now), 0);
	}
	ck_assert_uint_le(model.refused, served / 1000);
	ck_assert_uint_eq(engine.wrong, 0);

	settle();
	ck_assert_uint_eq(engine.index.present.count, model.present);
	while (fault(0, 512, frames))
		;
	ck_assert_uint_eq(model_count(&model, USM_FRAME_FREE), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("firstfit");
	TCase *tcase = tcase_create("firstfit");
	int status;

	directory = support_policy_dir("../../policies");
	if (!directory)
		return TEST_SKIP;

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, lowest_frames_first);
	tcase_add_test(tcase, whole_runs_before_splinters);
	tcase_add_test(tcase, strictly_lowest_on_request);
	tcase_add_test(tcase, exhaustion);
	tcase_add_test(tcase, scarce_frames_reach_every_cpu);
	tcase_add_test(tcase, growth_keeps_ahead_up_to_the_ceiling);
	tcase_add_test(tcase, a_limit_is_not_run_against);
	tcase_add_test(tcase, runs_beside_each_other_share_an_entry);
	tcase_add_test(tcase, freed_frames_are_zeroed_ahead);
	tcase_add_test(tcase, lost_events_cost_a_scan);
	tcase_add_test(tcase, reclaimed_frames_are_replaced);
	tcase_add_test(tcase, idle_blocks_go_back_from_the_high_end);
	tcase_add_test(tcase, a_fallback_stops_the_supply);
	tcase_add_loop_test(tcase, churn, 0, 10);
	suite_add_tcase(suite, tcase);
	status = suite_run(suite);
	support_policy_dir_remove(directory);
	return status;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The policy clock as it is installed: whom its hand meets, and whom it passes over. */
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "policy.h"
#include "suite.h"
#include "support.h"

#define FRAMES	1024u

static char *directory;
static struct model model;
static struct usm_policy_object object;
static struct usm_parameters parameters;
static struct usm_engine engine;

static void setup(void)
{
	model_init(&model, FRAMES, 1);
	ck_assert_int_eq(usm_policy_load(&object, directory, "clock", NULL), 0);
	ck_assert_int_eq(usm_parameters_init(&parameters, NULL, NULL), 0);
	model_occupy(&model, 0, FRAMES);
	ck_assert_int_eq(usm_engine_init(&engine, &(struct usm_engine_setup){
		.mapping = &model.mapping,
		.policy = &object.policy,
		.parameters = &parameters,
		.ceiling = FRAMES,
		.ops = &model_ops,
		.context = &model,
	}), 0);
	ck_assert_int_eq(usm_engine_begin(&engine, 1, NULL), 0);
}

static void teardown(void)
{
	usm_engine_done(&engine);
	usm_parameters_done(&parameters);
	usm_policy_unload(&object);
	model_done(&model);
}

/* The runs of one answer, as the frames that they name. */
static uint32_t victims(uint32_t frames, uint32_t *list)
{
	struct usm_run runs[USM_ENGINE_RUNS];
	uint32_t n = usm_eviction_ask(&engine, frames, false, runs), total = 0;

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < runs[i].count; k++)
			list[total++] = runs[i].frame + k;
	ck_assert_uint_eq(engine.wrong, 0);
	return total;
}

static void refault(uint32_t frame)
{
	struct usm_return_note note = { .size = sizeof(note), .space = 1, .page = frame };

	object.policy.refault(engine.state, &note);
}

/* In turn, and round again; a single answer is one run where it can be. */
START_TEST(test_in_turn)
{
	uint32_t list[64], next = 0;

	for (int i = 0; i < 40; i++) {
		ck_assert_uint_eq(victims(32, list), 32);
		for (int k = 0; k < 32; k++, next++)
			ck_assert_uint_eq(list[k], next % FRAMES);
	}
}
END_TEST

START_TEST(test_only_mapped)
{
	uint32_t list[64];

	model_free(&model, 4, 8);
	ck_assert_uint_eq(victims(6, list), 6);
	ck_assert_uint_eq(list[3], 3);
	ck_assert_uint_eq(list[4], 12);
}
END_TEST

/* What had to come back is passed over, once. */
START_TEST(test_second_chance)
{
	uint32_t list[FRAMES];

	refault(2);
	refault(5);
	ck_assert_uint_eq(victims(8, list), 8);
	ck_assert_uint_eq(list[1], 1);
	ck_assert_uint_eq(list[2], 3);
	ck_assert_uint_eq(list[4], 6);
	for (uint32_t left = FRAMES - 10; left;)
		left -= victims(left < 32 ? left : 32, list);
	ck_assert_uint_eq(victims(8, list), 8);
	for (uint32_t i = 0; i < 8; i++)
		ck_assert_uint_eq(list[i], i);
}
END_TEST

#define SECOND	UINT64_C(1000000000)

/* One round of sampling, as the engine has it. */
static void round_of(uint64_t now)
{
	uint32_t before = model.sampled;

	model_arm(&model);
	engine.armed = true;
	ck_assert_int_ge(usm_engine_turn(&engine, now), 0);
	ck_assert_uint_eq(model.sampled - before, model_count(&model, USM_FRAME_MAPPED));
}

/* What is in use is passed over, and of the rest the oldest go first. */
START_TEST(test_ages)
{
	uint32_t list[FRAMES];

	round_of(100 * SECOND);
	/* Not used from here on: 512 and above; used once more: 256 to 511. */
	model_access(&model, 0, 512);
	round_of(200 * SECOND);
	model_access(&model, 0, 256);
	round_of(300 * SECOND);
	for (uint32_t next = 512; next < FRAMES; next += 32) {
		ck_assert_uint_eq(victims(32, list), 32);
		for (uint32_t k = 0; k < 32; k++)
			ck_assert_uint_eq(list[k], next + k);
		model_free(&model, next, 32);
	}
	ck_assert_uint_eq(victims(32, list), 32);
	ck_assert_uint_eq(list[0], 256);
	ck_assert_uint_eq(list[31], 287);
}
END_TEST

/* All are in use: the hand goes on as if nothing were known. */
START_TEST(test_all_in_use)
{
	uint32_t list[64];

	round_of(100 * SECOND);
	model_access(&model, 0, FRAMES);
	round_of(200 * SECOND);
	for (uint32_t i = 0; i < FRAMES; i += 32) {
		ck_assert_uint_eq(victims(32, list), 32);
		ck_assert_uint_eq(list[0], i);
	}
}
END_TEST

/* All that was old has been used since it was counted: it finds others, in time. */
START_TEST(test_counted_in_vain)
{
	uint32_t list[64], n = 0;

	round_of(100 * SECOND);
	round_of(200 * SECOND);
	for (uint32_t i = 0; i < FRAMES; i++)
		model_set_age(&model, i, 0);
	for (int i = 0; i < 3 && !n; i++)
		n = victims(32, list);
	ck_assert_uint_eq(n, 32);
}
END_TEST

/* And at once where a fault is waiting. */
START_TEST(test_urgent)
{
	struct usm_run runs[USM_ENGINE_RUNS];
	uint32_t list[64];

	round_of(100 * SECOND);
	model_access(&model, 0, FRAMES - 1);
	round_of(200 * SECOND);
	model_free(&model, FRAMES - 1, 1);
	usm_eviction_ask(&engine, 32, true, runs);
	ck_assert_uint_eq(victims(32, list), 32);
}
END_TEST

/* A rate of 0, and a module that is older than the command. */
START_TEST(test_no_sampling)
{
	uint32_t list[64];

	model.old = true;
	model_arm(&model);
	engine.armed = true;
	for (uint64_t i = 1; i < 100; i++)
		ck_assert_int_ge(usm_engine_turn(&engine, i * SECOND), 0);
	ck_assert(engine.sampler.refused);
	model.old = engine.sampler.refused = false;
	engine.runtime.host.sample(&engine.runtime.host, 0);
	for (uint64_t i = 100; i < 200; i++)
		ck_assert_int_ge(usm_engine_turn(&engine, i * SECOND), 0);
	ck_assert_uint_eq(model.sampled, 0);
	ck_assert_uint_eq(victims(32, list), 32);
	ck_assert_uint_eq(list[0], 0);
	/* Nothing can be evicted, so it asks for none. */
	engine.runtime.host.sample(&engine.runtime.host, 1000);
	ck_assert_int_eq(usm_engine_tick(&engine, 300 * SECOND), 0);
	ck_assert_uint_eq(engine.runtime.sample_rate, 0);
}
END_TEST

/* Nobody maps anything: it stops looking. */
START_TEST(test_nothing)
{
	uint32_t list[64];

	model_free(&model, 0, FRAMES);
	ck_assert_uint_eq(victims(32, list), 0);
}
END_TEST

/* Runs that are all single frames fill the answer, and the next goes on behind them. */
START_TEST(test_scattered)
{
	uint32_t list[USM_ENGINE_RUNS * 2];

	for (uint32_t i = 0; i < FRAMES; i += 2)
		model_free(&model, i, 1);
	ck_assert_uint_eq(victims(USM_ENGINE_RUNS * 2, list), USM_ENGINE_RUNS);
	ck_assert_uint_eq(list[0], 1);
	ck_assert_uint_eq(victims(1, list), 1);
	ck_assert_uint_eq(list[0], 2 * USM_ENGINE_RUNS + 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clock");
	TCase *tcase = tcase_create("clock");
	int r;

	directory = support_policy_dir("../../policies");
	if (!directory)
		return TEST_SKIP;
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_in_turn);
	tcase_add_test(tcase, test_only_mapped);
	tcase_add_test(tcase, test_second_chance);
	tcase_add_test(tcase, test_ages);
	tcase_add_test(tcase, test_all_in_use);
	tcase_add_test(tcase, test_counted_in_vain);
	tcase_add_test(tcase, test_urgent);
	tcase_add_test(tcase, test_no_sampling);
	tcase_add_test(tcase, test_nothing);
	tcase_add_test(tcase, test_scattered);
	suite_add_tcase(suite, tcase);
	r = suite_run(suite);
	support_policy_dir_remove(directory);
	return r;
}

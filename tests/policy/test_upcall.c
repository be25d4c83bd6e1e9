// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Upcall mode: faults ask, the trusted runtime asks the policy, and none of them is
 * forgotten, whatever the policy says and whatever is free.
 */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "model.h"
#include "policy.h"
#include "suite.h"
#include "support.h"

#define FRAMES	4096u
#define SECOND	1000000000ull

static char *directory;
static struct model model;
static struct usm_policy_object object;
static struct usm_policy policy;
static struct usm_parameters parameters;
static struct usm_engine engine;
static uint64_t now;

static void setup(void)
{
	now = SECOND;
	model_init(&model, FRAMES, 2);
	ck_assert_int_eq(usm_policy_load(&object, directory, "firstfit", NULL), 0);
	policy = object.policy;
}

static void teardown(void)
{
	usm_engine_done(&engine);
	usm_parameters_done(&parameters);
	usm_policy_unload(&object);
	model_done(&model);
}

static void settle(void)
{
	const struct usm_ring *events = model.mapping.events.ring;
	int turns = 0;

	while (usm_engine_turn(&engine, now) == USM_ENGINE_MORE || events->head != events->tail)
		ck_assert_int_lt(++turns, 10000);
}

static void arm(unsigned int fault_order)
{
	cleanup_error struct usm_error err = {};

	ck_assert_int_eq(usm_parameters_init(&parameters, NULL, NULL), 0);
	ck_assert_int_eq(usm_engine_init(&engine, &(struct usm_engine_setup){
		.mapping = &model.mapping,
		.policy = &policy,
		.parameters = &parameters,
		.fault_order = fault_order,
		.ceiling = FRAMES,
		.upcall = true,
		.ops = &model_ops,
		.context = &model,
	}), 0);
	ck_assert_msg(usm_engine_begin(&engine, now, &err) == 0, "%s", usm_error_message(&err));
	usm_engine_reset(&engine, now);
	settle();
}

START_TEST(each_fault_gets_the_lowest)
{
	model_populate(&model, 0, 2048, true);
	model_occupy(&model, 0, 1);
	arm(0);
	for (uint32_t i = 0; i < 8; i++) {
		const struct model_asker *asker = model_ask(&model, 100 - i, 1);

		settle();
		ck_assert_uint_eq(asker->n, 1);
		ck_assert_uint_eq(asker->frames[0], 1 + i);
	}
	model_free(&model, 0, 1);
	ck_assert_uint_eq((settle(), model_ask(&model, 7, 1), settle(), model.askers[8].frames[0]), 0);
	/* Nothing is left lying in the rings. */
	ck_assert_uint_eq(model.mapping.supply[0].ring->head, 0);
	ck_assert_uint_eq(model.refused, 0);
}
END_TEST

START_TEST(a_run_for_an_order)
{
	const struct model_asker *whole, *part;

	model_populate(&model, 0, 2048, true);
	model_occupy(&model, 5, 1);
	arm(4);
	whole = model_ask(&model, 160, 16);
	part = model_ask(&model, 190, 5);
	settle();
	ck_assert_uint_eq(whole->n, 16);
	ck_assert_uint_eq(whole->frames[0], 16);
	ck_assert_uint_eq(part->n, 4);
	ck_assert_uint_eq(part->frames[0], 0);
}
END_TEST

/* Rounds: what the events of one ask for goes with the wait of the next. */
START_TEST(a_call_for_a_fault)
{
	uint32_t before;

	model_populate(&model, 0, 2048, true);
	arm(0);
	ck_assert_int_eq(usm_upcall_round(&engine, now), USM_UPCALL_QUIET);
	before = model.exchanges;
	for (uint32_t i = 0; i < 8; i++) {
		model_ask(&model, i, 1);
		ck_assert_int_eq(usm_upcall_round(&engine, now), USM_UPCALL_ROUND);
		ck_assert_uint_eq(model.askers[i].n, 0);
	}
	ck_assert_int_eq(usm_upcall_round(&engine, now), USM_UPCALL_QUIET);
	for (uint32_t i = 0; i < 8; i++)
		ck_assert_uint_eq(model.askers[i].frames[0], i);
	ck_assert_uint_eq(model.exchanges, before + 9);
}
END_TEST

/* Nobody is forgotten for whom there was nothing. */
START_TEST(they_wait_for_frames)
{
	const struct model_asker *first, *second;

	model_populate(&model, 0, 16, true);
	model_occupy(&model, 0, 16);
	model.limit = 16;
	arm(0);
	first = model_ask(&model, 1, 1);
	second = model_ask(&model, 2, 1);
	settle();
	ck_assert(first->pages && second->pages);
	model_free(&model, 3, 1);
	settle();
	ck_assert_uint_eq(first->n + second->n, 1);
	model_free(&model, 9, 1);
	settle();
	ck_assert_uint_eq(first->n + second->n, 2);
	ck_assert(!first->declined && !second->declined);
}
END_TEST

/* The table says more than the index believes: the next answer is another one. */
START_TEST(a_frame_that_is_gone)
{
	const struct model_asker *asker;

	model_populate(&model, 0, 64, true);
	model.limit = 64;
	arm(0);
	model_occupy(&model, 0, 1);
	asker = model_ask(&model, 1, 1);
	settle();
	ck_assert_uint_eq(model.refused, 1);
	ck_assert_uint_eq(asker->n, 1);
	ck_assert_uint_eq(asker->frames[0], 1);
}
END_TEST

START_TEST(events_that_were_lost)
{
	model_populate(&model, 0, 64, true);
	arm(0);
	for (uint32_t i = 0; i < 20; i++)
		model_ask(&model, i, 1);
	for (uint32_t i = 0; i < MODEL_EVENTS; i++)
		model_post(&model, &(struct usm_event){ .type = USM_EV_COW });
	model_ask(&model, 20, 1);
	settle();
	for (uint32_t i = 0; i < 21; i++)
		ck_assert_uint_eq(model.askers[i].n, 1);
}
END_TEST

static uint32_t no_answer(void *state, const struct usm_fault_request *request,
			  struct usm_run *runs, uint32_t capacity)
{
	return 0;
}

static uint32_t wrong_answer(void *state, const struct usm_fault_request *request,
			     struct usm_run *runs, uint32_t capacity)
{
	runs[0] = (struct usm_run){ .frame = 0, .count = request->frames + 1 };
	return 1;
}

/* All that the header promises, in two runs that are not in order. */
static uint32_t two_runs(void *state, const struct usm_fault_request *request,
			 struct usm_run *runs, uint32_t capacity)
{
	ck_assert_uint_eq(request->size, sizeof(*request));
	ck_assert_uint_eq(request->space, 1);
	ck_assert_uint_eq(request->page, 77);
	ck_assert_uint_eq(request->frames, 4);
	ck_assert_uint_eq(request->flags, USM_TOUCH_USER);
	ck_assert_uint_ge(capacity, 2);
	runs[0] = (struct usm_run){ .frame = 30, .count = 1 };
	runs[1] = (struct usm_run){ .frame = 10, .count = 3 };
	return 2;
}

START_TEST(what_policies_may_say)
{
	const struct model_asker *asker;

	model_populate(&model, 0, 64, true);
	arm(2);
	policy.fault = no_answer;
	asker = model_ask(&model, 1, 4);
	settle();
	ck_assert(asker->declined);
	ck_assert_uint_eq(engine.wrong, 0);
	policy.fault = wrong_answer;
	asker = model_ask(&model, 1, 4);
	settle();
	ck_assert(asker->declined);
	ck_assert_uint_eq(engine.wrong, 1);
	policy.fault = two_runs;
	asker = model_ask(&model, 77, 4);
	settle();
	ck_assert_uint_eq(asker->n, 4);
	ck_assert_uint_eq(asker->frames[0], 30);
	ck_assert_uint_eq(asker->frames[1], 10);
	ck_assert_uint_eq(asker->frames[3], 12);
}
END_TEST

/* In fallback nobody asks, and what was asked before is answered by nobody. */
START_TEST(not_in_fallback)
{
	model_populate(&model, 0, 64, true);
	arm(0);
	model_post(&model, &(struct usm_event){ .type = USM_EV_FALLBACK,
						.arg = USM_FALLBACK_DEADLINE });
	model_ask(&model, 1, 1);
	settle();
	ck_assert_uint_eq(model.askers[0].n, 0);
	ck_assert_int_eq(usm_upcall_round(&engine, now), USM_UPCALL_QUIET);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("upcall");
	TCase *tcase = tcase_create("upcall");
	int status;

	directory = support_policy_dir("../../policies");
	if (!directory)
		return TEST_SKIP;
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, each_fault_gets_the_lowest);
	tcase_add_test(tcase, a_run_for_an_order);
	tcase_add_test(tcase, a_call_for_a_fault);
	tcase_add_test(tcase, they_wait_for_frames);
	tcase_add_test(tcase, a_frame_that_is_gone);
	tcase_add_test(tcase, events_that_were_lost);
	tcase_add_test(tcase, what_policies_may_say);
	tcase_add_test(tcase, not_in_fallback);
	suite_add_tcase(suite, tcase);
	status = suite_run(suite);
	support_policy_dir_remove(directory);
	return status;
}

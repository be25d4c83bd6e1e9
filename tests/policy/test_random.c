// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The policy random, which tests programs, in the trusted runtime: that it evicts as much
 * as it says, all over, and only what can be; and what a policy's own asking for eviction
 * comes to.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "model.h"
#include "policy.h"
#include "storage.h"
#include "suite.h"
#include "support.h"
#include "vault.h"

#define FRAMES	400u
#define SLABS	64u
#define SECOND	1000000000ull

static char *directory;
static struct model model;
static struct usm_policy_object object;
static struct usm_parameters parameters;
static struct usm_engine engine;
static struct usm_vault vault;
static cJSON *annotation;
static int file;
static uint64_t now;

/* Three quarters of what it may have are mapped: memory is not short. */
static void begin(const char *text, bool with_store)
{
	now = SECOND;
	model_init(&model, 4 * FRAMES / 3 + 1, 1);
	model_evicts(&model);
	model_occupy(&model, 0, FRAMES);
	model_arm(&model);
	ck_assert_int_eq(usm_policy_load(&object, directory, "random", NULL), 0);
	annotation = cJSON_Parse(text);
	ck_assert_int_eq(usm_parameters_init(&parameters, annotation, NULL), 0);
	ck_assert_int_eq(usm_engine_init(&engine, &(struct usm_engine_setup){
		.mapping = &model.mapping,
		.policy = &object.policy,
		.parameters = &parameters,
		.ceiling = model.mapping.frames,
		.ops = &model_ops,
		.context = &model,
	}), 0);
	ck_assert_int_eq(usm_engine_begin(&engine, now, NULL), 0);
	ck_assert_int_eq(usm_vault_init(&vault, &model.mapping, &model.evicted), 0);
	file = storage_file(SLABS);
	if (with_store) {
		struct usm_store *store = storage_open(file, true, SLABS);

		store->ops->set_quota(store, UINT64_MAX);
		ck_assert_int_eq(usm_vault_add(&vault, store), 0);
	}
	usm_eviction_attach(&engine, &vault);
	ck_assert_uint_eq(usm_vault_recover(&vault), 0);
	usm_engine_reset(&engine, now);
}

static void teardown(void)
{
	ck_assert_uint_eq(engine.wrong, 0);
	usm_engine_done(&engine);
	usm_vault_done(&vault);
	usm_parameters_done(&parameters);
	usm_policy_unload(&object);
	cJSON_Delete(annotation);
	model_done(&model);
	close(file);
}

static void settle(void)
{
	const struct usm_ring *events = model.mapping.events.ring;
	int turns = 0;

	while (usm_engine_turn(&engine, now) == USM_ENGINE_MORE || events->head != events->tail)
		ck_assert_int_lt(++turns, 1000);
}

static void tick(uint64_t after)
{
	now += after;
	ck_assert_int_eq(usm_engine_tick(&engine, now), 0);
	settle();
}

static uint32_t evicted_between(uint32_t from, uint32_t to)
{
	uint32_t n = 0;

	for (uint32_t frame = from; frame < to; frame++)
		n += model_state(&model, frame) != USM_FRAME_MAPPED;
	return n;
}

/* So much of what is mapped, again and again, however late it is asked. */
START_TEST(test_rate)
{
	begin("{\"percent\":10}", true);
	settle();
	ck_assert_uint_eq(model.evictions, 0);
	tick(SECOND);
	ck_assert_uint_eq(model.evictions, FRAMES / 10);
	tick(SECOND);
	ck_assert_uint_eq(model.evictions, FRAMES / 10 + 36);
	tick(3 * SECOND);
	ck_assert_uint_eq(model.evictions, FRAMES / 10 + 36 + 98);
	/* All over, and not one part of it. */
	ck_assert_uint_eq(evicted_between(0, FRAMES), model.evictions);
	for (uint32_t part = 0; part < FRAMES; part += FRAMES / 4)
		ck_assert_uint_ge(evicted_between(part, part + FRAMES / 4), 20);
}
END_TEST

START_TEST(test_none)
{
	begin("{\"percent\":0}", true);
	for (int i = 0; i < 5; i++)
		tick(SECOND);
	ck_assert_uint_eq(model.evictions, 0);
}
END_TEST

/* Frames in use stay; it gives up until the next tick. */
START_TEST(test_pinned)
{
	begin("{}", true);
	model.pinned = UINT32_MAX;
	tick(SECOND);
	ck_assert_uint_eq(model.evictions, 0);
	model.pinned = 0;
	tick(SECOND);
	ck_assert_uint_eq(model.evictions, FRAMES / 4);
}
END_TEST

/* With nothing mapped there is nobody to name, and the wish is forgotten. */
START_TEST(test_nothing)
{
	const struct usm_host *host = &engine.runtime.host;

	begin("{\"percent\":100}", true);
	model_free(&model, 0, FRAMES);
	settle();
	ck_assert_int_eq(host->evict(host, 10), 0);
	settle();
	ck_assert_uint_eq(model.evictions, 0);
	ck_assert_uint_eq(engine.runtime.evict, 0);
}
END_TEST

/* What is left of a wish ends with the next one, and with the arming. */
START_TEST(test_asked)
{
	const struct usm_host *host = &engine.runtime.host;

	begin("{}", true);
	ck_assert_int_eq(host->evict(host, 100), 0);
	ck_assert_int_eq(usm_engine_turn(&engine, now), USM_ENGINE_MORE);
	ck_assert_uint_eq(model.evictions, USM_VAULT_BATCH);
	ck_assert_int_eq(host->evict(host, 5), 0);
	settle();
	ck_assert_uint_eq(model.evictions, USM_VAULT_BATCH + 5);
	ck_assert_int_eq(host->evict(host, 100), 0);
	ck_assert_int_eq(host->evict(host, 0), 0);
	settle();
	ck_assert_uint_eq(model.evictions, USM_VAULT_BATCH + 5);
	ck_assert_int_eq(host->evict(host, 100), 0);
	model_arm(&model);
	usm_engine_reset(&engine, now);
	settle();
	ck_assert_uint_eq(model.evictions, USM_VAULT_BATCH + 5);
}
END_TEST

START_TEST(test_no_store)
{
	const struct usm_host *host = &engine.runtime.host;

	begin("{}", false);
	ck_assert_int_eq(host->evict(host, 10), -EOPNOTSUPP);
	tick(SECOND);
	ck_assert_uint_eq(model.evictions, 0);
}
END_TEST

/* While pages come back, what is free is for them: nothing is zeroed ahead. */
START_TEST(test_returns)
{
	const struct usm_host *host = &engine.runtime.host;
	uint32_t zeroed;

	begin("{}", true);
	ck_assert_int_eq(host->evict(host, 64), 0);
	settle();
	zeroed = model.zeroed;
	ck_assert_uint_gt(zeroed, 0);

	/* Two turns, so that one that is evicting is not what keeps it from zeroing. */
	ck_assert_int_eq(host->evict(host, 32), 0);
	model_touch(&model, 0);
	settle();
	ck_assert_uint_eq(model.refaults, 1);
	now += USM_EVICTION_RETURNS_NS - 1;
	settle();
	ck_assert_uint_gt(engine.index.dirty.count, 0);
	ck_assert_uint_eq(model.zeroed, zeroed);
	now++;
	settle();
	ck_assert_uint_gt(model.zeroed, zeroed);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("random");
	TCase *tcase = tcase_create("random");
	int r;

	directory = support_policy_dir("random");
	if (!directory)
		return TEST_SKIP;
	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, test_rate);
	tcase_add_test(tcase, test_none);
	tcase_add_test(tcase, test_pinned);
	tcase_add_test(tcase, test_nothing);
	tcase_add_test(tcase, test_asked);
	tcase_add_test(tcase, test_no_store);
	tcase_add_test(tcase, test_returns);
	suite_add_tcase(suite, tcase);
	r = suite_run(suite);
	support_policy_dir_remove(directory);
	return r;
}

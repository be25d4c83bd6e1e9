// SPDX-License-Identifier: GPL-2.0-or-later
/* Policies that mean harm, or were built badly: what each of them comes to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "json.h"
#include "model.h"
#include "policy.h"
#include "rehearsal.h"
#include "suite.h"
#include "support.h"

static char *directory;
static struct model model;

static void setup(void)
{
	model_init(&model, 4096, 2);
	model_occupy(&model, 0, 100);
	model_populate(&model, 100, 900, true);
}

static void teardown(void)
{
	model_done(&model);
}

static int rehearse(const char *policy, const cJSON *parameters, bool upcall,
		    struct usm_error *err)
{
	return usm_rehearsal_run(&(struct usm_rehearsal){
		.mapping = &model.mapping,
		.directory = directory,
		.policy = policy,
		.parameters = parameters,
		.fault_order = 4,
		.ceiling = model.mapping.frames,
		.upcall = upcall,
		.seconds = strcmp(policy, "hang") ? 20 : 1,
	}, err);
}

static const struct {
	const char *policy;
	const char *parameters;
	int error;
	const char *says;	/* part of the sentence */
} cases[] = {
	{ "crash", NULL, EPROTO, "crashed in its rehearsal (SIGSEGV)" },
	{ "constructor", NULL, EPROTO, "crashed in its rehearsal (SIGABRT)" },
	{ "hang", NULL, EPROTO, "not done with its rehearsal after 1 seconds" },
	{ "quit", NULL, EPROTO, "ended the process" },
	{ "refuse", NULL, EPROTO, "refused to begin: Operation not supported" },
	{ "abi", NULL, ENOEXEC, "built for policy ABI 2, this is 1" },
	{ "short", NULL, ENOEXEC, "fewer than" },
	{ "old", NULL, 0, NULL },
	{ "nameless", NULL, ENOEXEC, "says that its name is \"firstfit-and-more" },
	{ "empty", NULL, ENOEXEC, "has no symbol usm_policy" },
	{ "absent", NULL, ENOENT, "there is no policy absent.so in /" },
	{ "", NULL, EINVAL, "not a name of a policy" },
	{ "../liar", NULL, EINVAL, "not a name of a policy" },
	{ "/etc/passwd", NULL, EINVAL, "not a name of a policy" },
	{ "Liar", NULL, EINVAL, "not a name of a policy" },
	{ "a23456789012345678901234567890123", NULL, EINVAL, "not a name of a policy" },

	{ "liar", "{\"lie\":\"truth\"}", 0, NULL },
	{ "liar", "{\"lie\":\"idle\"}", EPROTO, "supplied nothing" },
	{ "liar", "{\"lie\":\"range\"}", EPROTO, "frame 4095 starts a run beyond the end" },
	{ "liar", "{\"lie\":\"wrap\"}", EPROTO, "beyond the end of the frame table" },
	{ "liar", "{\"lie\":\"twice\"}", EPROTO, "run 1, frame 100 is in the answer twice" },
	{ "liar", "{\"lie\":\"used\"}", EPROTO, "run 0, frame 0 is not free" },
	{ "liar", "{\"lie\":\"nothing\"}", EPROTO, "no frame or of more than 512" },
	{ "liar", "{\"lie\":\"long\"}", EPROTO, "no frame or of more than 512" },
	{ "liar", "{\"lie\":\"greedy\"}", EPROTO, "more frames than were asked for" },
	{ "liar", "{\"lie\":\"many\"}", EPROTO, "65 runs, more than there was room for" },
	{ "liar", "{\"lie\":\"range\",\"from\":3}", EPROTO, "beyond the end" },

	{ "elder", NULL, 0, NULL },
	{ "butcher", NULL, 0, NULL },
	{ "butcher", "{\"lie\":\"range\"}", EPROTO, "run 1, frame 4096 starts a run beyond the end" },
	{ "butcher", "{\"lie\":\"wrap\"}", EPROTO, "beyond the end of the frame table" },
	{ "butcher", "{\"lie\":\"twice\"}", EPROTO, "run 1, frame 0 is in the answer twice" },
	{ "butcher", "{\"lie\":\"nothing\"}", EPROTO, "no frame or of more than 512" },
	{ "butcher", "{\"lie\":\"greedy\"}", EPROTO, "more frames than were asked for" },
	{ "butcher", "{\"lie\":\"many\"}", EPROTO, "65 runs, more than there was room for" },
	{ "butcher", "{\"lie\":\"crash\"}", EPROTO, "crashed in its rehearsal (SIGABRT)" },
	{ "butcher", "{\"lie\":\"crash when sampled\"}", EPROTO, "crashed in its rehearsal (SIGABRT)" },

	{ "liar", "{\"lei\":\"range\"}", EINVAL, "knows no parameter \"lei\"" },
	{ "liar", "{\"lie\":3}", EINVAL, "parameter \"lie\" must be a string" },
	{ "liar", "{\"from\":-1}", EINVAL, "whole number from 0 to 1073741824" },
	{ "liar", "{\"from\":1.5}", EINVAL, "whole number from 0 to 1073741824" },
	{ "liar", "{\"from\":true}", EINVAL, "whole number from 0 to 1073741824" },
};

START_TEST(comes_to_what_it_deserves)
{
	cleanup_json cJSON *parameters = cJSON_Parse(cases[_i].parameters ?: "{}");
	cleanup_error struct usm_error err = {};
	int r = rehearse(cases[_i].policy, parameters, false, &err);

	ck_assert_msg(r == -cases[_i].error, "%s %s: %d: %s", cases[_i].policy,
		      cases[_i].parameters ?: "", r, usm_error_message(&err));
	if (cases[_i].says)
		ck_assert_msg(strstr(usm_error_message(&err), cases[_i].says) != NULL,
			      "%s", usm_error_message(&err));
	else
		ck_assert(!usm_error_is_set(&err));

	/* The rehearsal must leave the container as it found it. */
	ck_assert_uint_eq(model_count(&model, USM_FRAME_FREE), 900);
	ck_assert_uint_eq(model.grows + model.zeroed + model.kicks, 0);
}
END_TEST

static const struct {
	const char *policy;
	const char *lie;
	const char *says;	/* NULL: it may serve */
} upcalls[] = {
	{ "old", "", "policy old has no fault(): it cannot serve with fault.mode=upcall" },
	{ "elder", "", "has no fault()" },
	{ "liar", "truth", NULL },
	{ "liar", "idle", "supplied nothing" },
	{ "liar", "range", "beyond the end of the frame table" },
	{ "liar", "wrap", "beyond the end of the frame table" },
	{ "liar", "twice", "is in the answer twice" },
	{ "liar", "used", "is not free" },
	{ "liar", "nothing", "no frame or of more than 512" },
	{ "liar", "long", "no frame or of more than 512" },
	{ "liar", "greedy", "more frames than were asked for" },
	{ "liar", "many", "9 runs, more than there was room for" },
};

/* The same where each fault asks. */
START_TEST(has_a_rehearsal_of_faults)
{
	cleanup_json cJSON *parameters = cJSON_CreateObject();
	cleanup_error struct usm_error err = {};
	int r;

	if (*upcalls[_i].lie)
		cJSON_AddStringToObject(parameters, "lie", upcalls[_i].lie);
	r = rehearse(upcalls[_i].policy, parameters, true, &err);
	ck_assert_msg(r == (upcalls[_i].says ? -EPROTO : 0), "%s %s: %d: %s", upcalls[_i].policy,
		      upcalls[_i].lie, r, usm_error_message(&err));
	if (upcalls[_i].says)
		ck_assert_msg(strstr(usm_error_message(&err), upcalls[_i].says) != NULL, "%s",
			      usm_error_message(&err));
	ck_assert_uint_eq(model_count(&model, USM_FRAME_FREE), 900);
}
END_TEST

/* Everything on the path to the code must be root's alone to write. */
START_TEST(others_could_have_written_it)
{
	cleanup_error struct usm_error err = {};
	cleanup_free char *file = NULL, *link = NULL;

	ck_assert(asprintf(&file, "%s/old.so", directory) > 0);
	ck_assert(asprintf(&link, "%s/linked.so", directory) > 0);

	ck_assert_int_eq(chmod(file, 0666), 0);
	ck_assert_int_eq(rehearse("old", NULL, false, &err), -EPERM);
	ck_assert_int_eq(chmod(file, 0664), 0);
	ck_assert_int_eq(rehearse("old", NULL, false, &err), -EPERM);
	ck_assert_int_eq(chmod(file, 0644), 0);
	ck_assert_int_eq(rehearse("old", NULL, false, &err), 0);

	ck_assert_int_eq(chown(file, 1, 0), 0);
	ck_assert_int_eq(rehearse("old", NULL, false, &err), -EPERM);
	ck_assert_ptr_nonnull(strstr(usm_error_message(&err), "does not belong to root"));
	ck_assert_int_eq(chown(file, 0, 0), 0);

	ck_assert_int_eq(chmod(directory, 0777), 0);
	ck_assert_int_eq(rehearse("old", NULL, false, &err), -EPERM);
	ck_assert_int_eq(chmod(directory, 0755), 0);

	ck_assert_int_eq(symlink("old.so", link), 0);
	ck_assert_int_eq(rehearse("linked", NULL, false, &err), -ELOOP);
	ck_assert_int_eq(unlink(link), 0);
}
END_TEST

/* It passes its rehearsal in no time and lies afterwards. */
START_TEST(lies_in_service)
{
	cleanup_policy struct usm_policy_object object = {};
	cleanup_json cJSON *parameters = cJSON_Parse("{\"lie\":\"twice\",\"from\":4}");
	cleanup_error struct usm_error err = {};
	struct usm_parameters read;
	struct usm_engine engine = {};
	uint32_t frames[16], served = 0;
	uint64_t now = 1;

	ck_assert_int_eq(usm_policy_load(&object, directory, "liar", &err), 0);
	ck_assert_int_eq(usm_parameters_init(&read, parameters, &err), 0);
	ck_assert_int_eq(usm_engine_init(&engine, &(struct usm_engine_setup){
		.mapping = &model.mapping,
		.policy = &object.policy,
		.parameters = &read,
		.fault_order = 4,
		.ceiling = model.mapping.frames,
		.ops = &model_ops,
		.context = &model,
	}), 0);
	ck_assert_int_eq(usm_engine_begin(&engine, now, &err), 0);
	usm_engine_reset(&engine, now);

	/* A wrong answer is dropped, and does not make the engine spin. */
	for (int i = 0; i < 100; i++) {
		int turns = 0;

		while (usm_engine_turn(&engine, ++now) == USM_ENGINE_MORE)
			ck_assert_int_lt(++turns, 1000);
		served += model_fault(&model, 0, 16, frames);
	}
	ck_assert_uint_gt(served, 0);
	ck_assert_uint_gt(engine.wrong, 0);
	ck_assert_uint_eq(engine.first_wrong.verdict, USM_ANSWER_TWICE);
	ck_assert_uint_eq(model.refused, 0);
	usm_engine_done(&engine);
	usm_parameters_done(&read);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hostile policies");
	TCase *tcase = tcase_create("hostile policies");
	int status;

	directory = support_policy_dir("hostile");
	if (!directory)
		return TEST_SKIP;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, comes_to_what_it_deserves, 0, sizeof(cases) / sizeof(*cases));
	tcase_add_loop_test(tcase, has_a_rehearsal_of_faults, 0,
			    sizeof(upcalls) / sizeof(*upcalls));
	tcase_add_test(tcase, others_could_have_written_it);
	tcase_add_test(tcase, lies_in_service);
	suite_add_tcase(suite, tcase);
	status = suite_run(suite);
	support_policy_dir_remove(directory);
	return status;
}

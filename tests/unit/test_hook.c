// SPDX-License-Identifier: GPL-2.0-or-later
/* What the hook reads: the state of a container, and a bundle's config.json. */
#include <string.h>
#include <sys/stat.h>

#include "input.h"
#include "state.h"
#include "suite.h"

static int parse(struct usm_state *state, const char *text, struct usm_error *err)
{
	return usm_state_parse(state, text, strlen(text), err);
}

START_TEST(state_complete)
{
	cleanup_state struct usm_state state = {};
	cleanup_free char *annotations = NULL;

	/* As crun 1.8 writes it, with annotations of others. */
	ck_assert_int_eq(parse(&state, "{\"ociVersion\":\"1.0\",\"id\":\"web\",\"pid\":42,\"root\":\"/r\","
			       "\"bundle\":\"/b\",\"created\":\"2026-01-01T00:00:00Z\",\"status\":\"created\","
			       "\"annotations\":{\"usm.policy\":\"firstfit\",\"org.other\":\"x\","
			       "\"usm.policy.required\":\"true\"}}\n", NULL), 0);
	ck_assert_str_eq(state.id, "web");
	ck_assert_str_eq(state.bundle, "/b");
	ck_assert_int_eq(state.pid, 42);
	annotations = usm_json_print(state.annotations);
	ck_assert_str_eq(annotations, "{\"usm.policy\":\"firstfit\",\"usm.policy.required\":\"true\"}");
}
END_TEST

START_TEST(state_sparse)
{
	cleanup_state struct usm_state state = {};

	ck_assert_int_eq(parse(&state, "{\"id\":\"web\"}", NULL), 0);
	ck_assert_int_eq(state.pid, 0);
	ck_assert_ptr_null(state.bundle);
	ck_assert_ptr_null(state.annotations);
	usm_state_clear(&state);
	ck_assert_int_eq(parse(&state, "{\"id\":\"web\",\"annotations\":null}", NULL), 0);
	ck_assert_ptr_null(state.annotations);
	usm_state_clear(&state);
	ck_assert_int_eq(parse(&state, "{\"id\":\"web\",\"annotations\":{}}", NULL), 0);
	ck_assert_ptr_nonnull(state.annotations);
}
END_TEST

static const struct {
	const char *text;
	const char *message;
} bad_states[] = {
	{ "", "the document at byte 0 is empty" },
	{ "[]", "the document must be a JSON object" },
	{ "{}", "\"id\" is missing" },
	{ "{\"id\":\"\"}", "\"id\" must not be empty" },
	{ "{\"id\":5}", "\"id\" must be a string" },
	{ "{\"id\":\"a\",\"pid\":\"5\"}", "\"pid\" must be an integer from 0 to 2^53" },
	{ "{\"id\":\"a\",\"pid\":-5}", "\"pid\" must be an integer from 0 to 2^53" },
	{ "{\"id\":\"a\",\"pid\":4294967296}", "\"pid\" must be a process id" },
	{ "{\"id\":\"a\",\"bundle\":null}", "\"bundle\" must be a string" },
	{ "{\"id\":\"a\",\"annotations\":[]}", "\"annotations\" must be an object" },
	{ "{\"id\":\"a\",\"annotations\":{\"usm.policy\":{}}}", "an annotation must be a string" },
	{ "{\"id\":\"a\",\"annotations\":{\"usm.policy\":\"x\\u0000y\"}}",
	  "/annotations/usm.policy at byte 40 has an escaped NUL" },
	{ "{\"id\":\"a\",\"annotations\":{\"usm.policy\":\"x\",\"usm.policy\":\"y\"}}",
	  "/annotations/usm.policy at byte 42 is a duplicate key, first given at byte 25" },
};

START_TEST(state_refused)
{
	struct usm_state state = {};
	cleanup_error struct usm_error err = {};

	ck_assert_int_lt(parse(&state, bad_states[_i].text, &err), 0);
	ck_assert_str_eq(err.message, bad_states[_i].message);
	ck_assert_ptr_null(state.id);
}
END_TEST

/* A value of any length must reach usmd as too long, and in valid UTF-8. */
START_TEST(state_cuts_values)
{
	cleanup_state struct usm_state state = {};
	cleanup_free char *text = NULL;
	const char *value;
	char *at;

	text = malloc(100000);
	at = stpcpy(text, "{\"id\":\"a\",\"annotations\":{\"usm.policy\":\"x");
	for (int i = 0; i < 30000; i++)
		at = stpcpy(at, "\xe2\x82\xac");
	strcpy(at, "\"}}");
	ck_assert_int_eq(parse(&state, text, NULL), 0);
	ck_assert_int_eq(usm_json_get_string(state.annotations, "usm.policy", &value, NULL), 0);
	ck_assert_uint_gt(strlen(value), 4096);
	ck_assert_uint_le(strlen(value), 4100);
	ck_assert_str_eq(value + strlen(value) - 3, "\xe2\x82\xac");
}
END_TEST

START_TEST(config_annotations)
{
	static const char with[] = "{\"process\":{},\"annotations\":{\"usm.policy\":\"a\",\"x\":\"y\"}}";
	static const char without[] = "{\"process\":{}}";
	cleanup_json cJSON *ours = NULL;
	cleanup_json cJSON *none = NULL;
	cleanup_free char *text = NULL;

	ck_assert_int_eq(usm_config_parse(with, strlen(with), &ours, NULL), 0);
	text = usm_json_print(ours);
	ck_assert_str_eq(text, "{\"usm.policy\":\"a\"}");
	ck_assert_int_eq(usm_config_parse(without, strlen(without), &none, NULL), 0);
	ck_assert_int_eq(cJSON_GetArraySize(none), 0);
	ck_assert_int_lt(usm_config_parse("[", 1, &none, NULL), 0);
}
END_TEST

START_TEST(input_ends)
{
	cleanup_error struct usm_error err = {};
	char *text = NULL;
	size_t length;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write(fds[1], "abc", 3), 3);
	/* The writer stays: the end must come from the clock. */
	ck_assert_int_eq(usm_input_read(fds[0], 100, usm_now_ms() + 50, &text, &length, &err),
			 -ETIMEDOUT);
	ck_assert_int_eq(write(fds[1], "12345", 5), 5);
	close(fds[1]);
	ck_assert_int_eq(usm_input_read(fds[0], 4, usm_now_ms() + 5000, &text, &length, &err),
			 -EMSGSIZE);
	ck_assert_ptr_null(text);
	close(fds[0]);

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write(fds[1], "abcd", 4), 4);
	close(fds[1]);
	ck_assert_int_eq(usm_input_read(fds[0], 4, usm_now_ms() + 5000, &text, &length, &err), 0);
	ck_assert_uint_eq(length, 4);
	ck_assert_mem_eq(text, "abcd", 4);
	free(text);
	close(fds[0]);
}
END_TEST

START_TEST(input_of_bundles)
{
	char bundle[] = "/tmp/usm-bundle-XXXXXX";
	cleanup_error struct usm_error err = {};
	cleanup_free char *path = NULL;
	char *text = NULL;
	size_t length;

	ck_assert_ptr_nonnull(mkdtemp(bundle));
	ck_assert_int_ge(asprintf(&path, "%s/config.json", bundle), 0);
	ck_assert_int_eq(usm_input_read_config(bundle, 100, usm_now_ms() + 5000, &text, &length, &err),
			 -ENOENT);
	/* A bundle is somebody else's: a FIFO there must not stop us. */
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(usm_input_read_config(bundle, 100, usm_now_ms() + 5000, &text, &length, &err),
			 -EINVAL);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink("/dev/zero", path), 0);
	ck_assert_int_eq(usm_input_read_config(bundle, 100, usm_now_ms() + 5000, &text, &length, &err),
			 -EINVAL);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(bundle), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hook");

	suite_add(suite, "state-complete", state_complete);
	suite_add(suite, "state-sparse", state_sparse);
	suite_add_rows(suite, "state-refused", state_refused, bad_states);
	suite_add(suite, "state-cuts-values", state_cuts_values);
	suite_add(suite, "config-annotations", config_annotations);
	suite_add(suite, "input-ends", input_ends);
	suite_add(suite, "input-of-bundles", input_of_bundles);
	return suite_run(suite);
}

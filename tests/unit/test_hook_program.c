// SPDX-License-Identifier: GPL-2.0-or-later
/* usm-oci-hook as it is installed: what it asks, and what it lets start. */
#include <string.h>

#include "cleanup.h"
#include "peer.h"
#include "suite.h"

#define STATE(annotations)						\
	"{\"ociVersion\":\"1.0\",\"id\":\"web\",\"pid\":42,\"bundle\":\"/b\",\"status\":\"created\"," \
	"\"annotations\":{" annotations "}}"
#define POLICY		"\"usm.policy\":\"firstfit memory=256M\""
#define REQUIRED	POLICY ",\"usm.policy.required\":\"true\""
#define OPTIONAL	POLICY ",\"usm.policy.required\":\"false\""

#define MANAGED		"{\"parameters\":{\"managed\":true,\"policy\":\"firstfit\",\"message\":\"ok\"}}"
#define UNMANAGED	"{\"parameters\":{\"managed\":false,\"policy\":null," \
			"\"message\":\"no such policy\"}}"
#define REFUSED		"{\"error\":\"org.usm.Refused\",\"parameters\":{\"message\":\"no memory\"}}"

#define RUNS		"; it runs unmanaged\n"
#define STAYS		"; it does not start, since usm.policy.required is true\n"
#define NO_POLICY	"usm-oci-hook: container web gets no policy: "

/* Run the hook against a peer; returns what was called. */
static char *hook(struct run *run, enum peer_manner manner, const char *reply, const char *state)
{
	struct peer peer;

	peer_start(&peer, manner, reply);
	run_text(run, state, "usm-oci-hook", "--timeout", "700", "--socket", peer.socket);
	return peer_stop(&peer);
}

START_TEST(binds)
{
	cleanup_run struct run run = {};
	cleanup_free char *calls = NULL;

	calls = hook(&run, PEER_ANSWERS, MANAGED, STATE("\"other\":\"x\"," REQUIRED));
	ck_assert_str_eq(run.err, "");
	ck_assert_str_eq(run.out, "");
	ck_assert_int_eq(run.status, 0);
	ck_assert_str_eq(calls, "{\"method\":\"org.usm.Bind\",\"parameters\":{\"id\":\"web\",\"pid\":42,"
				"\"bundle\":\"/b\",\"annotations\":{" REQUIRED "}}}");
}
END_TEST

static const struct {
	enum peer_manner manner;
	const char *reply;
	const char *state;
	int status;
	const char *message;	/* start of stderr ... */
	const char *outcome;	/* ... and its end */
} cases[] = {
	{ PEER_ANSWERS, UNMANAGED, STATE(POLICY), 0, NO_POLICY "no such policy", RUNS },
	{ PEER_ANSWERS, UNMANAGED, STATE(OPTIONAL), 0, NO_POLICY "no such policy", RUNS },
	{ PEER_ANSWERS, UNMANAGED, STATE(REQUIRED), 1, NO_POLICY "no such policy", STAYS },
	{ PEER_ANSWERS, REFUSED, STATE(POLICY), 0, NO_POLICY "no memory", RUNS },
	{ PEER_ANSWERS, REFUSED, STATE(REQUIRED), 1, NO_POLICY "no memory", STAYS },
	{ PEER_ANSWERS, "{\"error\":\"org.usm.Failed\"}", STATE(REQUIRED), 1,
	  NO_POLICY "org.usm.Failed", STAYS },
	{ PEER_ANSWERS, "{\"parameters\":{\"managed\":false}}", STATE(POLICY), 0,
	  NO_POLICY "usmd did not say why", RUNS },
	/* A typo must not keep a container down; it is said. */
	{ PEER_ANSWERS, UNMANAGED, STATE(POLICY ",\"usm.policy.required\":\"yes\""), 0,
	  "usm-oci-hook: ignoring usm.policy.required of container web: "
	  "must be \"true\" or \"false\", not \"yes\"\n", RUNS },
	/* The message of a peer is foreign text. */
	{ PEER_ANSWERS, "{\"error\":\"x\",\"parameters\":{\"message\":\"a\\u001b[2Jb\\nc\"}}", STATE(POLICY),
	  0, NO_POLICY "a\\x1b[2Jb\\x0ac", RUNS },

	{ PEER_IS_DEAD, NULL, STATE(POLICY), 0, NO_POLICY "usmd is not running", RUNS },
	{ PEER_IS_DEAD, NULL, STATE(REQUIRED), 1, NO_POLICY "usmd is not running", STAYS },
	{ PEER_NEVER_ACCEPTS, NULL, STATE(POLICY), 0, NO_POLICY "no answer from ", RUNS },
	{ PEER_NEVER_ACCEPTS, NULL, STATE(REQUIRED), 1, NO_POLICY "no answer from ", STAYS },
	{ PEER_IS_SILENT, NULL, STATE(POLICY), 0, NO_POLICY "no answer from ", RUNS },
	{ PEER_IS_SILENT, NULL, STATE(REQUIRED), 1, NO_POLICY "no answer from ", STAYS },
	{ PEER_DRIPS, NULL, STATE(REQUIRED), 1, NO_POLICY "no answer from ", STAYS },
	{ PEER_FLOODS, NULL, STATE(REQUIRED), 1, NO_POLICY "a message is longer", STAYS },
	{ PEER_CLOSES, NULL, STATE(POLICY), 0, NO_POLICY, RUNS },
	{ PEER_CLOSES, NULL, STATE(REQUIRED), 1, NO_POLICY, STAYS },
	{ PEER_HANGS_UP, NULL, STATE(REQUIRED), 1, NO_POLICY, STAYS },
	{ PEER_SENDS_RAW, "{\"param", STATE(REQUIRED), 1, NO_POLICY, STAYS },
	{ PEER_ANSWERS, "garbage", STATE(POLICY), 0, NO_POLICY "the document at byte 0", RUNS },
	{ PEER_ANSWERS, "garbage", STATE(REQUIRED), 1, NO_POLICY "the document at byte 0", STAYS },
	{ PEER_ANSWERS, "{}", STATE(REQUIRED), 1,
	  NO_POLICY "usmd gave a strange answer: \"managed\" is missing", STAYS },
	{ PEER_ANSWERS, "{\"parameters\":{\"managed\":\"true\"}}", STATE(REQUIRED), 1,
	  NO_POLICY "usmd gave a strange answer: \"managed\" must be true or false", STAYS },

	/* The wrong stage: there is no process to bind. */
	{ PEER_ANSWERS, MANAGED, "{\"id\":\"web\",\"pid\":0,\"annotations\":{" POLICY "}}", 0,
	  NO_POLICY "it has no process yet", RUNS },
	{ PEER_ANSWERS, MANAGED, "{\"id\":\"web\",\"annotations\":{" REQUIRED "}}", 1,
	  NO_POLICY "it has no process yet", STAYS },
	{ PEER_ANSWERS, MANAGED, "{\"id\":\"web\",\"pid\":42}", 0,
	  NO_POLICY "the state has neither annotations nor a bundle", RUNS },
	{ PEER_ANSWERS, MANAGED, "{\"id\":\"web\",\"pid\":42,\"bundle\":\"/nonexistent\"}", 0,
	  NO_POLICY "cannot open /nonexistent/config.json: ", RUNS },
};

START_TEST(lets_start)
{
	cleanup_run struct run run = {};
	size_t length;

	free(hook(&run, cases[_i].manner, cases[_i].reply, cases[_i].state));
	ck_assert_str_eq(run.out, "");
	ck_assert_msg(!strncmp(run.err, cases[_i].message, strlen(cases[_i].message)), "%s", run.err);
	length = strlen(run.err);
	ck_assert_uint_gt(length, strlen(cases[_i].outcome));
	ck_assert_str_eq(run.err + length - strlen(cases[_i].outcome), cases[_i].outcome);
	ck_assert_int_eq(run.status, cases[_i].status);
	/* The timeout is 0.7 s; the rest is what a loaded machine takes. */
	ck_assert_int_lt(run.elapsed_ms, 8000);
}
END_TEST

/* Without our annotation it is none of our business, whatever usmd does. */
START_TEST(leaves_others_alone)
{
	cleanup_run struct run run = {};
	cleanup_free char *calls = NULL;

	calls = hook(&run, PEER_ANSWERS, REFUSED, STATE("\"usm.policy.required\":\"true\",\"x\":\"y\""));
	ck_assert_str_eq(calls, "");
	ck_assert_str_eq(run.err, "");
	ck_assert_int_eq(run.status, 0);
}
END_TEST

START_TEST(reads_the_bundle)
{
	char bundle[] = "/tmp/usm-bundle-XXXXXX";
	cleanup_free char *path = NULL, *state = NULL, *calls = NULL;
	cleanup_run struct run run = {};
	FILE *config;

	ck_assert_ptr_nonnull(mkdtemp(bundle));
	ck_assert_int_ge(asprintf(&path, "%s/config.json", bundle), 0);
	ck_assert_int_ge(asprintf(&state, "{\"id\":\"web\",\"pid\":42,\"bundle\":\"%s\"}", bundle), 0);
	config = fopen(path, "w");
	fputs("{\"ociVersion\":\"1.0\",\"annotations\":{" REQUIRED "}}", config);
	fclose(config);

	calls = hook(&run, PEER_ANSWERS, REFUSED, state);
	ck_assert_ptr_nonnull(strstr(calls, "\"annotations\":{" REQUIRED "}"));
	ck_assert_str_eq(run.err, NO_POLICY "no memory" STAYS);
	ck_assert_int_eq(run.status, 1);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(bundle), 0);
}
END_TEST

static const struct {
	const char *input;
	const char *message;
} garbage[] = {
	{ "", "the document at byte 0 is empty" },
	{ "hello", "the document at byte 0 has something that is no JSON value" },
	{ "{\"id\":\"web\"", "/id at byte 11 ends before a closing bracket" },
	{ "{}", "\"id\" is missing" },
	{ NULL, "the input did not end in time" },
};

START_TEST(refuses_garbage)
{
	static const char start[] = "usm-oci-hook: standard input is not the state of a container: ";
	const char *input = garbage[_i].input;
	cleanup_run struct run run = {};

	run_program(&run, input, input ? strlen(input) : 0, (const char *[]){
		"usm-oci-hook", "--timeout", "300", "--socket", "/nonexistent", NULL });
	ck_assert_int_eq(strncmp(run.err, start, strlen(start)), 0);
	ck_assert_ptr_nonnull(strstr(run.err, garbage[_i].message));
	ck_assert_int_eq(run.status, 1);
	ck_assert_int_lt(run.elapsed_ms, 8000);
}
END_TEST

START_TEST(refuses_misuse)
{
	cleanup_run struct run option = {}, timeout = {};

	run_text(&option, "", "usm-oci-hook", "--frob");
	ck_assert_int_eq(option.status, 1);
	run_text(&timeout, "", "usm-oci-hook", "--timeout", "10s");
	ck_assert_int_eq(timeout.status, 1);
	ck_assert_str_eq(timeout.err, "usm-oci-hook: \"10s\" is not a number of milliseconds from 1 "
				      "to 600000\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hook-program");

	suite_add(suite, "binds", binds);
	suite_add_rows(suite, "lets-start", lets_start, cases);
	suite_add(suite, "leaves-others-alone", leaves_others_alone);
	suite_add(suite, "reads-the-bundle", reads_the_bundle);
	suite_add_rows(suite, "refuses-garbage", refuses_garbage, garbage);
	suite_add(suite, "refuses-misuse", refuses_misuse);
	return suite_run(suite);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* usmctl as it is installed, against peers of all manners. */
#include <string.h>

#include "cleanup.h"
#include "peer.h"
#include "suite.h"

#define ID	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

#define SUMMARY								\
	"\"container\":\"" ID "\",\"name\":\"web\",\"late\":true,"		\
	"\"cgroup\":\"/machine.slice/libpod-x.scope/container\","		\
	"\"policy\":\"firstfit\",\"state\":\"armed\",\"fallback_reason\":\"\"," \
	"\"instance_pid\":4242,\"instance_restarts\":1,\"frames\":16384,\"frames_free\":1024," \
	"\"ceiling\":65536,\"resident_adopted\":15000,\"resident_other_kib\":512,\"faults\":1200," \
	"\"fault_pages\":15500,\"faults_saved\":14300,\"fallbacks\":2,\"deadlines\":1"

#define STATUS								\
	"{\"version\":\"1.2\",\"module\":{\"version\":\"1.1\",\"abi\":1,\"state\":\"live\"}," \
	"\"containers\":[{" SUMMARY "},{\"container\":\"go\\u001b[31mb\",\"state\":\"fallback\"}]}"

#define SHOW								\
	"{" SUMMARY ",\"stat\":{\"frames_zeroed\":512,\"frames_shared\":3,\"fault_order\":4," \
	"\"upcalls\":1100,\"declined\":2," \
	"\"faults_by_order\":[200,0,0,0,1000,0,0,0,0,0],\"fallback_pages\":7,\"refused\":0," \
	"\"limits\":0,\"events_lost\":0,\"broken\":0,\"sigbus\":0,\"oom_kills\":0}," \
	"\"supply\":{\"rings\":2,\"supplied\":15500,\"stolen\":12,\"waits\":4,\"zeroed_ahead\":15000," \
	"\"zeroed_in_fault\":500},\"fault_mode\":\"upcall\"," \
	"\"annotation\":\"firstfit memory=256M\",\"domain\":\"9124\"," \
	"\"processes\":3}"

#define REPLY(parameters)	"{\"parameters\":" parameters "}"

START_TEST(helps)
{
	cleanup_run struct run all = {}, one = {}, version = {};

	run_text(&all, "", "usmctl", "--help");
	ck_assert_int_eq(all.status, 0);
	ck_assert_ptr_nonnull(strstr(all.out, "  status  "));
	ck_assert_ptr_nonnull(strstr(all.out, "  show CONTAINER  "));
	ck_assert_ptr_nonnull(strstr(all.out, "  check ANNOTATION  "));
	run_text(&one, "", "usmctl", "check", "-h");
	ck_assert_int_eq(one.status, 0);
	ck_assert_ptr_nonnull(strstr(one.out, "usage: usmctl [OPTION...] check ANNOTATION\n"));
	run_text(&version, "", "usmctl", "--version");
	ck_assert_int_eq(version.status, 0);
	ck_assert_int_eq(strncmp(version.out, "usmctl ", 7), 0);
}
END_TEST

static const struct {
	const char *arguments[4];
	const char *message;
} misused[] = {
	{ { }, "usmctl: a command is missing; see usmctl --help\n" },
	{ { "list" }, "usmctl: \"list\" is not a command; see usmctl --help\n" },
	{ { "show" }, "usmctl: CONTAINER is missing; see usmctl --help\n" },
	{ { "check" }, "usmctl: ANNOTATION is missing; see usmctl --help\n" },
	{ { "status", "x" }, "usmctl: \"x\" is one argument too many; see usmctl --help\n" },
	{ { "show", "x", "y" }, "usmctl: \"y\" is one argument too many; see usmctl --help\n" },
	{ { "status", "--timeout", "0" },
	  "usmctl: \"0\" is not a number of seconds from 1 to 3600; see usmctl --help\n" },
	{ { "status", "--timeout", "1s" },
	  "usmctl: \"1s\" is not a number of seconds from 1 to 3600; see usmctl --help\n" },
	{ { "--frob" }, NULL },
};

START_TEST(refuses_misuse)
{
	const char *const *arguments = misused[_i].arguments;
	cleanup_run struct run run = {};

	run_text(&run, "", "usmctl", arguments[0], arguments[1], arguments[2], arguments[3]);
	ck_assert_int_eq(run.status, 2);
	ck_assert_str_eq(run.out, "");
	if (misused[_i].message)
		ck_assert_str_eq(run.err, misused[_i].message);
}
END_TEST

/* Run a command against a peer; returns what was called. */
static char *ask(struct run *run, enum peer_manner manner, const char *reply, const char *command,
		 const char *operand, const char *option)
{
	struct peer peer;
	const char *argv[10] = { "usmctl", "--socket", NULL, "--timeout", "1", command };
	int at = 6;

	peer_start(&peer, manner, reply);
	argv[2] = peer.socket;
	if (operand)
		argv[at++] = operand;
	if (option)
		argv[at++] = option;
	run_program(run, "", 0, argv);
	return peer_stop(&peer);
}

START_TEST(shows_status)
{
	cleanup_run struct run run = {};
	cleanup_free char *calls = ask(&run, PEER_ANSWERS, REPLY(STATUS), "status", NULL, NULL);

	ck_assert_str_eq(calls, "{\"method\":\"org.usm.Status\",\"parameters\":{}}");
	ck_assert_str_eq(run.err, "");
	ck_assert_int_eq(run.status, 0);
	ck_assert_str_eq(run.out,
		"usmd 1.2, module usm 1.1 (ABI 1): live\n"
		"\n"
		"CONTAINER     NAME  POLICY    STATE     ADOPTED  OTHER  FRAMES  CEILING  FAULTS  SAVED"
		"  FALLBACKS  INSTANCE\n"
		"0123456789ab  web   firstfit  armed       58.6M   512K     64M     256M    1200  14300"
		"          2      4242\n"
		"go\\x1b[31mb   -     -         fallback        -      -       -        -       -      -"
		"          -         -\n");
}
END_TEST

START_TEST(shows_status_otherwise)
{
	cleanup_run struct run json = {}, quiet = {}, none = {};

	free(ask(&json, PEER_ANSWERS, REPLY(STATUS), "status", NULL, "--json"));
	ck_assert_int_eq(json.status, 0);
	ck_assert_str_eq(json.out, STATUS "\n");
	free(ask(&quiet, PEER_ANSWERS, REPLY(STATUS), "status", NULL, "-q"));
	ck_assert_int_eq(quiet.status, 0);
	ck_assert_str_eq(quiet.out, ID "\ngo\\x1b[31mb\n");
	free(ask(&none, PEER_ANSWERS, REPLY("{\"containers\":[]}"), "status", NULL, NULL));
	ck_assert_int_eq(none.status, 0);
	ck_assert_str_eq(none.out, "usmd -, module usm - (ABI -): -\n"
				   "no container runs under a policy\n");
}
END_TEST

static const char *const show_lines[] = {
	"  container             " ID "\n",
	"  name                  web\n",
	"  bound late            what was mapped before is not adopted\n",
	"  policy                firstfit\n",
	"  state                 armed\n",
	"  instance              pid 4242, restarted 1 times\n",
	"  processes             3\n",
	"  ceiling               256M (65536 frames)\n",
	"  backed and charged    64M (16384 frames)\n",
	"  free                  4M (1024 frames)\n",
	"  free and zeroed       2M (512 frames)\n",
	"  resident adopted      58.6M\n",
	"  resident not adopted  512K\n",
	"  adopted share         99.2 %\n",
	"  fault mode            upcall\n",
	"  fault order           4 (up to 16 pages a fault)\n",
	"  faults that asked     1100\n",
	"  left to the module    2\n",
	"  faults                1200\n",
	"  pages mapped          15500\n",
	"  faults saved          14300\n",
	"  pages a fault  faults  saved at least\n",
	"  1                 200               0\n",
	"  16-31            1000           15000\n",
	"  rings                 2\n",
	"  faults that waited    4\n",
	"  fallbacks             2\n",
	"  deadlines missed      1\n",
};

START_TEST(shows_container)
{
	cleanup_run struct run run = {}, json = {};
	cleanup_free char *calls = ask(&run, PEER_ANSWERS, REPLY(SHOW), "show", "web", NULL);

	ck_assert_str_eq(calls,
			 "{\"method\":\"org.usm.Show\",\"parameters\":{\"container\":\"web\"}}");
	ck_assert_int_eq(run.status, 0);
	for (size_t i = 0; i < sizeof(show_lines) / sizeof(*show_lines); i++)
		ck_assert_msg(strstr(run.out, show_lines[i]), "%smissing in:\n%s", show_lines[i], run.out);
	free(ask(&json, PEER_ANSWERS, REPLY(SHOW), "show", "web", "--json"));
	ck_assert_str_eq(json.out, SHOW "\n");
}
END_TEST

START_TEST(passes_errors_on)
{
	cleanup_run struct run run = {}, bare = {};

	free(ask(&run, PEER_ANSWERS, "{\"error\":\"org.usm.NotFound\",\"parameters\":"
		 "{\"message\":\"no container \\u001b[1mweb\"}}", "show", "web", NULL));
	ck_assert_int_eq(run.status, 1);
	ck_assert_str_eq(run.out, "");
	ck_assert_str_eq(run.err, "usmctl: no container \\x1b[1mweb\n");
	free(ask(&bare, PEER_ANSWERS, "{\"error\":\"org.usm.Failed\"}", "show", "web", NULL));
	ck_assert_int_eq(bare.status, 1);
	ck_assert_str_eq(bare.err, "usmctl: org.usm.Failed\n");
}
END_TEST

static const struct {
	enum peer_manner manner;
	const char *reply;
	const char *message;	/* contained in stderr */
} bad_peers[] = {
	{ PEER_IS_DEAD, NULL, "usmctl: usmd is not running: nobody listens on /tmp/" },
	{ PEER_NEVER_ACCEPTS, NULL, "usmctl: no answer from /tmp/" },
	{ PEER_HANGS_UP, NULL, "usmctl: " },
	{ PEER_CLOSES, NULL, "was closed without an answer" },
	{ PEER_IS_SILENT, NULL, "usmctl: no answer from /tmp/" },
	{ PEER_DRIPS, NULL, "usmctl: no answer from /tmp/" },
	{ PEER_FLOODS, NULL, "usmctl: a message is longer than 4194304 bytes" },
	{ PEER_SENDS_RAW, "{\"parameters\":{", "was closed without an answer" },
	{ PEER_ANSWERS, "{\"parameters\":{", "usmctl: /parameters at byte 15 ends before" },
	{ PEER_ANSWERS, "HTTP/1.0 400 Bad Request\r\n\r\n", "usmctl: the document at byte 0 has" },
	{ PEER_ANSWERS, "", "usmctl: a message is empty" },
	{ PEER_ANSWERS, "[]", "usmctl: a message must be a JSON object" },
	{ PEER_ANSWERS, "{}", "usmctl: usmd answered without a list of containers" },
	{ PEER_ANSWERS, "{\"parameters\":{\"containers\":7}}", "without a list of containers" },
	{ PEER_ANSWERS, "{\"error\":{}}", "usmctl: \"error\" must be a string" },
};

START_TEST(survives_bad_peers)
{
	cleanup_run struct run run = {};

	free(ask(&run, bad_peers[_i].manner, bad_peers[_i].reply, "status", NULL, NULL));
	ck_assert_int_eq(run.status, 1);
	ck_assert_str_eq(run.out, "");
	ck_assert_msg(strstr(run.err, bad_peers[_i].message), "%s", run.err);
	/* The timeout is one second; the rest is what a loaded machine takes. */
	ck_assert_int_lt(run.elapsed_ms, 8000);
}
END_TEST

START_TEST(says_that_usmd_is_not_there)
{
	cleanup_run struct run run = {};

	run_text(&run, "", "usmctl", "status", "--socket", "/nonexistent/control");
	ck_assert_int_eq(run.status, 1);
	ck_assert_str_eq(run.err, "usmctl: usmd is not running: nobody listens on /nonexistent/control "
				  "(start it with: systemctl start usmd)\n");
}
END_TEST

/* Of a container of which something was evicted, and of none other. */
START_TEST(shows_evicted)
{
	cleanup_run struct run run = {}, none = {};

	free(ask(&run, PEER_ANSWERS, REPLY("{\"stat\":{},\"supply\":{},\"store\":{\"quota\":134217728,"
		 "\"used\":33554432,\"data\":30000000,\"pages\":24576,\"evicted\":24600,"
		 "\"evictions\":90000,\"refaults\":65000}}"), "show", "x", NULL));
	ck_assert_int_eq(run.status, 0);
	ck_assert_ptr_nonnull(strstr(run.out, "\nevicted\n"));
	ck_assert_ptr_nonnull(strstr(run.out, "  evicted now           96.1M\n"));
	ck_assert_ptr_nonnull(strstr(run.out, "  pages evicted         90000\n"));
	ck_assert_ptr_nonnull(strstr(run.out, "  pages that came back  65000\n"));
	ck_assert_ptr_nonnull(strstr(run.out, "  store                 32M\n"));
	ck_assert_ptr_nonnull(strstr(run.out, "  quota                 128M\n"));
	ck_assert_ptr_nonnull(strstr(run.out, "  compressed            3.0 to 1\n"));
	free(ask(&none, PEER_ANSWERS, REPLY("{\"stat\":{},\"supply\":{},\"store\":{\"quota\":1,"
		 "\"evictions\":0}}"), "show", "x", NULL));
	ck_assert_int_eq(none.status, 0);
	ck_assert_ptr_null(strstr(none.out, "\nevicted\n"));
}
END_TEST

/* What a peer leaves out or gets wrong is a dash, not a crash. */
START_TEST(shows_strange_members)
{
	cleanup_run struct run run = {};

	free(ask(&run, PEER_ANSWERS, REPLY("{\"container\":5,\"frames\":\"x\",\"frames_free\":-1,"
		 "\"instance_pid\":null,\"processes\":[1,2],\"stat\":{\"fault_order\":1e9,"
		 "\"faults_by_order\":[\"x\",1e300]},\"supply\":{\"rings\":[]}}"), "show", "x", NULL));
	ck_assert_int_eq(run.status, 0);
	ck_assert_ptr_nonnull(strstr(run.out, "  container             -\n"));
	ck_assert_ptr_nonnull(strstr(run.out, "  backed and charged    - (- frames)\n"));
	ck_assert_ptr_nonnull(strstr(run.out, "  processes             2\n"));
	ck_assert_ptr_nonnull(strstr(run.out, "  fault order           -\n"));
}
END_TEST

/* ------------------------------------------------------------------ check */

#define NORMAL	"{\"policy\":\"firstfit\",\"fault\":{\"order\":4,\"mode\":\"supply\"}," \
	"\"deadline\":200,\"parameters\":{}}"

START_TEST(checks)
{
	cleanup_run struct run text = {}, input = {}, json = {};

	run_text(&text, "", "usmctl", "check", "firstfit");
	ck_assert_int_eq(text.status, 0);
	ck_assert_str_eq(text.out, NORMAL "\n");
	run_text(&input, "{\"policy\":\"firstfit\"}\n", "usmctl", "check", "-");
	ck_assert_int_eq(input.status, 0);
	ck_assert_str_eq(input.out, NORMAL "\n");
	run_text(&json, "", "usmctl", "check", "firstfit", "--json");
	ck_assert_int_eq(json.status, 0);
	ck_assert_str_eq(json.out, "{\"valid\":true,\"annotation\":" NORMAL "}\n");
}
END_TEST

START_TEST(checks_and_refuses)
{
	cleanup_run struct run text = {}, json = {}, nul = {}, file = {}, directory = {};
	cleanup_free char *overlong = calloc(1, 5001);
	cleanup_run struct run too_long = {};

	run_text(&text, "", "usmctl", "check", "firstfit fault.order=12");
	ck_assert_int_eq(text.status, 1);
	ck_assert_str_eq(text.out, "");
	ck_assert_str_eq(text.err, "usmctl: /fault/order at byte 9 must be an integer from 0 to 9, "
				   "not 12\n");
	run_text(&json, "", "usmctl", "check", "--json", "firstfit fault.order=12");
	ck_assert_int_eq(json.status, 1);
	ck_assert_str_eq(json.out, "{\"valid\":false,\"pointer\":\"/fault/order\",\"offset\":9,"
				   "\"message\":\"/fault/order at byte 9 must be an integer from 0 to "
				   "9, not 12\"}\n");
	run_program(&nul, "firstfit\0", 9, (const char *[]){ "usmctl", "check", "-", NULL });
	ck_assert_int_eq(nul.status, 1);
	ck_assert_str_eq(nul.err, "usmctl: the document at byte 8 has a NUL byte\n");
	memset(overlong, ' ', 5000);
	run_text(&too_long, overlong, "usmctl", "check", "-");
	ck_assert_int_eq(too_long.status, 1);
	ck_assert_str_eq(too_long.err,
			 "usmctl: the document at byte 4096 goes on beyond the limit of 4096 bytes\n");
	run_text(&file, "", "usmctl", "check", "@/nonexistent");
	ck_assert_int_eq(file.status, 1);
	ck_assert_str_eq(file.err, "usmctl: cannot open /nonexistent: No such file or directory\n");
	run_text(&directory, "", "usmctl", "check", "@/");
	ck_assert_int_eq(directory.status, 1);
	ck_assert_str_eq(directory.err, "usmctl: cannot read /: Is a directory\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("usmctl");

	suite_add(suite, "helps", helps);
	suite_add_rows(suite, "refuses-misuse", refuses_misuse, misused);
	suite_add(suite, "shows-status", shows_status);
	suite_add(suite, "shows-status-otherwise", shows_status_otherwise);
	suite_add(suite, "shows-container", shows_container);
	suite_add(suite, "passes-errors-on", passes_errors_on);
	suite_add_rows(suite, "survives-bad-peers", survives_bad_peers, bad_peers);
	suite_add(suite, "says-that-usmd-is-not-there", says_that_usmd_is_not_there);
	suite_add(suite, "shows-evicted", shows_evicted);
	suite_add(suite, "shows-strange-members", shows_strange_members);
	suite_add(suite, "checks", checks);
	suite_add(suite, "checks-and-refuses", checks_and_refuses);
	return suite_run(suite);
}

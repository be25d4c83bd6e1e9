// SPDX-License-Identifier: GPL-2.0-or-later
/* The control socket with real peers, and handlers that answer now or later. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "json.h"
#include "scratch.h"
#include "suite.h"
#include "varlink.h"

static sd_event *event;
static struct usm_control *control;
static struct usm_control_call *later[4];
static unsigned int later_count, handled;

static void handler(struct usm_control_call *call, void *userdata)
{
	const char *method = usm_control_call_method(call);

	handled++;
	ck_assert_uint_eq(usm_control_call_uid(call), getuid());
	if (!strcmp(method, "Echo"))
		usm_control_reply(call, cJSON_Duplicate(usm_control_call_parameters(call), true));
	else if (!strcmp(method, "Fail"))
		usm_control_reply_error(call, USM_VARLINK_FAILED, "because of %d", 7);
	else
		later[later_count++] = call;
}

static int client(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, scratch_path("control"));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void settle(void)
{
	while (sd_event_run(event, 0) > 0)
		;
}

static void setup(void)
{
	later_count = handled = 0;
	ck_assert_int_ge(sd_event_new(&event), 0);
	ck_assert_int_eq(usm_control_new(&control, event, scratch_path("control"), handler, NULL,
					 NULL), 0);
}

static void teardown(void)
{
	usm_control_free(control);
	sd_event_unref(event);
	scratch_remove();
}

/* `text` with its NULs, `length` bytes of it. */
static void say(int fd, const char *text, size_t length)
{
	ck_assert_int_eq(send(fd, text, length, MSG_NOSIGNAL), (ssize_t)length);
	settle();
}

#define SAY(fd, text)	say(fd, text, sizeof(text))

/* What came back, with a bar for each NUL; "" if it was closed. */
static const char *hear(int fd)
{
	static char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n < 0)
		return "nothing";
	for (ssize_t i = 0; i < n; i++)
		if (!text[i])
			text[i] = '|';
	text[n] = '\0';
	return text;
}

static void answers(void)
{
	int fd = client();

	SAY(fd, "{\"method\":\"Echo\",\"parameters\":{\"a\":1}}");
	ck_assert_str_eq(hear(fd), "{\"parameters\":{\"a\":1}}|");
	SAY(fd, "{\"method\":\"Fail\"}");
	ck_assert_str_eq(hear(fd), "{\"error\":\"org.usm.Failed\",\"parameters\":"
				   "{\"message\":\"because of 7\"}}|");
	close(fd);
	settle();
}

START_TEST(test_answers)
{
	answers();
}
END_TEST

START_TEST(test_mode)
{
	struct stat st;

	ck_assert_int_eq(stat(scratch_path("control"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0660);
}
END_TEST

/* One byte at a time, and several calls at once: both are in order. */
START_TEST(test_pieces)
{
	static const char text[] = "{\"method\":\"Echo\"}\0{\"method\":\"Fail\"}\0{\"method\":\"Echo\"}";
	int fd = client();

	for (size_t i = 0; i < sizeof(text); i++)
		say(fd, text + i, 1);
	ck_assert_uint_eq(handled, 3);
	hear(fd);
	say(fd, text, sizeof(text));
	ck_assert_uint_eq(handled, 6);
	ck_assert_int_eq(strncmp(hear(fd), "{\"parameters\":{}}|{\"error\"", 26), 0);
	close(fd);
}
END_TEST

/* Thousands of calls in one go neither grow the stack nor starve others. */
START_TEST(test_many_calls)
{
	char text[65536 - 16];
	int fd = client(), other = client();
	size_t n = 0;

	while (n + 18 < sizeof(text)) {
		memcpy(text + n, "{\"method\":\"Echo\"}", 18);
		n += 18;
	}
	say(fd, text, n);
	SAY(other, "{\"method\":\"Fail\"}");
	ck_assert_int_eq(strncmp(hear(other), "{\"error\"", 8), 0);
	while (strcmp(hear(fd), "nothing"))
		settle();
	ck_assert_uint_eq(handled, n / 18 + 1);
	close(fd);
	close(other);
}
END_TEST

START_TEST(test_later)
{
	int fd = client(), other = client();

	SAY(fd, "{\"method\":\"Wait\"}\0{\"method\":\"Echo\"}");
	ck_assert_uint_eq(later_count, 1);
	/* It waits, and its next call with it; others do not. */
	ck_assert_uint_eq(handled, 1);
	ck_assert_str_eq(hear(fd), "nothing");
	SAY(other, "{\"method\":\"Echo\"}");
	ck_assert_str_eq(hear(other), "{\"parameters\":{}}|");

	usm_control_reply(later[0], cJSON_CreateObject());
	settle();
	ck_assert_str_eq(hear(fd), "{\"parameters\":{}}|{\"parameters\":{}}|");
	close(fd);
	close(other);
}
END_TEST

/* It hung up while its call was at work: the answer goes nowhere, quietly. */
START_TEST(test_gone_before_answer)
{
	int fd = client();

	SAY(fd, "{\"method\":\"Wait\"}");
	close(fd);
	settle();
	usm_control_reply(later[0], cJSON_CreateObject());
	settle();
}
END_TEST

/* It says nothing more but waits for its answer, as `socat` and `nc -N` do. */
START_TEST(test_half_closed)
{
	int fd = client();

	SAY(fd, "{\"method\":\"Wait\"}");
	shutdown(fd, SHUT_WR);
	settle();
	usm_control_reply(later[0], cJSON_CreateObject());
	settle();
	ck_assert_str_eq(hear(fd), "{\"parameters\":{}}|");
	ck_assert_str_eq(hear(fd), "");
	close(fd);
}
END_TEST

static const char *const bad[] = {
	"hello", "", "[]", "{}", "{\"method\":7}", "{\"method\":\"Echo\"} x",
	"{\"method\":\"Echo\",\"method\":\"Fail\"}", "{\"method\":\"Echo\",\"more\":true}",
};

START_TEST(test_bad_message)
{
	int fd = client();

	say(fd, bad[_i], strlen(bad[_i]) + 1);
	ck_assert_int_eq(strncmp(hear(fd), "{\"error\":\"org.usm.Failed\"", 25), 0);
	ck_assert_str_eq(hear(fd), "");
	ck_assert_uint_eq(handled, 0);
	close(fd);
}
END_TEST

START_TEST(test_too_long)
{
	char text[16384];
	int fd = client();
	ssize_t n;

	memset(text, ' ', sizeof(text));
	do {
		n = send(fd, text, sizeof(text), MSG_NOSIGNAL | MSG_DONTWAIT);
		settle();
	} while (n > 0);
	ck_assert_int_eq(errno, EPIPE);
	close(fd);
}
END_TEST

/* A socket that an earlier usmd left there is in nobody's way. */
START_TEST(test_replaces_old_socket)
{
	struct usm_control *second;

	ck_assert_int_eq(usm_control_new(&second, event, scratch_path("control"), handler, NULL,
					 NULL), 0);
	usm_control_free(control);
	control = second;
	answers();
}
END_TEST

/* More clients than are served at a time wait for their turn. */
START_TEST(test_many_clients)
{
	int fds[400];
	size_t n = sizeof(fds) / sizeof(fds[0]), heard = 0;

	for (size_t i = 0; i < n; i++) {
		fds[i] = client();
		SAY(fds[i], "{\"method\":\"Echo\"}");
	}
	for (size_t i = 0; i < n; i++) {
		settle();
		heard += !strcmp(hear(fds[i]), "{\"parameters\":{}}|");
		close(fds[i]);
	}
	ck_assert_uint_eq(heard, n);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test);
	suite_add_tcase(suite, tcase);
}

int main(void)
{
	Suite *suite = suite_create("control");
	TCase *rows = tcase_create("bad-message");

	add(suite, "answers", test_answers);
	add(suite, "mode", test_mode);
	add(suite, "pieces", test_pieces);
	add(suite, "many-calls", test_many_calls);
	add(suite, "later", test_later);
	add(suite, "gone-before-answer", test_gone_before_answer);
	add(suite, "half-closed", test_half_closed);
	add(suite, "too-long", test_too_long);
	add(suite, "replaces-old-socket", test_replaces_old_socket);
	add(suite, "many-clients", test_many_clients);
	tcase_add_checked_fixture(rows, setup, teardown);
	tcase_add_loop_test(rows, test_bad_message, 0, sizeof(bad) / sizeof(bad[0]));
	suite_add_tcase(suite, rows);
	return suite_run(suite);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The handshake with instances, over a real socket and a real descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "container.h"
#include "instance.h"
#include "log.h"
#include "scratch.h"
#include "suite.h"
#include "unit.h"

static sd_event *event;
static struct usm_instances *instances;
static uint64_t domain_of_us, armed_epoch;
static char failed_with[64];
static struct usm_store_report told_store;

static int identify(pid_t pid, uint64_t *domain)
{
	ck_assert_int_eq(pid, getpid());
	if (!domain_of_us)
		return -EPERM;
	*domain = domain_of_us;
	return 0;
}

static int hello(uint64_t domain, bool armed, int *domain_fd, cJSON **setup, void *userdata)
{
	if (domain == 13)
		return -ENOENT;
	if (armed)
		return 0;
	*setup = cJSON_CreateObject();
	cJSON_AddStringToObject(*setup, "domain", "7");
	*domain_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	return 0;
}

static void armed(uint64_t domain, uint64_t epoch, void *userdata)
{
	armed_epoch = epoch;
}

static void failed(uint64_t domain, const char *message, void *userdata)
{
	snprintf(failed_with, sizeof(failed_with), "%s", message);
}

static void store(uint64_t domain, const struct usm_store_report *report, void *userdata)
{
	told_store = *report;
}

static const struct usm_instance_callbacks callbacks = { hello, armed, failed, store };

static void setup(void)
{
	usm_log_limit(LOG_CRIT);
	domain_of_us = 7;
	armed_epoch = 0;
	failed_with[0] = '\0';
	ck_assert_int_ge(sd_event_new(&event), 0);
	ck_assert_int_eq(usm_instances_new(&instances, event, scratch_path("instance"), identify,
					   &callbacks, NULL, NULL), 0);
}

static void teardown(void)
{
	usm_instances_free(instances);
	sd_event_unref(event);
	scratch_remove();
}

static int peer(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	strcpy(address.sun_path, scratch_path("instance"));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	while (sd_event_run(event, 0) > 0)
		;
}

/* Length, 0 closed, -EAGAIN nothing; *passed is the descriptor that came or -1. */
static ssize_t hear(int fd, char text[256], int *passed)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec data = { text, 255 };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *rights = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;

	*passed = -1;
	if (rights)
		memcpy(passed, CMSG_DATA(rights), sizeof(int));
	if (n >= 0)
		text[n] = '\0';
	return n < 0 ? -errno : n;
}

static void is_closed(int fd)
{
	char text[256];
	int passed;
	ssize_t n = hear(fd, text, &passed);

	/* ECONNRESET: with something of ours unread */
	ck_assert(n == 0 || n == -ECONNRESET);
	close(fd);
}

START_TEST(test_setup)
{
	int fd = peer(), passed;
	char text[256];
	struct stat st;

	say(fd, "{\"hello\":true,\"domain\":\"7\",\"armed\":false}");
	ck_assert_int_gt(hear(fd, text, &passed), 0);
	ck_assert_str_eq(text, "{\"domain\":\"7\"}");
	ck_assert_int_ge(passed, 0);
	ck_assert_int_eq(fstat(passed, &st), 0);
	ck_assert(S_ISCHR(st.st_mode));
	ck_assert(usm_instance_is_connected(instances, 7));

	say(fd, "{\"state\":\"armed\",\"epoch\":3}");
	ck_assert_uint_eq(armed_epoch, 3);
	say(fd, "{\"state\":\"failed\",\"message\":\"no such policy\"}");
	ck_assert_str_eq(failed_with, "no such policy");
	say(fd, "{\"state\":\"store\",\"quota\":9,\"used\":8,\"data\":7,\"pages\":6}");
	ck_assert_uint_eq(told_store.quota, 9);
	ck_assert_uint_eq(told_store.used, 8);
	ck_assert_uint_eq(told_store.data, 7);
	ck_assert_uint_eq(told_store.pages, 6);
	/* of a later version */
	say(fd, "{\"state\":\"dreaming\",\"of\":\"sheep\"}");
	ck_assert(usm_instance_is_connected(instances, 7));
	close(passed);
	close(fd);
	while (sd_event_run(event, 0) > 0)
		;
	ck_assert(!usm_instance_is_connected(instances, 7));
}
END_TEST

/* usmd was restarted: it serves already and needs nothing. */
START_TEST(test_armed_already)
{
	int fd = peer(), passed;
	char text[256];

	say(fd, "{\"hello\":true,\"domain\":\"7\",\"armed\":true}");
	ck_assert_int_eq(hear(fd, text, &passed), -EAGAIN);
	ck_assert(usm_instance_is_connected(instances, 7));
	/* Nothing was to be sent, so nothing was to be closed. */
	ck_assert_int_ge(fcntl(STDIN_FILENO, F_GETFD), 0);
	usm_instance_disconnect(instances, 7);
	is_closed(fd);
}
END_TEST

START_TEST(test_second_replaces_first)
{
	int first = peer(), second, passed;
	char text[256];

	say(first, "{\"hello\":true,\"domain\":\"7\",\"armed\":true}");
	second = peer();
	say(second, "{\"hello\":true,\"domain\":\"7\",\"armed\":false}");
	is_closed(first);
	ck_assert_int_gt(hear(second, text, &passed), 0);
	close(passed);
	close(second);
}
END_TEST

START_TEST(test_stranger)
{
	int fd;

	domain_of_us = 0;
	fd = peer();
	while (sd_event_run(event, 0) > 0)
		;
	is_closed(fd);
}
END_TEST

static const char *const refused[] = {
	/* for another domain than its unit's */
	"{\"hello\":true,\"domain\":\"8\",\"armed\":false}",
	"{\"hello\":true,\"domain\":\"07\",\"armed\":false}",
	"{\"hello\":false,\"domain\":\"7\",\"armed\":false}",
	"{\"hello\":true,\"domain\":7,\"armed\":false}",
	"{\"hello\":true,\"domain\":\"7\"}",
	"{\"state\":\"armed\",\"epoch\":3}",
	"[]",
	"hello",
};

START_TEST(test_refused)
{
	int fd = peer();

	say(fd, refused[_i]);
	is_closed(fd);
	ck_assert_uint_eq(armed_epoch, 0);
}
END_TEST

START_TEST(test_unwanted)
{
	int fd;

	domain_of_us = 13;
	fd = peer();
	say(fd, "{\"hello\":true,\"domain\":\"13\",\"armed\":false}");
	is_closed(fd);
}
END_TEST

START_TEST(test_too_long)
{
	static char text[65536];
	int fd = peer();

	memset(text, ' ', sizeof(text) - 1);
	say(fd, text);
	is_closed(fd);
}
END_TEST

static const struct {
	const char *name;
	uint64_t domain;	/* 0: none of ours */
} units[] = {
	{ "usm-instance@7.service", 7 },
	{ "usm-instance@18446744073709551615.service", 18446744073709551615u },
	{ "usm-instance@18446744073709551616.service", 0 },
	{ "usm-instance@07.service", 0 },
	{ "usm-instance@0.service", 0 },
	{ "usm-instance@-7.service", 0 },
	{ "usm-instance@ 7.service", 0 },
	{ "usm-instance@.service", 0 },
	{ "usm-instance@7.scope", 0 },
	{ "usm-instance@7", 0 },
	{ "ssh.service", 0 },
	{ "", 0 },
};

START_TEST(test_unit_names)
{
	uint64_t domain = 0;

	ck_assert(usm_unit_domain(units[_i].name, &domain) == (units[_i].domain != 0));
	ck_assert_uint_eq(domain, units[_i].domain);
}
END_TEST

/* Whatever else this process may be, it is no instance. */
START_TEST(test_identify)
{
	uint64_t domain = 0;

	ck_assert_int_lt(usm_instance_identify(getpid(), &domain), 0);
	ck_assert_uint_eq(domain, 0);
}
END_TEST

static TCase *with_socket(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	suite_add_tcase(suite, tcase);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("instance");

	tcase_add_test(with_socket(suite, "setup"), test_setup);
	tcase_add_test(with_socket(suite, "armed-already"), test_armed_already);
	tcase_add_test(with_socket(suite, "second-replaces-first"), test_second_replaces_first);
	tcase_add_test(with_socket(suite, "stranger"), test_stranger);
	tcase_add_loop_test(with_socket(suite, "refused"), test_refused, 0,
			    sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(with_socket(suite, "unwanted"), test_unwanted);
	tcase_add_test(with_socket(suite, "too-long"), test_too_long);
	suite_add_rows(suite, "unit-names", test_unit_names, units);
	suite_add(suite, "identify", test_identify);
	return suite_run(suite);
}

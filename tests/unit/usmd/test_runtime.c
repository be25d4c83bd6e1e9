// SPDX-License-Identifier: GPL-2.0-or-later
/* Records as the runtimes write them, in a directory of the test's own. */
#include <errno.h>
#include <string.h>

#include "runtime.h"
#include "scratch.h"
#include "suite.h"

#define REQUEST		"{\\\"policy\\\":\\\"firstfit\\\"}"
#define REQUEST_PLAIN	"{\"policy\":\"firstfit\"}"
#define BUNDLE		"{\"ociVersion\":\"1.0.0\",\"linux\":{\"resources\":{\"memory\":"	\
			"{\"limit\":9223372036854771712}}},\"annotations\":{"			\
			"\"usm.policy\":\"" REQUEST "\",\"usm.policy.required\":\"true\"}}"

static struct usm_runtime_paths paths;
static const char *cgroup_of_42;

static char *cgroup_of(pid_t pid)
{
	errno = ESRCH;
	return pid == 42 && cgroup_of_42 ? strdup(cgroup_of_42) : NULL;
}

static void setup(void)
{
	paths = (struct usm_runtime_paths) {
		.crun = strdup(scratch_path("crun")),
		.podman = strdup(scratch_path("podman")),
		.podman_run = strdup(scratch_path("podman_run")),
		.containerd = strdup(scratch_path("containerd")),
		.docker = strdup(scratch_path("docker")),
	};
	cgroup_of_42 = NULL;
}

static void teardown(void)
{
	usm_runtime_paths_clear(&paths);
	scratch_remove();
}

static int find(const char *path, struct usm_runtime_container *c, struct usm_error *err)
{
	return usm_runtime_find(&paths, path, cgroup_of, c, err);
}

START_TEST(test_crun)
{
	struct usm_runtime_container c = {};

	scratch_write("crun/c1/status", "{\"pid\":42,\"cgroup-path\":\"/usmtest/c1\",\"scope\":null}");
	scratch_write("crun/c1/config.json", BUNDLE);
	cgroup_of_42 = "/usmtest/c1";
	ck_assert_int_eq(find("/usmtest/c1", &c, NULL), 1);
	ck_assert_str_eq(c.runtime, "crun");
	ck_assert_str_eq(c.id, "c1");
	ck_assert_int_eq(c.pid, 42);
	ck_assert_str_eq(c.annotation, REQUEST_PLAIN);
	ck_assert_str_eq(c.required, "true");
	ck_assert_ptr_null(c.name);
	usm_runtime_container_clear(&c);
}
END_TEST

START_TEST(test_crun_systemd)
{
	struct usm_runtime_container c = {};

	scratch_write("crun/c2/status", "{\"pid\":42}");
	scratch_write("crun/c2/config.json", "{\"annotations\":{\"a\":\"b\"}}");
	cgroup_of_42 = "/system.slice/usm-c2.scope/container";
	ck_assert_int_eq(find("/system.slice/usm-c2.scope", &c, NULL), 1);
	ck_assert_str_eq(c.id, "c2");
	ck_assert_ptr_null(c.annotation);
	usm_runtime_container_clear(&c);
}
END_TEST

/* Anybody with a delegated cgroup can call one like a container of root's. */
START_TEST(test_name_is_only_a_hint)
{
	struct usm_runtime_container c = {};

	scratch_write("crun/c1/status", "{\"pid\":42}");
	scratch_write("crun/c1/config.json", BUNDLE);
	cgroup_of_42 = "/usmtest/c1";
	ck_assert_int_eq(find("/user.slice/user-1000.slice/c1", &c, NULL), 0);
	cgroup_of_42 = "/usmtest/c10";
	ck_assert_int_eq(find("/usmtest/c1", &c, NULL), 0);
	/* its process is gone */
	cgroup_of_42 = NULL;
	ck_assert_int_eq(find("/usmtest/c1", &c, NULL), 0);
	ck_assert_ptr_null(c.id);
}
END_TEST

START_TEST(test_podman)
{
	struct usm_runtime_container c = {};

	scratch_write("podman_run/0a1b/userdata/pidfile", "42");
	scratch_write("podman/0a1b/userdata/config.json", BUNDLE);
	scratch_write("podman/containers.json",
		      "[{\"id\":\"ffff\",\"names\":[\"other\"]},{\"id\":\"0a1b\",\"names\":[\"web\"]}]");
	cgroup_of_42 = "/machine.slice/libpod-0a1b.scope/container";
	ck_assert_int_eq(find("/machine.slice/libpod-0a1b.scope", &c, NULL), 1);
	ck_assert_str_eq(c.runtime, "podman");
	ck_assert_str_eq(c.id, "0a1b");
	ck_assert_str_eq(c.name, "web");
	ck_assert_str_eq(c.annotation, REQUEST_PLAIN);
	usm_runtime_container_clear(&c);
}
END_TEST

START_TEST(test_containerd)
{
	struct usm_runtime_container c = {};

	scratch_mkdir("containerd/moby");
	scratch_write("containerd/k8s.io/ff/init.pid", "42");
	scratch_write("containerd/k8s.io/ff/config.json",
		      "{\"annotations\":{\"usm.policy\":\"firstfit memory=1G\","
		      "\"io.kubernetes.cri.container-name\":\"redis\"}}");
	cgroup_of_42 = "/k.slice/cri-containerd-ff.scope";
	ck_assert_int_eq(find("/k.slice/cri-containerd-ff.scope", &c, NULL), 1);
	ck_assert_str_eq(c.runtime, "containerd");
	ck_assert_str_eq(c.annotation, "firstfit memory=1G");
	ck_assert_str_eq(c.name, "redis");
	ck_assert_ptr_null(c.required);
	usm_runtime_container_clear(&c);
}
END_TEST

START_TEST(test_docker)
{
	struct usm_runtime_container c = {};

	scratch_write("docker/d1/config.v2.json",
		      "{\"State\":{\"Pid\":42},\"Name\":\"/web\",\"Config\":{\"Labels\":"
		      "{\"usm.policy\":\"firstfit\"}}}");
	cgroup_of_42 = "/system.slice/docker-d1.scope";
	ck_assert_int_eq(find("/system.slice/docker-d1.scope", &c, NULL), 1);
	ck_assert_str_eq(c.runtime, "docker");
	ck_assert_str_eq(c.name, "web");
	ck_assert_str_eq(c.annotation, "firstfit");
	usm_runtime_container_clear(&c);

	/* stopped */
	scratch_write("docker/d1/config.v2.json", "{\"State\":{\"Pid\":0},\"Name\":\"/web\"}");
	ck_assert_int_eq(find("/system.slice/docker-d1.scope", &c, NULL), 0);
}
END_TEST

START_TEST(test_none)
{
	struct usm_runtime_container c = {};

	ck_assert_int_eq(find("/system.slice/ssh.service", &c, NULL), 0);
	ck_assert_int_eq(find("/", &c, NULL), 0);
	ck_assert_int_eq(find("/a/..", &c, NULL), 0);
	ck_assert_int_eq(find("/a/x-..", &c, NULL), 0);
}
END_TEST

static const struct {
	const char *status, *config, *message;
} damaged[] = {
	{ "{\"pid\":", BUNDLE, "crun/c1/status is not JSON" },
	{ "{\"pid\":42}", "", "crun/c1/config.json is not JSON" },
	{ "{\"pid\":42}", "{\"annotations\":{\"usm.policy\":\"firstfit\\u0000evil\"}}",
	  "crun/c1/config.json holds a NUL" },
};

START_TEST(test_damaged)
{
	struct usm_runtime_container c = {};
	struct usm_error err = {};

	scratch_write("crun/c1/status", damaged[_i].status);
	scratch_write("crun/c1/config.json", damaged[_i].config);
	cgroup_of_42 = "/c1";
	ck_assert_int_eq(find("/c1", &c, &err), -EBADMSG);
	ck_assert_str_eq(usm_error_message(&err), scratch_path(damaged[_i].message));
	ck_assert_ptr_null(c.id);
	usm_error_clear(&err);
}
END_TEST

START_TEST(test_odd_types)
{
	struct usm_runtime_container c = {};

	scratch_write("crun/c1/status", "{\"pid\":\"42\"}");
	ck_assert_int_eq(find("/c1", &c, NULL), 0);
	scratch_write("crun/c1/status", "{\"pid\":42}");
	scratch_write("crun/c1/config.json", "{\"annotations\":[\"usm.policy\"]}");
	cgroup_of_42 = "/c1";
	ck_assert_int_eq(find("/c1", &c, NULL), 1);
	ck_assert_ptr_null(c.annotation);
	usm_runtime_container_clear(&c);
}
END_TEST

START_TEST(test_turned_off)
{
	struct usm_runtime_container c = {};

	scratch_write("crun/c1/status", "{\"pid\":42}");
	scratch_write("crun/c1/config.json", BUNDLE);
	cgroup_of_42 = "/c1";
	paths.crun[0] = '\0';
	ck_assert_int_eq(find("/c1", &c, NULL), 0);
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
	Suite *suite = suite_create("runtime");
	TCase *rows = tcase_create("damaged");

	add(suite, "crun", test_crun);
	add(suite, "crun-systemd", test_crun_systemd);
	add(suite, "name-is-only-a-hint", test_name_is_only_a_hint);
	add(suite, "podman", test_podman);
	add(suite, "containerd", test_containerd);
	add(suite, "docker", test_docker);
	add(suite, "none", test_none);
	add(suite, "odd-types", test_odd_types);
	add(suite, "turned-off", test_turned_off);
	tcase_add_checked_fixture(rows, setup, teardown);
	tcase_add_loop_test(rows, test_damaged, 0, sizeof(damaged) / sizeof(damaged[0]));
	suite_add_tcase(suite, rows);
	return suite_run(suite);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "cgpath.h"
#include "suite.h"

static const struct {
	const char *text;
	const char *path;	/* NULL: refused */
	int error;
} procs[] = {
	{ "0::/system.slice/docker-1.scope\n", "/system.slice/docker-1.scope", 0 },
	{ "0::/\n", "/", 0 },
	{ "0::/a", "/a", 0 },
	{ "12:memory:/v1\n1:name=systemd:/x\n0::/v2\n", "/v2", 0 },
	{ "0::/with:colon/..dots\n", "/with:colon/..dots", 0 },
	{ "12:memory:/v1\n", NULL, ENOENT },
	{ "", NULL, ENOENT },
	{ "10::/x\n", NULL, ENOENT },
	{ "0::/gone (deleted)\n", NULL, EINVAL },
	{ "0::/..\n", NULL, EINVAL },
	{ "0::/../other\n", NULL, EINVAL },
	{ "0::/a/../b\n", NULL, EINVAL },
};

START_TEST(test_from_proc)
{
	char *path = usm_cgpath_from_proc(procs[_i].text);
	int error = errno;

	if (procs[_i].path) {
		ck_assert_ptr_nonnull(path);
		ck_assert_str_eq(path, procs[_i].path);
	} else {
		ck_assert_ptr_null(path);
		ck_assert_int_eq(error, procs[_i].error);
	}
	free(path);
}
END_TEST

START_TEST(test_within)
{
	ck_assert(usm_cgpath_is_within("/a", "/"));
	ck_assert(usm_cgpath_is_within("/", "/"));
	ck_assert(usm_cgpath_is_within("/a/b", "/a"));
	ck_assert(usm_cgpath_is_within("/a", "/a"));
	ck_assert(!usm_cgpath_is_within("/ab", "/a"));
	ck_assert(!usm_cgpath_is_within("/a", "/a/b"));
}
END_TEST

START_TEST(test_up)
{
	char path[] = "/a/b";

	ck_assert(usm_cgpath_up(path));
	ck_assert_str_eq(path, "/a");
	ck_assert(usm_cgpath_up(path));
	ck_assert_str_eq(path, "/");
	ck_assert(!usm_cgpath_up(path));
	ck_assert_str_eq(usm_cgpath_last("/a/b"), "b");
	ck_assert_str_eq(usm_cgpath_last("/"), "");
}
END_TEST

static const struct {
	const char *path, *id, *own;
} owns[] = {
	{ "/usmtest/c1", "c1", "/usmtest/c1" },
	{ "/system.slice/usm-c2.scope/container", "c2", "/system.slice/usm-c2.scope" },
	{ "/machine.slice/libpod-0a1b.scope/container/init", "0a1b",
	  "/machine.slice/libpod-0a1b.scope" },
	{ "/k.slice/k-pod1.slice/cri-containerd-ff.scope", "ff",
	  "/k.slice/k-pod1.slice/cri-containerd-ff.scope" },
	{ "/system.slice/runtime:prefix:ff", "ff", "/system.slice/runtime:prefix:ff" },
	/* another container's, or merely alike */
	{ "/usmtest/c10", "c1", "" },
	{ "/usmtest/xc1", "c1", "" },
	{ "/usmtest", "c1", "" },
	{ "/", "c1", "" },
	{ "/a/b", "", "" },
};

START_TEST(test_own)
{
	size_t n = usm_cgpath_own_length(owns[_i].path, owns[_i].id);

	ck_assert_uint_eq(n, strlen(owns[_i].own));
	ck_assert_int_eq(strncmp(owns[_i].path, owns[_i].own, n), 0);
}
END_TEST

struct wanted {
	const char *id;
	unsigned int tries;
};

static int compare(const char *id, void *userdata)
{
	struct wanted *wanted = userdata;

	wanted->tries++;
	return !strcmp(id, wanted->id);
}

static const struct {
	const char *name, *id;
} names[] = {
	{ "c1", "c1" },
	{ "my-own-name", "my-own-name" },
	{ "libpod-0a1b.scope", "0a1b" },
	{ "libpod-payload-0a1b", "0a1b" },
	{ "docker-ff.scope", "ff" },
	{ "cri-containerd-ff.scope", "ff" },
	{ "cri-containerd:ff", "ff" },
	{ "usm-c2.scope", "c2" },
	{ "usm-my-own.scope", "my-own" },
	{ "odd.scope", "odd" },
};

START_TEST(test_candidates)
{
	struct wanted wanted = { .id = names[_i].id };

	ck_assert_int_eq(usm_cgpath_candidates(names[_i].name, compare, &wanted), 1);
}
END_TEST

START_TEST(test_candidates_bounded)
{
	struct wanted wanted = { .id = "never" };

	ck_assert_int_eq(usm_cgpath_candidates("------------------------x", compare, &wanted), 0);
	ck_assert_uint_le(wanted.tries, 10);
	ck_assert_int_eq(usm_cgpath_candidates("", compare, &wanted), 0);
	ck_assert_int_eq(usm_cgpath_candidates(".scope", compare, &wanted), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cgpath");

	suite_add_rows(suite, "from-proc", test_from_proc, procs);
	suite_add(suite, "within", test_within);
	suite_add(suite, "up", test_up);
	suite_add_rows(suite, "own", test_own, owns);
	suite_add_rows(suite, "candidates", test_candidates, names);
	suite_add(suite, "candidates-bounded", test_candidates_bounded);
	return suite_run(suite);
}

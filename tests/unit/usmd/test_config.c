// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "budget.h"
#include "config.h"
#include "suite.h"

static int read_text(struct usm_config *config, const char *text, struct usm_error *err)
{
	FILE *in = fmemopen((void *)text, strlen(text), "r");
	int r;

	ck_assert_ptr_nonnull(in);
	r = usm_config_read(config, in, "usmd.conf", err);
	fclose(in);
	return r;
}

START_TEST(test_defaults)
{
	struct usm_config config = {};

	ck_assert_int_eq(usm_config_load(&config, "/nonexistent/usmd.conf", NULL), 0);
	ck_assert(!config.has_reserve);
	ck_assert_uint_eq(config.max_containers, 1024);
	ck_assert_uint_eq(config.max_memory, USM_BUDGET_UNLIMITED);
	ck_assert_uint_eq(config.max_store, USM_BUDGET_UNLIMITED);
	ck_assert(usm_config_allows(&config, "whatever"));
	ck_assert_str_eq(config.runtimes.crun, "/run/crun");
	usm_config_clear(&config);
}
END_TEST

START_TEST(test_all_keys)
{
	struct usm_config config = {};

	ck_assert_int_eq(read_text(&config,
		"# a comment\n"
		"; another\n"
		"\n"
		"[limits]\n"
		"reserve = 32M\n"
		"  max_containers=7\n"
		"max_memory_per_container\t=\t2G\n"
		"max_store_per_container = 0\n"
		"allow_upcall = no\n"
		"allowed_policies = firstfit  other-one\n"
		"[runtimes]\n"
		"crun = /x/crun\n"
		"podman =\n"
		"podman_run = /x/run\n"
		"containerd = /x/containerd\n"
		"docker = /x/docker", NULL), 0);
	ck_assert(config.has_reserve);
	ck_assert_uint_eq(config.reserve, 32u << 20);
	ck_assert_uint_eq(config.max_containers, 7);
	ck_assert_uint_eq(config.max_memory, UINT64_C(2) << 30);
	ck_assert_uint_eq(config.max_store, 0);
	ck_assert(!config.allow_upcall);
	ck_assert(usm_config_allows(&config, "firstfit"));
	ck_assert(usm_config_allows(&config, "other-one"));
	ck_assert(!usm_config_allows(&config, "other"));
	ck_assert_str_eq(config.runtimes.crun, "/x/crun");
	ck_assert_str_eq(config.runtimes.podman, "");
	ck_assert_str_eq(config.runtimes.podman_run, "/x/run");
	ck_assert_str_eq(config.runtimes.containerd, "/x/containerd");
	ck_assert_str_eq(config.runtimes.docker, "/x/docker");
	usm_config_clear(&config);
}
END_TEST

START_TEST(test_none_allowed)
{
	struct usm_config config = {};

	ck_assert_int_eq(read_text(&config, "[limits]\nallowed_policies =\n", NULL), 0);
	ck_assert(!usm_config_allows(&config, "firstfit"));
	usm_config_clear(&config);
}
END_TEST

static const struct {
	const char *text, *message;
} refused[] = {
	{ "reserve = 1M\n", "usmd.conf:1: reserve stands before any [SECTION]" },
	{ "[limit]\n", "usmd.conf:1: there is no section [limit]" },
	{ "[limits\n", "usmd.conf:1: the section has no closing bracket" },
	{ "[\n", "usmd.conf:1: the section has no closing bracket" },
	{ "[]\n", "usmd.conf:1: there is no section []" },
	{ "\n[limits]\n\nreserved = 1M\n", "usmd.conf:4: there is no key reserved in [limits]" },
	{ "[limits]\ncrun = /x\n", "usmd.conf:2: there is no key crun in [limits]" },
	{ "[limits]\nreserve\n", "usmd.conf:2: neither KEY = VALUE nor [SECTION]" },
	{ "[limits]\nmax_containers = -1\n",
	  "usmd.conf:2: max_containers is not a number from 0 to 65536" },
	{ "[limits]\nmax_containers = 65537\n",
	  "usmd.conf:2: max_containers is not a number from 0 to 65536" },
	{ "[limits]\nmax_containers =\n",
	  "usmd.conf:2: max_containers is not a number from 0 to 65536" },
	{ "[limits]\nmax_memory_per_container = 4096\n",
	  "usmd.conf:2: max_memory_per_container is below 1M, the smallest domain" },
	{ "[limits]\nallowed_policies = firstfit ../evil\n",
	  "usmd.conf:2: allowed_policies holds '../evil', which is no policy's name" },
	{ "[runtimes]\ncrun = run/crun\n", "usmd.conf:2: crun is not an absolute path" },
};

START_TEST(test_refused)
{
	struct usm_config config = {};
	struct usm_error err = {};

	ck_assert_int_eq(read_text(&config, refused[_i].text, &err), -EBADMSG);
	ck_assert_str_eq(usm_error_message(&err), refused[_i].message);
	ck_assert_ptr_null(config.runtimes.crun);
	usm_error_clear(&err);
}
END_TEST

START_TEST(test_bad_size)
{
	struct usm_config config = {};
	struct usm_error err = {};

	ck_assert_int_eq(read_text(&config, "[limits]\nreserve = lots\n", &err), -EBADMSG);
	ck_assert_int_eq(strncmp(usm_error_message(&err), "usmd.conf:2: reserve is not a size",
				 34), 0);
	usm_error_clear(&err);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");

	suite_add(suite, "defaults", test_defaults);
	suite_add(suite, "all-keys", test_all_keys);
	suite_add(suite, "none-allowed", test_none_allowed);
	suite_add_rows(suite, "refused", test_refused, refused);
	suite_add(suite, "bad-size", test_bad_size);
	return suite_run(suite);
}

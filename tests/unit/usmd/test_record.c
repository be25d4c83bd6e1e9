// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "record.h"
#include "scratch.h"
#include "suite.h"

#define REQUEST "{\"policy\":\"firstfit\",\"memory\":\"256M\",\"parameters\":{\"x\":1}}"

static struct usm_container *make(void)
{
	struct usm_container *c = usm_container_new("c1", "/a/c1");

	usm_container_set_text(&c->request, REQUEST);
	usm_container_set_text(&c->runtime, "hook");
	usm_container_set_domain(c, 18446744073709551615u);
	c->budget = (struct usm_budget) { .ceiling = 256u << 20, .reserve = 8u << 20,
					   .store = 128u << 20 };
	c->late = true;
	return c;
}

static void count(uint64_t domain, void *userdata)
{
	*(uint64_t *)userdata += domain;
}

START_TEST(test_round_trip)
{
	int fd = usm_record_directory(scratch_path("records"), NULL);
	struct usm_container *written = make(), *c = NULL;
	uint64_t sum = 0;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(usm_record_write(fd, written, NULL), 0);
	/* and over itself */
	ck_assert_int_eq(usm_record_write(fd, written, NULL), 0);
	ck_assert_int_eq(usm_record_list(fd, count, &sum, NULL), 0);
	ck_assert_uint_eq(sum, written->domain);

	ck_assert_int_eq(usm_record_read(fd, written->domain, &c, NULL), 0);
	ck_assert_str_eq(c->id, "c1");
	ck_assert_str_eq(c->cgroup, "/a/c1");
	ck_assert_str_eq(c->request, REQUEST);
	ck_assert_str_eq(c->runtime, "hook");
	ck_assert_ptr_null(c->name);
	ck_assert_str_eq(c->domain_text, written->domain_text);
	ck_assert_str_eq(c->annotation.policy, "firstfit");
	ck_assert_uint_eq(c->annotation.memory, 256u << 20);
	ck_assert_uint_eq(c->budget.ceiling, 256u << 20);
	ck_assert_uint_eq(c->budget.reserve, 8u << 20);
	ck_assert_uint_eq(c->budget.store, 128u << 20);
	ck_assert(c->late);
	ck_assert_int_eq(c->state, USM_CONTAINER_FOUND);
	usm_container_free(c);

	usm_record_remove(fd, written->domain);
	usm_record_remove(fd, written->domain);
	c = NULL;
	ck_assert_int_eq(usm_record_read(fd, written->domain, &c, NULL), -ENOENT);
	ck_assert_ptr_null(c);
	usm_container_free(written);
	usm_close(&fd);
	scratch_remove();
}
END_TEST

static const char *const damaged[] = {
	"",
	"{",
	"{}",
	"[]",
	"{\"container\":\"c1\"}",
	"{\"container\":\"c1\",\"cgroup\":7}",
	"{\"container\":\"c1\",\"cgroup\":\"/a\",\"ceiling\":1,\"reserve\":-1,\"late\":false}",
	"{\"container\":\"c1\",\"cgroup\":\"/a\",\"ceiling\":1,\"reserve\":1,\"late\":false,"
	"\"annotation\":\"Not A Policy\"}",
};

START_TEST(test_damaged)
{
	struct usm_error err = {};
	struct usm_container *c = NULL;
	int fd;

	scratch_write("records/7.json", damaged[_i]);
	fd = usm_record_directory(scratch_path("records"), NULL);
	ck_assert_int_eq(usm_record_read(fd, 7, &c, &err), -EBADMSG);
	ck_assert_int_eq(strncmp(usm_error_message(&err), "the record 7.json is damaged: ", 30), 0);
	ck_assert_ptr_null(c);
	usm_error_clear(&err);
	usm_close(&fd);
	scratch_remove();
}
END_TEST

/* What a crash or a visitor left there is none of ours. */
START_TEST(test_foreign_files)
{
	uint64_t sum = 0;
	int fd;

	scratch_write("records/.8.json.new", "");
	scratch_write("records/9.json~", "");
	scratch_write("records/x.json", "");
	scratch_write("records/5.json", "");
	fd = usm_record_directory(scratch_path("records"), NULL);
	ck_assert_int_eq(usm_record_list(fd, count, &sum, NULL), 0);
	ck_assert_uint_eq(sum, 5);
	usm_close(&fd);
	scratch_remove();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("record");

	suite_add(suite, "round-trip", test_round_trip);
	suite_add_rows(suite, "damaged", test_damaged, damaged);
	suite_add(suite, "foreign-files", test_foreign_files);
	return suite_run(suite);
}

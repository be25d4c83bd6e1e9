// SPDX-License-Identifier: GPL-2.0-or-later
/* The parts of src/device that need no module. */
#include <errno.h>
#include <string.h>

#include "device.h"
#include "suite.h"

/* Each byte of the struct but size and flags is named once, in order. */
START_TEST(test_fields_cover_stat)
{
	size_t at = offsetof(struct usm_stat, state);

	for (const struct usm_stat_field *f = usm_stat_fields; f->name; f++) {
		ck_assert_msg(f->offset == at, "%s is at %u, not at %zu", f->name, f->offset, at);
		at += (size_t)f->width * f->count;
	}
	ck_assert_uint_eq(at, sizeof(struct usm_stat));
}
END_TEST

START_TEST(test_values)
{
	struct usm_stat stat = { .state = 3, .frames = UINT64_MAX, .faults_by_order = { 1, 2, 3 } };
	uint64_t orders = 0;

	for (const struct usm_stat_field *f = usm_stat_fields; f->name; f++) {
		if (!strcmp(f->name, "state"))
			ck_assert_uint_eq(usm_stat_value(&stat, f, 0), 3);
		if (!strcmp(f->name, "frames"))
			ck_assert_uint_eq(usm_stat_value(&stat, f, 0), UINT64_MAX);
		if (!strcmp(f->name, "faults_by_order"))
			for (unsigned int i = 0; i < f->count; i++)
				orders += usm_stat_value(&stat, f, i);
	}
	ck_assert_uint_eq(orders, 6);
}
END_TEST

START_TEST(test_no_device)
{
	struct usm_query query = { .abi = 77 };

	ck_assert_int_eq(usm_device_open("/nonexistent", &query), -ENOENT);
	/* There, but not one of ours. */
	ck_assert_int_eq(usm_device_open("/dev/null", &query), -ENOTTY);
	ck_assert_uint_eq(query.abi, 77);
	ck_assert_str_eq(usm_device_state_name(USM_FALLBACK_NONE), "armed");
	ck_assert_str_eq(usm_device_state_name(99), "unknown");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device");

	suite_add(suite, "fields-cover-stat", test_fields_cover_stat);
	suite_add(suite, "values", test_values);
	suite_add(suite, "no-device", test_no_device);
	return suite_run(suite);
}

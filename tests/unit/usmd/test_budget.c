// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "budget.h"
#include "suite.h"

#define M	(UINT64_C(1) << 20)
#define G	(UINT64_C(1) << 30)
#define NONE	USM_BUDGET_UNLIMITED
/* As the administrator and the annotation leave it. */
#define ANY_STORE	false, 0, NONE

static const struct {
	struct usm_budget_request request;
	uint64_t ceiling, reserve;
} granted[] = {
	/* asked for, with a memory.max: as asked, with the default reserve */
	{ { true, 256 * M, false, 0, G, NONE, 8 * G, ANY_STORE }, 256 * M, 64 * M },
	{ { true, G, false, 0, G, NONE, 8 * G, ANY_STORE }, G, 64 * M },
	{ { true, 64 * M, false, 0, 256 * M, NONE, 8 * G, ANY_STORE }, 64 * M, 16 * M },
	{ { true, 16 * M, false, 0, 32 * M, NONE, 8 * G, ANY_STORE }, 16 * M, 8 * M },
	/* the annotation's reserve */
	{ { true, 256 * M, true, 4 * M, G, NONE, 8 * G, ANY_STORE }, 256 * M, 4 * M },
	{ { true, 256 * M, true, 0, G, NONE, 8 * G, ANY_STORE }, 256 * M, 0 },
	/* not asked for: memory.max less the reserve, in whole pages */
	{ { false, 0, false, 0, G, NONE, 8 * G, ANY_STORE }, G - 64 * M, 64 * M },
	{ { false, 0, true, 1, 256 * M, NONE, 8 * G, ANY_STORE }, 256 * M - 4096, 1 },
	/* no memory.max: half of the host */
	{ { false, 0, false, 0, NONE, NONE, 8 * G, ANY_STORE }, 4 * G, 64 * M },
	{ { true, 6 * G, false, 0, NONE, NONE, 8 * G, ANY_STORE }, 6 * G, 64 * M },
	/* the administrator's limit cuts a default, silently */
	{ { false, 0, false, 0, G, 128 * M, 8 * G, ANY_STORE }, 128 * M, 64 * M },
	{ { false, 0, false, 0, NONE, 128 * M, 8 * G, ANY_STORE }, 128 * M, 64 * M },
	{ { true, 128 * M, false, 0, G, 128 * M, 8 * G, ANY_STORE }, 128 * M, 64 * M },
};

static const struct {
	struct usm_budget_request request;
	const char *message;
} refused[] = {
	{ { true, G + 4096, false, 0, G, NONE, 8 * G, ANY_STORE },
	  "memory of 1048580K is above the container's memory.max of 1G" },
	{ { true, G, false, 0, NONE, 512 * M, 8 * G, ANY_STORE },
	  "memory of 1G is more than the 512M that the administrator allows" },
	{ { true, M, true, G, G, NONE, 8 * G, ANY_STORE },
	  "the reserve of 1G is not below the container's memory.max of 1G" },
	{ { false, 0, false, 0, 8 * M, NONE, 8 * G, ANY_STORE },
	  "the reserve of 8M is not below the container's memory.max of 8M" },
	{ { false, 0, true, 8 * M, 8 * M + 4096, NONE, 8 * G, ANY_STORE },
	  "memory.max of 8196K leaves no memory above the reserve of 8M" },
	{ { false, 0, false, 0, NONE, NONE, M, ANY_STORE },
	  "512K is too little for a domain: at least 1M" },
};

/* Asked for, allowed, and what comes of it; memory.max is 256M, the ceiling 240M. */
static const struct {
	bool has_store;
	uint64_t store, allowed, memory_max, wanted;
} stores[] = {
	{ false, 0, NONE, 256 * M, 256 * M },
	{ false, 0, NONE, NONE, 4 * G },
	{ false, 0, 64 * M, 256 * M, 64 * M },
	{ false, 0, 0, 256 * M, 0 },
	{ true, 0, NONE, 256 * M, 0 },
	{ true, 64 * M, NONE, 256 * M, 64 * M },
	{ true, 64 * M, 64 * M, 256 * M, 64 * M },
	{ true, 256 * M, NONE, 256 * M, 256 * M },
	{ true, 4 * G, NONE, NONE, 4 * G },
	/* It is not in the container's memory: what the administrator allows counts. */
	{ true, G, 2 * G, 256 * M, G },
};

START_TEST(test_stores)
{
	struct usm_budget_request request = {
		.memory_max = stores[_i].memory_max, .allowed = NONE, .host = 8 * G,
		.has_store = stores[_i].has_store, .store = stores[_i].store,
		.store_allowed = stores[_i].allowed,
	};
	struct usm_budget budget;

	ck_assert_int_eq(usm_budget_decide(&request, &budget, NULL), 0);
	ck_assert_uint_eq(budget.store, stores[_i].wanted);
}
END_TEST

START_TEST(test_store_refused)
{
	struct usm_budget_request request = {
		.memory_max = 256 * M, .allowed = NONE, .host = 8 * G,
		.has_store = true, .store = 64 * M + 1, .store_allowed = 64 * M,
	};
	struct usm_budget budget = { 1, 2, 3 };
	struct usm_error err = {};

	ck_assert_int_eq(usm_budget_decide(&request, &budget, &err), -ERANGE);
	ck_assert_str_eq(usm_error_message(&err),
			 "a store of 67108865 is more than the 64M that the administrator allows");
	ck_assert_uint_eq(budget.store, 3);
	usm_error_clear(&err);

	/* Nobody has allowed that a container takes more of the host than its limit. */
	request.store_allowed = NONE;
	request.store = G;
	ck_assert_int_eq(usm_budget_decide(&request, &budget, &err), -ERANGE);
	ck_assert_str_eq(usm_error_message(&err), "a store of 1G is more than the 256M that "
			 "a container may have unless the administrator allows more");
	ck_assert_uint_eq(budget.store, 3);
	usm_error_clear(&err);
}
END_TEST

START_TEST(test_granted)
{
	struct usm_budget budget;

	ck_assert_int_eq(usm_budget_decide(&granted[_i].request, &budget, NULL), 0);
	ck_assert_uint_eq(budget.ceiling, granted[_i].ceiling);
	ck_assert_uint_eq(budget.reserve, granted[_i].reserve);
}
END_TEST

START_TEST(test_refused)
{
	struct usm_budget budget = { 1, 2, 3 };
	struct usm_error err = {};

	ck_assert_int_eq(usm_budget_decide(&refused[_i].request, &budget, &err), -ERANGE);
	ck_assert_str_eq(usm_error_message(&err), refused[_i].message);
	ck_assert_uint_eq(budget.ceiling, 1);
	ck_assert_uint_eq(budget.reserve, 2);
	usm_error_clear(&err);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("budget");

	suite_add_rows(suite, "granted", test_granted, granted);
	suite_add_rows(suite, "refused", test_refused, refused);
	suite_add_rows(suite, "stores", test_stores, stores);
	suite_add(suite, "store-refused", test_store_refused);
	return suite_run(suite);
}

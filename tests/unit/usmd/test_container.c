// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "container.h"
#include "log.h"
#include "suite.h"

static struct usm_container *add(struct usm_container_table *table, const char *id,
				 const char *name, uint64_t domain)
{
	struct usm_container *c = usm_container_new(id, "/a");

	ck_assert_ptr_nonnull(c);
	usm_container_set_text(&c->name, name);
	usm_container_set_domain(c, domain);
	usm_container_step(c, USM_CONTAINER_BIND);
	usm_container_table_add(table, c);
	return c;
}

START_TEST(test_life)
{
	static const struct {
		enum usm_container_event event;
		enum usm_container_state state;
		const char *shown;
	} life[] = {
		{ USM_CONTAINER_BIND, USM_CONTAINER_BOUND, "starting" },
		{ USM_CONTAINER_START, USM_CONTAINER_STARTING, "starting" },
		{ USM_CONTAINER_ARM, USM_CONTAINER_ARMED, "armed" },
		{ USM_CONTAINER_FALL_BACK, USM_CONTAINER_FALLBACK, "fallback" },
		{ USM_CONTAINER_START, USM_CONTAINER_FALLBACK, "fallback" },
		{ USM_CONTAINER_ARM, USM_CONTAINER_ARMED, "armed" },
		{ USM_CONTAINER_RELEASE, USM_CONTAINER_RELEASED, "released" },
		/* its last spaces are served on, which changes nothing any more */
		{ USM_CONTAINER_FALL_BACK, USM_CONTAINER_RELEASED, "released" },
		{ USM_CONTAINER_ARM, USM_CONTAINER_RELEASED, "released" },
		{ USM_CONTAINER_END, USM_CONTAINER_GONE, "released" },
	};
	struct usm_container *c = usm_container_new("c1", "/a/c1");

	ck_assert_str_eq(usm_container_state_name(c->state), "starting");
	for (size_t i = 0; i < sizeof(life) / sizeof(life[0]); i++) {
		usm_container_step(c, life[i].event);
		ck_assert_int_eq(c->state, life[i].state);
		ck_assert_str_eq(usm_container_state_name(c->state), life[i].shown);
	}
	usm_container_free(c);
}
END_TEST

START_TEST(test_impossible)
{
	struct usm_container *c = usm_container_new("c1", "/a/c1");

	usm_log_limit(LOG_CRIT);
	ck_assert(!usm_container_step(c, USM_CONTAINER_ARM));
	ck_assert_int_eq(c->state, USM_CONTAINER_FOUND);
	usm_container_step(c, USM_CONTAINER_END);
	for (int event = USM_CONTAINER_BIND; event <= USM_CONTAINER_FALL_BACK; event++)
		ck_assert_int_eq(usm_container_next(USM_CONTAINER_GONE, event), -EINVAL);
	usm_container_free(c);
}
END_TEST

/* Whatever happens: no event leads back before BOUND, or out of GONE. */
START_TEST(test_one_way)
{
	for (int state = USM_CONTAINER_FOUND; state <= USM_CONTAINER_GONE; state++) {
		for (int event = USM_CONTAINER_BIND; event <= USM_CONTAINER_END; event++) {
			int next = usm_container_next(state, event);

			if (next < 0)
				continue;
			ck_assert_int_ne(next, USM_CONTAINER_FOUND);
			if (state >= USM_CONTAINER_RELEASED)
				ck_assert_int_ge(next, state);
			if (event == USM_CONTAINER_END)
				ck_assert_int_eq(next, USM_CONTAINER_GONE);
		}
	}
}
END_TEST

START_TEST(test_step_tells_change)
{
	struct usm_container *c = usm_container_new("c1", "/a/c1");

	ck_assert(usm_container_step(c, USM_CONTAINER_BIND));
	ck_assert(usm_container_step(c, USM_CONTAINER_ARM));
	ck_assert(!usm_container_step(c, USM_CONTAINER_ARM));
	usm_container_free(c);
}
END_TEST

START_TEST(test_query)
{
	struct usm_container *web, *old, *found = NULL;
	struct usm_container_table table;

	usm_container_table_init(&table);
	old = add(&table, "abc1", NULL, 1);
	usm_container_step(old, USM_CONTAINER_RELEASE);
	web = add(&table, "abc1", "web", 2);
	add(&table, "abd2", "db", 18446744073709551615u);

	/* by name, by ID, by prefix; the living one of two */
	ck_assert_int_eq(usm_container_query(&table, "web", &found), 0);
	ck_assert_ptr_eq(found, web);
	ck_assert_int_eq(usm_container_query(&table, "abc1", &found), 0);
	ck_assert_ptr_eq(found, web);
	ck_assert_int_eq(usm_container_query(&table, "abc", &found), 0);
	ck_assert_ptr_eq(found, web);
	ck_assert_ptr_eq(usm_container_by_id(&table, "abc1"), web);

	found = NULL;
	ck_assert_int_eq(usm_container_query(&table, "ab", &found), -ENOTUNIQ);
	ck_assert_int_eq(usm_container_query(&table, "x", &found), -ENOENT);
	ck_assert_int_eq(usm_container_query(&table, "", &found), -ENOENT);
	/* a name is no prefix */
	ck_assert_int_eq(usm_container_query(&table, "we", &found), -ENOENT);
	ck_assert_ptr_null(found);

	found = usm_container_by_domain(&table, 18446744073709551615u);
	ck_assert_str_eq(found->domain_text, "18446744073709551615");
	ck_assert_uint_eq(table.count, 3);

	/* an ID that is another's prefix means itself */
	add(&table, "abd", NULL, 4);
	ck_assert_int_eq(usm_container_query(&table, "abd", &found), 0);
	ck_assert_str_eq(found->id, "abd");

	/* only a released one is left */
	usm_container_table_remove(&table, web);
	ck_assert_int_eq(usm_container_query(&table, "abc1", &found), 0);
	ck_assert_ptr_eq(found, old);
	ck_assert_ptr_null(usm_container_by_id(&table, "abc1"));
	usm_container_table_clear(&table);
	ck_assert_uint_eq(table.count, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("container");

	suite_add(suite, "life", test_life);
	suite_add(suite, "impossible", test_impossible);
	suite_add(suite, "one-way", test_one_way);
	suite_add(suite, "step-tells-change", test_step_tells_change);
	suite_add(suite, "query", test_query);
	return suite_run(suite);
}

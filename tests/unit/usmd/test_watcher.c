// SPDX-License-Identifier: GPL-2.0-or-later
/* The watcher on a tree of plain directories, with the kernel's own inotify. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "log.h"
#include "scratch.h"
#include "suite.h"
#include "watcher.h"

/* What was told, in order: "+/a" found, "-/a" gone, "~/a" changed; IDs checked. */
static char told[65536];
static struct {
	char path[64];
	uint64_t id;
} living[4096];
static size_t living_count;

static sd_event *event;
static struct usm_watcher *watcher;

static size_t living_find(const char *path, uint64_t id)
{
	for (size_t i = 0; i < living_count; i++)
		if (living[i].id == id && !strcmp(living[i].path, path))
			return i;
	return living_count;
}

static void note(char what, const char *path)
{
	size_t length = strlen(told);

	ck_assert_int_lt(snprintf(told + length, sizeof(told) - length, "%c%s ", what, path),
			 (int)(sizeof(told) - length));
}

static void found(const char *path, uint64_t id, void *userdata)
{
	ck_assert_uint_eq(living_find(path, id), living_count);
	ck_assert_uint_lt(living_count, sizeof(living) / sizeof(living[0]));
	snprintf(living[living_count].path, sizeof(living[0].path), "%s", path);
	living[living_count++].id = id;
	note('+', path);
}

static void changed(const char *path, uint64_t id, void *userdata)
{
	ck_assert_uint_lt(living_find(path, id), living_count);
	note('~', path);
}

static void gone(const char *path, uint64_t id, void *userdata)
{
	size_t i = living_find(path, id);

	ck_assert_uint_lt(i, living_count);
	living[i] = living[--living_count];
	note('-', path);
}

static const struct usm_watcher_callbacks callbacks = { found, changed, gone };

static void start(size_t max)
{
	ck_assert_int_ge(sd_event_new(&event), 0);
	ck_assert_int_eq(usm_watcher_new(&watcher, event, scratch(), max, &callbacks, NULL, NULL),
			 0);
}

/* Everything that is in the kernel's queue now. */
static void settle(void)
{
	while (sd_event_run(event, 0) > 0)
		;
}

static void stop(void)
{
	usm_watcher_free(watcher);
	sd_event_unref(event);
	scratch_remove();
}

/* The told since the last call, and forget it. */
#define expect(expected)						\
	do {								\
		settle();						\
		ck_assert_str_eq(told, expected);			\
		told[0] = '\0';						\
	} while (0)

START_TEST(test_existing)
{
	scratch_mkdir("a/b");
	scratch_write("a/cgroup.procs", "1\n");
	start(100);
	expect("+/ +/a +/a/b ");
	stop();
}
END_TEST

START_TEST(test_come_and_go)
{
	scratch_mkdir("a");
	start(100);
	expect("+/ +/a ");

	scratch_mkdir("a/c1");
	expect("+/a/c1 ");
	scratch_write("a/c1/memory.max", "max\n");
	expect("");
	scratch_mkdir("a/c1/container");
	expect("+/a/c1/container ");

	unlink(scratch_path("a/c1/memory.max"));
	scratch_rmdir("a/c1/container");
	scratch_rmdir("a/c1");
	expect("-/a/c1/container -/a/c1 ");
	stop();
}
END_TEST

/* Children that were made before the watch on their parent could be. */
START_TEST(test_race_down)
{
	start(100);
	expect("+/ ");
	scratch_mkdir("a/b/c/d");
	expect("+/a +/a/b +/a/b/c +/a/b/c/d ");
	stop();
}
END_TEST

START_TEST(test_short_life)
{
	start(100);
	expect("+/ ");
	scratch_mkdir("a");
	scratch_rmdir("a");
	expect("");
	stop();
}
END_TEST

/* The same name over and over: each one that was found has gone, but the last. */
START_TEST(test_same_name)
{
	start(100);
	for (int i = 0; i < 500; i++) {
		scratch_mkdir("c1/container");
		if (i % 3)
			sd_event_run(event, 0);
		scratch_rmdir("c1/container");
		if (i % 5 == 0)
			sd_event_run(event, 0);
		scratch_rmdir("c1");
	}
	scratch_mkdir("c1");
	settle();
	ck_assert_uint_eq(living_count, 2);
	ck_assert_str_eq(living[1].path, "/c1");
	stop();
}
END_TEST

START_TEST(test_changed)
{
	scratch_mkdir("a");
	start(100);
	expect("+/ +/a ");
	/* Any attribute will do; trusted.* would need root. */
	ck_assert_int_eq(chmod(scratch_path("a"), 0700), 0);
	expect("~/a ");
	stop();
}
END_TEST

START_TEST(test_moved)
{
	char from[4096];

	scratch_mkdir("a/b");
	start(100);
	expect("+/ +/a +/a/b ");
	strcpy(from, scratch_path("a"));
	ck_assert_int_eq(rename(from, scratch_path("z")), 0);
	settle();
	ck_assert_uint_eq(living_count, 3);
	ck_assert_ptr_nonnull(strstr(told, "-/a/b -/a "));
	ck_assert_ptr_nonnull(strstr(told, "+/z +/z/b "));
	stop();
}
END_TEST

/* What a rescan finds is the truth, whatever was told before. */
START_TEST(test_rescan)
{
	scratch_mkdir("a/b");
	scratch_mkdir("c");
	start(100);
	expect("+/ +/c +/a +/a/b ");
	ck_assert_int_eq(usm_watcher_rescan(watcher, NULL), 0);
	expect("");

	scratch_rmdir("a/b");
	scratch_rmdir("a");
	scratch_mkdir("d/e");
	ck_assert_int_eq(usm_watcher_rescan(watcher, NULL), 0);
	settle();
	ck_assert_str_eq(told, "+/d +/d/e -/a/b -/a ");
	stop();
}
END_TEST

/* More events than the kernel keeps for us. */
START_TEST(test_overflow)
{
	char name[32];
	int limit = 16384;
	FILE *in = fopen("/proc/sys/fs/inotify/max_queued_events", "r");

	if (in) {
		ck_assert_int_eq(fscanf(in, "%d", &limit), 1);
		fclose(in);
	}
	if (limit > 32768)
		return;
	usm_log_limit(LOG_CRIT);
	scratch_mkdir("keep");
	scratch_mkdir("drop");
	start(8192);
	settle();
	for (int i = 0; i < limit / 2 + 100; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		ck_assert_int_eq(mkdir(scratch_path(name), 0755), 0);
		ck_assert_int_eq(rmdir(scratch_path(name)), 0);
	}
	scratch_rmdir("drop");
	scratch_mkdir("new");
	settle();
	ck_assert_uint_eq(living_count, 3);
	stop();
}
END_TEST

/* A limit stops what is new; what is known stays known, also over a rescan. */
START_TEST(test_limit)
{
	usm_log_limit(LOG_CRIT);
	scratch_mkdir("a");
	start(2);
	expect("+/ +/a ");
	scratch_mkdir("b");
	expect("");
	ck_assert_int_eq(usm_watcher_rescan(watcher, NULL), 0);
	expect("");
	scratch_rmdir("a");
	expect("-/a ");
	scratch_mkdir("c");
	expect("+/c ");
	stop();
}
END_TEST

START_TEST(test_no_tree)
{
	struct usm_error err = {};

	ck_assert_int_ge(sd_event_new(&event), 0);
	ck_assert_int_lt(usm_watcher_new(&watcher, event, "/nonexistent", 10, &callbacks, NULL,
					 &err), 0);
	ck_assert_str_eq(usm_error_message(&err),
			 "the cgroup tree at /nonexistent: No such file or directory");
	usm_error_clear(&err);
	sd_event_unref(event);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("watcher");
	TCase *slow = tcase_create("overflow");

	suite_add(suite, "existing", test_existing);
	suite_add(suite, "come-and-go", test_come_and_go);
	suite_add(suite, "race-down", test_race_down);
	suite_add(suite, "short-life", test_short_life);
	suite_add(suite, "same-name", test_same_name);
	suite_add(suite, "changed", test_changed);
	suite_add(suite, "moved", test_moved);
	suite_add(suite, "rescan", test_rescan);
	tcase_set_timeout(slow, 120);
	tcase_add_test(slow, test_overflow);
	suite_add_tcase(suite, slow);
	suite_add(suite, "limit", test_limit);
	suite_add(suite, "no-tree", test_no_tree);
	return suite_run(suite);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The memory store: what goes in comes out, also after a crash and never anything else. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memstore.h"
#include "slab.h"
#include "storage.h"
#include "suite.h"

#define SLABS	64u
#define PAGES	600u

static int fd;
static struct usm_store *store;
static uint64_t handles[PAGES];

static void setup(void)
{
	fd = storage_file(SLABS);
	store = storage_open(fd, true, SLABS);
}

static void teardown(void)
{
	store->ops->close(store);
	close(fd);
}

static uint64_t key_of(uint32_t i)
{
	return (uint64_t)7 << 32 | i;
}

static enum storage_kind kind_of(uint32_t i)
{
	return (enum storage_kind)(i % 4);
}

static int save(uint32_t i, bool force)
{
	struct usm_store_page page = { .key = key_of(i), .page = 0x7f0000000ull + i, .space = 3 };
	char content[USM_STORE_PAGE];

	storage_fill(content, kind_of(i), i);
	return store->ops->save(store, &page, content, force, &handles[i]);
}

static bool loads(uint32_t i, uint64_t handle)
{
	char content[USM_STORE_PAGE];

	return store->ops->load(store, handle, key_of(i), content) == 0 &&
	       storage_verify(content, kind_of(i), i);
}

static bool drop(uint32_t i)
{
	struct usm_store_page page;

	if (!store->ops->drop(store, handles[i], key_of(i), &page))
		return false;
	ck_assert_uint_eq(page.key, key_of(i));
	ck_assert_uint_eq(page.page, 0x7f0000000ull + i);
	ck_assert_uint_eq(page.space, 3);
	return true;
}

/* What recovery shows; of all pages, or of those that are wanted. */
struct shown {
	uint32_t count;
	bool all;
	bool found[PAGES];
};

static bool wanted(uint32_t i)
{
	return i % 2 == 0 && i < PAGES / 2;
}

static bool shown_claim(void *context, const struct usm_store_page *page, uint64_t handle)
{
	struct shown *shown = context;
	uint32_t i = (uint32_t)page->key;

	ck_assert_uint_lt(i, PAGES);
	ck_assert_uint_eq(page->key, key_of(i));
	if (!shown->all && !wanted(i))
		return false;
	ck_assert(!shown->found[i]);
	shown->found[i] = true;
	shown->count++;
	handles[i] = handle;
	return true;
}

static void reopen(void)
{
	store->ops->close(store);
	store = storage_open(fd, false, 0);
}

/* --------------------------------------------------------------------- slots */

START_TEST(test_classes)
{
	size_t before = 0;

	for (unsigned int class = 0; class < USM_SLAB_CLASSES; class++) {
		size_t size = usm_slab_slot_size(class);

		ck_assert_uint_gt(size, before);
		ck_assert_uint_le(size * usm_slab_slots(class), USM_MEMSTORE_SLAB);
		ck_assert_uint_le(usm_slab_slots(class), USM_SLAB_MAX_SLOTS);
		ck_assert_uint_eq(usm_slab_class(before + 1), class);
		ck_assert_uint_eq(usm_slab_class(size), class);
		before = size;
	}
	/* The largest holds a page as it is, with its header. */
	ck_assert_uint_ge(before, USM_STORE_PAGE + sizeof(struct usm_memstore_slot));
	ck_assert_uint_eq(usm_slab_slots(USM_SLAB_CLASSES - 1), USM_MEMSTORE_RAW);
	ck_assert_uint_eq(usm_slab_class(before + 1), USM_SLAB_CLASSES);
}
END_TEST

/* Taken and freed at random, compared with a plain array. */
START_TEST(test_slabs)
{
	static bool used[8][USM_SLAB_MAX_SLOTS];
	struct usm_slabs slabs;
	uint64_t random = 88172645463325252u;
	unsigned int class = 12, slots = usm_slab_slots(12), count = 0, rows = 0;

	ck_assert_int_eq(usm_slabs_init(&slabs, 8), 0);
	for (int step = 0; step < 20000; step++) {
		uint32_t slab = usm_slabs_find(&slabs, class);

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		/* First it grows, then it shrinks, then it grows again. */
		if ((random >> 33) % 16 < (step / 4000 % 2 ? 6 : 10)) {
			unsigned int slot;

			if (slab == USM_SLAB_NONE) {
				slab = usm_slabs_unused(&slabs);
				ck_assert_int_eq(slab == USM_SLAB_NONE, count == 8 * slots);
				if (slab == USM_SLAB_NONE)
					continue;
				usm_slabs_add(&slabs, slab, class);
			}
			slot = usm_slab_take(&slabs, slab);
			ck_assert_uint_lt(slot, slots);
			ck_assert(!used[slab][slot]);
			used[slab][slot] = true;
			count++;
		} else if (count) {
			uint32_t at = (uint32_t)(random >> 40) % (8 * slots);

			while (!used[at / slots][at % slots])
				at = (at + 1) % (8 * slots);
			used[at / slots][at % slots] = false;
			count--;
			if (!usm_slab_free(&slabs, at / slots, at % slots))
				usm_slabs_remove(&slabs, at / slots);
		}
		ck_assert_uint_le(slabs.there, 8);
	}
	/* No slab is there but for what is in it. */
	for (uint32_t slab = 0; slab < 8; slab++)
		rows += !!memchr(used[slab], true, sizeof(used[slab]));
	ck_assert_uint_eq(slabs.there, rows);
	usm_slabs_done(&slabs);
}
END_TEST

/* -------------------------------------------------------------------- content */

START_TEST(test_round_trip)
{
	struct usm_store_usage usage;
	char content[USM_STORE_PAGE];

	for (uint32_t i = 0; i < PAGES; i++)
		ck_assert_int_eq(save(i, false), 0);
	for (uint32_t i = 0; i < PAGES; i++)
		ck_assert(loads(i, handles[i]));
	usage = storage_usage(store);
	ck_assert_uint_eq(usage.pages, PAGES);
	/* A quarter does not compress, and that is nearly all of it. */
	ck_assert_uint_gt(usage.data, PAGES / 4 * USM_STORE_PAGE);
	ck_assert_uint_lt(usage.used, PAGES / 2 * USM_STORE_PAGE);

	/* Asked for under another key, or with a handle that is none. */
	ck_assert_int_eq(store->ops->load(store, handles[1], key_of(2), content), -ENOENT);
	ck_assert_int_eq(store->ops->load(store, UINT64_MAX >> 8, key_of(2), content), -ENOENT);
	ck_assert(!store->ops->drop(store, handles[1], key_of(2), &(struct usm_store_page){}));

	for (uint32_t i = 0; i < PAGES; i++) {
		ck_assert(drop(i));
		ck_assert(!store->ops->drop(store, handles[i], key_of(i),
					    &(struct usm_store_page){}));
	}
	usage = storage_usage(store);
	ck_assert_uint_eq(usage.pages, 0);
	ck_assert_uint_eq(usage.data, 0);
	ck_assert_uint_eq(usage.used, 0);
	/* What is left is the head and the directory. */
	ck_assert_uint_le(storage_bytes(fd), 3 * 4096);
}
END_TEST

/* Saved, and gone again. Returns the bytes that it took. */
static uint64_t takes(const char content[USM_STORE_PAGE])
{
	struct usm_store_page page = { .key = key_of(PAGES), .space = 3 };
	uint64_t before = storage_usage(store).data, bytes, handle;

	ck_assert_int_eq(store->ops->save(store, &page, content, false, &handle), 0);
	bytes = storage_usage(store).data - before;
	ck_assert(store->ops->drop(store, handle, page.key, &page));
	return bytes;
}

/* Whatever came before it, a page is no larger for it; or one of those that follow is not. */
START_TEST(test_haste)
{
	char text[USM_STORE_PAGE], noise[USM_STORE_PAGE], close[USM_STORE_PAGE];
	uint64_t of_text, of_close;
	uint32_t n = 0;

	ck_assert_uint_eq(usm_memstore_haste(0), 1);
	ck_assert_uint_eq(usm_memstore_haste(USM_MEMSTORE_PATIENCE - 1), 1);
	ck_assert_uint_eq(usm_memstore_haste(USM_MEMSTORE_PATIENCE), 2);
	ck_assert_uint_eq(usm_memstore_haste(UINT32_MAX - 1), USM_MEMSTORE_HASTE_MAX);
	ck_assert_uint_eq(usm_memstore_haste(2 * USM_MEMSTORE_RELAPSE - 1), 1);

	storage_fill(text, STORAGE_TEXT, 1);
	storage_fill(noise, STORAGE_NOISE, 4);
	/* Each 16 bytes twice: who takes large steps never sees where the first begins. */
	memcpy(close, noise, sizeof(close));
	for (size_t at = 0; at < USM_STORE_PAGE; at += 32)
		memcpy(close + at + 16, close + at, 16);
	of_text = takes(text);
	of_close = takes(close);
	ck_assert_uint_lt(of_close, USM_STORE_PAGE);
	for (uint32_t i = 0; i < 3 * USM_MEMSTORE_RELAPSE; i++)
		ck_assert_uint_eq(takes(noise), USM_STORE_PAGE);
	ck_assert_uint_eq(takes(text), of_text);

	for (uint32_t i = 0; i < 3 * USM_MEMSTORE_RELAPSE; i++)
		ck_assert_uint_eq(takes(noise), USM_STORE_PAGE);
	while (takes(close) != of_close)
		ck_assert_uint_lt(++n, USM_MEMSTORE_RELAPSE);
	for (uint32_t i = 0; i < USM_MEMSTORE_RELAPSE; i++)
		ck_assert_uint_eq(takes(close), of_close);
}
END_TEST

START_TEST(test_quota)
{
	uint32_t n = 0;

	store->ops->set_quota(store, 4 * USM_MEMSTORE_SLAB);
	for (n = 0; n < PAGES && save(n * 4, false) == 0; n++)
		;
	/* Pages that do not compress: fifteen a slab. */
	ck_assert_uint_eq(n, 4 * USM_MEMSTORE_RAW);
	ck_assert_int_eq(save(4 * n, false), -ENOSPC);
	ck_assert_uint_eq(storage_usage(store).used, 4 * USM_MEMSTORE_SLAB);
	ck_assert_int_eq(save(4 * n, true), 0);
	ck_assert(loads(4 * n, handles[4 * n]));
	ck_assert(drop(4 * n));
	for (uint32_t i = 0; i < USM_MEMSTORE_RAW; i++)
		ck_assert(drop(4 * i));
	ck_assert_int_eq(save(1, false), 0);
	store->ops->set_quota(store, 0);
	ck_assert_int_eq(save(0, false), -ENOSPC);
	ck_assert(loads(1, handles[1]));
}
END_TEST

/* The file has no room for more, whatever the quota says. */
START_TEST(test_capacity)
{
	int small = storage_file(2);
	uint32_t n = 0;

	teardown();
	fd = small;
	store = storage_open(fd, true, 2);
	while (n < PAGES / 4 && save(n * 4, true) == 0)
		n++;
	ck_assert_uint_eq(n, 2 * USM_MEMSTORE_RAW);
}
END_TEST

/* ------------------------------------------------------------------- recovery */

START_TEST(test_recovery)
{
	struct shown shown = {};
	uint64_t before;

	for (uint32_t i = 0; i < PAGES; i++)
		ck_assert_int_eq(save(i, false), 0);
	for (uint32_t i = 0; i < PAGES; i += 3)
		ck_assert(drop(i));
	before = storage_bytes(fd);
	reopen();
	ck_assert_uint_eq(store->ops->recover(store, shown_claim, &shown), 0);
	for (uint32_t i = 0; i < PAGES; i++) {
		ck_assert_int_eq(shown.found[i], i % 3 && wanted(i));
		if (shown.found[i])
			ck_assert(loads(i, handles[i]));
	}
	ck_assert_uint_eq(storage_usage(store).pages, shown.count);
	/* Slabs of which nobody wanted anything went back. */
	ck_assert_uint_lt(storage_bytes(fd), before);
	ck_assert_int_eq(save(1, false), 0);
	ck_assert(loads(1, handles[1]));
	/* And once more: what was not wanted is not shown again. */
	reopen();
	shown = (struct shown){ .all = true };
	store->ops->recover(store, shown_claim, &shown);
	for (uint32_t i = 0; i < PAGES; i++)
		ck_assert_int_eq(shown.found[i], i == 1 || (i % 3 && wanted(i)));
}
END_TEST

static char *file_map(void)
{
	char *map = mmap(NULL, usm_memstore_size(SLABS), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ck_assert_ptr_ne(map, MAP_FAILED);
	return map;
}

/* A bit of each byte of a slot flipped in turn: the page is right, or it is not there. */
START_TEST(test_damage)
{
	size_t slots = usm_memstore_size(SLABS) - (size_t)SLABS * USM_MEMSTORE_SLAB;
	struct usm_memstore_slot *slot;
	char *map = file_map();

	ck_assert_int_eq(save((uint32_t)_i, false), 0);
	slot = (struct usm_memstore_slot *)(map + slots);
	ck_assert_uint_eq(slot->key, key_of((uint32_t)_i));
	for (size_t at = sizeof(slot->key); at < sizeof(*slot) + slot->length; at++) {
		char content[USM_STORE_PAGE];
		int r;

		((char *)slot)[at] ^= 1 << at % 8;
		r = store->ops->load(store, handles[_i], key_of((uint32_t)_i), content);
		ck_assert_int_eq(r, -EBADMSG);
		((char *)slot)[at] ^= 1 << at % 8;
	}
	ck_assert(loads((uint32_t)_i, handles[_i]));
	munmap(map, usm_memstore_size(SLABS));
}
END_TEST

START_TEST(test_not_a_store)
{
	struct usm_memstore_head *head = (struct usm_memstore_head *)file_map();
	const struct usm_memstore_head good = *head;
	struct usm_store *other;
	int empty = memfd_create("x", MFD_CLOEXEC);

	ck_assert_int_eq(usm_memstore_open(empty, &usm_codec_lz4, false, 0, &other), -EBADMSG);
	close(empty);
	ck_assert_int_eq(usm_memstore_open(fd, &usm_codec_lz4, true, SLABS + 1, &other), -EBADMSG);
	for (size_t at = 0; at < sizeof(good); at++) {
		/* How many were used is a hint that is bounded, all else must be right. */
		if (at >= offsetof(struct usm_memstore_head, top) &&
		    at < offsetof(struct usm_memstore_head, top) + sizeof(good.top))
			continue;
		/* And of the name what is behind its end. */
		if (at > offsetof(struct usm_memstore_head, codec) + strlen(good.codec))
			continue;
		((char *)head)[at] ^= 1 << at % 7;
		ck_assert_int_eq(usm_memstore_open(fd, &usm_codec_lz4, false, 0, &other), -EBADMSG);
		*head = good;
	}
	munmap(head, usm_memstore_size(SLABS));
}
END_TEST

/* ---------------------------------------------------------------- any instruction */

/*
 * What the child does, step by step; `step` is how many are done. Three pages that
 * compress, one that does not and one of a single word come and go, and slabs with them.
 */
static const struct { bool save; uint32_t page; } script[] = {
	{ true, 1 }, { true, 5 }, { true, 4 }, { false, 1 }, { true, 9 }, { false, 4 },
	{ false, 5 }, { false, 9 }, { true, 2 },
};

#define SCRIPT	(sizeof(script) / sizeof(*script))

static void script_run(volatile uint32_t *step)
{
	for (uint32_t i = 0; i < SCRIPT; i++) {
		bool done = script[i].save ? save(script[i].page, false) == 0 : drop(script[i].page);

		if (!done)
			_exit(1);
		*step = i + 1;
	}
	_exit(0);
}

/* Whether the page must be there after so many steps; *open: it may or may not. */
static bool script_holds(uint32_t page, uint32_t steps, bool *open)
{
	bool holds = false;

	for (uint32_t i = 0; i < steps; i++)
		if (script[i].page == page)
			holds = script[i].save;
	*open = steps < SCRIPT && script[steps].page == page;
	return holds;
}

/* The next process finds what there is now, in a copy, so that the child goes on. */
static void crash_verify(int copy, const char *original, uint32_t steps)
{
	struct usm_store *kept = store;
	struct shown shown = { .all = true };

	ck_assert_int_eq(pwrite(copy, original, usm_memstore_size(4), 0), usm_memstore_size(4));
	store = storage_open(copy, false, 0);
	ck_assert_uint_eq(store->ops->recover(store, shown_claim, &shown), 0);
	for (uint32_t page = 0; page < PAGES; page++) {
		bool open, holds = script_holds(page, steps, &open);

		if (!open)
			ck_assert_msg(shown.found[page] == holds, "page %u after step %u", page, steps);
		if (shown.found[page])
			ck_assert_msg(loads(page, handles[page]), "page %u after step %u", page,
				      steps);
	}
	store->ops->close(store);
	store = kept;
}

/* The words of the file that decide: head, directory, the first slots of each slab. */
static uint64_t state_sum(const char *map)
{
	size_t base = usm_memstore_size(4) - 4 * USM_MEMSTORE_SLAB;
	uint64_t sum = 0;

	for (size_t i = 0; i < 8; i++)
		sum = sum * 31 + ((const uint64_t *)map)[i] + ((const uint64_t *)(map + 4096))[i];
	for (size_t slab = 0; slab < 4; slab++)
		for (size_t i = 0; i < 160; i++)
			sum = sum * 31 +
			      ((const uint64_t *)(map + base + slab * USM_MEMSTORE_SLAB))[i];
	return sum;
}

START_TEST(test_any_instruction)
{
	volatile uint32_t *step = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int copy = storage_file(4), status;
	unsigned long states = 0;
	uint64_t before = 0;
	char *map;
	pid_t pid;

	teardown();
	fd = storage_file(4);
	store = storage_open(fd, true, 4);
	map = mmap(NULL, usm_memstore_size(4), PROT_READ, MAP_SHARED, fd, 0);
	ck_assert(step != MAP_FAILED && map != MAP_FAILED);
	pid = fork();
	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(77);
		raise(SIGSTOP);
		script_run(step);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	while (WIFSTOPPED(status)) {
		uint64_t sum = state_sum(map);

		/* Between two writes there is nothing new to be found. */
		if (sum != before) {
			crash_verify(copy, map, *step);
			states++;
		}
		before = sum;
		ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	}
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_assert_uint_eq(*step, SCRIPT);
	/* Each step is several writes. */
	ck_assert_uint_gt(states, 3 * SCRIPT);
	munmap(map, usm_memstore_size(4));
	close(copy);
}
END_TEST

static TCase *with_store(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	suite_add_tcase(suite, tcase);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("store");

	suite_add(suite, "classes", test_classes);
	suite_add(suite, "slabs", test_slabs);
	tcase_add_test(with_store(suite, "round-trip"), test_round_trip);
	tcase_add_test(with_store(suite, "haste"), test_haste);
	tcase_add_test(with_store(suite, "quota"), test_quota);
	tcase_add_test(with_store(suite, "capacity"), test_capacity);
	tcase_add_test(with_store(suite, "recovery"), test_recovery);
	tcase_add_loop_test(with_store(suite, "damage"), test_damage, 0, 4);
	tcase_add_test(with_store(suite, "not-a-store"), test_not_a_store);
	tcase_add_test(with_store(suite, "any-instruction"), test_any_instruction);
	return suite_run(suite);
}

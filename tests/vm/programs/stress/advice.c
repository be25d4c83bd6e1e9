// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Advice and settings that change nothing that a program can read, or change what
 * a child gets. Some may be refused; what they may not do is lose a word.
 */
#include "stress.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_COLD
#define MADV_COLD		20
#define MADV_PAGEOUT		21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA		0x53564d41
#define PR_SET_VMA_ANON_NAME	0
#endif

#define ADVICE_PAGES	64
#define ADVICE_LENGTH	(ADVICE_PAGES * PAGE)

/* ---------------------------------------------------------- advice that is harmless */

static const struct {
	int advice;
	const char *name;
	bool must_succeed;	/* the others are refused by some kernel or memory */
} harmless[] = {
	{ MADV_NORMAL, "MADV_NORMAL", true },
	{ MADV_RANDOM, "MADV_RANDOM", true },
	{ MADV_SEQUENTIAL, "MADV_SEQUENTIAL", true },
	{ MADV_WILLNEED, "MADV_WILLNEED", false },
	{ MADV_COLD, "MADV_COLD", false },
	{ MADV_PAGEOUT, "MADV_PAGEOUT", false },
	{ MADV_HUGEPAGE, "MADV_HUGEPAGE", false },
	{ MADV_NOHUGEPAGE, "MADV_NOHUGEPAGE", false },
	{ MADV_COLLAPSE, "MADV_COLLAPSE", false },
	{ MADV_MERGEABLE, "MADV_MERGEABLE", false },
	{ MADV_UNMERGEABLE, "MADV_UNMERGEABLE", false },
	{ MADV_DONTDUMP, "MADV_DONTDUMP", true },
	{ MADV_DODUMP, "MADV_DODUMP", true },
};

static void harmless_run(void)
{
	char *area = memory_map(ADVICE_LENGTH);

	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
		char *part = area + ADVICE_LENGTH / 4;
		int r;

		pattern_fill(area, ADVICE_LENGTH / 2, i, 0, 1);
		r = madvise(part, ADVICE_LENGTH / 2, harmless[i].advice);
		if (r < 0 && harmless[i].must_succeed)
			check(false, "%s: %s", harmless[i].name, strerror(errno));
		else if (r < 0)
			note("%s: %s", harmless[i].name, strerror(errno));
		pattern_verify(area, ADVICE_LENGTH / 2, i, 0, 1, harmless[i].name);
		zero_verify(area + ADVICE_LENGTH / 2, ADVICE_LENGTH / 2, harmless[i].name);
		pattern_fill(area, ADVICE_LENGTH, i, 0, 2);
		pattern_verify(area, ADVICE_LENGTH, i, 0, 2, harmless[i].name);
		check_call(madvise(area, ADVICE_LENGTH, MADV_DONTNEED));
	}
	/* Only for shared mappings: it would punch a hole. */
	pattern_fill(area, ADVICE_LENGTH, 3, 0, 1);
	check(madvise(area, ADVICE_LENGTH, MADV_REMOVE) < 0, "MADV_REMOVE succeeded");
	pattern_verify(area, ADVICE_LENGTH, 3, 0, 1, "memory after MADV_REMOVE");
	memory_unmap(area, ADVICE_LENGTH);
}

/* A freed page reads as before or zero, until it is written; then it stays. */
static void free_run(void)
{
	char *area = memory_map(ADVICE_LENGTH);

	pattern_fill(area, ADVICE_LENGTH, 4, 0, 1);
	if (madvise(area + PAGE, ADVICE_LENGTH - 2 * PAGE, MADV_FREE) < 0) {
		note("MADV_FREE: %s", strerror(errno));
		pattern_verify(area, ADVICE_LENGTH, 4, 0, 1, "memory after MADV_FREE failed");
	}
	for (size_t page = 1; page < ADVICE_PAGES - 1; page++) {
		uint64_t *words = (uint64_t *)(area + page * PAGE);

		check(words[0] == 0 || words[0] == pattern_word(4, page * PAGE_WORDS, 1),
		      "freed word at %p: %llx", (void *)words, (unsigned long long)words[0]);
		pattern_fill(words, PAGE, 5, page * PAGE_WORDS, 1);
	}
	pattern_verify(area, PAGE, 4, 0, 1, "page before freed ones");
	pattern_verify(area + PAGE, ADVICE_LENGTH - 2 * PAGE, 5, PAGE_WORDS, 1,
		       "page written after MADV_FREE");
	pattern_verify(area + ADVICE_LENGTH - PAGE, PAGE, 4,
		       (ADVICE_PAGES - 1) * PAGE_WORDS, 1, "page behind freed ones");
	memory_unmap(area, ADVICE_LENGTH);
}

/* -------------------------------------------------------------- what a child gets */

static void dontfork_child(void *context)
{
	char *area = context;

	check(memory_read_faults(area + 16 * PAGE), "MADV_DONTFORK memory is in the child");
	pattern_verify(area, 16 * PAGE, 6, 0, 1, "page before MADV_DONTFORK memory");
	pattern_verify(area + 32 * PAGE, 32 * PAGE, 6, 32 * PAGE_WORDS, 1,
		       "page behind MADV_DONTFORK memory");
	memset(area, 1, 16 * PAGE);
}

static void dofork_child(void *context)
{
	pattern_verify(context, ADVICE_LENGTH, 6, 0, 1, "page with MADV_DOFORK");
}

static void dontfork_run(void)
{
	char *area = memory_map(ADVICE_LENGTH);

	pattern_fill(area, ADVICE_LENGTH, 6, 0, 1);
	check_call(madvise(area + 16 * PAGE, 16 * PAGE, MADV_DONTFORK));
	child_run(dontfork_child, area);
	pattern_verify(area, ADVICE_LENGTH, 6, 0, 1, "parent's memory");
	check_call(madvise(area + 16 * PAGE, 16 * PAGE, MADV_DOFORK));
	child_run(dofork_child, area);
	memory_unmap(area, ADVICE_LENGTH);
}

static void wipe_grandchild(void *context)
{
	zero_verify(context, ADVICE_LENGTH / 2, "MADV_WIPEONFORK memory in a grandchild");
}

static void wipe_child(void *context)
{
	char *area = context;

	zero_verify(area, ADVICE_LENGTH / 2, "MADV_WIPEONFORK memory in the child");
	pattern_verify(area + ADVICE_LENGTH / 2, ADVICE_LENGTH / 2, 7,
		       ADVICE_LENGTH / 16, 1, "page behind MADV_WIPEONFORK memory");
	pattern_fill(area, ADVICE_LENGTH, 8, 0, 1);
	/* The setting is inherited. */
	child_run(wipe_grandchild, area);
}

static void wipe_run(void)
{
	char *area = memory_map(ADVICE_LENGTH);

	pattern_fill(area, ADVICE_LENGTH, 7, 0, 1);
	if (madvise(area, ADVICE_LENGTH / 2, MADV_WIPEONFORK) < 0) {
		check(errno == EINVAL, "MADV_WIPEONFORK: %s", strerror(errno));
		note("MADV_WIPEONFORK: %s", strerror(errno));
	} else {
		child_run(wipe_child, area);
	}
	pattern_verify(area, ADVICE_LENGTH, 7, 0, 1, "parent's MADV_WIPEONFORK memory");
	memory_unmap(area, ADVICE_LENGTH);
}

/* ----------------------------------------------------------- settings of the kernel */

static void setting_verify(const char *area, long result, const char *what)
{
	if (result < 0)
		note("%s: %s", what, strerror(errno));
	pattern_verify(area, ADVICE_LENGTH, 10, 0, 1, what);
}

static void settings_run(void)
{
	char *area = memory_map(ADVICE_LENGTH);
	unsigned long nodes = 1;
	int mode = -1;

	pattern_fill(area, ADVICE_LENGTH, 10, 0, 1);
	setting_verify(area, prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, area, ADVICE_LENGTH,
				   "stress"), "PR_SET_VMA_ANON_NAME");
	setting_verify(area, syscall(SYS_get_mempolicy, &mode, NULL, 0, area, MPOL_F_ADDR),
		       "get_mempolicy");
	setting_verify(area, syscall(SYS_mbind, area, ADVICE_LENGTH, MPOL_BIND, &nodes,
				     sizeof(nodes) * 8, MPOL_MF_MOVE), "mbind");
	check_call(madvise(area, PAGE, MADV_DONTNEED));
	zero_verify(area, PAGE, "discarded page under a memory policy");
	memory_unmap(area, ADVICE_LENGTH);
}

/* Nobody serves these faults: registering has to be refused, or to be undone. */
static void userfaultfd_run(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *area = memory_map(ADVICE_LENGTH);
	int fd = (int)syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */);

	if (fd < 0) {
		skip("userfaultfd: %s", strerror(errno));
		return;
	}
	check_call(ioctl(fd, UFFDIO_API, &api));
	pattern_fill(area, ADVICE_LENGTH, 11, 0, 1);
	range.range.start = (uintptr_t)area;
	range.range.len = ADVICE_LENGTH;
	if (ioctl(fd, UFFDIO_REGISTER, &range) < 0)
		note("UFFDIO_REGISTER: %s", strerror(errno));
	else
		check_call(ioctl(fd, UFFDIO_UNREGISTER, &range.range));
	close(fd);
	pattern_verify(area, ADVICE_LENGTH, 11, 0, 1, "memory after userfaultfd");
	check_call(madvise(area, ADVICE_LENGTH, MADV_DONTNEED));
	zero_verify(area, ADVICE_LENGTH, "discarded memory after userfaultfd");
	memory_unmap(area, ADVICE_LENGTH);
}

/* Long-term pins: reported only, since some kernels refuse them on file mappings. */
static void pins_run(void)
{
	/* struct io_uring_params: 120 bytes, all zero is a valid request. */
	uint64_t params[15] = { 0 };
	char *area = memory_map(ADVICE_LENGTH);
	struct iovec buffer = { area, ADVICE_LENGTH };
	int fd = (int)syscall(SYS_io_uring_setup, 4, params);
	long r;

	pattern_fill(area, ADVICE_LENGTH, 12, 0, 1);
	if (fd < 0) {
		skip("io_uring_setup: %s", strerror(errno));
		return;
	}
	r = syscall(SYS_io_uring_register, fd, 0 /* IORING_REGISTER_BUFFERS */, &buffer, 1);
	note("io_uring registered buffers: %s", r < 0 ? strerror(errno) : "accepted");
	if (r == 0) {
		check_call(madvise(area, PAGE, MADV_DONTNEED));
		zero_verify(area, PAGE, "discarded page that is pinned");
		pattern_verify(area + PAGE, ADVICE_LENGTH - PAGE, 12, PAGE_WORDS, 1,
			       "pinned page");
	}
	close(fd);
	memory_unmap(area, ADVICE_LENGTH);
}

const struct scenario advice_scenarios[] = {
	{ "advice", "advice that may not change content", harmless_run },
	{ "madv-free", "MADV_FREE, where it is not refused", free_run },
	{ "dontfork", "MADV_DONTFORK and MADV_DOFORK", dontfork_run },
	{ "wipeonfork", "MADV_WIPEONFORK, where it is not refused", wipe_run },
	{ "settings", "names and memory policies are harmless", settings_run },
	{ "userfaultfd", "registration is refused or can be undone", userfaultfd_run },
	{ "long-pins", "registered buffers of io_uring, reported", pins_run },
	{ 0 }
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* Advice and other calls that are about mapped memory. */
#include "differences.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_COLD
#define MADV_COLD		20
#define MADV_PAGEOUT		21
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC	(1ull << 15)
#endif
#ifndef UFFD_FEATURE_RWP
#define UFFD_FEATURE_RWP		(1ull << 17)
#define UFFDIO_REGISTER_MODE_RWP	(1ull << 3)
#endif

#define PAGEMAP_PFN		((1ull << 55) - 1)
#define PAGEMAP_UFFD_WP		(1ull << 57)

static void advise(long advice)
{
	tell_call(madvise(area_touched(AREA), AREA, (int)advice));
}

static void advise_huge(long advice)
{
	size_t huge = 2 * MIB;
	char *area = area_touched(2 * huge);

	area += huge - (uintptr_t)area % huge;
	tell_call(madvise(area, huge, (int)advice));
}

/* What is to be seen of it afterwards: a flag of the mapping. */
static void merge(long argument)
{
	char *area = area_touched(AREA);

	must(!madvise(area, AREA, MADV_MERGEABLE));
	tell("%s", smaps_flag(area, "mg") ? "takes effect" : "has no effect");
}

static void page_out(long by_pidfd)
{
	char *area = area_touched(AREA);
	struct iovec range = { area, AREA };

	if (by_pidfd) {
		int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

		must(fd >= 0);
		must(syscall(SYS_process_madvise, fd, &range, 1, MADV_PAGEOUT, 0) ==
		     (long)AREA);
	} else {
		must(!madvise(area, AREA, MADV_PAGEOUT));
	}
	tell("%s", smaps_kib(area, "Swap") ? "swapped out" : "stay");
	for (size_t at = 0; at < AREA; at += PAGE)
		must(area[at] == (char)(at / PAGE + 1));
}

static void populate(long advice)
{
	char *area = area_map(AREA);

	must(!madvise(area, AREA, (int)advice));
	tell("%ld of %ld KiB resident", smaps_kib(area, "Rss"), (long)(AREA / 1024));
}

/* The kernel moves the content elsewhere: what compaction and hotplug do, too. */
static void move_away(long argument)
{
	char *area = area_touched(AREA);
	uint64_t before = pagemap_read(area) & PAGEMAP_PFN;

	must(before);
	if (madvise(area, PAGE, MADV_SOFT_OFFLINE) < 0)
		tell_call(-1);
	else
		tell("%s", (pagemap_read(area) & PAGEMAP_PFN) == before ? "stays" : "moved");
	must(*area == 1);
}

/* Memory that has failed: what does who touches it get? */
static void poison(long argument)
{
	volatile char *area = area_touched(AREA);

	if (madvise((char *)area, PAGE, MADV_HWPOISON) < 0) {
		tell_call(-1);
		return;
	}
	(void)*area;
	tell("still read");
}

/* ---------------------------------------------------------------- guard regions */

static bool guard(char *area)
{
	if (!madvise(area, AREA / 2, MADV_GUARD_INSTALL))
		return true;
	tell_call(-1);
	return false;
}

static void guard_touch(long argument)
{
	volatile char *area = area_touched(AREA);

	if (!guard((char *)area))
		return;
	must(area[AREA / 2] != 0);
	(void)*area;
	tell("still read");
}

static void guard_remove(long argument)
{
	char *area = area_touched(AREA);

	if (!guard(area))
		return;
	must(!madvise(area, AREA, MADV_GUARD_REMOVE));
	tell("%s", area[PAGE] ? "its content" : "zero");
	must(area[AREA / 2] != 0);
}

/* What becomes of those of a child, and of its child. */
static void guard_inherit(long generations)
{
	volatile char *area = area_touched(AREA);
	int status;
	pid_t pid;

	if (!guard((char *)area))
		return;
	while (generations--) {
		pid = fork();
		must(pid >= 0);
		if (pid == 0)
			continue;
		must(waitpid(pid, &status, 0) == pid);
		must(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
		if (WIFSIGNALED(status))
			tell("SIG%s", sigabbrev_np(WTERMSIG(status)));
		_exit(0);
	}
	must(area[AREA / 2] != 0);
	(void)*area;
	tell("still read");
}

static void guard_shown(long argument)
{
	char *area = area_touched(AREA);
	int status;
	pid_t pid;

	if (!guard(area))
		return;
	must(smaps_flag(area, "gu"));
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		tell("%s", smaps_flag(area, "gu") ? "shown" : "not shown");
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid && !status);
}

/* ------------------------------------------------------------------- userfaultfd */

static void watch(long features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = (uint64_t)features };
	struct uffdio_register range = {
		.mode = features & (long)UFFD_FEATURE_RWP ? UFFDIO_REGISTER_MODE_RWP :
			features ? UFFDIO_REGISTER_MODE_WP : UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = (int)syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */);

	must(fd >= 0);
	if (ioctl(fd, UFFDIO_API, &api) < 0) {
		tell("not in this kernel");
		return;
	}
	range.range.start = (uintptr_t)area_touched(AREA);
	range.range.len = AREA;
	tell_call(ioctl(fd, UFFDIO_REGISTER, &range));
}

/* Nobody has to answer: the kernel notes what was written since. */
static void watch_writes(long argument)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_WP_ASYNC };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_writeprotect protect = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	int fd = (int)syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */);
	size_t protected = 0;
	char *area;

	must(fd >= 0);
	if (ioctl(fd, UFFDIO_API, &api) < 0) {
		tell("not in this kernel");
		return;
	}
	area = area_touched(AREA);
	range.range = (struct uffdio_range){ (uintptr_t)area, AREA };
	protect.range = range.range;
	if (ioctl(fd, UFFDIO_REGISTER, &range) < 0) {
		tell_call(-1);
		return;
	}
	must(!ioctl(fd, UFFDIO_WRITEPROTECT, &protect));
	area[5 * PAGE]++;
	for (size_t at = 0; at < AREA; at += PAGE) {
		must(area[at] == (char)(at / PAGE + 1 + (at == 5 * PAGE)));
		protected += !!(pagemap_read(area + at) & PAGEMAP_UFFD_WP);
	}
	tell("%zu of %zu pages", AREA / PAGE - protected, AREA / PAGE);
}

/* Who reads what happens to the process: lets go of the child when that has looked. */
static void watch_reader(int fd, int looked)
{
	struct uffd_msg message;
	char byte;

	must(read(fd, &message, sizeof(message)) == sizeof(message));
	must(message.event == UFFD_EVENT_FORK);
	must(read(looked, &byte, 1) == 1);
	must(!close((int)message.arg.fork.ufd));
	_exit(0);
}

/* In the child: what is still protected of memory that was when it forked. */
static void watch_count(const char *area)
{
	size_t protected = 0;

	for (size_t at = 0; at < AREA; at += PAGE)
		protected += !!(pagemap_read(area + at) & PAGEMAP_UFFD_WP);
	tell("%zu of %zu pages", protected, AREA / PAGE);
}

static void watch_child(long argument)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_EVENT_FORK,
	};
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_writeprotect protect = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	int fd = (int)syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */);
	int looked[2], gone[2], status;
	pid_t reader, child;
	char *area, byte;

	must(fd >= 0 && !pipe(looked) && !pipe(gone));
	if (ioctl(fd, UFFDIO_API, &api) < 0) {
		tell("not in this kernel");
		return;
	}
	area = area_touched(AREA);
	reader = fork();
	must(reader >= 0);
	if (reader == 0)
		watch_reader(fd, looked[0]);
	must(!close(gone[1]));
	range.range = protect.range = (struct uffdio_range){ (uintptr_t)area, AREA };
	must(!ioctl(fd, UFFDIO_REGISTER, &range));
	must(!ioctl(fd, UFFDIO_WRITEPROTECT, &protect));
	/* Returns when the reader has heard of it. */
	child = fork();
	must(child >= 0);
	if (child == 0) {
		watch_count(area);
		must(write(looked[1], "", 1) == 1);
		/* Whoever followed us goes while our memory is still there. */
		must(read(gone[0], &byte, 1) == 0);
		for (size_t at = 0; at < AREA; at += PAGE)
			must(area[at]++ == (char)(at / PAGE + 1));
		_exit(0);
	}
	must(waitpid(reader, &status, 0) == reader && !status);
	must(waitpid(child, &status, 0) == child && !status);
}

/* Of shared memory this would be a second mapping of the same pages. */
static void duplicate(long argument)
{
	tell_call(mremap(area_touched(AREA), 0, AREA, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
}

static void move_two(long argument)
{
	char *area = area_touched(2 * AREA), *to = area_map(2 * AREA);

	must(!mprotect(area + AREA, AREA, PROT_READ));
	to = mremap(area, 2 * AREA, 2 * AREA, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (to != MAP_FAILED)
		must(to[PAGE] == 2 && to[AREA + PAGE] == (char)(AREA / PAGE + 2));
	tell_call(to == MAP_FAILED ? -1 : 0);
}

static void leave_behind(long argument)
{
	char *area = area_touched(AREA);
	char *to = mremap(area, AREA, AREA, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);

	if (to != MAP_FAILED)
		must(to[PAGE] == 2 && area[PAGE] == 0);
	tell_call(to == MAP_FAILED ? -1 : 0);
}

static void reorder(long argument)
{
	tell_call(syscall(SYS_remap_file_pages, area_touched(AREA), PAGE, 0, 1, 0));
}

static void key(long argument)
{
	int number = pkey_alloc(0, 0);

	must(number > 0);
	tell_call(pkey_mprotect(area_touched(AREA), AREA, PROT_READ, number));
}

static void synchronise(long argument)
{
	tell_call(msync(area_touched(AREA), AREA, MS_SYNC));
}

const struct probe advice_probes[] = {
	{ "madvise MADV_FREE", advise, MADV_FREE },
	{ "madvise MADV_WIPEONFORK", advise, MADV_WIPEONFORK },
	{ "madvise MADV_KEEPONFORK", advise, MADV_KEEPONFORK },
	{ "madvise MADV_DONTFORK", advise, MADV_DONTFORK },
	{ "madvise MADV_DONTDUMP", advise, MADV_DONTDUMP },
	{ "madvise MADV_WILLNEED", advise, MADV_WILLNEED },
	{ "madvise MADV_COLD", advise, MADV_COLD },
	{ "madvise MADV_DONTNEED", advise, MADV_DONTNEED },
	{ "madvise MADV_DONTNEED_LOCKED", advise, MADV_DONTNEED_LOCKED },
	{ "madvise MADV_REMOVE", advise, MADV_REMOVE },
	{ "madvise MADV_COLLAPSE", advise_huge, MADV_COLLAPSE },
	{ "madvise MADV_MERGEABLE", merge, 0 },
	{ "madvise MADV_PAGEOUT, with swap", page_out, 0 },
	{ "process_madvise MADV_PAGEOUT, with swap", page_out, 1 },
	{ "madvise MADV_POPULATE_READ", populate, MADV_POPULATE_READ },
	{ "madvise MADV_POPULATE_WRITE", populate, MADV_POPULATE_WRITE },
	{ "madvise MADV_SOFT_OFFLINE", move_away, 0 },
	{ "madvise MADV_HWPOISON", poison, 0 },
	{ "guard region, touched", guard_touch, 0 },
	{ "guard region, touched by a child", guard_inherit, 1 },
	{ "guard region, touched by a child's child", guard_inherit, 2 },
	{ "guard region, removed", guard_remove, 0 },
	{ "gu in /proc/PID/smaps of a child", guard_shown, 0 },
	{ "userfaultfd, missing pages", watch, 0 },
	{ "userfaultfd, read-write protection", watch, UFFD_FEATURE_RWP },
	{ "userfaultfd, asynchronous, pages of a followed child", watch_child, 0 },
	{ "userfaultfd, write protection", watch, UFFD_FEATURE_PAGEFAULT_FLAG_WP },
	{ "userfaultfd, asynchronous, after one write", watch_writes, 0 },
	{ "mremap with an old length of 0", duplicate, 0 },
	{ "mremap with MREMAP_DONTUNMAP", leave_behind, 0 },
	{ "mremap of two mappings at once", move_two, 0 },
	{ "remap_file_pages", reorder, 0 },
	{ "msync", synchronise, 0 },
	{ "pkey_mprotect", key, 0 },
	{ 0 }
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that is populated or locked, and what the kernel tells about residence. */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif

#define LOCK_PAGES	200
#define LOCK_LENGTH	(LOCK_PAGES * PAGE)
#define PAGEMAP_PRESENT	(1ull << 63)

/* Pages of the range that have a page table entry now. */
static size_t present_count(const void *memory, size_t length)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t present = 0;

	must(fd >= 0, "cannot open /proc/self/pagemap: %s", strerror(errno));
	for (size_t i = 0; i < length / PAGE; i++) {
		uint64_t entry = 0;
		off_t offset = (off_t)(((uintptr_t)memory / PAGE + i) * sizeof(entry));

		must(pread(fd, &entry, sizeof(entry), offset) == sizeof(entry),
		     "read of pagemap: %s", strerror(errno));
		present += !!(entry & PAGEMAP_PRESENT);
	}
	close(fd);
	return present;
}

static void present_verify(const void *memory, size_t length, const char *what)
{
	size_t present = present_count(memory, length);

	check(present == length / PAGE, "%s: %zu of %zu pages are present", what, present,
	      length / PAGE);
}

/* False after a skip: the limit on locked memory may be low, also in containers. */
static bool lock_allowed(long result, const char *what)
{
	if (result == 0)
		return check(true, "%s", what);
	if (errno == ENOMEM || errno == EPERM || errno == EAGAIN) {
		skip("%s: %s", what, strerror(errno));
		return false;
	}
	return check(false, "%s: %s", what, strerror(errno));
}

/* ---------------------------------------------------------------------- populate */

static void populate_run(void)
{
	char *area = memory_map_flags(LOCK_LENGTH, PROT_READ | PROT_WRITE, MAP_POPULATE);

	present_verify(area, LOCK_LENGTH, "MAP_POPULATE");
	zero_verify(area, LOCK_LENGTH, "populated memory");
	pattern_fill(area, LOCK_LENGTH, 1, 0, 1);
	pattern_verify(area, LOCK_LENGTH, 1, 0, 1, "populated memory");
	memory_unmap(area, LOCK_LENGTH);

	area = memory_map(LOCK_LENGTH);
	pattern_fill(area, LOCK_LENGTH / 2, 2, 0, 1);
	check_call(madvise(area, LOCK_LENGTH, MADV_POPULATE_WRITE));
	present_verify(area, LOCK_LENGTH, "MADV_POPULATE_WRITE");
	pattern_verify(area, LOCK_LENGTH / 2, 2, 0, 1, "memory under MADV_POPULATE_WRITE");
	zero_verify(area + LOCK_LENGTH / 2, LOCK_LENGTH / 2, "memory that it populated");
	check_call(madvise(area, LOCK_LENGTH, MADV_DONTNEED));
	check_call(madvise(area, LOCK_LENGTH, MADV_POPULATE_READ));
	present_verify(area, LOCK_LENGTH, "MADV_POPULATE_READ");
	zero_verify(area, LOCK_LENGTH, "memory under MADV_POPULATE_READ");
	check_call(mprotect(area, PAGE, PROT_READ));
	check(madvise(area, PAGE, MADV_POPULATE_WRITE) < 0,
	      "MADV_POPULATE_WRITE made read-only memory writable");
	memory_unmap(area, LOCK_LENGTH);
}

/* -------------------------------------------------------------------------- locks */

static void lock_child(void *context)
{
	pattern_verify(context, LOCK_LENGTH, 3, 0, 1, "locked memory in a child");
	pattern_fill(context, LOCK_LENGTH, 3, 0, 2);
}

static void mlock_run(void)
{
	char *area = memory_map(LOCK_LENGTH);

	if (!lock_allowed(mlock(area, LOCK_LENGTH), "mlock"))
		return;
	present_verify(area, LOCK_LENGTH, "mlock");
	zero_verify(area, LOCK_LENGTH, "locked memory");
	pattern_fill(area, LOCK_LENGTH, 3, 0, 1);
	check_fails(madvise(area, PAGE, MADV_DONTNEED), EINVAL);
	child_run(lock_child, area);
	pattern_verify(area, LOCK_LENGTH, 3, 0, 1, "locked memory after a fork");
	check_call(munlock(area + PAGE, PAGE));
	check_call(madvise(area + PAGE, PAGE, MADV_DONTNEED));
	zero_verify(area + PAGE, PAGE, "page discarded after munlock");
	check_call(munlock(area, LOCK_LENGTH));
	pattern_verify(area + 2 * PAGE, LOCK_LENGTH - 2 * PAGE, 3, 2 * PAGE_WORDS, 1,
		       "memory after munlock");
	memory_unmap(area, LOCK_LENGTH);

	area = mmap(NULL, LOCK_LENGTH, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	if (lock_allowed(area == MAP_FAILED ? -1 : 0, "MAP_LOCKED")) {
		present_verify(area, LOCK_LENGTH, "MAP_LOCKED");
		memory_unmap(area, LOCK_LENGTH);
	}

	area = memory_map(LOCK_LENGTH);
	if (lock_allowed(syscall(SYS_mlock2, area, LOCK_LENGTH, MLOCK_ONFAULT), "mlock2")) {
		pattern_fill(area, LOCK_LENGTH, 4, 0, 1);
		pattern_verify(area, LOCK_LENGTH, 4, 0, 1, "memory locked on fault");
	}
	memory_unmap(area, LOCK_LENGTH);
}

static void mlockall_run(void)
{
	char *before = memory_map(LOCK_LENGTH), *after;

	if (!lock_allowed(mlockall(MCL_CURRENT | MCL_FUTURE), "mlockall"))
		return;
	present_verify(before, LOCK_LENGTH, "mlockall");
	after = mmap(NULL, LOCK_LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);
	if (lock_allowed(after == MAP_FAILED ? -1 : 0, "mmap under mlockall")) {
		present_verify(after, LOCK_LENGTH, "mmap under mlockall");
		zero_verify(after, LOCK_LENGTH, "memory mapped under mlockall");
		/* Growth of a locked mapping is populated as well. */
		after = mremap(after, LOCK_LENGTH, 2 * LOCK_LENGTH, MREMAP_MAYMOVE);
		must(after != MAP_FAILED, "mremap: %s", strerror(errno));
		present_verify(after, 2 * LOCK_LENGTH, "mremap under mlockall");
		memory_unmap(after, 2 * LOCK_LENGTH);
	}
	check_call(munlockall());
	memory_unmap(before, LOCK_LENGTH);
}

/* -------------------------------------------------------------------- residence */

static void resident_run(void)
{
	/* No access on both sides, so that its VMA is its own. */
	char *fence = memory_reserve(LOCK_LENGTH + 2 * PAGE), *area = fence + PAGE;
	unsigned char vec[LOCK_PAGES];
	size_t absent = 0;
	long rss, pss;

	check_call(mprotect(area, LOCK_LENGTH, PROT_READ | PROT_WRITE));
	pattern_fill(area, LOCK_LENGTH, 5, 0, 1);
	present_verify(area, LOCK_LENGTH, "written memory");
	rss = smaps_sum(area, LOCK_LENGTH, "Rss");
	check(rss == (long)(LOCK_LENGTH / KIB), "smaps: Rss is %ld KiB, not %zu", rss,
	      LOCK_LENGTH / KIB);
	pss = smaps_sum(area, LOCK_LENGTH, "Pss");
	check(pss == (long)(LOCK_LENGTH / KIB), "smaps: Pss is %ld KiB, not %zu", pss,
	      LOCK_LENGTH / KIB);
	check_call(mincore(area, LOCK_LENGTH, vec));
	for (size_t i = 0; i < LOCK_PAGES; i++)
		absent += !(vec[i] & 1);
	check(absent == 0, "mincore: %zu of %u written pages are not in core", absent,
	      LOCK_PAGES);
	check_call(madvise(area, LOCK_LENGTH, MADV_DONTNEED));
	check(present_count(area, LOCK_LENGTH) == 0, "discarded pages are present");
	rss = smaps_sum(area, LOCK_LENGTH, "Rss");
	check(rss == 0, "smaps: Rss of discarded memory is %ld KiB", rss);
	/* Looking must not have mapped anything wrong. */
	zero_verify(area, LOCK_LENGTH, "discarded memory after all that");
	memory_unmap(fence, LOCK_LENGTH + 2 * PAGE);
}

static void msync_run(void)
{
	char *area = memory_map(LOCK_LENGTH);

	pattern_fill(area, LOCK_LENGTH, 6, 0, 1);
	check_call(msync(area, LOCK_LENGTH, MS_SYNC));
	check_call(msync(area, LOCK_LENGTH, MS_ASYNC));
	check_call(msync(area, LOCK_LENGTH, MS_SYNC | MS_INVALIDATE));
	pattern_verify(area, LOCK_LENGTH, 6, 0, 1, "memory after msync");
	memory_unmap(area, LOCK_LENGTH);
}

const struct scenario lock_scenarios[] = {
	{ "populate", "MAP_POPULATE and MADV_POPULATE", populate_run },
	{ "mlock", "mlock, MAP_LOCKED, mlock2", mlock_run },
	{ "mlockall", "mlockall, and mappings made under it", mlockall_run },
	{ "resident", "pagemap, smaps and mincore agree with what was written",
	  resident_run },
	{ "msync", "msync of memory succeeds and does nothing", msync_run },
	{ 0 }
};

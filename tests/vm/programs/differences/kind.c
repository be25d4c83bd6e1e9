// SPDX-License-Identifier: GPL-2.0-or-later
/* Which mappings are adopted, and what a first touch of them gets. */
#include "differences.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_map_shadow_stack
#define SYS_map_shadow_stack	453
#endif

#define HUGE		(2 * MIB)

static void mode_tell(const char *area)
{
	char flags[5], name[128];

	maps_read(area, flags, name);
	tell("%s", flags);
}

static void mode_of(long flags)
{
	mode_tell(area_map_flags(AREA, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | (int)flags, -1));
}

static void mode_of_dev_zero(long argument)
{
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);

	must(fd >= 0);
	mode_tell(area_map_flags(AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd));
}

static char data[PAGE];

static void mode_of_data(long argument)
{
	mode_tell(data);
}

static void mode_of_stack(long argument)
{
	char local = 0;

	mode_tell(&local);
}

/* By main(), in neither cgroup. */
static void mode_of_early(long argument)
{
	mode_tell(area_early);
}

static void heap(long length)
{
	tell_call(sbrk(length) == (void *)-1 ? -1 : 0);
}

static void read_first(long argument)
{
	volatile char *area = area_map(AREA);

	for (size_t at = 0; at < AREA; at += PAGE)
		must(area[at] == 0);
	tell("%ld of %ld KiB resident", smaps_kib((char *)area, "Rss"), (long)(AREA / 1024));
}

static void huge_page(long argument)
{
	char *area = area_map(2 * HUGE);

	area += HUGE - (uintptr_t)area % HUGE;
	must(!madvise(area, HUGE, MADV_HUGEPAGE));
	*area = 1;
	tell("%s", smaps_kib(area, "AnonHugePages") + smaps_kib(area, "FilePmdMapped") ?
	     "a huge page" : "no huge page");
}

const struct probe kind_probes[] = {
	{ "mmap with MAP_NORESERVE", mode_of, MAP_PRIVATE | MAP_NORESERVE },
	{ "mmap with MAP_STACK", mode_of, MAP_PRIVATE | MAP_STACK },
	{ "mmap with MAP_LOCKED", mode_of, MAP_PRIVATE | MAP_LOCKED },
	{ "mmap with MAP_GROWSDOWN", mode_of, MAP_PRIVATE | MAP_GROWSDOWN },
	{ "mmap with MAP_SHARED", mode_of, MAP_SHARED },
	{ "mmap of /dev/zero", mode_of_dev_zero, 0 },
	/* Without pages of its own: none are set aside. */
	{ "mmap with MAP_HUGETLB", mode_of, MAP_PRIVATE | MAP_HUGETLB | MAP_NORESERVE },
	{ "mapped before the process came in", mode_of_early, 0 },
	{ "data of the program", mode_of_data, 0 },
	{ "main stack", mode_of_stack, 0 },
	{ "sbrk of 1 MiB", heap, MIB },
	{ "first read of pages", read_first, 0 },
	{ "first write with MADV_HUGEPAGE", huge_page, 0 },
	{ 0 }
};

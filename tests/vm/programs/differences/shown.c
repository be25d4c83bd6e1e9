// SPDX-License-Identifier: GPL-2.0-or-later
/* What is shown of the memory, in /proc and in the cgroup's files. */
#include "differences.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGEMAP_SOFT_DIRTY	(1ull << 55)
#define PAGEMAP_FILE		(1ull << 61)
#define NOBODY			65534

static void maps_flags(long argument)
{
	char flags[5], name[128];

	maps_read(area_map(AREA), flags, name);
	tell("%s", flags);
}

static void maps_name(long argument)
{
	char flags[5], name[128];

	maps_read(area_map(AREA), flags, name);
	tell("%s", *name ? name : "none");
}

/* Which of the names has grown by a quarter of @length while it was written. */
struct growth {
	const char *const *names;
	const char *path;
	long long unit;
	long long before[8];
};

static void growth_begin(struct growth *growth)
{
	for (size_t i = 0; growth->names[i]; i++)
		growth->before[i] = file_value(growth->path, growth->names[i]);
}

static void growth_tell(const struct growth *growth, size_t length)
{
	char grown[128] = "";

	for (size_t i = 0; growth->names[i]; i++) {
		long long now = file_value(growth->path, growth->names[i]);

		if ((now - growth->before[i]) * growth->unit < (long long)length / 4)
			continue;
		if (*grown)
			strcat(grown, ", ");
		strcat(grown, growth->names[i]);
	}
	tell("%s", *grown ? grown : "none");
}

static void status_rss(long argument)
{
	static const char *const names[] = { "VmRSS", "RssAnon", "RssFile", "RssShmem", NULL };
	struct growth growth = { names, "/proc/self/status", 1024, { 0 } };

	growth_begin(&growth);
	area_touched(8 * MIB);
	growth_tell(&growth, 8 * MIB);
}

static void status_data(long argument)
{
	static const char *const names[] = { "VmSize", "VmData", NULL };
	struct growth growth = { names, "/proc/self/status", 1024, { 0 } };

	growth_begin(&growth);
	area_map(8 * MIB);
	growth_tell(&growth, 8 * MIB);
}

static void status_locked(long argument)
{
	static const char *const names[] = { "VmLck", "VmPin", NULL };
	struct growth growth = { names, "/proc/self/status", 1024, { 0 } };
	char *area = area_map(AREA);

	growth_begin(&growth);
	must(!mlock(area, AREA));
	growth_tell(&growth, AREA);
}

/* So much that the domain has to grow for it: free frames are charged already. */
static void cgroup_stat(long argument)
{
	static const char *const names[] = {
		"anon", "file", "kernel", "shmem", "file_mapped", "unevictable", NULL,
	};
	struct growth growth = { .names = names, .unit = 1 };
	char *path;

	must(asprintf(&path, "%s/memory.stat", probe_cgroup) > 0);
	growth.path = path;
	growth_begin(&growth);
	area_touched(64 * MIB);
	growth_tell(&growth, 64 * MIB);
}

static void cgroup_nested(long argument)
{
	static const char *const names[] = { "anon", "kernel", NULL };
	struct growth growth = { .names = names, .unit = 1 };
	char *path;

	must(asprintf(&path, "%s/leaf/memory.stat", probe_cgroup) > 0);
	growth.path = path;
	growth_begin(&growth);
	area_touched(64 * MIB);
	growth_tell(&growth, 64 * MIB);
}

static void smaps_written(long field)
{
	const char *const fields[] = { "Anonymous", "Private_Dirty", "Locked" };
	char *area = area_touched(AREA);

	must(!mlock(area, AREA));
	tell("%ld of %ld KiB", smaps_kib(area, fields[field]), (long)(AREA / 1024));
}

static void pagemap_file(long argument)
{
	tell("%s", pagemap_read(area_touched(AREA)) & PAGEMAP_FILE ? "set" : "clear");
}

/* Written since the bits were cleared: one page of the area. */
static void soft_dirty(long argument)
{
	char *area = area_touched(AREA);
	size_t dirty = 0;

	file_write("/proc/self/clear_refs", "4");
	area[5 * PAGE] = 1;
	for (size_t at = 0; at < AREA; at += PAGE)
		dirty += !!(pagemap_read(area + at) & PAGEMAP_SOFT_DIRTY);
	must(pagemap_read(area + 5 * PAGE) & PAGEMAP_SOFT_DIRTY);
	tell("%zu page", dirty);
}

static void resident(long user)
{
	unsigned char vector[AREA / PAGE] = { 0 };
	size_t pages = 0;
	char *area = area_map(AREA);

	/* A first touch may map several at once; so that it cannot tell. */
	must(!madvise(area + AREA / 2, AREA / 2, MADV_DONTNEED));
	area[0] = 1;
	must(!madvise(area + PAGE, AREA - PAGE, MADV_DONTNEED));
	if (user)
		must(!setuid((uid_t)user));
	must(!mincore(area, AREA, vector));
	for (size_t i = 0; i < AREA / PAGE; i++)
		pages += vector[i] & 1;
	tell("%zu of %zu pages", pages, AREA / PAGE);
}

static void map_files(long argument)
{
	char *area = area_map(AREA), *path;

	must(asprintf(&path, "/proc/self/map_files/%lx-%lx", (unsigned long)area,
		      (unsigned long)area + AREA) > 0);
	tell_call(open(path, O_RDONLY | O_CLOEXEC));
}

const struct probe shown_probes[] = {
	{ "mode in /proc/PID/maps", maps_flags, 0 },
	{ "name in /proc/PID/maps", maps_name, 0 },
	{ "opening it in /proc/PID/map_files", map_files, 0 },
	{ "written pages in /proc/PID/status", status_rss, 0 },
	{ "mapping it in /proc/PID/status", status_data, 0 },
	{ "locking it in /proc/PID/status", status_locked, 0 },
	{ "Anonymous in /proc/PID/smaps", smaps_written, 0 },
	{ "Private_Dirty in /proc/PID/smaps", smaps_written, 1 },
	{ "Locked in /proc/PID/smaps", smaps_written, 2 },
	{ "written pages in memory.stat", cgroup_stat, 0 },
	{ "written pages in memory.stat of a cgroup below", cgroup_nested, 0 },
	{ "bit 61 in /proc/PID/pagemap", pagemap_file, 0 },
	{ "soft-dirty after one write", soft_dirty, 0 },
	{ "mincore after one write", resident, 0 },
	{ "mincore after setuid", resident, NOBODY },
	{ 0 }
};

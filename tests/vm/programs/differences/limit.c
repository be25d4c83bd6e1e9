// SPDX-License-Identifier: GPL-2.0-or-later
/* What the limits of processes and of the host count. */
#include "differences.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define NOBODY		65534

static void limit_set(int limit, size_t bytes)
{
	struct rlimit both = { bytes, bytes };

	must(!setrlimit(limit, &both));
}

static void map_beyond(long limit)
{
	const char *name = limit == RLIMIT_DATA ? "VmData" : "VmSize";

	limit_set((int)limit, (size_t)file_value("/proc/self/status", name) * 1024 + 8 * MIB);
	tell_call(mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0) == MAP_FAILED ? -1 : 0);
}

static void lock_beyond(long argument)
{
	char *area = area_map(AREA);

	limit_set(RLIMIT_MEMLOCK, AREA / 2);
	must(!setuid(NOBODY));
	tell_call(mlock(area, AREA));
}

static void committed(long argument)
{
	long long before = file_value("/proc/meminfo", "Committed_AS");

	area_map(256 * MIB);
	/* KiB; others come and go meanwhile. */
	tell("%s", file_value("/proc/meminfo", "Committed_AS") - before > 128 * 1024 ?
	     "counted" : "not counted");
}

#define OVERCOMMIT	"/proc/sys/vm/overcommit_memory"

/* As much as all together may have. */
static void map_beyond_commit(long argument)
{
	size_t length = (size_t)file_value("/proc/meminfo", "CommitLimit") * 1024;
	char *area;
	int error;

	file_write(OVERCOMMIT, "2");
	area = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	error = errno;
	file_write(OVERCOMMIT, "0");
	errno = error;
	tell_call(area == MAP_FAILED ? -1 : 0);
}

const struct probe limit_probes[] = {
	{ "mmap beyond RLIMIT_DATA", map_beyond, RLIMIT_DATA },
	{ "mmap beyond RLIMIT_AS", map_beyond, RLIMIT_AS },
	{ "mlock beyond RLIMIT_MEMLOCK", lock_beyond, 0 },
	{ "mmap in Committed_AS", committed, 0 },
	{ "mmap beyond the commit limit, vm.overcommit_memory 2", map_beyond_commit, 0 },
	{ 0 }
};

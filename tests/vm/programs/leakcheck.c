// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * leakcheck - is the memory back, and in large blocks?
 *
 * leakcheck save FILE remembers the host's free memory; leakcheck compare FILE
 * exits with 1 when there is less than before by more than --tolerance-mib
 * (default 16), or when less of it lies in blocks of 2 MiB and more by more than
 * --block-tolerance-mib (default 64). Both first drop caches and compact memory,
 * which needs root; the machine should be idle. What is not back yet is looked for again,
 * a few times: services end after their container, and compaction passes over what
 * somebody holds at that moment.
 */
#include "util.h"

#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_ORDER	9

/* Looks, a second apart. */
#define TRIES		5

struct snapshot {
	unsigned long long free_kib;	/* MemFree, the CPUs' own, what caches could give */
	unsigned long long slab_kib;	/* not reclaimable: page structs in use show here */
	unsigned long long block_kib;	/* free, in blocks of BLOCK_ORDER and larger */
};

static void knob_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		err(1, "cannot write %s", path);
	close(fd);
}

static unsigned long long buddy_blocks(void)
{
	FILE *file = fopen("/proc/buddyinfo", "re");
	unsigned long long kib = 0, count;
	char line[512];

	if (!file)
		err(1, "cannot open /proc/buddyinfo");
	while (fgets(line, sizeof(line), file)) {
		/* "Node 0, zone   Normal   1 2 3 ...": a column an order. */
		char *at = strstr(line, "zone");
		int used;

		if (!at || sscanf(at, "zone %*s%n", &used) < 0)
			continue;
		at += used;
		for (unsigned int order = 0; sscanf(at, "%llu%n", &count, &used) == 1;
		     order++, at += used)
			if (order >= BLOCK_ORDER)
				kib += (count << order) * (UTIL_PAGE / 1024);
	}
	fclose(file);
	return kib;
}

/* Free pages that a CPU keeps for itself, tens of MiB on 6.1: MemFree is without. */
static unsigned long long percpu_kib(void)
{
	FILE *file = fopen("/proc/zoneinfo", "re");
	unsigned long long pages, sum = 0;
	char line[256];

	if (!file)
		err(1, "cannot open /proc/zoneinfo");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " count: %llu", &pages) == 1)
			sum += pages;
	fclose(file);
	return sum * (UTIL_PAGE / 1024);
}

static struct snapshot snapshot_take(void)
{
	struct snapshot now = { 0 };
	unsigned long long value;
	char name[64];
	FILE *file;

	sync();
	knob_write("/proc/sys/vm/drop_caches", "3");
	knob_write("/proc/sys/vm/compact_memory", "1");
	file = fopen("/proc/meminfo", "re");
	if (!file)
		err(1, "cannot open /proc/meminfo");
	while (util_field_next(file, name, sizeof(name), &value)) {
		if (strcmp(name, "MemFree") == 0 || strcmp(name, "Buffers") == 0 ||
		    strcmp(name, "Cached") == 0 || strcmp(name, "SReclaimable") == 0)
			now.free_kib += value;
		else if (strcmp(name, "SUnreclaim") == 0)
			now.slab_kib = value;
	}
	fclose(file);
	now.free_kib += percpu_kib();
	now.block_kib = buddy_blocks();
	return now;
}

static void snapshot_save(const char *path, const struct snapshot *snapshot)
{
	FILE *file = fopen(path, "we");

	if (!file || fprintf(file, "free %llu\nslab %llu\nblock %llu\n", snapshot->free_kib,
			     snapshot->slab_kib, snapshot->block_kib) < 0 || fclose(file))
		err(1, "cannot write %s", path);
}

static struct snapshot snapshot_load(const char *path)
{
	FILE *file = fopen(path, "re");
	struct snapshot then;

	if (!file)
		err(1, "cannot open %s", path);
	if (fscanf(file, "free %llu slab %llu block %llu", &then.free_kib, &then.slab_kib,
		   &then.block_kib) != 3)
		errx(1, "%s was not written by leakcheck", path);
	fclose(file);
	return then;
}

static bool enough(unsigned long long then, unsigned long long now, unsigned long tolerance_mib)
{
	return now + tolerance_mib * 1024 >= then;
}

static bool within(const char *what, unsigned long long then, unsigned long long now,
		   unsigned long tolerance_mib)
{
	bool ok = enough(then, now, tolerance_mib);

	util_say("%s%s: %llu KiB before, %llu KiB now (%+lld)", ok ? "" : "FAIL ", what, then,
		 now, (long long)(now - then));
	return ok;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "tolerance-mib", required_argument, NULL, 't' },
		{ "block-tolerance-mib", required_argument, NULL, 'b' },
		{ 0 }
	};
	unsigned long tolerance = 16, block_tolerance = 64;
	struct snapshot now, then;
	bool ok;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 't': tolerance = util_number("--tolerance-mib", optarg, 0, 1 << 20); break;
		case 'b': block_tolerance = util_number("--block-tolerance-mib", optarg, 0,
							1 << 20); break;
		default: return 2;
		}
	}
	if (optind != argc - 2)
		errx(2, "usage: leakcheck save|compare FILE");
	if (strcmp(argv[optind], "save") == 0) {
		now = snapshot_take();
		snapshot_save(argv[optind + 1], &now);
		return 0;
	}
	if (strcmp(argv[optind], "compare") != 0)
		errx(2, "usage: leakcheck save|compare FILE");
	then = snapshot_load(argv[optind + 1]);
	now = snapshot_take();
	for (int i = 1; i < TRIES && !(enough(then.free_kib, now.free_kib, tolerance) &&
				       enough(now.slab_kib, then.slab_kib, tolerance) &&
				       enough(then.block_kib, now.block_kib, block_tolerance)); i++) {
		sleep(1);
		now = snapshot_take();
	}
	ok = within("free memory", then.free_kib, now.free_kib, tolerance);
	/* Less is better here, so the two change places. */
	ok &= within("memory outside unreclaimable slab", now.slab_kib, then.slab_kib, tolerance);
	ok &= within("free in large blocks", then.block_kib, now.block_kib, block_tolerance);
	return ok ? 0 : 1;
}

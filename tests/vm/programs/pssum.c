// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pssum - how much memory of a cgroup's processes is adopted?
 *
 * pssum [--name TEXT] CGROUP sums what /proc/PID/smaps says about the VMAs of all
 * processes of the cgroup and below. Adopted are those whose file's name contains
 * TEXT (default: usm). The kernel rounds Pss down to a KiB for each VMA, so with
 * shared pages the sum may be low by up to `vmas` KiB; without, it is exact.
 * Prints "name value" lines.
 */
#include "util.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

struct sums {
	const char *name;
	unsigned long processes;
	unsigned long vmas;
	unsigned long long pss, rss, shared;	/* KiB */
	unsigned long long other_anon;		/* KiB, of all other VMAs */
};

/* A VMA's first line: "from-to perms offset device inode   name". */
static bool vma_line(const char *line, const char **ret_name)
{
	unsigned long from, to;
	int name = 0;

	if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &from, &to, &name) < 2)
		return false;
	*ret_name = name ? line + name : "";
	return true;
}

static void process_sum(int pid, void *context)
{
	struct sums *sums = context;
	char path[64], *line = NULL;
	bool adopted = false;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	file = fopen(path, "re");
	if (!file && (errno == ENOENT || errno == ESRCH))
		return;
	if (!file)
		err(1, "cannot open %s", path);
	sums->processes++;
	while (getline(&line, &size, file) > 0) {
		unsigned long long kib;
		const char *name;

		if (vma_line(line, &name)) {
			adopted = strstr(name, sums->name) != NULL;
			sums->vmas += adopted;
		} else if (adopted && sscanf(line, "Pss: %llu", &kib) == 1) {
			sums->pss += kib;
		} else if (adopted && sscanf(line, "Rss: %llu", &kib) == 1) {
			sums->rss += kib;
		} else if (adopted && (sscanf(line, "Shared_Clean: %llu", &kib) == 1 ||
				       sscanf(line, "Shared_Dirty: %llu", &kib) == 1)) {
			sums->shared += kib;
		} else if (!adopted && sscanf(line, "Anonymous: %llu", &kib) == 1) {
			sums->other_anon += kib;
		}
	}
	free(line);
	fclose(file);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "name", required_argument, NULL, 'n' },
		{ 0 }
	};
	struct sums sums = { .name = "usm" };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c != 'n')
			return 2;
		sums.name = optarg;
	}
	if (optind != argc - 1)
		errx(2, "usage: pssum [--name TEXT] CGROUP");
	util_cgroup_each(argv[optind], process_sum, &sums);
	util_say("processes %lu\nvmas %lu\npss_kib %llu\nrss_kib %llu\nshared_kib %llu\n"
		 "other_anon_kib %llu", sums.processes, sums.vmas, sums.pss, sums.rss,
		 sums.shared, sums.other_anon);
	return 0;
}

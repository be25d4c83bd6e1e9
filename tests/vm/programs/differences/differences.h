/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * differences - what a program can see of being under a policy.
 *
 * Each probe is something that a program, or somebody who looks at it, does to
 * private anonymous memory. It runs twice, in processes of their own: on stock
 * memory and on adopted memory, and tells in a few words what came of it. The
 * program does not know what should: the manual page usm(4) does.
 */
#ifndef DIFFERENCES_H
#define DIFFERENCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE	((size_t)4096)
#define MIB	((size_t)1024 * 1024)
/* Below the size of a huge page, which stock memory would get otherwise. */
#define AREA	(64 * PAGE)

struct probe {
	const char *what;	/* as the manual page calls it */
	void (*run)(long argument);
	long argument;
};

/* One list a file, ended by a probe without `what`. */
extern const struct probe shown_probes[];
extern const struct probe kind_probes[];
extern const struct probe advice_probes[];
extern const struct probe node_probes[];
extern const struct probe limit_probes[];
extern const struct probe reach_probes[];

/* Private anonymous memory that was mapped before the process came into its cgroup. */
extern char *area_early;

/* The cgroup whose leaf this process is in; its files are read only. */
extern const char *probe_cgroup;

/* The outcome, once a probe; a call that failed is called by its errno. */
void tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void tell_call(long result);
/* What the probe cannot go on without. */
#define must(ok)	must_at((ok), #ok, __FILE__, __LINE__)
void must_at(bool ok, const char *what, const char *file, int line);

/* Private anonymous memory, stock or adopted as this run is about; touched: written. */
char *area_map(size_t length);
char *area_touched(size_t length);
/* Any mapping, as it comes. */
char *area_map_flags(size_t length, int prot, int flags, int fd);

/* "rw-p" and the like of the mapping at an address, and its name or "". */
void maps_read(const void *address, char flags[5], char name[128]);
/* A field of /proc/self/smaps, KiB, of the mapping at an address. */
long smaps_kib(const void *address, const char *field);
/* Is the flag among its VmFlags? */
bool smaps_flag(const void *address, const char *flag);
/* The value behind a name at the beginning of a line; -1: there is none. */
long long file_value(const char *path, const char *name);
/* The entry of one page in /proc/self/pagemap. */
uint64_t pagemap_read(const void *address);
void file_write(const char *path, const char *text);

#endif

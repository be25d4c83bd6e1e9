/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel says of a cgroup. The only file that uses libcgroup, of which
 * Debian 12 has 2.0.2. Paths are relative to the v2 hierarchy, as in cgpath.h.
 */
#ifndef USMD_CGROUP_H
#define USMD_CGROUP_H

#include <stdint.h>
#include <sys/types.h>

#include "error.h"

/*
 * To be called first. *root is where the hierarchy is mounted, to be freed.
 * -EOPNOTSUPP: the memory controller is not in a unified v2 hierarchy.
 */
int usm_cgroup_init(char **root, struct usm_error *err);

/* The cgroup of a process, to be freed; NULL with errno. */
char *usm_cgroup_of_pid(pid_t pid);

/* A descriptor of the directory, or -errno. */
int usm_cgroup_open(const char *root, const char *path);

/* The cgroup's id, which is the domain's, or 0 with errno. */
uint64_t usm_cgroup_id(int fd);

/*
 * Which cgroup to bind for a process of container `id` that is in `path`: that
 * cgroup if the memory controller is enabled for it, else the nearest one above
 * that has it and is still the container's own, i.e. not above the one that is
 * named after it. One further up may hold other containers, whose memory must
 * not be adopted. Frames are charged to it and thereby to all above it, so a
 * memory.max on an outer scope counts as well, see usm_cgroup_limit().
 * *chosen is to be freed. -EOPNOTSUPP: there is none.
 */
int usm_cgroup_choose(const char *root, const char *path, const char *container_id,
		      char **chosen, struct usm_error *err);

/* The lowest memory.max of the cgroup and all above it; UINT64_MAX: none. */
int usm_cgroup_limit(const char *path, uint64_t *bytes, struct usm_error *err);

struct usm_cgroup_usage {
	uint32_t processes;	/* in it and below */
	uint32_t counted;	/* of those, that rss_anon_kib holds */
	uint64_t rss_anon_kib;	/* anonymous memory that was not adopted */
	uint64_t current;	/* memory.current, bytes */
	uint64_t anon;		/* of memory.stat, bytes */
	uint64_t file;
	uint64_t kernel;
};

/* Zeroes for whatever cannot be read: the cgroup may be on its way out. */
void usm_cgroup_usage(const char *root, const char *path, struct usm_cgroup_usage *usage);

/* Processes that the kernel's OOM killer took there (memory.events), 0 if unknown. */
uint64_t usm_cgroup_oom_kills(const char *path);

#endif /* USMD_CGROUP_H */

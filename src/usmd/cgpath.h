/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Paths of cgroups as /proc/PID/cgroup has them: absolute, from the root of the
 * v2 hierarchy, "/" for the root itself. Pure string work.
 */
#ifndef USMD_CGPATH_H
#define USMD_CGPATH_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The path in the text of /proc/PID/cgroup, to be freed. NULL with errno:
 * ENOENT no v2 line; EINVAL a path that cannot be used, since the cgroup is
 * removed already or lies outside of our cgroup namespace.
 */
char *usm_cgpath_from_proc(const char *text);

/* Whether `path` is `ancestor` or below it. */
bool usm_cgpath_is_within(const char *path, const char *ancestor);

/* Cut the last component off in place; false at the root. */
bool usm_cgpath_up(char *path);

/* The last component, "" for the root. */
const char *usm_cgpath_last(const char *path);

/*
 * How many characters of `path` name the topmost cgroup that is the container's
 * own, i.e. the first component that its ID is a part of: "/a/x-ID.scope" of
 * "/a/x-ID.scope/container". 0: no component has it.
 */
size_t usm_cgpath_own_length(const char *path, const char *container_id);

/*
 * Container IDs that a cgroup's name may stand for: the name itself, without
 * ".scope", and then what follows each '-' in it ("libpod-payload-ID",
 * "docker-ID.scope", "usm-c2.scope"). Calls `try` with each until one returns
 * other than 0, which is returned.
 */
int usm_cgpath_candidates(const char *name, int (*try)(const char *id, void *userdata),
			  void *userdata);

#endif /* USMD_CGPATH_H */

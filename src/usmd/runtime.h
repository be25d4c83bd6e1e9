/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which container is in a cgroup, and what does it ask for? The answer comes
 * from the files of the container runtimes, since a container that was started
 * without our hook tells us nothing itself.
 *
 * The name of a cgroup is only a hint: whoever owns a delegated cgroup can give
 * its children any name. A container is believed to be there when the runtime's
 * own record, in a directory that only root can write, names a process that is
 * in this cgroup or below it.
 */
#ifndef USMD_RUNTIME_H
#define USMD_RUNTIME_H

#include <stdbool.h>
#include <sys/types.h>

#include "cleanup.h"
#include "error.h"

/* Where the runtimes keep their records; "" turns one off. */
struct usm_runtime_paths {
	char *crun;		/* ID/status, ID/config.json */
	char *podman;		/* ID/userdata/config.json, containers.json */
	char *podman_run;	/* ID/userdata/pidfile */
	char *containerd;	/* NAMESPACE/ID/config.json, init.pid */
	char *docker;		/* ID/config.v2.json */
};

int usm_runtime_paths_init(struct usm_runtime_paths *paths);	/* or -ENOMEM */
void usm_runtime_paths_clear(struct usm_runtime_paths *paths);

struct usm_runtime_container {
	const char *runtime;	/* "crun", "podman", "containerd", "docker" or "cgroup" */
	char *id;
	char *name;		/* what people call it; NULL: the ID is all there is */
	pid_t pid;		/* of its first process; 0: not known (runtime "cgroup") */
	char *annotation;	/* usm.policy; NULL: it asks for nothing */
	char *required;		/* usm.policy.required; NULL: not given */
};

void usm_runtime_container_clear(struct usm_runtime_container *container);
#define cleanup_runtime_container usm_cleanup(usm_runtime_container_clear)

/* Tells the cgroup of a process, as usm_cgroup_of_pid(); tests bring their own. */
typedef char *usm_runtime_cgroup_fn(pid_t pid);

/*
 * Look for the container whose own cgroup is `path`. 1: found, *container is
 * filled; 0: none that we know of; negative: a record is there but cannot be
 * used, err says which and why.
 */
int usm_runtime_find(const struct usm_runtime_paths *paths, const char *path,
		     usm_runtime_cgroup_fn *cgroup_of, struct usm_runtime_container *container,
		     struct usm_error *err);

/*
 * A request that an administrator attached to a cgroup itself with
 * setfattr -n trusted.usm.policy; `fd` is its directory. Same results; the ID is
 * the last component of `path`.
 */
int usm_runtime_find_xattr(int fd, const char *path, struct usm_runtime_container *container,
			   struct usm_error *err);

/* What people call container `id`, from podman's list; NULL if it says nothing. */
char *usm_runtime_name(const struct usm_runtime_paths *paths, const char *id);

#endif /* USMD_RUNTIME_H */

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watches a cgroup tree with inotify and tells which cgroups appear, change and
 * disappear. `root` is a parameter, so that a tree of plain directories will do.
 */
#ifndef USMD_WATCHER_H
#define USMD_WATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "error.h"

/*
 * `path` is relative to the root, "/a/b", and borrowed for the call; `id` is the
 * inode number, which is the cgroup's id. None of them may free the watcher.
 */
struct usm_watcher_callbacks {
	/* It is there: now, or found by a scan. Told once for each. */
	void (*found)(const char *path, uint64_t id, void *userdata);
	/* An attribute (such as an xattr) of it was changed. */
	void (*changed)(const char *path, uint64_t id, void *userdata);
	/* It is no longer there. Told once for each that was found. */
	void (*gone)(const char *path, uint64_t id, void *userdata);
};

struct usm_watcher;

/*
 * Returns after the first scan: whatever was there has been told. `max` is how
 * many directories are watched at the most; beyond it new ones are not seen, and
 * that is logged once.
 */
int usm_watcher_new(struct usm_watcher **watcher, sd_event *event, const char *root,
		    size_t max, const struct usm_watcher_callbacks *callbacks,
		    void *userdata, struct usm_error *err);
void usm_watcher_free(struct usm_watcher *watcher);

/* Look at the whole tree again, as after a lost event. */
int usm_watcher_rescan(struct usm_watcher *watcher, struct usm_error *err);

#endif /* USMD_WATCHER_H */

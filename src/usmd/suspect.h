/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cgroups that the watcher found and of which it is not known yet whether a
 * container is in them. Runtimes make the cgroup first and write their records
 * later, so each is looked at a few times.
 */
#ifndef USMD_SUSPECT_H
#define USMD_SUSPECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct usm_manager;
struct usm_suspect;

TAILQ_HEAD(usm_suspects, usm_suspect);

void usm_suspects_clear(struct usm_manager *m);

/*
 * The container whose process is in `path` was dealt with: do not look at its
 * cgroups again, which would only tell the same once more.
 */
void usm_suspects_dismiss(struct usm_manager *m, const char *path, const char *container_id);

/* One look at each that is due. True: there are some left. */
bool usm_suspects_look(struct usm_manager *m);

#endif /* USMD_SUSPECT_H */

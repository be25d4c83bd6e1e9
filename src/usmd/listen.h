/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef USMD_LISTEN_H
#define USMD_LISTEN_H

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "error.h"

/*
 * Listen on a socket of AF_UNIX at `path` with the access bits `mode`, in place
 * of one that an earlier usmd left there. `type` is SOCK_STREAM or
 * SOCK_SEQPACKET. *fd and *source are the caller's to close, also after an error.
 */
int usm_listen_at(sd_event *event, const char *path, int type, mode_t mode,
		  sd_event_io_handler_t handler, void *userdata, int *fd,
		  sd_event_source **source, struct usm_error *err);

/* The next connection and who is at its other end: a descriptor or -errno. */
int usm_accept(int fd, pid_t *pid, uid_t *uid);

#endif /* USMD_LISTEN_H */

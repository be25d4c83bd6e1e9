/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef USMD_LISTEN_H
#define USMD_LISTEN_H

#include <sys/types.h>

#include "error.h"

/*
 * A listening socket of AF_UNIX at `path` with the access bits `mode`, in place
 * of one that an earlier usmd left there. `type` is SOCK_STREAM or
 * SOCK_SEQPACKET. A descriptor, or negative.
 */
int usm_listen(const char *path, int type, mode_t mode, struct usm_error *err);

/* The next connection and who is at its other end: a descriptor or -errno. */
int usm_accept(int fd, pid_t *pid, uid_t *uid);

#endif /* USMD_LISTEN_H */

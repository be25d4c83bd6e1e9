/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connection to usmd: a SOCK_SEQPACKET socket, one JSON object a message.
 * The instance speaks first, {"hello":true,"domain":ID,"armed":bool}; usmd answers
 * with the configuration and, unless armed, the domain's descriptor. After that
 * the instance says what becomes of it. Losing the connection changes nothing
 * for the container.
 */
#ifndef USM_INSTANCE_LINK_H
#define USM_INSTANCE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "store.h"

#define USM_LINK_MESSAGE_MAX	(64u << 10)

/*
 * Connect and say hello. Returns a descriptor (non-blocking), or -errno;
 * -ENOENT, -ECONNREFUSED, -EAGAIN: usmd is not there, or busy: try again later.
 */
int usm_link_open(const char *path, const char *domain, bool armed, struct usm_error *err);

/*
 * Receive one message into `text` (USM_LINK_MESSAGE_MAX + 1 bytes; terminated).
 * *fd, if not NULL, is the descriptor that came with it, or -1. Returns the
 * length, 0 at the end of the connection, -EAGAIN: nothing there, -errno.
 */
int usm_link_receive(int link, char *text, int *fd, struct usm_error *err);

/*
 * {"state":"armed","epoch":n}, {"state":"failed","message":...}, {"state":"store",
 * "quota":bytes,"used":bytes,"data":bytes,"pages":n}. 0 or -errno.
 */
int usm_link_say_armed(int link, uint64_t epoch, struct usm_error *err);
int usm_link_say_failed(int link, const char *message, struct usm_error *err);
int usm_link_say_store(int link, const struct usm_store_usage *usage, struct usm_error *err);

/* Whether the failure means that usmd is not there now. */
bool usm_link_is_absent(int error);

#endif /* USM_INSTANCE_LINK_H */

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef USM_COMMON_FDPASS_H
#define USM_COMMON_FDPASS_H

/*
 * Send `text` as one packet on a socket of AF_UNIX with the descriptor `passed`
 * beside it, without blocking. 0 or -errno.
 */
int usm_fd_send(int fd, const char *text, int passed);

#endif /* USM_COMMON_FDPASS_H */

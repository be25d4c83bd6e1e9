/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small files read and written as a whole. */
#ifndef USMD_READ_H
#define USMD_READ_H

#include <stddef.h>

/*
 * The whole of a regular or pseudo file, with a NUL behind it. *text is to be
 * freed. -EFBIG: more than `limit` bytes; -EINVAL: neither kind of file (a FIFO
 * in its place must not hold us up).
 */
int usm_read_file(int dirfd, const char *path, size_t limit, char **text, size_t *length);

/*
 * Put `text` in place of the file at once: a reader sees the old or the new one,
 * also when we are killed between. Mode 0600.
 */
int usm_write_file(int dirfd, const char *name, const char *text);

#endif /* USMD_READ_H */

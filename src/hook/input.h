/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading with an end, in time and in bytes: a hook must never hang. */
#ifndef USM_HOOK_INPUT_H
#define USM_HOOK_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

int64_t usm_now_ms(void);

/*
 * Read up to the end of file. -ETIMEDOUT: it did not come before `deadline` (of
 * usm_now_ms()), -EMSGSIZE: more than `limit` bytes, -ENOMEM or an -errno.
 */
int usm_input_read(int fd, size_t limit, int64_t deadline, char **text, size_t *length,
		   struct usm_error *err);

/* For the config.json of a bundle, which must be a regular file. `err` is not NULL. */
int usm_input_read_config(const char *bundle, size_t limit, int64_t deadline, char **text,
			  size_t *length, struct usm_error *err);

#endif /* USM_HOOK_INPUT_H */

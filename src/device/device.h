/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * User side of the uapi: one function an ioctl, descriptors in and out.
 *
 * Every function returns 0, a descriptor or a count on success, and a negative
 * errno on failure; output parameters are untouched on failure. What each errno
 * means is said in <linux/usm.h>, which only this room includes itself;
 * usm_device_reason() turns one into words for a log line. Nothing here logs,
 * allocates beyond what is said or keeps state, so all of it may be called from
 * any thread. Descriptors are close-on-exec.
 */
#ifndef USM_DEVICE_H
#define USM_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include <linux/usm.h>

#define USM_DEVICE_PATH		"/dev/usm"

/* ---------------------------------------------------------- on /dev/usm */

/*
 * Open the device and check that it speaks our ABI. Fills `query`, which may be
 * NULL. -ENOENT: the module is not loaded. -EPROTO: it has another ABI (`query`
 * is filled then as well, for the message).
 */
int usm_device_open(const char *path, struct usm_query *query);

/* `bind->size` is set here. Fills bind->id and bind->domain_fd. */
int usm_device_bind(int device_fd, struct usm_bind *bind);

/* All living domains. `*entries` is to be freed by the caller; returns their number. */
int usm_device_list(int device_fd, struct usm_list_entry **entries);

/* A new descriptor of domain `id`. */
int usm_device_attach(int device_fd, uint64_t id);

int usm_device_release(int device_fd, uint64_t id);

/* ------------------------------------------------- on a domain descriptor */

int usm_device_info(int domain_fd, struct usm_info *info);

/* `epoch` may be NULL. */
int usm_device_arm(int domain_fd, uint64_t *epoch);
int usm_device_disarm(int domain_fd);

/* `tune->flags` says which members count; `tune->size` is set here. */
int usm_device_tune(int domain_fd, struct usm_tune *tune);

/*
 * Execute `count` commands, in portions of USM_MAX_COMMANDS, beginning anew
 * after signals. Returns 0 when every command was looked at; each has its own
 * `result`.
 */
int usm_device_submit(int domain_fd, struct usm_command *commands, size_t count);

/*
 * The same for at most USM_MAX_COMMANDS, none included, and then wait for an event, a
 * signal, or this time. Returns 0 in all of these cases.
 */
int usm_device_exchange(int domain_fd, struct usm_command *commands, uint32_t count,
			uint32_t timeout_ms);

/* After a round of supplying: the faults that wait look again. */
int usm_device_kick(int domain_fd);

int usm_device_stat(int domain_fd, struct usm_stat *stat);

/*
 * Files that the domain keeps. `store->size` is set here. PUT fills store->index; GET
 * takes it and fills the rest, with a descriptor of ours.
 */
int usm_device_store_put(int domain_fd, struct usm_store_fd *store);
int usm_device_store_get(int domain_fd, struct usm_store_fd *store);

/* ------------------------------------------------------------------- words */

/* What a failed call says to an administrator; a static string. */
const char *usm_device_reason(int error);

/* "armed", "never armed", "instance gone", ... of an enum usm_fallback_why. */
const char *usm_device_state_name(uint32_t why);

/*
 * The members of struct usm_stat by name, so that whoever prints them all does
 * not have to be changed with each one that is added. Ends with a NULL name.
 */
struct usm_stat_field {
	const char *name;
	uint16_t offset;
	uint8_t width;		/* 4 or 8 bytes an element */
	uint8_t count;		/* elements: more than 1 for an array */
};

extern const struct usm_stat_field usm_stat_fields[];

/* Element `i` of `field`. */
uint64_t usm_stat_value(const struct usm_stat *stat, const struct usm_stat_field *field,
			unsigned int i);

#endif /* USM_DEVICE_H */

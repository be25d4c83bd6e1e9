/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What usmd must still know of a container after it was restarted: one JSON file
 * a domain, /run/usm/containers/DOMAINID.json. The domain itself, its state and
 * its statistics are the module's.
 */
#ifndef USMD_RECORD_H
#define USMD_RECORD_H

#include "container.h"
#include "error.h"

/* Create and open the directory: a descriptor, or negative. */
int usm_record_directory(const char *path, struct usm_error *err);

int usm_record_write(int dirfd, const struct usm_container *container, struct usm_error *err);

/*
 * Read the record of a domain: a container in state FOUND with its domain set.
 * -ENOENT: there is none; -EBADMSG: it is damaged.
 */
int usm_record_read(int dirfd, uint64_t domain, struct usm_container **container,
		    struct usm_error *err);

/* No error if there is none. */
void usm_record_remove(int dirfd, uint64_t domain);

/* Calls `each` with the domain of every record that is there. */
int usm_record_list(int dirfd, void (*each)(uint64_t domain, void *userdata), void *userdata,
		    struct usm_error *err);

#endif /* USMD_RECORD_H */

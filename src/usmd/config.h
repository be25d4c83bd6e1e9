/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /etc/usm/usmd.conf, see usmd.conf(5). */
#ifndef USMD_CONFIG_H
#define USMD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "error.h"
#include "runtime.h"

struct usm_config {
	bool has_reserve;		/* false: by the size of memory.max */
	uint64_t reserve;		/* bytes */
	uint32_t max_containers;
	uint64_t max_memory;		/* bytes a container; USM_BUDGET_UNLIMITED */
	bool allow_upcall;
	uint64_t max_store;		/* the same, of evicted pages */
	char **allowed_policies;	/* ends with NULL; NULL: whatever is installed */
	struct usm_runtime_paths runtimes;
};

/* Everything as if the file were empty. -ENOMEM. */
int usm_config_init(struct usm_config *config, struct usm_error *err);

/*
 * Read a file over the defaults. A file that is not there is an empty one.
 * -EBADMSG: the sentence names file, line and key.
 */
int usm_config_load(struct usm_config *config, const char *path, struct usm_error *err);

/* The same from an open stream that is called `name` in messages. */
int usm_config_read(struct usm_config *config, FILE *in, const char *name,
		    struct usm_error *err);

bool usm_config_allows(const struct usm_config *config, const char *policy);

void usm_config_clear(struct usm_config *config);

#endif /* USMD_CONFIG_H */

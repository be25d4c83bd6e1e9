/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an OCI runtime tells a hook: the state of the container, on standard
 * input, and where that lacks the annotations the bundle's config.json. Both
 * are written by others and read with limits.
 */
#ifndef USM_HOOK_STATE_H
#define USM_HOOK_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "json.h"

/* Kubernetes allows 256 KiB of annotations, and a state is little else. */
#define USM_STATE_MAX_BYTES	(1u << 20)
/* Beside them, config.json has the mounts, the seccomp filter, the environment. */
#define USM_CONFIG_MAX_BYTES	(8u << 20)

struct usm_state {
	char *id;
	char *bundle;		/* NULL: not told */
	int64_t pid;
	cJSON *annotations;	/* those of ours; NULL: the text had none at all */
};

/* -EBADMSG, -EMSGSIZE, -ENOMEM; -ENOENT: it has no id. */
int usm_state_parse(struct usm_state *state, const char *text, size_t length,
		    struct usm_error *err);

/* The annotations of ours from a config.json; {} if it has none. */
int usm_config_parse(const char *text, size_t length, cJSON **annotations,
		     struct usm_error *err);

void usm_state_clear(struct usm_state *state);
#define cleanup_state	usm_cleanup(usm_state_clear)

#endif /* USM_HOOK_STATE_H */

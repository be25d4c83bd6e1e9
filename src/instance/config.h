/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What usmd tells an instance: which container, which policy, how much. */
#ifndef USM_INSTANCE_CONFIG_H
#define USM_INSTANCE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"
#include "error.h"
#include "json.h"

#define USM_INSTANCE_MAX_ORDER	9u

struct usm_instance_config {
	char *container;
	char *policy;
	uint64_t memory;	/* bytes: the ceiling */
	uint32_t fault_order;
	bool upcall;		/* each fault asks the policy */
	uint64_t store_quota;	/* bytes that evicted pages may take; 0: none are evicted */
	cJSON *parameters;	/* NULL: none */
};

/*
 * Parse the message for domain `domain` (decimal): {"domain":"ID","container":...,
 * "policy":...,"memory":bytes,"fault_order":n,"fault_mode":"supply"|"upcall",
 * "store_quota":bytes,"parameters":{...}}, where mode and quota may be missing. Members that
 * are not known are passed over: usmd may be newer. -EBADMSG: not JSON, or a
 * member has another type; -EINVAL: out of range, or of another domain; -ENOENT:
 * a member is missing. *config is untouched on failure.
 */
int usm_instance_config_parse(struct usm_instance_config *config, const char *domain,
			      const char *text, size_t length, struct usm_error *err);
void usm_instance_config_clear(struct usm_instance_config *config);
#define cleanup_instance_config	usm_cleanup(usm_instance_config_clear)

#endif /* USM_INSTANCE_CONFIG_H */

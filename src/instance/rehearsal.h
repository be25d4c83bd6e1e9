/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trying a policy before it serves: load it, begin, ask it for the whole free
 * memory of the container, end, all in a child process with rings of its own.
 * A policy that crashes, hangs or gives wrong answers there is refused with a
 * sentence, instead of taking the container through a series of fallbacks.
 */
#ifndef USM_INSTANCE_REHEARSAL_H
#define USM_INSTANCE_REHEARSAL_H

#include "error.h"
#include "json.h"
#include "mapping.h"

/* Far more than any init() needs on a busy host, far less than the start of a unit. */
#define USM_REHEARSAL_SECONDS	10

struct usm_rehearsal {
	const struct usm_mapping *mapping;
	const char *directory;
	const char *policy;
	const cJSON *parameters;	/* may be NULL */
	uint32_t fault_order;
	uint32_t ceiling;		/* frames */
	bool upcall;			/* each fault asks the policy */
	unsigned int seconds;		/* 0: USM_REHEARSAL_SECONDS */
};

/*
 * Errors of usm_policy_load(), and -EPROTO: the policy refused, or did something
 * that it would not survive in service; -EINVAL: its parameters do not fit.
 */
int usm_rehearsal_run(const struct usm_rehearsal *rehearsal, struct usm_error *err);

#endif /* USM_INSTANCE_REHEARSAL_H */

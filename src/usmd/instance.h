/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket that instances connect to. Each message is one JSON object in one
 * packet. Who speaks is told by the kernel and systemd, not by what is said: the
 * peer's PID belongs to a unit, and the unit's name has the domain's id.
 *
 *	-> {"hello":true,"domain":"ID","armed":BOOL}
 *	<- {"domain":"ID","container":...,"policy":...,"memory":...,
 *	    "fault_order":...,"fault_mode":...,"store_quota":...,"parameters":{...}}
 *	   with a domain descriptor, only if it said that it is not armed
 *	-> {"state":"armed","epoch":N} | {"state":"failed","message":...} |
 *	   {"state":"store","quota":N,"used":N,"data":N,"pages":N}
 */
#ifndef USMD_INSTANCE_H
#define USMD_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

#include "error.h"

#include <cjson/cJSON.h>

struct usm_instances;
struct usm_store_report;

struct usm_instance_callbacks {
	/*
	 * The instance of `domain` is there. If `armed` is false, set *domain_fd to a
	 * descriptor for it (which is closed after it was sent) and *setup (which is
	 * freed). Negative: it is not wanted, the connection is closed.
	 */
	int (*hello)(uint64_t domain, bool armed, int *domain_fd, cJSON **setup, void *userdata);
	void (*armed)(uint64_t domain, uint64_t epoch, void *userdata);
	void (*failed)(uint64_t domain, const char *message, void *userdata);
	void (*store)(uint64_t domain, const struct usm_store_report *report, void *userdata);
};

/* The domain whose instance process `pid` is, or negative; tests bring their own. */
typedef int usm_instance_identify_fn(pid_t pid, uint64_t *domain);
int usm_instance_identify(pid_t pid, uint64_t *domain);

int usm_instances_new(struct usm_instances **instances, sd_event *event, const char *path,
		      usm_instance_identify_fn *identify,
		      const struct usm_instance_callbacks *callbacks, void *userdata,
		      struct usm_error *err);
void usm_instances_free(struct usm_instances *instances);

/* Whether an instance of the domain is connected and has said hello. */
bool usm_instance_is_connected(const struct usm_instances *instances, uint64_t domain);

/* Its domain is gone. */
void usm_instance_disconnect(struct usm_instances *instances, uint64_t domain);

#endif /* USMD_INSTANCE_H */

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all of usmd works on, and the life of a container in it:
 *
 *	admit.c	   asked for a policy -> bound, in the table, its unit asked for
 *	observe.c  what module, systemd and instance say -> states and the journal
 *	release.c  cgroup gone -> released; domain gone -> out of the table
 *	suspect.c  cgroups that the watcher found -> admitted late, without the hook
 *	reconcile.c	after a start of usmd: what is there already
 *	methods.c  the control protocol
 *
 * Everything runs in one thread, in callbacks of one sd-event loop, and nothing
 * in it waits.
 */
#ifndef USMD_MANAGER_H
#define USMD_MANAGER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <systemd/sd-event.h>

#include "config.h"
#include "container.h"
#include "control.h"
#include "error.h"
#include "instance.h"
#include "suspect.h"
#include "unit.h"
#include "watcher.h"

/* Where things are; every one of them has an option, so that tests need no root. */
struct usm_options {
	const char *config;
	const char *device;
	const char *policies;	/* directory */
	const char *control;	/* sockets */
	const char *instances;
	const char *records;	/* directory */
};

struct usm_waiter;

struct usm_manager {
	struct usm_options options;
	struct usm_config config;
	sd_event *event;
	sd_event_source *tick;
	char *cgroup_root;
	struct usm_query query;		/* of the module */
	int device_fd;
	int records_fd;
	struct usm_container_table containers;
	struct usm_suspects suspects;
	struct usm_units *units;
	struct usm_instances *instances;
	struct usm_control *control;
	struct usm_watcher *watcher;
	LIST_HEAD(, usm_waiter) waiters;	/* Bind calls that are not answered yet */
	char *status;			/* as systemd was told last */
};

/* Time that a look at all containers may be late, and the time between two. */
#define USM_TICK_USEC	UINT64_C(1000000)

/* There is something to look at regularly; no harm if there was already. */
void usm_manager_wake(struct usm_manager *m);

int usm_manager_tick_start(struct usm_manager *m, struct usm_error *err);

/* --------------------------------------------------------------- admit.c */

struct usm_admission {
	const char *id;
	const char *name;	/* NULL: none */
	const char *runtime;
	const char *cgroup;	/* that its process is in */
	const char *annotation;
	bool late;
};

/*
 * Put a container under the policy that it asks for. 0: it is (or was already),
 * *container is in the table and its instance on the way; negative: it is not,
 * err says why, and nothing is left behind.
 */
int usm_admit(struct usm_manager *m, const struct usm_admission *admission,
	      struct usm_container **container, struct usm_error *err);

/* ------------------------------------------------------------- observe.c */

extern const struct usm_unit_callbacks usm_observe_unit;
extern const struct usm_instance_callbacks usm_observe_instance;

/* Read its statistics and act on what changed. May end the container: false. */
bool usm_observe(struct usm_manager *m, struct usm_container *c);

/* ------------------------------------------------------------- release.c */

/* Its cgroup is gone. May end the container: false. */
bool usm_release(struct usm_manager *m, struct usm_container *c);

/* Its domain is gone: stop what was made for it and forget it. Frees it. */
void usm_end(struct usm_manager *m, struct usm_container *c);

/* ------------------------------------------------------------- suspect.c */

extern const struct usm_watcher_callbacks usm_suspect_watcher;

/* ----------------------------------------------------------- reconcile.c */

int usm_reconcile(struct usm_manager *m, struct usm_error *err);

/* ------------------------------------------------------------- methods.c */

void usm_methods_handle(struct usm_control_call *call, void *userdata);

/* The container is armed, or will not be: answer those who wait for that. */
void usm_methods_settle(struct usm_manager *m, const struct usm_container *c);

/* At the end of usmd: whoever still waits gets an answer. */
void usm_methods_finish(struct usm_manager *m);

#endif /* USMD_MANAGER_H */

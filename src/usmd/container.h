/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A container that is under a policy or about to be, and the table of them. No
 * system call is made here: what happens to a container is told with
 * usm_container_step(), what follows from it is the manager's.
 */
#ifndef USMD_CONTAINER_H
#define USMD_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "annotation.h"
#include "budget.h"
#include "cleanup.h"
#include "device.h"

enum usm_container_state {
	USM_CONTAINER_FOUND,	/* its request is known, nothing is bound */
	USM_CONTAINER_BOUND,	/* it has a domain; nobody was asked to serve it */
	USM_CONTAINER_STARTING,	/* the unit of its instance was asked for */
	USM_CONTAINER_ARMED,	/* the instance serves it */
	USM_CONTAINER_FALLBACK,	/* the module serves it */
	USM_CONTAINER_RELEASED,	/* nothing new is adopted; ends with its last space */
	USM_CONTAINER_GONE,	/* the domain is no more */
};

enum usm_container_event {
	USM_CONTAINER_BIND,	/* a domain was bound or attached to */
	USM_CONTAINER_START,	/* its unit was asked for */
	USM_CONTAINER_ARM,	/* the module says armed */
	USM_CONTAINER_FALL_BACK, /* the module says fallback, after it was armed */
	USM_CONTAINER_RELEASE,	/* the cgroup is gone, or we gave up */
	USM_CONTAINER_END,	/* the module no longer knows the domain */
};

/* The state after `event`, or -EINVAL where that cannot happen in `state`. */
int usm_container_next(enum usm_container_state state, enum usm_container_event event);

/* "armed", "fallback", "starting" or "released", as the control protocol has it. */
const char *usm_container_state_name(enum usm_container_state state);

/* What systemd says of usm-instance@ID.service. */
struct usm_unit_state {
	bool active;
	bool failed;		/* and will not be started again by itself */
	int32_t pid;		/* 0: not running */
	uint32_t restarts;
};

/* What an instance says of its stores: bytes, and number of pages. */
struct usm_store_report {
	uint64_t quota;
	uint64_t used;		/* of the host */
	uint64_t data;		/* of that, content */
	uint64_t pages;
};

#define USM_DOMAIN_TEXT	21	/* digits of a 64 bit number */

struct usm_container {
	TAILQ_ENTRY(usm_container) link;
	uint64_t domain;	/* id; 0 while FOUND */
	char domain_text[USM_DOMAIN_TEXT];
	char *id;
	char *name;		/* NULL: none but the ID */
	char *runtime;		/* who told of it */
	char *cgroup;		/* path, as in cgpath.h */
	char *request;		/* the annotation as given; NULL: unknown */
	struct usm_annotation annotation; /* .policy NULL: unknown */
	struct usm_budget budget;
	bool late;		/* bound when it ran already */

	enum usm_container_state state;
	int domain_fd;		/* ours, for statistics; -1: none */
	struct usm_stat stat;	/* as last read */
	struct usm_store_report store;	/* as last told; zeros: nothing was */
	struct usm_unit_state unit;
	uint64_t epoch;		/* of the last arming */
	char *fallback_reason;	/* NULL: armed */
	char *instance_message;	/* why its instance failed, in its words; or NULL */
	uint64_t oom_kills;	/* of its cgroup, as last read */
	uint64_t told_limit;	/* CLOCK_MONOTONIC, us: when a limit was last logged */
	uint64_t limits_told;	/* stat.limits then */
};

struct usm_container *usm_container_new(const char *id, const char *cgroup);
void usm_container_free(struct usm_container *container);
USM_DEFINE_CLEANUP(struct usm_container *, usm_container_free)
#define cleanup_container usm_cleanup(usm_container_free_cleanup)

void usm_container_set_domain(struct usm_container *container, uint64_t domain);

/*
 * Take an event in. True: the state is another one now. An event that cannot
 * happen is logged and changes nothing.
 */
bool usm_container_step(struct usm_container *container, enum usm_container_event event);

/* Replace a string member; without memory it stays as it was. */
void usm_container_set_text(char **member, const char *text);

/* ------------------------------------------------------------- the table */

TAILQ_HEAD(usm_container_list, usm_container);

struct usm_container_table {
	struct usm_container_list list;	/* in the order of their binding */
	uint32_t count;
};

void usm_container_table_init(struct usm_container_table *table);
/* The table owns it from now on. */
void usm_container_table_add(struct usm_container_table *table, struct usm_container *container);
/* Takes it out and frees it. */
void usm_container_table_remove(struct usm_container_table *table,
				struct usm_container *container);
void usm_container_table_clear(struct usm_container_table *table);

/* NULL: none. */
struct usm_container *usm_container_by_domain(const struct usm_container_table *table,
					      uint64_t domain);
/* One that is not released, with exactly this ID. */
struct usm_container *usm_container_by_id(const struct usm_container_table *table,
					  const char *id);

/*
 * What a user means: an ID or name, else a prefix of exactly one ID. A container
 * that is released counts only if no living one fits. -ENOENT, -ENOTUNIQ.
 */
int usm_container_query(const struct usm_container_table *table, const char *text,
			struct usm_container **container);

#endif /* USMD_CONTAINER_H */

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop of an instance: domain descriptor, connection to usmd, clock, signals.
 * One thread; nothing in it blocks but the wait for the next event.
 *
 * When usmd goes away the loop goes on and tries its socket once a second: usmd
 * may make its directory anew, which a watch on the old one would never see, and
 * two system calls a second while the daemon is down cost nothing.
 */
#ifndef USM_INSTANCE_SERVE_H
#define USM_INSTANCE_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "engine.h"
#include "error.h"
#include "vault.h"

/*
 * After a missed deadline the domain is armed again at once if that was the
 * first in a while; if it goes on, less and less often, since each arming of a
 * policy that cannot keep up costs its container another deadline.
 */
#define USM_SERVE_REARM_MIN_USEC	(100ull * 1000)
#define USM_SERVE_REARM_MAX_USEC	(30ull * 1000000)
#define USM_SERVE_REARM_CALM_USEC	(60ull * 1000000)

/* STATUS= of the unit is renewed every so many ticks: it is for people. */
#define USM_SERVE_STATUS_TICKS		10

/* Of upcall mode, until the loop looks at what else there is: some 10 ms of faults. */
#define USM_SERVE_ROUNDS		2048

struct usm_serve {
	/* set by the caller, which keeps owning them */
	struct usm_engine *engine;
	const char *socket;	/* of usmd */
	const char *domain;	/* its id, decimal */
	int domain_fd;
	uint64_t store_quota;	/* bytes */

	/* given over to usm_serve_open() */
	int link;		/* to usmd */

	sd_event *event;
	sd_event_source *on_domain, *on_link, *on_tick, *on_more, *on_rearm;
	struct usm_vault vault;	/* empty without eviction */
	struct usm_store_usage told;	/* to usmd */
	bool opened;		/* the stores were looked for */
	uint64_t epoch;
	uint64_t fallback_at;	/* usec, monotonic; 0: never */
	uint64_t rearm_delay;	/* usec */
	unsigned int ticks;
	bool complained;	/* of a wrong answer */
	bool complained_full;	/* of a store without room */
	char *text;		/* of a message */
	struct usm_error err;	/* why the loop ended, if it failed */
};

/* Commands and kicks on the descriptor at `context`: an int. */
extern const struct usm_engine_ops usm_serve_ops;

/* Everything that needs system calls which the sandbox forbids. */
int usm_serve_open(struct usm_serve *serve, struct usm_error *err);
void usm_serve_close(struct usm_serve *serve);

enum usm_serve_end {
	USM_SERVE_STOPPED = 0,	/* by a signal */
	USM_SERVE_GONE = 1,	/* the domain is */
};

/*
 * Arm and serve. Returns enum usm_serve_end, or negative; -EBUSY: another instance
 * is armed.
 */
int usm_serve_run(struct usm_serve *serve, struct usm_error *err);

#endif /* USM_INSTANCE_SERVE_H */

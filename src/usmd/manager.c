// SPDX-License-Identifier: GPL-2.0-or-later
#include "manager.h"

#include <inttypes.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "log.h"

/* For `systemctl status`; systemd is only told when it is something else. */
static void status_tell(struct usm_manager *m)
{
	cleanup_free char *status = NULL;
	const struct usm_container *c;
	uint64_t frames = 0, faults = 0;

	TAILQ_FOREACH(c, &m->containers.list, link) {
		frames += c->stat.frames;
		faults += c->stat.faults;
	}
	if (asprintf(&status, "%" PRIu32 " containers, %" PRIu64 " frames, %" PRIu64 " faults",
		     m->containers.count, frames, faults) < 0 ||
	    (m->status && !strcmp(m->status, status)))
		return;
	free(m->status);
	m->status = usm_steal_ptr(status);
	sd_notifyf(false, "STATUS=%s", m->status);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct usm_manager *m = userdata;
	struct usm_container *c, *next;
	bool more;

	for (c = TAILQ_FIRST(&m->containers.list); c; c = next) {
		next = TAILQ_NEXT(c, link);
		usm_observe(m, c);
	}
	more = usm_suspects_look(m);
	status_tell(m);

	/* Nothing there, nothing to look at: an idle host is not woken by us. */
	if (more || m->containers.count)
		usm_manager_wake(m);
	return 0;
}

void usm_manager_wake(struct usm_manager *m)
{
	int enabled;

	if (!m->tick || (sd_event_source_get_enabled(m->tick, &enabled) >= 0 && enabled))
		return;
	sd_event_source_set_time_relative(m->tick, USM_TICK_USEC);
	sd_event_source_set_enabled(m->tick, SD_EVENT_ONESHOT);
}

int usm_manager_tick_start(struct usm_manager *m, struct usm_error *err)
{
	int r;

	r = sd_event_add_time_relative(m->event, &m->tick, CLOCK_MONOTONIC, USM_TICK_USEC,
				       USM_TICK_USEC / 4, on_tick, m);
	if (r < 0)
		return usm_error_errno(err, -r, "the clock");
	sd_event_source_set_description(m->tick, "tick");
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The units usm-instance@DOMAINID.service, through systemd's D-Bus interface.
 * Every call is asynchronous; a bus that is not there yet, or is restarted, is
 * waited for without anybody noticing.
 */
#ifndef USMD_UNIT_H
#define USMD_UNIT_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "container.h"
#include "error.h"

struct usm_units;

struct usm_unit_callbacks {
	/* What systemd says of a unit that was watched. */
	void (*changed)(uint64_t domain, const struct usm_unit_state *state, void *userdata);
	/* systemd did not take a request to start; `why` is borrowed. */
	void (*failed)(uint64_t domain, const char *why, void *userdata);
	/* Answer to usm_units_list(): once for each unit that is loaded and not dead. */
	void (*listed)(uint64_t domain, void *userdata);
};

int usm_units_new(struct usm_units **units, sd_event *event,
		  const struct usm_unit_callbacks *callbacks, void *userdata,
		  struct usm_error *err);
void usm_units_free(struct usm_units *units);

/* Start the unit of a domain (no harm if it runs) and watch it. */
int usm_unit_start(struct usm_units *units, uint64_t domain, struct usm_error *err);

/* Stop it and watch it no longer. */
void usm_unit_stop(struct usm_units *units, uint64_t domain);

void usm_units_list(struct usm_units *units);

/* The domain in a unit's name; false: it is no unit of an instance. */
bool usm_unit_domain(const char *name, uint64_t *domain);

#endif /* USMD_UNIT_H */

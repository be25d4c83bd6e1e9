/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The smallest policy: offer every free frame, in the order of the table, to
 * one supply ring after the other. Growing by a fixed step whenever little is
 * free keeps the domain ahead of its programs.
 */
#ifndef USM_TESTS_UAPI_FEEDER_H
#define USM_TESTS_UAPI_FEEDER_H

#include "domain.h"

struct feeder_ring {
	uint32_t done;		/* entries before this one are used up */
	uint32_t frames;	/* offered by the entries from there on */
};

struct feeder {
	struct domain *domain;
	bool zero;		/* zero frames before they are offered */
	uint32_t grow_step;	/* frames; 0: never grow */
	int32_t node;		/* to grow from; -1: any */
	uint32_t run;		/* frames in one entry at most */

	uint8_t *offered;	/* by frame: lies in a ring, or may still be taken */
	struct feeder_ring *rings;
	uint32_t cursor;	/* of the round over the table */
	uint32_t next_ring;
	bool dry;		/* a whole round found nothing; wait for a hint */
	bool growing;		/* a GROW is under way */
	bool limited;		/* the last one hit a limit; wait for a hint */
	uint64_t lost;		/* of the event ring, as last seen */

	/* Gets the events that are not about supply; may be NULL. */
	void (*other)(void *context, const struct usm_event *event);
	void *context;
};

void feeder_init(struct feeder *feeder, struct domain *domain, uint32_t grow_step,
		 uint32_t run, bool zero);
void feeder_done(struct feeder *feeder);

/* Forget all that was offered: right after arming. */
void feeder_reset(struct feeder *feeder);

/* Consume the events; true when one said that the domain fell back. */
bool feeder_events(struct feeder *feeder);

/* Refill the rings, and ask for more frames when few are left. */
void feeder_supply(struct feeder *feeder);
void feeder_grow(struct feeder *feeder);

#endif

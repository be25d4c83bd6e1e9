/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much lies in each CPU's supply ring. Pure arithmetic.
 *
 * A ring is what a burst of faults lives on until the instance has run; frames
 * in it cannot be taken back, only be stolen by another CPU that runs dry. So
 * a ring gets what a burst needs and not more, a CPU that does not fault gets
 * little, and the rings together never hold more than half of what is free
 * unless that would leave less than one fault's worth a CPU: when frames are
 * scarce, holding back helps nobody and all of them are spread.
 */
#ifndef USM_INSTANCE_RATION_H
#define USM_INSTANCE_RATION_H

#include <stdbool.h>
#include <stdint.h>

/*
 * 4 MiB: at 1 GiB/s of first touches, about what a core manages with zeroed
 * frames, the instance has 4 ms to wake up, some tens of times what the
 * scheduler takes on a busy host.
 */
#define USM_RATION_FRAMES	1024

/* With large faults at least so many of them, or one fault would drain a ring. */
#define USM_RATION_FAULTS	4

/* A CPU that takes nothing gets this part of the ration, to start a burst on. */
#define USM_RATION_SEED		4

/* A CPU counts as active for so long after it took something. */
#define USM_RATION_ACTIVE_NS	(10ull * 1000000000)

struct usm_ration {
	uint32_t active;	/* frames for a CPU that faults */
	uint32_t seed;		/* for one that does not */
};

/* `free`: frames in rings and out of them; `active` of `cpus` CPUs have faults. */
struct usm_ration usm_ration_plan(uint32_t free, uint32_t cpus, uint32_t active,
				  unsigned int fault_order);

/*
 * Frames in one entry. With larger faults as many as one of them maps; several small ones
 * live on one. With 64 a domain that is at its ceiling sometimes stood still.
 */
#define USM_RATION_ENTRY	16

/* Entries that a ration is cut into at the least: it is spread and asked for in these. */
#define USM_RATION_ENTRIES	4

/* Frames in one entry at the most, for a ring of `entries` that is to hold `ration` frames. */
uint32_t usm_ration_entry(uint32_t ration, uint32_t entries, unsigned int fault_order);

/* The ring asks for more when fewer than so many entries are left: a quarter of the ration. */
uint32_t usm_ration_low(uint32_t ration, uint32_t entry);

/*
 * How many frames to put, in entries of at most `entry`, into a ring that holds
 * `held` and is to hold `ration`. Whenever the instance is awake it fills what is
 * less than half full, so that the ring's own call for more (`wanted`) is rare.
 * That call is made once only, until something new is in the ring: it never goes
 * unanswered.
 */
uint32_t usm_ration_due(uint32_t held, uint32_t ration, uint32_t entry, bool wanted);

#endif /* USM_INSTANCE_RATION_H */

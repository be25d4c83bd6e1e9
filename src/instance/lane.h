/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's hands on the supply rings: what lies in each CPU's ring, what
 * the module has taken from it, and asking the policy for what comes next.
 */
#ifndef USM_INSTANCE_LANE_H
#define USM_INSTANCE_LANE_H

#include "engine.h"

int usm_lanes_init(struct usm_lane **lanes, const struct usm_mapping *mapping);
void usm_lanes_done(struct usm_lane **lanes, const struct usm_mapping *mapping);

/* The rings are empty. */
void usm_lanes_reset(struct usm_lane *lanes, const struct usm_mapping *mapping);

/* Take note of the entries that the module has consumed. */
void usm_lanes_reap(struct usm_engine *engine);

/*
 * Frames went away that may have been in rings: count anew what these hold.
 * Entries of which nothing is left are the first to be used for others.
 */
void usm_lanes_recount(struct usm_engine *engine);

/*
 * Fill empty rings, then one portion of another. Returns enum usm_engine_result:
 * MORE if a ring wants more that there is; negative: fatal.
 */
int usm_lanes_fill(struct usm_engine *engine);

/*
 * Zero what is not zeroed in `n` (at most USM_ENGINE_RUNS) runs of free frames.
 * 0 or negative: fatal.
 */
int usm_lane_zero(struct usm_engine *engine, const struct usm_run *runs, uint32_t n);

#endif /* USM_INSTANCE_LANE_H */

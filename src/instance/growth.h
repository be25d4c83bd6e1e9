/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When to ask the host for more frames and when to give some back. Pure: the
 * caller says what is there and what time it is.
 *
 * GROW when fewer frames are free than the GOAL, by as much as makes it twice
 * the goal. The goal is an eighth of what is used, so that growth is geometric:
 * the number of requests grows with the logarithm of the memory used. It
 * has a floor, for containers that have just started, and a cap, because what a
 * big one needs ahead depends on how fast it grows, not on how big it is. One
 * request at a time. When a limit is hit, the next request waits, twice as long
 * each time.
 *
 * SHRINK when for USM_GROWTH_IDLE_NS more than thrice the goal was free, in whole
 * aligned runs of 512 (which is what the host can use best), some a second, so
 * that a container that comes back soon finds most of its frames still there.
 */
#ifndef USM_INSTANCE_GROWTH_H
#define USM_INSTANCE_GROWTH_H

#include <stdbool.h>
#include <stdint.h>

#define USM_GROWTH_BLOCK	512		/* frames: 2 MiB, what the module allocates at once */
/*
 * The floor is a 32nd of the ceiling between these: 8 MiB fill the rings of two
 * CPUs, which a start-up burst needs; a small container does not have so much to
 * spare.
 */
#define USM_GROWTH_FLOOR_PART	32
#define USM_GROWTH_FLOOR_MIN	USM_GROWTH_BLOCK
#define USM_GROWTH_FLOOR_MAX	2048
#define USM_GROWTH_CAP		32768		/* frames: 128 MiB, 100 ms at 1 GiB/s */
#define USM_GROWTH_PART		8		/* of what is used */
#define USM_GROWTH_IDLE_NS	(10ull * 1000000000)
#define USM_GROWTH_SHRINK	8		/* blocks a second: 16 MiB/s */

/*
 * A limit is there to stay for a while, and each attempt costs the cgroup a
 * reclaim; but a quarter of a second is noticed by nobody when it was only an
 * instant.
 */
#define USM_GROWTH_BACKOFF_MIN_NS	(250ull * 1000000)
#define USM_GROWTH_BACKOFF_MAX_NS	(8ull * 1000000000)

/* A request that got no answer (the event was lost) is forgotten after this. */
#define USM_GROWTH_ANSWER_NS		(5ull * 1000000000)

struct usm_growth {
	bool asked;		/* a request is not answered yet */
	uint64_t asked_at;
	uint64_t not_before;	/* no request before this time */
	uint64_t backoff;	/* the last one, 0: none */
	uint64_t surplus_since;	/* 0: there is no surplus */
};

/* What there is, in frames. */
struct usm_growth_view {
	uint32_t present;
	uint32_t free;
	uint32_t ceiling;
};

/* Frames that are to be kept free. */
uint32_t usm_growth_goal(const struct usm_growth_view *view);

/* Free frames that are not given back. */
uint32_t usm_growth_keep(const struct usm_growth_view *view);

/* How many frames to ask for now; 0: none. */
uint32_t usm_growth_request(const struct usm_growth *growth, const struct usm_growth_view *view,
			    uint64_t now);

void usm_growth_asked(struct usm_growth *growth, uint64_t now);
/* Frames came; `more` of the same request are still to come. */
void usm_growth_answered(struct usm_growth *growth, bool more);
/* A limit, the ceiling included, or the kernel took frames back. */
void usm_growth_limited(struct usm_growth *growth, uint64_t now);

/* How many whole blocks to give back now; call it about once a second. */
uint32_t usm_growth_surplus(struct usm_growth *growth, const struct usm_growth_view *view,
			    uint64_t now);

#endif /* USM_INSTANCE_GROWTH_H */

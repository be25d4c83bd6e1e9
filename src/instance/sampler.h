/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When the module is asked which pages are in use: in rounds over the frame table, of as
 * many frames a second as the policy wants at the most. A round begins once a second while
 * pages are evicted, else every eight seconds. Where memory cannot grow any more one also
 * begins when an eighth of the frames was supplied since the last one did, be it the first
 * time or after an eviction: whoever chooses victims has something new to go by, at the
 * price of eight looks a frame, and knows before the first eviction what is in use.
 */
#ifndef USM_INSTANCE_SAMPLER_H
#define USM_INSTANCE_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

struct usm_engine;

/* Frames of one turn: some 50 us of a core, since it goes on while faults are served. */
#define USM_SAMPLER_PORTION	1024
#define USM_SAMPLER_PART	8	/* of the frames */
#define USM_SAMPLER_BUSY_NS	(1ull * 1000000000)
#define USM_SAMPLER_CALM_NS	(8ull * 1000000000)
/* What a policy may ask for: 4 GiB a second. */
#define USM_SAMPLER_RATE_MAX	(1u << 20)

struct usm_sampler {
	uint32_t next, end;	/* of the round; the same: there is none */
	uint32_t tokens;	/* frames that may be looked at now */
	uint64_t filled_at;	/* ns; 0: never */
	uint64_t began_at;	/* of the last round; 0: none was */
	uint32_t spent;		/* frames supplied since then, where there are no more */
	uint64_t supplied;	/* frames in all, as of the last look */
	uint64_t evicted_at;	/* when a page last was; 0: never */
	bool refused;		/* the module does not know how */
};

/*
 * How many frames to look at now, from sampler->next on, of a table that ends at `top`;
 * 0: none. They are taken for looked at.
 */
uint32_t usm_sampler_portion(struct usm_sampler *sampler, uint32_t rate, uint32_t top,
			     uint64_t now);

/* So many frames were supplied since arming; `limited`: growth is at an end. */
void usm_sampler_supplied(struct usm_sampler *sampler, uint64_t frames, bool limited);
void usm_sampler_evicted(struct usm_sampler *sampler, uint64_t now);

/* Its part of a turn: enum usm_engine_result, or negative: fatal. */
int usm_sampler_turn(struct usm_engine *engine);

#endif /* USM_INSTANCE_SAMPLER_H */

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The trusted runtime between module and policy: reads events, keeps the supply
 * rings filled with what the policy chose, free frames zeroed and a reserve of
 * free frames there. It makes no system call itself: the module is reached
 * through struct usm_engine_ops, so that tests drive it with a model of one.
 *
 * One turn does the urgent first and a bounded piece of the rest, and says
 * whether there is more: the caller looks for events between two turns, so that
 * a fault never waits behind housekeeping.
 */
#ifndef USM_INSTANCE_ENGINE_H
#define USM_INSTANCE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include <usm/policy.h>

#include "answer.h"
#include "error.h"
#include "eviction.h"
#include "growth.h"
#include "host.h"
#include "index.h"
#include "mapping.h"
#include "parameters.h"
#include "ration.h"
#include "sampler.h"
#include "upcall.h"

/*
 * Frames that are zeroed, and put into a ring that is not empty, at a time: 1
 * MiB, about 0.1 ms of a core. Longer would keep an empty ring waiting.
 */
#define USM_ENGINE_PORTION	256

/* Runs in one answer of a policy. */
#define USM_ENGINE_RUNS		64

/* Events read in one turn, a ring's worth or so: supply is not to wait for more. */
#define USM_ENGINE_EVENTS	4096

/* Answers asked for in a row for one empty ring. A policy that gives single
 * frames is asked again in the next turn, after the other rings. */
#define USM_ENGINE_ASKS		16

/*
 * Table entries read again at each tick, in turn. A caller that cannot wait may
 * get a frame of which no event tells; this is how it is noticed in the end.
 */
#define USM_ENGINE_SCRUB	16384

/* 0 or a negative errno value each; -ENODEV: the domain is gone. */
struct usm_engine_ops {
	int (*submit)(void *context, struct usm_command *commands, uint32_t count);
	int (*kick)(void *context);	/* -EPERM: not armed (any more); no harm */
	/* Submit, then wait for an event, for so long at the most. Upcall mode only. */
	int (*exchange)(void *context, struct usm_command *commands, uint32_t count,
			uint32_t timeout_ms);
};

struct usm_engine_setup {
	struct usm_mapping *mapping;
	const struct usm_policy *policy;	/* lives as long as the engine */
	struct usm_parameters *parameters;	/* the same */
	uint32_t fault_order;
	uint32_t ceiling;			/* frames */
	bool upcall;				/* each fault asks the policy, which has fault() */
	const struct usm_engine_ops *ops;
	void *context;
};

/*
 * What one CPU's ring holds, since the ring itself does not say it in frames. The
 * indices run freely: an entry is put, taken by the module and then withdrawn
 * from the index, put >= taken >= withdrawn. The module takes an entry out of
 * the ring before it has used all of its frames, so the last one taken is "in
 * hand" and its frames still count as offered.
 */
struct usm_lane {
	uint64_t *entries;	/* what we put, by index modulo the ring's size */
	uint32_t put, taken, withdrawn;
	uint32_t held;		/* frames in the ring that are in the index's `offered` */
	bool stale;		/* entries from `fresh` on may name only frames that are gone */
	uint32_t fresh;
	bool answered;		/* put something since the module last took something */
	uint64_t used_at;	/* when the module last took something; 0: never */
};

struct usm_engine {
	struct usm_engine_setup setup;
	struct usm_index index;
	struct usm_runtime runtime;
	struct usm_growth growth;
	struct usm_eviction eviction;
	struct usm_sampler sampler;
	struct usm_vault *vault;	/* NULL: nothing is evicted, nor ever was */
	struct usm_lane *lanes;
	struct usm_upcalls upcalls;
	void *state;		/* the policy's */
	bool begun;		/* init() was called */
	bool armed;		/* supply makes sense */
	bool released;		/* the domain ends with its last space */
	bool empty;		/* the module found it unused, and took all free frames */
	bool stale;		/* rings may name frames that are gone */
	int failed;		/* negative: what an event asked for had a fatal error */
	uint32_t fallback;	/* enum usm_fallback_why, until the caller clears it */
	uint32_t next_lane;	/* with which the next round begins */
	uint32_t scrub;		/* where the next tick goes on */
	uint64_t lost;		/* of the event ring, as seen */
	uint64_t put;		/* frames, into all rings */
	uint64_t wrong;		/* answers that were dropped */
	struct usm_answer first_wrong;
};

enum usm_engine_result {
	USM_ENGINE_IDLE = 0,	/* nothing to do until the next event or tick */
	USM_ENGINE_MORE = 1,	/* call again soon */
};

int usm_engine_init(struct usm_engine *engine, const struct usm_engine_setup *setup);
/* Ends the policy too. Takes a zeroed engine. */
void usm_engine_done(struct usm_engine *engine);

/*
 * The policy's init(), and whether it took its parameters. -EPROTO: it refused;
 * -EINVAL: a parameter does not fit.
 */
int usm_engine_begin(struct usm_engine *engine, uint64_t now, struct usm_error *err);

/* The domain has just been armed: rings are empty, what was known is stale. */
void usm_engine_reset(struct usm_engine *engine, uint64_t now);

/*
 * The domain fell back, by an event or as the caller has found out: supply stops
 * until usm_engine_reset(). `why`: enum usm_fallback_why. Nothing if it is known.
 */
void usm_engine_fell(struct usm_engine *engine, uint32_t why);

/* enum usm_engine_result, or negative: fatal, from usm_engine_ops. `now`: ns, monotonic. */
int usm_engine_turn(struct usm_engine *engine, uint64_t now);

/* Once a second, besides turns. 0, or negative as above. */
int usm_engine_tick(struct usm_engine *engine, uint64_t now);

#endif /* USM_INSTANCE_ENGINE_H */

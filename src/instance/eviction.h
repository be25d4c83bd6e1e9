/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When pages are evicted, how many at a time, and asking the policy which. */
#ifndef USM_INSTANCE_EVICTION_H
#define USM_INSTANCE_EVICTION_H

#include <stdbool.h>
#include <stdint.h>

#include <usm/policy.h>

#include "growth.h"

struct usm_engine;
struct usm_vault;

/*
 * Where growth has ended, eviction keeps frames free: it begins when fewer than LOW
 * are and goes on until there are twice as many. LOW is a 64th of the memory, so
 * that a sixty-fourth to a 32nd of it is kept from use; between bounds, for
 * what a burst takes while a batch is compressed does not grow with the container.
 */
#define USM_EVICTION_PART	64
#define USM_EVICTION_MIN	32	/* frames */
#define USM_EVICTION_MAX	2048

/*
 * For so long after the kernel has taken free frames back it gets no more of them than
 * faults leave: page cache that is read in would else drive all pages out.
 */
#define USM_EVICTION_CALM_NS	(1ull * 1000000000)
#define USM_EVICTION_CALM_PART	4

/*
 * Since the last page came back, until frames are zeroed ahead again: where pages come and
 * go the next frame is most likely for one that comes, and is overwritten.
 */
#define USM_EVICTION_RETURNS_NS	(100ull * 1000000)

/* Answers in a row of which no page could be evicted, until the next tick. */
#define USM_EVICTION_FRUITLESS	64

struct usm_eviction {
	bool running;
	uint32_t fruitless;
	uint64_t reclaimed_at;	/* 0: never */
	uint64_t returned;	/* pages, as of ... */
	uint64_t returned_at;	/* 0: never */
};

/*
 * Frames to evict now. `limited`: growth is at an end; `starved`: somebody waits for a
 * frame in vain.
 */
uint32_t usm_eviction_want(struct usm_eviction *eviction, const struct usm_growth_view *view,
			   bool limited, bool starved, uint64_t now);

/*
 * Ask the policy, which must have evict(), for up to `frames` victims. Returns the number
 * of runs, at most USM_ENGINE_RUNS; a wrong answer is counted as such and is 0.
 */
uint32_t usm_eviction_ask(struct usm_engine *engine, uint32_t frames, bool urgent,
			  struct usm_run *runs);

/* Is growth at an end? */
bool usm_eviction_limited(const struct usm_engine *engine);

/* From now on the engine evicts to `vault`, which stays the caller's; NULL: to none. */
void usm_eviction_attach(struct usm_engine *engine, struct usm_vault *vault);

/* Pages come back these days: see USM_EVICTION_RETURNS_NS. */
bool usm_eviction_returns(const struct usm_engine *engine);

/*
 * Its part of a turn: enum usm_engine_result, or negative: fatal. And of a tick.
 */
int usm_eviction_turn(struct usm_engine *engine);
int usm_eviction_tick(struct usm_engine *engine);

#endif /* USM_INSTANCE_EVICTION_H */

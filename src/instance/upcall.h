/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Upcall mode: each fault asks, and the policy's fault() answers. Faults come one after
 * the other where a program touches memory, so the answers to some and the wait for the
 * next are one system call: a round.
 */
#ifndef USM_INSTANCE_UPCALL_H
#define USM_INSTANCE_UPCALL_H

#include <stdbool.h>
#include <stdint.h>

#include "device.h"

struct usm_engine;

/* Commands that wait to be submitted: more are so at once. */
#define USM_UPCALL_BATCH	64

/* Runs in one answer: what a fault can hold. */
#define USM_UPCALL_RUNS		8

/*
 * How long a round waits. Who touches memory comes back sooner; for others the event loop
 * waits cheaper, and it has more to look at.
 */
#define USM_UPCALL_WAIT_MS	8

struct usm_upcalls {
	struct usm_command commands[USM_UPCALL_BATCH];	/* not submitted yet */
	uint32_t filled;
	bool unanswered;	/* a fault waits that was not answered, or not seen */
};

/* USM_EV_FAULT: ask the policy. 0, or negative: fatal. */
int usm_upcall_handle(struct usm_engine *engine, const struct usm_event *event);

/* Submit what is left of the answers. 0, or negative: fatal. */
int usm_upcall_flush(struct usm_engine *engine);

/* Have those asked again that could not be answered, where now they may be. The same. */
int usm_upcall_repeat(struct usm_engine *engine);

enum usm_upcall_next {
	USM_UPCALL_QUIET = 0,	/* no fault for a while: back to the loop */
	USM_UPCALL_ROUND = 1,	/* another round, before long */
	USM_UPCALL_TURN = 2,	/* there is more to do than to answer faults */
};

/* One round. Negative: fatal. `now` as for usm_engine_turn(), or less exact. */
int usm_upcall_round(struct usm_engine *engine, uint64_t now);

#endif /* USM_INSTANCE_UPCALL_H */

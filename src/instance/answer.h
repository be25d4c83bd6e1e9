/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether what a policy answered may be believed. The module checks every frame
 * again; this check is here so that the mistake can be told to the policy's
 * author, and so that a wrong answer does not cost the faults that wait.
 */
#ifndef USM_INSTANCE_ANSWER_H
#define USM_INSTANCE_ANSWER_H

#include <stdint.h>

#include <usm/policy.h>

#include "frameset.h"

enum usm_answer_verdict {
	USM_ANSWER_FINE = 0,
	USM_ANSWER_TOO_MANY_RUNS,	/* more than there was room for */
	USM_ANSWER_TOO_MANY_FRAMES,	/* more than were asked for */
	USM_ANSWER_BAD_COUNT,		/* a run of 0, or of more than USM_RUN_MAX */
	USM_ANSWER_OUT_OF_RANGE,	/* beyond the table */
	USM_ANSWER_TWICE,		/* a frame that stands earlier in the answer */
	USM_ANSWER_NOT_IDLE,		/* not free, or in a ring already */
};

struct usm_answer {
	enum usm_answer_verdict verdict;
	uint32_t run;		/* the first that is wrong; TOO_MANY_RUNS: how many */
	uint32_t frame;		/* where in it */
};

/*
 * Check `returned` runs, for which there was room for `capacity`, against the
 * `idle` frames and the number `wanted`. `idle` is unchanged afterwards.
 */
struct usm_answer usm_answer_check(struct usm_frameset *idle, const struct usm_run *runs,
				   uint32_t returned, uint32_t capacity, uint32_t wanted);

/*
 * The same for `returned` runs of victims out of `frames`. What state these are in is
 * not looked at: it changes between the policy's look and ours.
 */
struct usm_answer usm_answer_check_victims(uint32_t frames, const struct usm_run *runs,
					   uint32_t returned, uint32_t capacity, uint32_t wanted);

/*
 * The answer in words: "run 3, frame 17 is not free, or was supplied already".
 * Returns what snprintf() does.
 */
#define USM_ANSWER_TEXT	128
int usm_answer_print(const struct usm_answer *answer, char text[static USM_ANSWER_TEXT]);

#endif /* USM_INSTANCE_ANSWER_H */

// SPDX-License-Identifier: GPL-2.0-or-later
#include "answer.h"

#include <stdbool.h>
#include <stdio.h>

static bool overlaps(const struct usm_run *runs, uint32_t n, uint32_t frame)
{
	for (uint32_t i = 0; i < n; i++)
		if (frame >= runs[i].frame && frame - runs[i].frame < runs[i].count)
			return true;
	return false;
}

static struct usm_answer wrong(enum usm_answer_verdict verdict, uint32_t run, uint32_t frame)
{
	return (struct usm_answer){ .verdict = verdict, .run = run, .frame = frame };
}

static struct usm_answer run_check(const struct usm_frameset *idle, const struct usm_run *runs,
				   uint32_t i)
{
	uint32_t frame = runs[i].frame, count = runs[i].count, good;

	if (!count || count > USM_RUN_MAX)
		return wrong(USM_ANSWER_BAD_COUNT, i, frame);
	if (frame >= idle->frames || count > idle->frames - frame)
		return wrong(USM_ANSWER_OUT_OF_RANGE, i, frame);

	good = usm_frameset_length(idle, frame, count);
	if (good == count)
		return wrong(USM_ANSWER_FINE, i, frame);
	frame += good;
	return wrong(overlaps(runs, i, frame) ? USM_ANSWER_TWICE : USM_ANSWER_NOT_IDLE, i, frame);
}

struct usm_answer usm_answer_check(struct usm_frameset *idle, const struct usm_run *runs,
				   uint32_t returned, uint32_t capacity, uint32_t wanted)
{
	struct usm_answer answer = {};
	uint32_t total = 0, i;

	if (returned > capacity)
		return wrong(USM_ANSWER_TOO_MANY_RUNS, returned, 0);
	/* Most answers to a fault: nothing in it can be there twice. */
	if (returned == 1) {
		answer = run_check(idle, runs, 0);
		if (!answer.verdict && runs[0].count > wanted)
			answer = wrong(USM_ANSWER_TOO_MANY_FRAMES, 0, runs[0].frame);
		return answer;
	}

	/*
	 * What an earlier run holds is taken out for the time of the check, so
	 * that one lookup finds both the frame that is not idle and the repeated one.
	 */
	for (i = 0; i < returned; i++) {
		answer = run_check(idle, runs, i);
		if (answer.verdict)
			break;
		if (runs[i].count > wanted - total) {
			answer = wrong(USM_ANSWER_TOO_MANY_FRAMES, i, runs[i].frame);
			break;
		}
		total += runs[i].count;
		usm_frameset_remove(idle, runs[i].frame, runs[i].count);
	}
	while (i--)
		usm_frameset_add(idle, runs[i].frame, runs[i].count);
	return answer;
}

static bool run_overlaps(const struct usm_run *runs, uint32_t n, const struct usm_run *run)
{
	for (uint32_t i = 0; i < n; i++)
		if (run->frame < runs[i].frame + runs[i].count &&
		    runs[i].frame < run->frame + run->count)
			return true;
	return false;
}

struct usm_answer usm_answer_check_victims(uint32_t frames, const struct usm_run *runs,
					   uint32_t returned, uint32_t capacity, uint32_t wanted)
{
	uint32_t total = 0;

	if (returned > capacity)
		return wrong(USM_ANSWER_TOO_MANY_RUNS, returned, 0);
	for (uint32_t i = 0; i < returned; i++) {
		uint32_t frame = runs[i].frame, count = runs[i].count;

		if (!count || count > USM_RUN_MAX)
			return wrong(USM_ANSWER_BAD_COUNT, i, frame);
		if (frame >= frames || count > frames - frame)
			return wrong(USM_ANSWER_OUT_OF_RANGE, i, frame);
		if (count > wanted - total)
			return wrong(USM_ANSWER_TOO_MANY_FRAMES, i, frame);
		if (run_overlaps(runs, i, &runs[i]))
			return wrong(USM_ANSWER_TWICE, i, frame);
		total += count;
	}
	return wrong(USM_ANSWER_FINE, 0, 0);
}

static const char *words(enum usm_answer_verdict verdict)
{
	switch (verdict) {
	case USM_ANSWER_TOO_MANY_FRAMES:
		return "starts a run that makes more frames than were asked for";
	case USM_ANSWER_BAD_COUNT:
		return "starts a run of no frame or of more than 512";
	case USM_ANSWER_OUT_OF_RANGE:
		return "starts a run beyond the end of the frame table";
	case USM_ANSWER_TWICE:
		return "is in the answer twice";
	case USM_ANSWER_NOT_IDLE:
		return "is not free, or was supplied already";
	case USM_ANSWER_FINE:
	case USM_ANSWER_TOO_MANY_RUNS:
		break;
	}
	return "is fine";
}

int usm_answer_print(const struct usm_answer *answer, char text[static USM_ANSWER_TEXT])
{
	if (answer->verdict == USM_ANSWER_TOO_MANY_RUNS)
		return snprintf(text, USM_ANSWER_TEXT, "%u runs, more than there was room for",
				answer->run);
	return snprintf(text, USM_ANSWER_TEXT, "run %u, frame %u %s", answer->run, answer->frame,
			words(answer->verdict));
}

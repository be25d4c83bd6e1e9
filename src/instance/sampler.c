// SPDX-License-Identifier: GPL-2.0-or-later
#include "sampler.h"

#include <errno.h>

#include "engine.h"

#define COMMANDS	(USM_SAMPLER_PORTION / USM_MAX_RUN)

static void fill(struct usm_sampler *sampler, uint32_t rate, uint64_t now)
{
	uint64_t passed = now - sampler->filled_at, more;

	/* A second's worth at the most, which is also what there is at first. */
	more = !sampler->filled_at || passed >= 1000000000 ? rate : passed * rate / 1000000000;
	/* What makes less than one is not lost. */
	if (!more)
		return;
	sampler->filled_at = now ?: 1;
	sampler->tokens = more < rate && sampler->tokens < rate - more ?
			  sampler->tokens + (uint32_t)more : rate;
}

static bool is_due(const struct usm_sampler *sampler, uint32_t top, uint64_t now)
{
	bool busy = sampler->evicted_at && now - sampler->evicted_at < USM_SAMPLER_CALM_NS;

	return !sampler->began_at || (sampler->spent && sampler->spent >= top / USM_SAMPLER_PART) ||
	       now - sampler->began_at >= (busy ? USM_SAMPLER_BUSY_NS : USM_SAMPLER_CALM_NS);
}

uint32_t usm_sampler_portion(struct usm_sampler *sampler, uint32_t rate, uint32_t top, uint64_t now)
{
	uint32_t left, most;

	if (!rate || !top || sampler->refused)
		return 0;
	fill(sampler, rate, now);
	if (sampler->next >= sampler->end) {
		if (!is_due(sampler, top, now))
			return 0;
		sampler->next = 0;
		sampler->end = top;
		sampler->began_at = now ?: 1;
		sampler->spent = 0;
	}
	left = sampler->end - sampler->next;
	most = left < USM_SAMPLER_PORTION ? left : USM_SAMPLER_PORTION;
	/* A rate that is less than that is spent as it comes. */
	if (sampler->tokens < most && sampler->tokens < rate)
		return 0;
	if (sampler->tokens < most)
		most = sampler->tokens;
	sampler->tokens -= most;
	sampler->next += most;
	return most;
}

void usm_sampler_supplied(struct usm_sampler *sampler, uint64_t frames, bool limited)
{
	if (limited)
		sampler->spent += (uint32_t)(frames - sampler->supplied);
	sampler->supplied = frames;
}

void usm_sampler_evicted(struct usm_sampler *sampler, uint64_t now)
{
	sampler->evicted_at = now ?: 1;
}

static void tell(struct usm_engine *engine, const struct usm_command *command)
{
	const struct usm_policy *policy = engine->setup.policy;
	struct usm_sampled_note note = {
		.size = sizeof(note),
		.frame = command->frame,
		.count = command->count,
		.last = command->frame + command->count == engine->sampler.end,
	};

	/* Of a run that was freed just then nothing is known, but a round ends all the same. */
	if (policy->sampled && (command->result >= 0 || note.last))
		policy->sampled(engine->state, &note);
}

int usm_sampler_turn(struct usm_engine *engine)
{
	struct usm_sampler *sampler = &engine->sampler;
	const struct usm_mapping *mapping = engine->setup.mapping;
	struct usm_command commands[COMMANDS];
	uint32_t count, frame, n = 0;
	int r;

	if (!engine->armed)
		return USM_ENGINE_IDLE;
	usm_sampler_supplied(sampler, engine->put, usm_eviction_limited(engine));
	count = usm_sampler_portion(sampler, engine->runtime.sample_rate, usm_mapping_top(mapping),
				    engine->runtime.now);
	for (frame = sampler->next - count; frame < sampler->next; frame += commands[n++].count) {
		uint32_t left = sampler->next - frame;
		struct usm_frame entry = usm_mapping_frame(mapping, frame);

		commands[n] = (struct usm_command){
			.op = USM_CMD_SAMPLE,
			.frame = frame,
			.count = left < USM_MAX_RUN ? left : USM_MAX_RUN,
			.generation = USM_FRAME_GENERATION(&entry),
		};
	}
	if (!n)
		return USM_ENGINE_IDLE;
	r = engine->setup.ops->submit(engine->setup.context, commands, n);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n; i++) {
		sampler->refused |= commands[i].result == -EINVAL;
		tell(engine, &commands[i]);
	}
	return sampler->next < sampler->end && sampler->tokens >= USM_SAMPLER_PORTION ?
	       USM_ENGINE_MORE : USM_ENGINE_IDLE;
}

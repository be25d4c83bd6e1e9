// SPDX-License-Identifier: GPL-2.0-or-later
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void ring_make(struct usm_mapped_ring *ring, uint32_t entries, uint32_t entry_size)
{
	struct usm_ring *r = calloc(1, sizeof(*r) + (size_t)entries * entry_size);

	if (!r)
		abort();
	r->entries = entries;
	r->entry_size = entry_size;
	r->offset = sizeof(*r);
	*ring = (struct usm_mapped_ring){
		.ring = r,
		.base = (char *)(r + 1),
		.entries = entries,
		.entry_size = entry_size,
	};
}

void model_init(struct model *model, uint32_t frames, uint32_t cpus)
{
	*model = (struct model){ .limit = frames };
	model->words = calloc(frames, sizeof(*model->words));
	model->owners = calloc(frames, sizeof(*model->owners));
	model->blocks = calloc(frames / USM_BLOCK_SIZE + 1, sizeof(*model->blocks));
	model->hand = calloc(cpus, sizeof(*model->hand));
	model->mapping.supply = calloc(cpus, sizeof(*model->mapping.supply));
	model->accessed = calloc(frames, sizeof(*model->accessed));
	if (!model->words || !model->owners || !model->blocks || !model->hand ||
	    !model->mapping.supply || !model->accessed)
		abort();

	model->mapping.words = model->words;
	model->mapping.owners = model->owners;
	model->mapping.blocks = model->blocks;
	model->mapping.frames = frames;
	model->mapping.rings = cpus;
	ring_make(&model->mapping.events, MODEL_EVENTS, sizeof(struct usm_event));
	model->mapping.events.ring->top = frames;
	for (uint32_t cpu = 0; cpu < cpus; cpu++)
		ring_make(&model->mapping.supply[cpu], MODEL_ENTRIES, sizeof(uint64_t));
}

void model_done(struct model *model)
{
	for (uint32_t cpu = 0; cpu < model->mapping.rings; cpu++)
		free(model->mapping.supply[cpu].ring);
	free(model->mapping.supply);
	free(model->mapping.events.ring);
	free(model->words);
	free(model->owners);
	free(model->blocks);
	free(model->hand);
	free(model->accessed);
	free(model->evicted.staged);
	free(model->numbers);
	free(model->known);
	free(model->seeds);
}

uint32_t model_state(const struct model *model, uint32_t frame)
{
	return model->words[frame] & USM_FRAME_STATE_MASK;
}

static void state_set(struct model *model, uint32_t frame, uint64_t state)
{
	model->words[frame] = (model->words[frame] & ~USM_WORD_STATE) | state;
}

/* Freed, or gone: another generation. */
static void step(struct model *model, uint32_t frame, uint64_t state)
{
	model->words[frame] += UINT64_C(1) << USM_PAGE_BITS;
	model->owners[frame] = 0;
	state_set(model, frame, state);
}

uint32_t model_count(const struct model *model, uint32_t state)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < model->mapping.frames; i++)
		n += model_state(model, i) == state;
	return n;
}

void model_post(struct model *model, const struct usm_event *event)
{
	struct usm_ring *ring = model->mapping.events.ring;

	if (ring->head - ring->tail == ring->entries) {
		ring->lost++;
		return;
	}
	((struct usm_event *)model->mapping.events.base)[ring->head++ % ring->entries] = *event;
}

void model_populate(struct model *model, uint32_t frame, uint32_t count, bool zeroed)
{
	for (; count; count--, frame++) {
		model->present += model_state(model, frame) == USM_FRAME_NONE;
		state_set(model, frame, USM_FRAME_FREE | (zeroed ? USM_FRAME_ZEROED : 0));
	}
}

void model_occupy(struct model *model, uint32_t frame, uint32_t count)
{
	for (; count; count--, frame++) {
		model->present += model_state(model, frame) == USM_FRAME_NONE;
		model->accessed[frame] = true;
		model->owners[frame] = 1;
		model->words[frame] = (model->words[frame] & USM_WORD_GENERATION) |
				      (uint64_t)frame << USM_WORD_PAGE_SHIFT | USM_FRAME_MAPPED;
	}
}

void model_access(struct model *model, uint32_t frame, uint32_t count)
{
	for (; count; count--)
		model->accessed[frame++] = true;
}

void model_free(struct model *model, uint32_t frame, uint32_t count)
{
	struct usm_event event = { .type = USM_EV_FREED, .frame = frame, .count = count };

	for (uint32_t i = frame; i < frame + count; i++) {
		step(model, i, USM_FRAME_FREE);
	}
	model_post(model, &event);
}

void model_reclaim(struct model *model, uint32_t frame, uint32_t count)
{
	struct usm_event event = { .type = USM_EV_SHRUNK, .frame = frame, .count = count,
				   .arg = USM_SHRINK_PRESSURE };

	for (uint32_t i = frame; i < frame + count; i++) {
		step(model, i, USM_FRAME_NONE);
		model->present--;
	}
	model_post(model, &event);
}

/* ------------------------------------------------------------------- faults */

/* The next entry leaves the ring before its frames are used, as in the module. */
static bool hand_fill(struct model *model, uint32_t cpu)
{
	struct usm_mapped_ring *ring = &model->mapping.supply[cpu];
	struct usm_run *run = &model->hand[cpu].run;
	uint64_t entry;

	if (ring->ring->tail == ring->ring->head)
		return false;
	entry = ((const uint64_t *)ring->base)[ring->ring->tail++ % ring->entries];
	*run = (struct usm_run){ USM_SUPPLY_FRAME(entry), USM_SUPPLY_COUNT(entry) };
	if (model->words[run->frame] >> USM_PAGE_BITS != USM_SUPPLY_GEN(entry)) {
		run->count = 0;
		model->refused++;
	}
	return true;
}

static void low_check(struct model *model, uint32_t cpu, bool empty)
{
	struct usm_ring *ring = model->mapping.supply[cpu].ring;
	struct model_hand *hand = &model->hand[cpu];
	uint32_t level = empty ? 2 : 1;

	if (!empty && ring->head - ring->tail >= (ring->low ?: ring->entries / 4)) {
		hand->told = 0;
		ring->want = 0;
		return;
	}
	if (hand->told >= level && hand->told_head == ring->head)
		return;
	hand->told = level;
	hand->told_head = ring->head;
	ring->want = 1;
	model_post(model, &(struct usm_event){ .type = USM_EV_SUPPLY_LOW, .arg = cpu });
}

static uint32_t ring_take(struct model *model, uint32_t cpu, uint32_t pages, uint32_t *frames)
{
	struct usm_run *run = &model->hand[cpu].run;
	uint32_t n = 0, runs = 0, tries = 0;
	bool empty = false;

	while (n < pages) {
		if (!run->count) {
			if (runs == MODEL_RUNS || tries++ == MODEL_TRIES)
				break;
			empty = !hand_fill(model, cpu);
			if (empty)
				break;
			runs += run->count && model_state(model, run->frame) == USM_FRAME_FREE;
			continue;
		}
		if (model_state(model, run->frame) == USM_FRAME_FREE) {
			state_set(model, run->frame, USM_FRAME_MAPPED);
			model->owners[run->frame] = 1;
			frames[n++] = run->frame;
		} else {
			model->refused++;
		}
		run->frame++;
		run->count--;
	}
	low_check(model, cpu, empty);
	return n;
}

uint32_t model_fault(struct model *model, uint32_t cpu, uint32_t pages, uint32_t *frames)
{
	uint32_t n = ring_take(model, cpu, pages, frames);

	for (uint32_t i = 1; !n && i < model->mapping.rings; i++)
		n = ring_take(model, (cpu + i) % model->mapping.rings, pages, frames);
	return n;
}

void model_arm(struct model *model)
{
	struct usm_ring *events = model->mapping.events.ring;

	events->head = events->tail = 0;
	events->lost = 0;
	for (uint32_t cpu = 0; cpu < model->mapping.rings; cpu++) {
		struct usm_ring *ring = model->mapping.supply[cpu].ring;

		ring->head = ring->tail = ring->want = ring->low = 0;
		model->hand[cpu] = (struct model_hand){};
	}
}

/* ----------------------------------------------------------------- commands */

static int32_t command_grow(struct model *model, const struct usm_command *command)
{
	uint32_t left = command->count, first = 0;
	struct usm_event event = { .type = USM_EV_GROWN };

	model->grows++;
	if (model->present == model->mapping.frames)
		return -ENOSPC;
	if (model->mute)
		return 0;

	for (uint32_t i = 0; i < model->mapping.frames && left && model->present < model->limit; i++) {
		if (model_state(model, i) != USM_FRAME_NONE)
			continue;
		if (!event.count)
			first = i;
		model_populate(model, i, 1, true);
		event.count = i - first + 1;	/* may name others too: a hint */
		left--;
	}
	event.frame = first;
	if (event.count)
		model_post(model, &event);
	if (left)
		model_post(model, &(struct usm_event){
			.type = USM_EV_LIMIT, .arg = USM_LIMIT_CGROUP, .count = left });
	return 0;
}

static bool sample(struct model *model, uint32_t frame)
{
	uint32_t age = model_frame(model, frame).age;

	if (model_state(model, frame) != USM_FRAME_MAPPED)
		return false;
	model_set_age(model, frame, model->accessed[frame] ? 0 : age + (age < 255));
	model->accessed[frame] = false;
	model->sampled++;
	return true;
}

static int32_t command_run(struct model *model, const struct usm_command *command)
{
	int32_t n = 0;

	if (command->node || !command->count || command->count > USM_MAX_RUN ||
	    command->frame + command->count > model->mapping.frames) {
		model->refused++;
		return -EINVAL;
	}
	if (model->words[command->frame] >> USM_PAGE_BITS != command->generation) {
		model->refused++;
		return -ESTALE;
	}
	for (uint32_t i = command->frame; i < command->frame + command->count; i++) {
		if (command->op == USM_CMD_SAMPLE) {
			n += sample(model, i);
			continue;
		}
		if (model_state(model, i) != USM_FRAME_FREE)
			continue;
		n++;
		if (command->op == USM_CMD_ZERO) {
			model->zeroed += !(model->words[i] & USM_FRAME_ZEROED);
			model->words[i] |= USM_FRAME_ZEROED;
		} else {
			state_set(model, i, USM_FRAME_NONE);
			model->present--;
			model->shrinks++;
		}
	}
	return n;
}

static void asker_post(struct model *model, uint32_t index)
{
	const struct model_asker *asker = &model->askers[index];

	model_post(model, &(struct usm_event){
		.type = USM_EV_FAULT, .space = 1, .page = asker->page, .count = asker->pages,
		.arg = index + 1, .flags = USM_FAULT_USER,
	});
}

struct model_asker *model_ask(struct model *model, uint64_t page, uint32_t pages)
{
	struct model_asker *asker = &model->askers[model->asked];

	if (model->asked == MODEL_ASKERS)
		abort();
	*asker = (struct model_asker){ .page = page, .pages = pages };
	asker_post(model, model->asked++);
	return asker;
}

static int32_t command_repeat(struct model *model)
{
	int32_t n = 0;

	model->repeats++;
	for (uint32_t i = 0; i < model->asked; i++) {
		if (!model->askers[i].pages)
			continue;
		asker_post(model, i);
		n++;
	}
	return n;
}

static int32_t command_resolve(struct model *model, const struct usm_command *command)
{
	struct model_asker *asker = &model->askers[command->arg - 1];
	uint32_t frame = command->frame, got = 0;

	if (!command->arg || command->arg > model->asked || !asker->pages)
		return -ESTALE;
	if (command->count && (model_state(model, frame) != USM_FRAME_FREE ||
			       model->words[frame] >> USM_PAGE_BITS != command->generation)) {
		model->refused++;
		return -EBUSY;
	}
	for (; got < command->count && asker->n < asker->pages &&
	       model_state(model, frame + got) == USM_FRAME_FREE; got++) {
		asker->frames[asker->n++] = frame + got;
		model_occupy(model, frame + got, 1);
	}
	if (!(command->flags & USM_RESOLVE_MORE) || asker->n == asker->pages) {
		asker->declined = !asker->n;
		asker->pages = 0;
	}
	return (int32_t)got;
}

static int32_t command(struct model *model, const struct usm_command *command)
{
	switch (command->op) {
	case USM_CMD_RESOLVE:
		return command_resolve(model, command);
	case USM_CMD_REPEAT:
		return command_repeat(model);
	case USM_CMD_GROW:
		return command_grow(model, command);
	case USM_CMD_EVICT:
		return model_command_evict(model, command);
	case USM_CMD_RESTORE:
		return model_command_restore(model, command);
	case USM_CMD_LOSE:
		return model_command_lose(model, command);
	case USM_CMD_SAMPLE:
		if (model->old)
			return -EINVAL;
		break;
	}
	return command_run(model, command);
}

static int model_submit(void *context, struct usm_command *commands, uint32_t count)
{
	((struct model *)context)->submissions++;
	for (uint32_t i = 0; i < count; i++)
		commands[i].result = command(context, &commands[i]);
	return 0;
}

static int model_kick(void *context)
{
	((struct model *)context)->kicks++;
	return 0;
}

/* The wait is over at once. */
static int model_exchange(void *context, struct usm_command *commands, uint32_t count,
			  uint32_t timeout_ms)
{
	((struct model *)context)->exchanges++;
	return model_submit(context, commands, count);
}

const struct usm_engine_ops model_ops = {
	.submit = model_submit,
	.kick = model_kick,
	.exchange = model_exchange,
};

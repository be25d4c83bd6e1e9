// SPDX-License-Identifier: GPL-2.0-or-later
/* The module's part in eviction: numbers, staging, and that nothing wrong comes back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "storage.h"

void model_evicts(struct model *model)
{
	size_t offset = 4096;

	model->evicted.staging_size = offset + USM_STAGING_PAGES * 4096;
	model->evicted.staged = calloc(1, model->evicted.staging_size);
	model->numbers = calloc(MODEL_NUMBERS, sizeof(*model->numbers));
	model->known = calloc(MODEL_NUMBERS, sizeof(*model->known));
	model->seeds = calloc(model->mapping.frames, sizeof(*model->seeds));
	if (!model->evicted.staged || !model->numbers || !model->known || !model->seeds)
		abort();
	model->evicted.content = (char *)model->evicted.staged + offset;
	model->evicted.table = model->numbers;
	model->evicted.numbers = MODEL_NUMBERS;
	model->mapping.events.ring->evicted_top = MODEL_NUMBERS;
	for (uint32_t i = 0; i < model->mapping.frames; i++)
		model->seeds[i] = i;
}

void model_content(char page[4096], uint64_t seed)
{
	storage_fill(page, (enum storage_kind)(seed % 4), seed);
}

void model_write(struct model *model, uint32_t frame, uint64_t seed)
{
	model->seeds[frame] = seed;
}

static void post(struct model *model, uint16_t type, uint32_t number)
{
	if (!model->blind)
		model_post(model, &(struct usm_event){
			.type = type, .count = 1,
			.arg = USM_EVICTED_KEY(number, model->numbers[number].generation) });
}

/* A fault that has waited, or comes now, takes the page; the number is free. */
static void end(struct model *model, uint32_t number)
{
	model->numbers[number].state = USM_EVICTED_NONE;
	post(model, USM_EV_DISCARDED, number);
}

void model_expect(struct model *model, uint32_t number)
{
	post(model, USM_EV_AHEAD, number);
}

void model_touch(struct model *model, uint32_t number)
{
	if (model->numbers[number].state != USM_EVICTED_AWAY)
		abort();
	model->numbers[number].state = USM_EVICTED_WANTED;
	post(model, USM_EV_REFAULT, number);
}

void model_discard(struct model *model, uint32_t number)
{
	if (model->numbers[number].state == USM_EVICTED_NONE)
		abort();
	end(model, number);
}

static int number_new(struct model *model)
{
	for (int i = 0; i < MODEL_NUMBERS; i++)
		if (model->numbers[i].state == USM_EVICTED_NONE)
			return i;
	return -ENOSPC;
}

int32_t model_command_evict(struct model *model, const struct usm_command *command)
{
	struct usm_staged *staged = &model->evicted.staged[command->arg];
	int32_t done = 0;

	if (command->count > USM_STAGING_PAGES || command->arg + command->count > USM_STAGING_PAGES ||
	    command->frame + command->count > model->mapping.frames)
		return -EINVAL;
	memset(staged, 0, command->count * sizeof(*staged));
	for (uint32_t i = 0; i < command->count; i++) {
		uint32_t frame = command->frame + i;
		int number = number_new(model);

		if (number < 0 || model_state(model, frame) != USM_FRAME_MAPPED)
			continue;
		if (model->pinned) {
			model->pinned--;
			continue;
		}
		model->numbers[number].generation++;
		model->numbers[number].state = USM_EVICTED_AWAY;
		model->known[number] = (struct model_evicted){
			.seed = model->seeds[frame],
			.page = (model->words[frame] & ~USM_WORD_GENERATION) >> USM_WORD_PAGE_SHIFT,
			.space = model->owners[frame] & USM_MAX_SPACE,
		};
		model_content(model->evicted.content + (command->arg + i) * 4096,
			      model->seeds[frame]);
		staged[i] = (struct usm_staged){
			.key = USM_EVICTED_KEY(number, model->numbers[number].generation),
			.page = model->known[number].page,
			.space = model->known[number].space,
			.frame = frame,
		};
		model_free(model, frame, 1);
		model->evictions++;
		done++;
	}
	return done;
}

static bool is_away(const struct model *model, uint64_t key)
{
	uint32_t number = USM_EVICTED_NUMBER(key), state;

	if (number >= MODEL_NUMBERS ||
	    model->numbers[number].generation != USM_EVICTED_GENERATION(key))
		return false;
	state = model->numbers[number].state;
	return state == USM_EVICTED_AWAY || state == USM_EVICTED_WANTED ||
	       state == USM_EVICTED_LOST;
}

int32_t model_command_restore(struct model *model, const struct usm_command *command)
{
	uint32_t number = USM_EVICTED_NUMBER(command->arg), frame = 0;
	char content[4096];

	if (!is_away(model, command->arg))
		return -ESTALE;
	while (frame < model->mapping.frames && model_state(model, frame) != USM_FRAME_FREE)
		frame++;
	if (frame == model->mapping.frames)
		return -ENOMEM;
	model_content(content, model->known[number].seed);
	if (memcmp(content, model->evicted.content + command->frame * 4096, 4096) != 0) {
		model->corrupt++;
		return -EBADMSG;
	}
	/* Ahead of a fault it would wait in READY; there is nobody here who does so. */
	model_occupy(model, frame, 1);
	model->seeds[frame] = model->known[number].seed;
	model->refaults++;
	if (model->known[number].sharers) {
		model->known[number].sharers--;
		model->numbers[number].state = USM_EVICTED_AWAY;
		return 1;
	}
	end(model, number);
	return 0;
}

int32_t model_command_lose(struct model *model, const struct usm_command *command)
{
	if (!is_away(model, command->arg))
		return -ESTALE;
	model->numbers[USM_EVICTED_NUMBER(command->arg)].state = USM_EVICTED_LOST;
	model->lost++;
	return 0;
}

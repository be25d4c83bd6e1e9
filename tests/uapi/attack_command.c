// SPDX-License-Identifier: GPL-2.0-or-later
/* Commands that make sense, nearly make sense, or make none. */
#include "attack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Staging pages that the server evicts to, brings back from, and leaves to others. */
#define STAGING_OUT	32
#define STAGING_BACK	40
#define SERVE_COMMANDS	64
#define GROW_STEP	512
#define WAIT_MS		4

static uint16_t generation_of(struct attack *a, uint32_t frame)
{
	return a->domain.words[frame] >> USM_PAGE_BITS;
}

static uint32_t state_of(struct attack *a, uint32_t frame)
{
	return a->domain.words[frame] & USM_FRAME_STATE_MASK;
}

/* Of the frames that there may be; the ring says how many only where nobody wrote to it. */
static uint32_t frame_any(struct attack *a)
{
	return attack_below(&a->rng, a->domain.frames);
}

/* One in that state, or any after some tries. */
static uint32_t frame_in(struct attack *a, uint32_t state)
{
	uint32_t frame = frame_any(a);

	for (int i = 0; i < 64 && state_of(a, frame) != state; i++)
		frame = frame_any(a);
	return frame;
}

static uint32_t run_length(struct attack *a, uint32_t frame, uint32_t most)
{
	uint32_t state = state_of(a, frame), n = 1;

	while (n < most && frame + n < a->domain.frames && state_of(a, frame + n) == state)
		n++;
	return n;
}

static uint64_t key_any(struct attack *a)
{
	if (attack_chance(&a->rng, 3)) {
		/* SIGBUS where the table has no page yet: a step that comes to nothing. */
		uint32_t number = attack_below(&a->rng, attack_chance(&a->rng, 2) ? 512 :
					       ATTACK_NUMBERS);

		return USM_EVICTED_KEY(number, a->evicted[number].generation);
	}
	return a->shared->recent[attack_below(&a->rng, ATTACK_RECENT)];
}

static struct usm_command command_sensible(struct attack *a)
{
	struct usm_command c = { .op = 1 + attack_below(&a->rng, USM_CMD_SAMPLE) };

	switch (c.op) {
	case USM_CMD_GROW:
		c.count = 1 + attack_below(&a->rng, GROW_STEP);
		c.node = -1;
		return c;
	case USM_CMD_RESTORE:
		c.frame = attack_below(&a->rng, USM_STAGING_PAGES);
		/* fallthrough */
	case USM_CMD_LOSE:
		c.arg = key_any(a);
		c.count = 1;
		return c;
	case USM_CMD_REPEAT:
		return c;
	case USM_CMD_RESOLVE:
		c.arg = key_any(a);
		if (attack_chance(&a->rng, 8))
			return c;
		c.flags = attack_chance(&a->rng, 3) ? USM_RESOLVE_MORE : 0;
		c.frame = frame_in(a, USM_FRAME_FREE);
		break;
	case USM_CMD_EVICT:
		c.frame = frame_in(a, USM_FRAME_MAPPED);
		c.count = run_length(a, c.frame, 1 + attack_below(&a->rng, 32));
		c.arg = attack_below(&a->rng, USM_STAGING_PAGES - c.count);
		c.generation = generation_of(a, c.frame);
		return c;
	case USM_CMD_SHRINK:
	case USM_CMD_ZERO:
		c.frame = frame_in(a, USM_FRAME_FREE);
		break;
	default:
		c.frame = frame_any(a);
		break;
	}
	c.count = run_length(a, c.frame, 1 + attack_below(&a->rng, USM_MAX_RUN));
	c.generation = generation_of(a, c.frame);
	return c;
}

static uint64_t value_odd(struct attack *a)
{
	static const uint64_t odd[] = {
		0, 1, 2, 63, 64, 65, 511, 512, 513, 4095, 4096, 0x7fffffff, 0x80000000,
		0xffffffff, 0xfffffffe, 1ull << 32, 1ull << 48, ~0ull,
	};

	if (attack_chance(&a->rng, 3))
		return attack_random(&a->rng);
	return odd[attack_below(&a->rng, sizeof(odd) / sizeof(odd[0]))];
}

static void command_spoil(struct attack *a, struct usm_command *c)
{
	switch (attack_below(&a->rng, 9)) {
	case 0: c->op = value_odd(a); break;
	case 1: c->flags = value_odd(a); break;
	case 2: c->frame = value_odd(a); break;
	case 3: c->count = value_odd(a); break;
	case 4: c->generation += attack_chance(&a->rng, 2) ? ~0u : (uint32_t)value_odd(a); break;
	case 5: c->node = value_odd(a); break;
	case 6: c->arg = value_odd(a); break;
	case 7: c->arg += 1ull << (32 + attack_below(&a->rng, 3)); break;
	case 8: ((char *)c)[attack_below(&a->rng, sizeof(*c))] ^=
			1 << attack_below(&a->rng, 8);
	}
}

static void commands_make(struct attack *a, struct usm_command *commands, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (i && attack_chance(&a->rng, 4))
			commands[i] = commands[attack_below(&a->rng, i)];
		else
			commands[i] = command_sensible(a);
		if (attack_chance(&a->rng, 3))
			command_spoil(a, &commands[i]);
	}
}

static void commands_tally(struct attack *a, const struct usm_command *commands, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint16_t op = commands[i].op;
		uint32_t at = op && op <= USM_CMD_SAMPLE ? op : ATTACK_OPS - 1;
		int32_t result = commands[i].result;

		attack_count(&a->shared->commands[at], 1);
		if (result >= 0)
			attack_count(&a->shared->commands_ok[at], 1);
		if (at == ATTACK_OPS - 1 && result >= 0)
			attack_count(&a->shared->forbidden, 1);
		if (op == USM_CMD_RESTORE && result == -EBADMSG)
			attack_count(&a->shared->restored_wrong, 1);
	}
}

static void submit(struct attack *a, int fd, struct usm_submit *submit, bool by_read)
{
	enum attack_kind kind = submit->flags & USM_SUBMIT_WAIT ? ATTACK_WAIT :
				by_read ? ATTACK_READ : ATTACK_SUBMIT;
	long r = by_read ? read(fd, submit, sizeof(*submit)) :
			   ioctl(fd, USM_IOC_SUBMIT, submit);

	attack_count(&a->shared->done[kind], 1);
	if (r >= 0)
		attack_count(&a->shared->ok[kind], 1);
}

/* Somewhere that commands may lie, or may not: others write to it meanwhile. */
static struct usm_command *place_odd(struct attack *a)
{
	char *staging = (char *)a->staged;

	switch (attack_below(&a->rng, 5)) {
	case 0: return (struct usm_command *)(staging + a->domain.info.staging_offset +
					      attack_below(&a->rng, 8) * ATTACK_PAGE);
	case 1: return (struct usm_command *)(staging + a->domain.info.staging_size - 100);
	case 2: return (struct usm_command *)a->domain.words;
	case 3: return (struct usm_command *)a->domain.events;
	default: return (struct usm_command *)value_odd(a);
	}
}

void attack_submit(struct attack *a)
{
	struct usm_command commands[USM_MAX_COMMANDS];
	uint32_t count = 1 + attack_below(&a->rng, attack_chance(&a->rng, 8) ?
					  USM_MAX_COMMANDS : 12);
	struct usm_submit s = { .size = sizeof(s), .commands = (uintptr_t)commands,
				.count = count };
	int fd = a->fds[attack_below(&a->rng, 3)];

	commands_make(a, commands, count);
	if (attack_chance(&a->rng, 4)) {
		s.flags = USM_SUBMIT_WAIT;
		s.timeout_ms = attack_below(&a->rng, 20);
		if (attack_chance(&a->rng, 4))
			s.count = 0;
	}
	if (attack_chance(&a->rng, 8)) {
		s.commands = (uintptr_t)place_odd(a);
		if (s.commands - (uintptr_t)a->staged < a->domain.info.staging_size / 2)
			memcpy((void *)(uintptr_t)s.commands, commands,
			       count * sizeof(commands[0]));
	}
	switch (attack_below(&a->rng, 40)) {
	case 0: s.count = value_odd(a); break;
	case 1: s.flags = value_odd(a); break;
	case 2: s.size = value_odd(a); break;
	case 3: s.pad = value_odd(a); break;
	case 4: s.done = value_odd(a); break;
	}
	/* For ever, if nothing comes: signals end that. */
	submit(a, fd, &s, attack_chance(&a->rng, 3));
	if (s.commands == (uintptr_t)commands && s.done <= count)
		commands_tally(a, commands, s.done);
}

/* --------------------------------------------------------------------- the server */

struct batch {
	struct usm_command commands[SERVE_COMMANDS];
	uint32_t count;
	uint32_t back;		/* staging pages used */
};

static char *staging_page(struct attack *a, uint32_t index)
{
	return (char *)a->staged + a->domain.info.staging_offset + (size_t)index * ATTACK_PAGE;
}

static void serve_restore(struct attack *a, struct batch *batch, uint64_t key)
{
	uint32_t number = USM_EVICTED_NUMBER(key);
	struct usm_command *c = &batch->commands[batch->count];
	char *page;

	if (number >= ATTACK_NUMBERS || batch->back == USM_STAGING_PAGES - STAGING_BACK)
		return;
	*c = (struct usm_command){ .op = USM_CMD_RESTORE, .arg = key, .count = 1,
				   .frame = STAGING_BACK + batch->back++ };
	page = staging_page(a, c->frame);
	memcpy(page, a->shared->store[number], ATTACK_PAGE);
	if (attack_chance(&a->rng, 8 << a->honesty))
		page[attack_below(&a->rng, ATTACK_PAGE)] ^= 1;
	if (attack_chance(&a->rng, 16 << a->honesty))
		*c = (struct usm_command){ .op = USM_CMD_LOSE, .arg = key, .count = 1 };
	batch->count++;
}

static void serve_resolve(struct attack *a, struct batch *batch, const struct usm_event *event)
{
	uint32_t frame = frame_in(a, USM_FRAME_FREE);

	if (attack_chance(&a->rng, 16 << a->honesty))
		return;
	batch->commands[batch->count++] = (struct usm_command){
		.op = USM_CMD_RESOLVE, .arg = event->arg, .frame = frame,
		.count = run_length(a, frame, 16), .generation = generation_of(a, frame),
	};
}

static void serve_events(struct attack *a, struct batch *batch)
{
	struct usm_ring *ring = a->domain.events;
	const struct attack_ring *made = &a->shared->events;

	for (int i = 0; i < 256 && batch->count < SERVE_COMMANDS - 8; i++) {
		uint32_t tail = __atomic_load_n(&ring->tail, __ATOMIC_RELAXED);
		struct usm_event event;

		if (tail == __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE))
			break;
		memcpy(&event, (char *)ring + made->offset +
		       (size_t)(tail & (made->entries - 1)) * made->entry_size, sizeof(event));
		__atomic_store_n(&ring->tail, tail + 1, __ATOMIC_RELEASE);
		if (event.arg)
			a->shared->recent[attack_below(&a->rng, ATTACK_RECENT)] = event.arg;
		if (event.type == USM_EV_REFAULT || event.type == USM_EV_AHEAD)
			serve_restore(a, batch, event.arg);
		else if (event.type == USM_EV_FAULT)
			serve_resolve(a, batch, &event);
	}
}

static void serve_supply(struct attack *a)
{
	uint32_t n = attack_below(&a->rng, a->domain.info.supply_rings);
	const struct attack_ring *made = &a->shared->supply;
	struct usm_ring *ring = a->domain.supply[n];

	for (int i = 0; i < 8 && ring->head - ring->tail < made->entries; i++) {
		uint32_t frame = frame_in(a, USM_FRAME_FREE), head = ring->head;
		uint64_t *slot = (uint64_t *)((char *)ring + made->offset +
					      (size_t)(head & (made->entries - 1)) * 8);

		*slot = USM_SUPPLY(frame, run_length(a, frame, 64), generation_of(a, frame));
		__atomic_store_n(&ring->head, head + 1, __ATOMIC_RELEASE);
	}
	ioctl(a->fds[0], USM_IOC_KICK);
}

static void serve_evict(struct attack *a)
{
	struct usm_command c = { .op = USM_CMD_EVICT, .frame = frame_in(a, USM_FRAME_MAPPED) };
	struct usm_submit s = { .size = sizeof(s), .commands = (uintptr_t)&c, .count = 1 };

	c.count = run_length(a, c.frame, STAGING_OUT);
	c.generation = generation_of(a, c.frame);
	submit(a, a->fds[0], &s, attack_chance(&a->rng, 2));
	commands_tally(a, &c, s.done);
	for (uint32_t i = 0; c.result > 0 && i < c.count; i++) {
		uint64_t key = a->staged[i].key;
		uint32_t number = USM_EVICTED_NUMBER(key);

		if (!key || number >= ATTACK_NUMBERS)
			continue;
		memcpy(a->shared->store[number], staging_page(a, i), ATTACK_PAGE);
		a->shared->generations[number] = USM_EVICTED_GENERATION(key);
		a->staged[i].key = 0;
		a->shared->recent[attack_below(&a->rng, ATTACK_RECENT)] = key;
	}
}

/* Events are lost all the time here: look at some of the table as well. */
static void serve_wanted(struct attack *a, struct batch *batch)
{
	uint32_t number = attack_below(&a->rng, ATTACK_NUMBERS);

	for (int i = 0; i < 512 && batch->count < SERVE_COMMANDS - 1; i++) {
		struct usm_evicted entry = a->evicted[number];

		if (entry.state == USM_EVICTED_WANTED)
			serve_restore(a, batch, USM_EVICTED_KEY(number, entry.generation));
		number = (number + 1) % (i < 256 ? ATTACK_NUMBERS : 256);
	}
}

void attack_serve(struct attack *a)
{
	struct usm_arm arm = { .size = sizeof(arm) };
	struct batch batch = { .count = 0 };
	struct usm_submit s = { .size = sizeof(s), .commands = (uintptr_t)batch.commands,
				.flags = USM_SUBMIT_WAIT, .timeout_ms = WAIT_MS };

	ioctl(a->fds[0], USM_IOC_ARM, &arm);
	if (a->grown++ % 16 == 0)
		batch.commands[batch.count++] = (struct usm_command){ .op = USM_CMD_GROW,
			.count = GROW_STEP, .node = -1 };
	if (a->grown % 4 == 1)
		batch.commands[batch.count++] = (struct usm_command){ .op = USM_CMD_REPEAT };
	serve_supply(a);
	serve_events(a, &batch);
	if (batch.count < SERVE_COMMANDS / 2)
		serve_evict(a);
	s.count = batch.count;
	submit(a, a->fds[0], &s, true);
	commands_tally(a, batch.commands, s.done <= batch.count ? s.done : 0);
	/* Last: it may end in SIGBUS. */
	batch = (struct batch){ .count = 0 };
	serve_wanted(a, &batch);
	if (batch.count) {
		s = (struct usm_submit){ .size = sizeof(s), .count = batch.count,
					 .commands = (uintptr_t)batch.commands };
		submit(a, a->fds[0], &s, false);
		commands_tally(a, batch.commands, s.done <= batch.count ? s.done : 0);
	}
}

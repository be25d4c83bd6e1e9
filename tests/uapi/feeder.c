// SPDX-License-Identifier: GPL-2.0-or-later
#include "feeder.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Frames in one ring: enough for several faults of the highest order, little
 * enough that a CPU does not sit on memory that the others would have to steal.
 */
#define RING_TARGET	2048

void feeder_init(struct feeder *feeder, struct domain *domain, uint32_t grow_step,
		 uint32_t run, bool zero)
{
	*feeder = (struct feeder){
		.domain = domain,
		.grow_step = grow_step,
		.node = -1,
		.run = run,
		.zero = zero,
		.offered = calloc(domain->frames, 1),
		.rings = calloc(domain->info.supply_rings,
				sizeof(struct feeder_ring)),
	};
	if (!feeder->offered || !feeder->rings)
		err(DOMAIN_EXIT_FAILURE, "calloc");
}

void feeder_done(struct feeder *feeder)
{
	free(feeder->offered);
	free(feeder->rings);
}

void feeder_reset(struct feeder *feeder)
{
	struct domain *domain = feeder->domain;

	memset(feeder->offered, 0, domain->frames);
	for (uint32_t i = 0; i < domain->info.supply_rings; i++) {
		uint32_t head = __atomic_load_n(&domain->supply[i]->head,
						__ATOMIC_RELAXED);

		feeder->rings[i] = (struct feeder_ring){ .done = head };
	}
	feeder->dry = false;
	feeder->growing = false;
	feeder->limited = false;
}

/* After lost events: what lies in the rings is offered, and nothing else. */
static void offered_rebuild(struct feeder *feeder)
{
	struct domain *domain = feeder->domain;

	memset(feeder->offered, 0, domain->frames);
	for (uint32_t i = 0; i < domain->info.supply_rings; i++) {
		struct usm_ring *ring = domain->supply[i];

		for (uint32_t at = feeder->rings[i].done; at != ring->head; at++) {
			uint64_t entry = *domain_ring_slot(ring, at);

			memset(feeder->offered + USM_SUPPLY_FRAME(entry), 1,
			       USM_SUPPLY_COUNT(entry));
		}
	}
	feeder->dry = false;
	feeder->growing = false;
	feeder->limited = false;
}

bool feeder_events(struct feeder *feeder)
{
	struct domain *domain = feeder->domain;
	struct usm_event event;
	bool fell_back = false;
	uint64_t lost;

	while (domain_event_take(domain, &event)) {
		switch (event.type) {
		case USM_EV_GROWN:
			if (event.arg == 0)
				feeder->growing = false;
			feeder->dry = false;
			break;
		case USM_EV_LIMIT:
			feeder->growing = false;
			feeder->limited = true;
			break;
		case USM_EV_SUPPLY_LOW:
		case USM_EV_SHRUNK:
			feeder->limited = false;
			break;
		case USM_EV_FREED:
			memset(feeder->offered + event.frame, 0, event.count);
			feeder->dry = false;
			feeder->limited = false;
			break;
		case USM_EV_FALLBACK:
			fell_back = true;
			break;
		default:
			if (feeder->other)
				feeder->other(feeder->context, &event);
			break;
		}
	}

	lost = __atomic_load_n(&domain->events->lost, __ATOMIC_RELAXED);
	if (lost != feeder->lost) {
		/* Any of the above may have been among them. */
		feeder->lost = lost;
		offered_rebuild(feeder);
		fell_back = true;
	}
	return fell_back;
}

/*
 * The module takes an entry out of the ring and then frames out of the entry, so
 * an entry is used up when the next one is taken. Until then its frames count as
 * offered, except those that came back (EV_FREED).
 */
static void ring_reclaim(struct feeder *feeder, uint32_t n)
{
	struct usm_ring *ring = feeder->domain->supply[n];
	struct feeder_ring *mine = &feeder->rings[n];
	uint32_t tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);

	while (tail - mine->done > 1) {
		uint64_t entry = *domain_ring_slot(ring, mine->done++);
		uint32_t count = USM_SUPPLY_COUNT(entry);

		memset(feeder->offered + USM_SUPPLY_FRAME(entry), 0, count);
		mine->frames -= count;
		feeder->dry = false;
	}
}

static bool ring_wants(const struct feeder *feeder, uint32_t n)
{
	const struct usm_ring *ring = feeder->domain->supply[n];
	const struct feeder_ring *mine = &feeder->rings[n];

	return mine->frames < RING_TARGET && ring->head - mine->done < ring->entries;
}

static bool offerable(const struct feeder *feeder, uint32_t frame)
{
	uint8_t state = domain_frame_state(feeder->domain, frame);

	return (state & USM_FRAME_STATE_MASK) == USM_FRAME_FREE &&
	       !feeder->offered[frame];
}

/* The next run of offerable frames; 0 after a round that met none. */
static uint32_t next_run(struct feeder *feeder, uint32_t *ret_first)
{
	uint32_t frames = __atomic_load_n(&feeder->domain->events->top, __ATOMIC_ACQUIRE);
	uint32_t count = 0;

	for (uint32_t looked = 0; looked < frames; looked++) {
		uint32_t first = feeder->cursor;

		if (!offerable(feeder, first)) {
			feeder->cursor = first + 1 < frames ? first + 1 : 0;
			continue;
		}
		do
			count++;
		while (count < feeder->run && first + count < frames &&
		       offerable(feeder, first + count));
		feeder->cursor = first + count < frames ? first + count : 0;
		*ret_first = first;
		return count;
	}
	return 0;
}

static void run_zero(struct feeder *feeder, uint32_t first, uint32_t count,
		     uint16_t generation)
{
	struct usm_command command = {
		.op = USM_CMD_ZERO,
		.frame = first,
		.count = count,
		.generation = generation,
	};

	/* A frame that was taken meanwhile is zeroed by the fault that took it. */
	domain_command(feeder->domain, &command);
}

static void ring_push(struct feeder *feeder, uint32_t n, uint32_t first,
		      uint32_t count)
{
	struct usm_ring *ring = feeder->domain->supply[n];
	struct usm_frame frame = domain_frame_read(feeder->domain, first);
	uint16_t generation = USM_FRAME_GENERATION(&frame);
	uint32_t head = ring->head;

	if (feeder->zero)
		run_zero(feeder, first, count, generation);
	*domain_ring_slot(ring, head) = USM_SUPPLY(first, count, generation);
	__atomic_store_n(&ring->head, head + 1, __ATOMIC_RELEASE);
	memset(feeder->offered + first, 1, count);
	feeder->rings[n].frames += count;
}

void feeder_supply(struct feeder *feeder)
{
	uint32_t rings = feeder->domain->info.supply_rings;
	uint32_t full = 0;
	bool pushed = false;

	for (uint32_t n = 0; n < rings; n++)
		ring_reclaim(feeder, n);

	while (full < rings && !feeder->dry) {
		uint32_t n = feeder->next_ring;
		uint32_t first, count;

		feeder->next_ring = (n + 1) % rings;
		if (!ring_wants(feeder, n)) {
			full++;
			continue;
		}
		full = 0;
		count = next_run(feeder, &first);
		if (count == 0) {
			feeder->dry = true;
		} else {
			ring_push(feeder, n, first, count);
			pushed = true;
		}
	}
	/* Refused when the domain fell back meanwhile: an event tells that. */
	if (pushed)
		domain_ioctl(feeder->domain->fd, USM_IOC_KICK, NULL);
	feeder_grow(feeder);
}

void feeder_grow(struct feeder *feeder)
{
	struct usm_command command = {
		.op = USM_CMD_GROW,
		.count = feeder->grow_step,
		.node = feeder->node,
	};
	struct usm_stat stat;
	int r;

	if (feeder->grow_step == 0 || feeder->growing ||
	    feeder->limited || domain_stat(feeder->domain, &stat) < 0 ||
	    stat.frames >= stat.ceiling ||
	    stat.frames_free >= feeder->grow_step / 2)
		return;
	if (command.count > stat.ceiling - stat.frames)
		command.count = stat.ceiling - stat.frames;

	r = domain_command(feeder->domain, &command);
	if (r == 0)
		feeder->growing = true;
	else if (r != -ENOSPC && r != -EINTR)
		warnx("cannot grow by %u frames: %s", command.count, strerror(-r));
}

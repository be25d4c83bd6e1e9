// SPDX-License-Identifier: GPL-2.0-or-later
#include "evictor.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE		4096
#define RUN		16	/* frames of one command */
#define TRIES		64	/* places looked at for one run */
#define SAMPLES		4	/* runs looked at for each time that some are evicted */
/* The last staging page is for what comes back. */
#define STAGING_BACK	(USM_STAGING_PAGES - 1)

static void *map_or_die(int fd, size_t size, int protection, uint64_t offset)
{
	void *p = mmap(NULL, size, protection, MAP_SHARED, fd, (off_t)offset);

	if (p == MAP_FAILED)
		err(DOMAIN_EXIT_FAILURE, "cannot map what eviction needs");
	return p;
}

void evictor_init_or_die(struct evictor *e, struct domain *domain)
{
	const struct usm_info *info = &domain->info;

	*e = (struct evictor){
		.domain = domain,
		.numbers = info->evicted_size / sizeof(struct usm_evicted),
		.random = 88172645463325252u,
	};
	e->staged = map_or_die(domain->fd, info->staging_size, PROT_READ | PROT_WRITE,
			       USM_MMAP_STAGING);
	e->table = map_or_die(domain->fd, info->evicted_size, PROT_READ, USM_MMAP_EVICTED);
	e->store = calloc(e->numbers, sizeof(*e->store));
	e->generations = calloc(e->numbers, sizeof(*e->generations));
	if (!e->store || !e->generations)
		err(DOMAIN_EXIT_FAILURE, "calloc");
}

void evictor_done(struct evictor *e)
{
	for (uint32_t i = 0; i < e->numbers; i++)
		free(e->store[i]);
	free(e->store);
	free(e->generations);
	munmap(e->staged, e->domain->info.staging_size);
	munmap((void *)e->table, e->domain->info.evicted_size);
}

uint64_t evictor_kept(const struct evictor *e)
{
	uint64_t kept = 0;

	for (uint32_t i = 0; i < e->numbers; i++)
		kept += !!e->store[i];
	return kept;
}

static uint64_t random_next(struct evictor *e)
{
	e->random ^= e->random << 13;
	e->random ^= e->random >> 7;
	e->random ^= e->random << 17;
	return e->random;
}

static char *staging_page(struct evictor *e, uint32_t index)
{
	return (char *)e->staged + e->domain->info.staging_offset + (size_t)index * PAGE;
}

static void keep(struct evictor *e, uint32_t index)
{
	const struct usm_staged *staged = &e->staged[index];
	uint32_t number = USM_EVICTED_NUMBER(staged->key);

	if (number >= e->numbers)
		errx(DOMAIN_EXIT_FAILURE, "a page got the number %u of %u", number, e->numbers);
	/* What had the number before is gone, and its event is still to come. */
	if (!e->store[number])
		e->store[number] = malloc(PAGE);
	if (!e->store[number])
		err(DOMAIN_EXIT_FAILURE, "malloc");
	memcpy(e->store[number], staging_page(e, index), PAGE);
	e->generations[number] = USM_EVICTED_GENERATION(staged->key);
	e->stored++;
}

/* Shared ones may be somebody's alone by now. */
static bool may_go(const struct domain *domain, uint32_t frame)
{
	uint8_t state = domain_frame_state(domain, frame);

	return state == USM_FRAME_MAPPED || state == USM_FRAME_SHARED;
}

/* A run of mapped frames somewhere; 0: found none. */
static uint32_t victims(struct evictor *e, uint32_t *first)
{
	uint32_t top = __atomic_load_n(&e->domain->events->top, __ATOMIC_ACQUIRE);

	for (int i = 0; top && i < TRIES; i++) {
		uint32_t frame = random_next(e) % top, count = 0;

		while (count < RUN && frame + count < top && may_go(e->domain, frame + count))
			count++;
		if (count) {
			*first = frame;
			return count;
		}
	}
	return 0;
}

static void sample(struct evictor *e)
{
	uint32_t top = __atomic_load_n(&e->domain->events->top, __ATOMIC_ACQUIRE);
	struct usm_command command = { .op = USM_CMD_SAMPLE };
	struct usm_frame frame;
	int r;

	if (!top)
		return;
	command.frame = random_next(e) % top;
	command.count = top - command.frame < USM_MAX_RUN ? top - command.frame : USM_MAX_RUN;
	frame = domain_frame_read(e->domain, command.frame);
	command.generation = USM_FRAME_GENERATION(&frame);
	r = domain_command(e->domain, &command);
	if (r < 0 && r != -ESTALE)
		errx(DOMAIN_EXIT_FAILURE, "sample: %s", strerror(-r));
	if (r > 0)
		e->sampled += r;
}

void evictor_evict(struct evictor *e, uint32_t pages)
{
	uint32_t done = 0;

	for (int i = 0; i < SAMPLES; i++)
		sample(e);
	while (done < pages) {
		struct usm_command command = { .op = USM_CMD_EVICT };
		struct usm_frame frame;
		uint32_t count = victims(e, &command.frame);
		int r;

		if (!count)
			return;
		frame = domain_frame_read(e->domain, command.frame);
		command.count = count;
		command.generation = USM_FRAME_GENERATION(&frame);
		r = domain_command(e->domain, &command);
		done += count;
		/* What there was no memory for has its turn again. */
		if (r < 0 && r != -ESTALE && r != -ENOMEM)
			errx(DOMAIN_EXIT_FAILURE, "evict: %s", strerror(-r));
		for (uint32_t i = 0; r > 0 && i < count; i++)
			if (e->staged[i].key)
				keep(e, i);
	}
}

static void drop(struct evictor *e, uint32_t number)
{
	free(e->store[number]);
	e->store[number] = NULL;
}

static void bring_back(struct evictor *e, uint64_t key)
{
	struct usm_command command = {
		.op = USM_CMD_RESTORE, .frame = STAGING_BACK, .count = 1, .arg = key,
	};
	uint32_t number = USM_EVICTED_NUMBER(key);
	int r;

	if (number >= e->numbers || !e->store[number] ||
	    e->generations[number] != USM_EVICTED_GENERATION(key)) {
		/* Of a page that is gone: the event is older than what says so. */
		e->late++;
		return;
	}
	memcpy(staging_page(e, STAGING_BACK), e->store[number], PAGE);
	r = domain_command(e->domain, &command);
	if (r < 0 && r != -ESTALE && r != -ENOMEM)
		errx(DOMAIN_EXIT_FAILURE, "restore: %s", strerror(-r));
	if (r < 0)
		e->refused++;
	else
		e->restored++;
}

void evictor_event(struct evictor *e, const struct usm_event *event)
{
	uint32_t number = USM_EVICTED_NUMBER(event->arg);

	if (event->type == USM_EV_REFAULT)
		bring_back(e, event->arg);
	if (event->type == USM_EV_DISCARDED && number < e->numbers &&
	    e->generations[number] == USM_EVICTED_GENERATION(event->arg))
		drop(e, number);
}

void evictor_catch_up(struct evictor *e)
{
	uint64_t lost = __atomic_load_n(&e->domain->events->lost, __ATOMIC_RELAXED);
	uint32_t top = __atomic_load_n(&e->domain->events->evicted_top, __ATOMIC_ACQUIRE);

	if (lost == e->lost)
		return;
	e->lost = lost;
	for (uint32_t i = 0; i < e->numbers && i < top; i++) {
		struct usm_evicted entry = e->table[i];

		if (!e->store[i])
			continue;
		if (entry.state == USM_EVICTED_NONE || entry.generation != e->generations[i])
			drop(e, i);
		else if (entry.state == USM_EVICTED_WANTED)
			bring_back(e, USM_EVICTED_KEY(i, entry.generation));
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "mapping.h"

static int ring_map(int fd, uint64_t offset, size_t size, uint32_t min_entry,
		    struct usm_mapped_ring *out)
{
	struct usm_mapped_ring r;
	uint64_t end;

	if (size < sizeof(*r.ring))
		return -EPROTO;

	r.ring = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	if (r.ring == MAP_FAILED)
		return -errno;

	r.entries = r.ring->entries;
	r.entry_size = r.ring->entry_size;
	r.base = (char *)r.ring + r.ring->offset;
	end = (uint64_t)r.ring->offset + (uint64_t)r.entries * r.entry_size;

	if (!r.entries || (r.entries & (r.entries - 1)) || r.entry_size < min_entry ||
	    r.entry_size % sizeof(uint64_t) || r.ring->offset % sizeof(uint64_t) ||
	    r.ring->offset < sizeof(*r.ring) || end > size) {
		munmap(r.ring, size);
		return -EPROTO;
	}
	*out = r;
	return 0;
}

static int table_map(int fd, struct usm_mapping *m)
{
	void *table;

	if (m->info.frame_size < sizeof(struct usm_frame) ||
	    m->info.frame_size % sizeof(uint64_t) ||
	    m->info.table_size / m->info.frame_size > USM_MAX_FRAMES)
		return -EPROTO;

	table = mmap(NULL, m->info.table_size, PROT_READ, MAP_SHARED, fd, USM_MMAP_TABLE);
	if (table == MAP_FAILED)
		return -errno;
	m->table = table;
	m->frames = m->info.table_size / m->info.frame_size;
	return 0;
}

int usm_mapping_open(int domain_fd, struct usm_mapping **mapping)
{
	struct usm_mapping *m;
	int r;

	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;

	r = usm_device_info(domain_fd, &m->info);
	if (!r)
		r = table_map(domain_fd, m);
	if (!r)
		r = ring_map(domain_fd, USM_MMAP_EVENTS, m->info.event_size,
			     sizeof(struct usm_event), &m->events);
	if (!r) {
		m->supply = calloc(m->info.supply_rings ?: 1, sizeof(*m->supply));
		r = m->supply ? 0 : -ENOMEM;
	}
	while (!r && m->rings < m->info.supply_rings) {
		uint64_t offset = USM_MMAP_SUPPLY + (uint64_t)m->rings * m->info.supply_size;

		r = ring_map(domain_fd, offset, m->info.supply_size, sizeof(uint64_t),
			     &m->supply[m->rings]);
		if (!r)
			m->rings++;
	}
	if (r) {
		usm_mapping_close(m);
		return r;
	}
	*mapping = m;
	return 0;
}

void usm_mapping_close(struct usm_mapping *m)
{
	if (!m)
		return;
	while (m->rings)
		munmap(m->supply[--m->rings].ring, m->info.supply_size);
	free(m->supply);
	if (m->events.ring)
		munmap(m->events.ring, m->info.event_size);
	if (m->table)
		munmap((void *)m->table, m->info.table_size);
	free(m);
}

uint32_t usm_mapping_top(const struct usm_mapping *m)
{
	uint32_t top = __atomic_load_n(&m->events.ring->top, __ATOMIC_ACQUIRE);

	return top < m->frames ? top : m->frames;
}

struct usm_frame usm_mapping_frame(const struct usm_mapping *m, uint32_t index)
{
	const uint64_t *at = (const uint64_t *)(m->table + (size_t)index * m->info.frame_size);
	struct usm_frame frame = {};
	uint64_t again;

	if (index >= usm_mapping_top(m))
		return frame;
	/*
	 * The first half can change and change back between the two reads of
	 * `page` only with a new generation, which is part of `page`.
	 */
	do {
		uint64_t half;

		frame.page = __atomic_load_n(at + 1, __ATOMIC_ACQUIRE);
		half = __atomic_load_n(at, __ATOMIC_ACQUIRE);
		memcpy(&frame, &half, sizeof(half));
		again = __atomic_load_n(at + 1, __ATOMIC_RELAXED);
	} while (again != frame.page);

	return frame;
}

bool usm_mapping_alike(const struct usm_mapping *m, uint32_t index, uint32_t count)
{
	const struct usm_frame all = { .state = UINT8_MAX };
	const char *at = m->table + (size_t)index * m->info.frame_size;
	uint64_t first = __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
	uint64_t differ = 0, mask;

	memcpy(&mask, &all, sizeof(mask));
	/* Whole words, and no question in between: it is asked of each frame several times. */
#pragma GCC unroll 8
	for (uint32_t n = 1; n < count; n++) {
		at += m->info.frame_size;
		differ |= __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED) ^ first;
	}
	return !(differ & mask);
}

uint32_t usm_supply_queued(const struct usm_mapping *m, uint32_t cpu)
{
	const struct usm_mapped_ring *r = &m->supply[cpu];
	uint32_t queued = r->ring->head - __atomic_load_n(&r->ring->tail, __ATOMIC_ACQUIRE);

	/* More than fits: somebody scribbled on it. The module counts that and
	 * takes the ring as empty; taking it as full keeps us from adding to it. */
	return queued <= r->entries ? queued : r->entries;
}

uint32_t usm_supply_room(const struct usm_mapping *m, uint32_t cpu)
{
	return m->supply[cpu].entries - usm_supply_queued(m, cpu);
}

bool usm_supply_wanted(const struct usm_mapping *m, uint32_t cpu)
{
	return __atomic_load_n(&m->supply[cpu].ring->want, __ATOMIC_ACQUIRE) != 0;
}

void usm_supply_set_low(struct usm_mapping *m, uint32_t cpu, uint32_t entries)
{
	__atomic_store_n(&m->supply[cpu].ring->low, entries, __ATOMIC_RELAXED);
}

bool usm_supply_put(struct usm_mapping *m, uint32_t cpu, uint64_t entry)
{
	struct usm_mapped_ring *r = &m->supply[cpu];
	uint32_t head = r->ring->head;	/* ours alone to write */

	if (!usm_supply_room(m, cpu))
		return false;

	memcpy(r->base + (size_t)(head & (r->entries - 1)) * r->entry_size, &entry,
	       sizeof(entry));
	__atomic_store_n(&r->ring->head, head + 1, __ATOMIC_RELEASE);
	return true;
}

bool usm_event_get(struct usm_mapping *m, struct usm_event *event)
{
	struct usm_mapped_ring *r = &m->events;
	uint32_t tail = r->ring->tail;	/* ours alone to write */
	uint32_t head = __atomic_load_n(&r->ring->head, __ATOMIC_ACQUIRE);

	if (head == tail)
		return false;

	/* Out of step (it was re-armed by somebody else): start where it is now. */
	if (head - tail > r->entries) {
		__atomic_store_n(&r->ring->tail, head, __ATOMIC_RELEASE);
		return false;
	}
	memcpy(event, r->base + (size_t)(tail & (r->entries - 1)) * r->entry_size,
	       sizeof(*event));
	__atomic_store_n(&r->ring->tail, tail + 1, __ATOMIC_RELEASE);
	return true;
}

int usm_evicted_map(int domain_fd, struct usm_evicted_mapping *evicted)
{
	struct usm_evicted_mapping e = {};
	struct usm_info info;
	int r = usm_device_info(domain_fd, &info);

	if (r)
		return r;
	if (!info.evicted_size || info.staging_offset < USM_STAGING_PAGES * sizeof(*e.staged) ||
	    info.staging_offset > info.staging_size ||
	    info.staging_size - info.staging_offset < USM_STAGING_PAGES * 4096u ||
	    info.evicted_size / sizeof(*e.table) > USM_MAX_EVICTED)
		return -EPROTO;

	e.table_size = info.evicted_size;
	e.staging_size = info.staging_size;
	e.numbers = (uint32_t)(info.evicted_size / sizeof(*e.table));
	e.table = mmap(NULL, e.table_size, PROT_READ, MAP_SHARED, domain_fd, USM_MMAP_EVICTED);
	if (e.table == MAP_FAILED)
		return -errno;
	e.staged = mmap(NULL, e.staging_size, PROT_READ | PROT_WRITE, MAP_SHARED, domain_fd,
			USM_MMAP_STAGING);
	if (e.staged == MAP_FAILED) {
		r = -errno;
		munmap((void *)e.table, e.table_size);
		return r;
	}
	e.content = (char *)e.staged + info.staging_offset;
	*evicted = e;
	return 0;
}

void usm_evicted_unmap(struct usm_evicted_mapping *evicted)
{
	if (evicted->table)
		munmap((void *)evicted->table, evicted->table_size);
	if (evicted->staged)
		munmap(evicted->staged, evicted->staging_size);
	*evicted = (struct usm_evicted_mapping){};
}

uint32_t usm_evicted_top(const struct usm_mapping *m, const struct usm_evicted_mapping *evicted)
{
	uint32_t top = __atomic_load_n(&m->events.ring->evicted_top, __ATOMIC_ACQUIRE);

	return top < evicted->numbers ? top : evicted->numbers;
}

struct usm_evicted usm_evicted_read(const struct usm_mapping *m,
				    const struct usm_evicted_mapping *evicted, uint32_t number)
{
	struct usm_evicted entry = {};
	uint64_t both;

	if (number >= usm_evicted_top(m, evicted))
		return entry;
	/* Its two halves are written one after the other; who acts on them is told by
	 * the module where they did not belong together. */
	both = __atomic_load_n((const uint64_t *)&evicted->table[number], __ATOMIC_ACQUIRE);
	memcpy(&entry, &both, sizeof(entry));
	return entry;
}

uint64_t usm_event_lost(const struct usm_mapping *m)
{
	return __atomic_load_n(&m->events.ring->lost, __ATOMIC_RELAXED);
}

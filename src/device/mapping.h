/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an instance maps of its domain: the frame table, the event ring, the
 * supply rings. One thread at a time may produce into a supply ring, and one
 * consume the event ring; the table may be read by any.
 */
#ifndef USM_MAPPING_H
#define USM_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device.h"

/* Our view of a ring: its constants, checked once against the mapped size. */
struct usm_mapped_ring {
	struct usm_ring *ring;
	char *base;		/* entry 0 */
	uint32_t entries;	/* a power of two */
	uint32_t entry_size;	/* bytes, at least what we know of an entry */
};

struct usm_mapping {
	const char *table;
	uint32_t frames;	/* entries of the table: the ceiling at bind */
	uint32_t rings;		/* supply rings */
	struct usm_mapped_ring events;
	struct usm_mapped_ring *supply;
	struct usm_info info;
};

/*
 * Map everything. The descriptor is not kept: a mapping stays valid when it is
 * closed (but closing the armed one is what makes the domain fall back).
 * -EPROTO: the module's entries are smaller than ours, or a ring does not fit.
 */
int usm_mapping_open(int domain_fd, struct usm_mapping **mapping);
void usm_mapping_close(struct usm_mapping *mapping);

/*
 * All frames from this index on were never there: their table entries are not
 * worth the memory that the module would need to show them.
 */
uint32_t usm_mapping_top(const struct usm_mapping *mapping);

/*
 * Frame `index` < frames. The two halves are each read as one; `page` is read
 * again until both belong together, as the uapi asks.
 */
struct usm_frame usm_mapping_frame(const struct usm_mapping *mapping, uint32_t index);

/* Only the state, with its flags, of a frame below the top. */
static inline unsigned int usm_mapping_state(const struct usm_mapping *mapping, uint32_t index)
{
	const struct usm_frame *frame =
		(const void *)(mapping->table + (size_t)index * mapping->info.frame_size);

	return __atomic_load_n(&frame->state, __ATOMIC_RELAXED);
}

/* Do `count` frames from `index` on, at least one and all below the top, show the same state? */
bool usm_mapping_alike(const struct usm_mapping *mapping, uint32_t index, uint32_t count);

/* Supply ring of CPU `cpu` < rings: entries that fit now, entries that wait. */
uint32_t usm_supply_room(const struct usm_mapping *mapping, uint32_t cpu);
uint32_t usm_supply_queued(const struct usm_mapping *mapping, uint32_t cpu);

/* The module asked for more (USM_EV_SUPPLY_LOW) and has seen none since. */
bool usm_supply_wanted(const struct usm_mapping *mapping, uint32_t cpu);

/* When it is to ask for more: with fewer than so many entries in the ring. */
void usm_supply_set_low(struct usm_mapping *mapping, uint32_t cpu, uint32_t entries);

/*
 * Offer a run (USM_SUPPLY()). False: the ring is full, nothing was put. Wakes
 * nobody: usm_device_kick() after a round of these.
 */
bool usm_supply_put(struct usm_mapping *mapping, uint32_t cpu, uint64_t entry);

/* Whether there is an event. */
static inline bool usm_event_pending(const struct usm_mapping *mapping)
{
	const struct usm_ring *ring = mapping->events.ring;

	return __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) != ring->tail;
}

/* The next event, oldest first. False: there is none. */
bool usm_event_get(struct usm_mapping *mapping, struct usm_event *event);

/* ------------------------------------------------------------ evicted pages */

/* What an instance that evicts maps besides. */
struct usm_evicted_mapping {
	const struct usm_evicted *table;
	uint32_t numbers;	/* entries of the table */
	struct usm_staged *staged;	/* USM_STAGING_PAGES of them */
	char *content;		/* of staging page 0; the others follow */
	size_t table_size, staging_size;
};

/* -EPROTO: the module's are smaller than ours; -ENOMEM: it could make no staging. */
int usm_evicted_map(int domain_fd, struct usm_evicted_mapping *evicted);
void usm_evicted_unmap(struct usm_evicted_mapping *evicted);

/* Entry `number` as it is now; a number that was never used is in state NONE. */
struct usm_evicted usm_evicted_read(const struct usm_mapping *mapping,
				    const struct usm_evicted_mapping *evicted, uint32_t number);

/* All numbers from this one on were never used. */
uint32_t usm_evicted_top(const struct usm_mapping *mapping,
			 const struct usm_evicted_mapping *evicted);

static inline char *usm_evicted_content(const struct usm_evicted_mapping *evicted, uint32_t page)
{
	return evicted->content + (size_t)page * 4096;
}

/* Events that were dropped since the domain was bound; when it grows: rescan the table. */
uint64_t usm_event_lost(const struct usm_mapping *mapping);

#endif /* USM_MAPPING_H */

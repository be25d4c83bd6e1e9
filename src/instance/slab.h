/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which slots of which slabs of a memory store are used. Pure: no memory of the store. */
#ifndef USM_INSTANCE_SLAB_H
#define USM_INSTANCE_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Sizes of slots, by how many of them a slab of 64 KiB has: each about a fifth larger
 * than the one below, so that a tenth of the memory is lost to rounding up.
 */
#define USM_SLAB_CLASSES	16
#define USM_SLAB_MAX_SLOTS	512
#define USM_SLAB_NONE		UINT32_MAX

struct usm_slab {
	uint64_t used[USM_SLAB_MAX_SLOTS / 64];
	uint32_t next, prev;	/* of those of its class with room; or of the unused */
	uint16_t count;		/* of used slots */
	uint8_t class;
	bool there;		/* has memory */
};

struct usm_slabs {
	struct usm_slab *slab;
	uint32_t capacity;
	uint32_t top;			/* none from here on has been there */
	uint32_t there;			/* number */
	uint32_t unused;		/* first below top, or NONE */
	uint32_t room[USM_SLAB_CLASSES];	/* first of a class with room, or NONE */
};

int usm_slabs_init(struct usm_slabs *slabs, uint32_t capacity);
void usm_slabs_done(struct usm_slabs *slabs);

/* Bytes of a slot, and slots of a slab. */
size_t usm_slab_slot_size(unsigned int class);
unsigned int usm_slab_slots(unsigned int class);
/* The smallest class whose slots hold so many bytes; USM_SLAB_CLASSES: none. */
unsigned int usm_slab_class(size_t bytes);

/* A slab of the class with an empty slot; NONE: one is to be added. */
uint32_t usm_slabs_find(const struct usm_slabs *slabs, unsigned int class);
/* An unused slab, which usm_slabs_add() makes one of the class; NONE: all are used. */
uint32_t usm_slabs_unused(const struct usm_slabs *slabs);
void usm_slabs_add(struct usm_slabs *slabs, uint32_t index, unsigned int class);
/* A slab whose slots are all empty is no more. */
void usm_slabs_remove(struct usm_slabs *slabs, uint32_t index);

/* An empty slot of a slab that has one. */
unsigned int usm_slab_take(struct usm_slabs *slabs, uint32_t index);
/* A given one, in the course of recovery. */
void usm_slab_mark(struct usm_slabs *slabs, uint32_t index, unsigned int slot);
/* Returns how many are still used. */
unsigned int usm_slab_free(struct usm_slabs *slabs, uint32_t index, unsigned int slot);

static inline bool usm_slab_has(const struct usm_slabs *slabs, uint32_t index, unsigned int slot)
{
	return slabs->slab[index].used[slot / 64] >> (slot % 64) & 1;
}

/* Right after init, for recovery: the slabs below `top` are unused so far. */
void usm_slabs_settle(struct usm_slabs *slabs, uint32_t top);

#endif /* USM_INSTANCE_SLAB_H */

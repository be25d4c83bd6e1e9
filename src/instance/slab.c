// SPDX-License-Identifier: GPL-2.0-or-later
#include "slab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLAB_BYTES	65536
/* Slots begin at cache lines. */
#define SLOT_ALIGN	64

static const uint16_t slots[USM_SLAB_CLASSES] = {
	512, 256, 170, 128, 107, 89, 74, 62, 51, 43, 36, 30, 25, 21, 18, 15,
};

unsigned int usm_slab_slots(unsigned int class)
{
	return slots[class];
}

size_t usm_slab_slot_size(unsigned int class)
{
	return SLAB_BYTES / slots[class] / SLOT_ALIGN * SLOT_ALIGN;
}

unsigned int usm_slab_class(size_t bytes)
{
	size_t most = bytes ? SLAB_BYTES / bytes : SLAB_BYTES;
	unsigned int class = 0;

	/* The sizes grow by about an eighth: one division tells all that are too small. */
	while (class < USM_SLAB_CLASSES && slots[class] > most)
		class++;
	while (class < USM_SLAB_CLASSES && usm_slab_slot_size(class) < bytes)
		class++;
	return class;
}

int usm_slabs_init(struct usm_slabs *slabs, uint32_t capacity)
{
	*slabs = (struct usm_slabs){ .capacity = capacity, .unused = USM_SLAB_NONE };
	for (unsigned int class = 0; class < USM_SLAB_CLASSES; class++)
		slabs->room[class] = USM_SLAB_NONE;
	slabs->slab = calloc(capacity ?: 1, sizeof(*slabs->slab));
	return slabs->slab ? 0 : -ENOMEM;
}

void usm_slabs_done(struct usm_slabs *slabs)
{
	free(slabs->slab);
	*slabs = (struct usm_slabs){};
}

static void link_in(struct usm_slabs *slabs, uint32_t *head, uint32_t index)
{
	struct usm_slab *slab = &slabs->slab[index];

	slab->next = *head;
	slab->prev = USM_SLAB_NONE;
	if (*head != USM_SLAB_NONE)
		slabs->slab[*head].prev = index;
	*head = index;
}

static void link_out(struct usm_slabs *slabs, uint32_t *head, uint32_t index)
{
	const struct usm_slab *slab = &slabs->slab[index];

	if (slab->prev != USM_SLAB_NONE)
		slabs->slab[slab->prev].next = slab->next;
	else
		*head = slab->next;
	if (slab->next != USM_SLAB_NONE)
		slabs->slab[slab->next].prev = slab->prev;
}

uint32_t usm_slabs_find(const struct usm_slabs *slabs, unsigned int class)
{
	return slabs->room[class];
}

uint32_t usm_slabs_unused(const struct usm_slabs *slabs)
{
	if (slabs->unused != USM_SLAB_NONE)
		return slabs->unused;
	return slabs->top < slabs->capacity ? slabs->top : USM_SLAB_NONE;
}

void usm_slabs_add(struct usm_slabs *slabs, uint32_t index, unsigned int class)
{
	struct usm_slab *slab = &slabs->slab[index];

	if (index == slabs->top)
		slabs->top++;
	else
		link_out(slabs, &slabs->unused, index);
	*slab = (struct usm_slab){ .class = (uint8_t)class, .there = true };
	slabs->there++;
	link_in(slabs, &slabs->room[class], index);
}

void usm_slabs_remove(struct usm_slabs *slabs, uint32_t index)
{
	struct usm_slab *slab = &slabs->slab[index];

	link_out(slabs, &slabs->room[slab->class], index);
	slab->there = false;
	slabs->there--;
	link_in(slabs, &slabs->unused, index);
}

void usm_slab_mark(struct usm_slabs *slabs, uint32_t index, unsigned int slot)
{
	struct usm_slab *slab = &slabs->slab[index];

	slab->used[slot / 64] |= UINT64_C(1) << (slot % 64);
	if (++slab->count == slots[slab->class])
		link_out(slabs, &slabs->room[slab->class], index);
}

unsigned int usm_slab_take(struct usm_slabs *slabs, uint32_t index)
{
	const struct usm_slab *slab = &slabs->slab[index];
	unsigned int word = 0, slot;

	while (!~slab->used[word])
		word++;
	slot = word * 64 + (unsigned int)__builtin_ctzll(~slab->used[word]);
	usm_slab_mark(slabs, index, slot);
	return slot;
}

unsigned int usm_slab_free(struct usm_slabs *slabs, uint32_t index, unsigned int slot)
{
	struct usm_slab *slab = &slabs->slab[index];

	slab->used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
	if (slab->count-- == slots[slab->class])
		link_in(slabs, &slabs->room[slab->class], index);
	return slab->count;
}

void usm_slabs_settle(struct usm_slabs *slabs, uint32_t top)
{
	slabs->top = top;
	/* The lowest first: what is used stays together. */
	while (top--)
		link_in(slabs, &slabs->unused, top);
}

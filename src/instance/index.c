// SPDX-License-Identifier: GPL-2.0-or-later
#include "index.h"

int usm_index_init(struct usm_index *index, uint32_t frames)
{
	struct usm_index i = {};
	int r;

	r = usm_frameset_init(&i.present, frames);
	if (!r)
		r = usm_frameset_init(&i.idle, frames);
	if (!r)
		r = usm_frameset_init(&i.offered, frames);
	if (!r)
		r = usm_frameset_init(&i.dirty, frames);
	if (r) {
		usm_index_done(&i);
		return r;
	}
	*index = i;
	return 0;
}

void usm_index_done(struct usm_index *index)
{
	usm_frameset_done(&index->present);
	usm_frameset_done(&index->idle);
	usm_frameset_done(&index->offered);
	usm_frameset_done(&index->dirty);
}

/* `count` frames from `frame` on, which are of one word of the sets. */
static void word_read(struct usm_index *index, const struct usm_mapping *mapping, uint32_t frame,
		      uint32_t count)
{
	uint32_t word = frame / USM_FRAMESET_WORD, low = frame % USM_FRAMESET_WORD;
	uint64_t mask = ~UINT64_C(0) >> (USM_FRAMESET_WORD - count) << low;
	uint64_t present = 0, free = 0, zeroed = 0;

	/* Frames beside each other were used together, as a rule. */
	for (uint32_t at = 0, length; at < count; at += length) {
		unsigned int flags = usm_mapping_state(mapping, frame + at);
		unsigned int state = flags & USM_FRAME_STATE_MASK;
		uint64_t run;

		length = usm_mapping_alike(mapping, frame + at, count - at) ? count - at : 1;
		for (; at + length < count; length++)
			if (usm_mapping_state(mapping, frame + at + length) != flags)
				break;
		run = ~UINT64_C(0) >> (USM_FRAMESET_WORD - length) << (low + at);
		present |= state != USM_FRAME_NONE ? run : 0;
		free |= state == USM_FRAME_FREE ? run : 0;
		zeroed |= flags & USM_FRAME_ZEROED ? run : 0;
	}
	/* A ring may still name what is not there, but nobody gets it from there. */
	usm_frameset_assign(&index->offered, word, mask & ~present, 0);
	usm_frameset_assign(&index->present, word, mask, present);
	free &= ~usm_frameset_word(&index->offered, word);
	usm_frameset_assign(&index->idle, word, mask, free);
	usm_frameset_assign(&index->dirty, word, mask, free & ~zeroed);
}

void usm_index_refresh(struct usm_index *index, const struct usm_mapping *mapping,
		       uint32_t frame, uint32_t count)
{
	uint32_t top = usm_mapping_top(mapping);

	if (frame >= top)
		return;
	if (count > top - frame)
		count = top - frame;
	while (count) {
		uint32_t left = USM_FRAMESET_WORD - frame % USM_FRAMESET_WORD;
		uint32_t here = count < left ? count : left;

		word_read(index, mapping, frame, here);
		frame += here;
		count -= here;
	}
}

void usm_index_reset(struct usm_index *index, const struct usm_mapping *mapping)
{
	usm_frameset_empty(&index->present);
	usm_frameset_empty(&index->idle);
	usm_frameset_empty(&index->offered);
	usm_frameset_empty(&index->dirty);
	usm_index_refresh(index, mapping, 0, mapping->frames);
}

void usm_index_offer(struct usm_index *index, uint32_t frame, uint32_t count)
{
	usm_frameset_remove(&index->idle, frame, count);
	/* The module holds a frame while it zeroes it: a fault would find it gone. */
	usm_frameset_remove(&index->dirty, frame, count);
	usm_frameset_add(&index->offered, frame, count);
}

void usm_index_withdraw(struct usm_index *index, const struct usm_mapping *mapping,
			uint32_t frame, uint32_t count)
{
	usm_frameset_remove(&index->offered, frame, count);
	usm_index_refresh(index, mapping, frame, count);
}

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

static void frame_read(struct usm_index *index, const struct usm_mapping *mapping, uint32_t frame)
{
	struct usm_frame entry = usm_mapping_frame(mapping, frame);
	unsigned int state = entry.state & USM_FRAME_STATE_MASK;

	if (state == USM_FRAME_NONE) {
		/* A ring may still name it, but nobody gets it from there. */
		usm_frameset_remove(&index->offered, frame, 1);
		usm_frameset_remove(&index->present, frame, 1);
	} else {
		usm_frameset_add(&index->present, frame, 1);
	}

	if (state != USM_FRAME_FREE || usm_frameset_has(&index->offered, frame)) {
		usm_frameset_remove(&index->idle, frame, 1);
		usm_frameset_remove(&index->dirty, frame, 1);
		return;
	}
	usm_frameset_add(&index->idle, frame, 1);
	if (entry.state & USM_FRAME_ZEROED)
		usm_frameset_remove(&index->dirty, frame, 1);
	else
		usm_frameset_add(&index->dirty, frame, 1);
}

void usm_index_refresh(struct usm_index *index, const struct usm_mapping *mapping,
		       uint32_t frame, uint32_t count)
{
	uint32_t top = usm_mapping_top(mapping);

	if (frame >= top)
		return;
	if (count > top - frame)
		count = top - frame;
	while (count--)
		frame_read(index, mapping, frame++);
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

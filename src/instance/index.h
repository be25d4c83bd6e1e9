/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the instance believes of the frame table, in a form that answers "where
 * is a free run" quickly. The table is the truth: whatever an event says, the
 * frames that it names are looked up there, so that an event that is late, lost
 * or repeated does no harm.
 */
#ifndef USM_INSTANCE_INDEX_H
#define USM_INSTANCE_INDEX_H

#include <stdint.h>

#include "frameset.h"
#include "mapping.h"

struct usm_index {
	struct usm_frameset present;	/* backed by memory */
	struct usm_frameset idle;	/* free, and in no supply ring */
	struct usm_frameset offered;	/* in a supply ring and backed, as far as we know */
	struct usm_frameset dirty;	/* idle and not zeroed */
};

int usm_index_init(struct usm_index *index, uint32_t frames);
void usm_index_done(struct usm_index *index);

/* Forget everything, offers included, and read the whole table: after arming. */
void usm_index_reset(struct usm_index *index, const struct usm_mapping *mapping);

/* Read these frames again; a range beyond the table is clipped. */
void usm_index_refresh(struct usm_index *index, const struct usm_mapping *mapping,
		       uint32_t frame, uint32_t count);

/* The run goes into a ring, or its entry has been consumed. */
void usm_index_offer(struct usm_index *index, uint32_t frame, uint32_t count);
void usm_index_withdraw(struct usm_index *index, const struct usm_mapping *mapping,
			uint32_t frame, uint32_t count);

/* Frames that a fault could get: in a ring or not. */
static inline uint32_t usm_index_free(const struct usm_index *index)
{
	return index->idle.count + index->offered.count;
}

/* Frames that hold something. */
static inline uint32_t usm_index_used(const struct usm_index *index)
{
	uint32_t free = usm_index_free(index);

	return index->present.count > free ? index->present.count - free : 0;
}

#endif /* USM_INSTANCE_INDEX_H */

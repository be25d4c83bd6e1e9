/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A set of frames: one bit each, with two summaries above (which words have a
 * member, which are full), so that the next run of any order is found within a
 * few words even in a table of millions. Memory that no frame has touched yet
 * costs nothing: the arrays come zeroed from the kernel.
 */
#ifndef USM_INSTANCE_FRAMESET_H
#define USM_INSTANCE_FRAMESET_H

#include <stdbool.h>
#include <stdint.h>

#define USM_FRAMESET_NONE	UINT32_MAX
#define USM_FRAMESET_MAX_ORDER	9
#define USM_FRAMESET_WORD	64u	/* frames that one word shows */

struct usm_frameset {
	uint64_t *words;	/* bit n: frame n is a member */
	uint64_t *some;		/* bit n: words[n] is not 0 */
	uint64_t *full;		/* bit n: words[n] is all ones */
	uint32_t frames;	/* members are below this */
	uint32_t count;		/* of members */
};

/* -ENOMEM or 0. */
int usm_frameset_init(struct usm_frameset *set, uint32_t frames);
void usm_frameset_done(struct usm_frameset *set);
void usm_frameset_empty(struct usm_frameset *set);

/*
 * Add, remove a range, which is clipped to the set's end. Return how many
 * frames became members, or were.
 */
uint32_t usm_frameset_add(struct usm_frameset *set, uint32_t frame, uint32_t count);
uint32_t usm_frameset_remove(struct usm_frameset *set, uint32_t frame, uint32_t count);

/*
 * Of the 64 frames from 64 * `word` on, those of `mask` become members or not, as
 * `members` says. No frame of the mask is beyond the set's end.
 */
void usm_frameset_assign(struct usm_frameset *set, uint32_t word, uint64_t mask, uint64_t members);

/* Those of the 64 that are members. */
static inline uint64_t usm_frameset_word(const struct usm_frameset *set, uint32_t word)
{
	return set->words[word];
}

static inline bool usm_frameset_has(const struct usm_frameset *set, uint32_t frame)
{
	return frame < set->frames && set->words[frame / 64] >> frame % 64 & 1;
}

/*
 * The lowest frame >= from that starts an aligned run of 2^order members, or
 * USM_FRAMESET_NONE. Order 0 to USM_FRAMESET_MAX_ORDER.
 */
uint32_t usm_frameset_find(const struct usm_frameset *set, uint32_t from, unsigned int order);

/* The same from the other end: the highest such run that ends at or below `below`. */
uint32_t usm_frameset_find_below(const struct usm_frameset *set, uint32_t below,
				 unsigned int order);

/* How many consecutive members start at `frame`, `max` at most. */
uint32_t usm_frameset_length(const struct usm_frameset *set, uint32_t frame, uint32_t max);

/* How many of the frames of a range are members; clipped to the set's end. */
uint32_t usm_frameset_weight(const struct usm_frameset *set, uint32_t frame, uint32_t count);

/* The member that has `n` members below it, or USM_FRAMESET_NONE. */
uint32_t usm_frameset_nth(const struct usm_frameset *set, uint32_t n);

#endif /* USM_INSTANCE_FRAMESET_H */

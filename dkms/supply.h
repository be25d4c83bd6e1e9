/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_SUPPLY_H
#define USM_SUPPLY_H

#include <linux/spinlock.h>
#include <linux/types.h>
#include <uapi/linux/usm.h>

struct usm_domain;

enum usm_supply_level { USM_SUPPLY_IS_FILLED, USM_SUPPLY_IS_LOW, USM_SUPPLY_IS_EMPTY };

/* One CPU's supply. A fault takes from its own and, if that is empty, others'. */
struct usm_supply {
	spinlock_t lock;		/* all below, and the consumer side of ring */
	struct usm_ring *ring;		/* shared: written by both sides */
	u32 tail;			/* ours; ring->tail is a copy */
	u32 run_frame;			/* what is left of the entry taken last, */
	u32 run_count;			/* not claimed yet */
	u32 hand_frame;			/* and what was before it: claimed, ready, */
	u32 hand_count;			/* still counted as free and zeroed */
	u32 told_head;			/* head when SUPPLY_LOW was posted last, */
	enum usm_supply_level told;	/* and why; FILLED: it was since */
};

/*
 * A run of frames that the caller has claimed. Ready ones are zero, and not known as that
 * any more: usm_frames_spend() has nothing to do.
 */
struct usm_run {
	u32 frame;
	u16 count;
	bool ready;
};

int usm_supply_init(struct usm_domain *domain);
void usm_supply_uninit(struct usm_domain *domain);
void usm_supply_reset(struct usm_domain *domain);
/* Let go of frames that no fault has got yet: their entries are lost. */
void usm_supply_let_go(struct usm_domain *domain);
size_t usm_supply_size(void);

/*
 * Take up to `want` frames in the order of supply, as at most `max` runs.
 * Returns the number of runs; their frames are claimed. Process context.
 */
unsigned int usm_supply_take(struct usm_domain *domain, unsigned int want,
			     struct usm_run *runs, unsigned int max);
/* The same from the ring of this CPU only. */
unsigned int usm_supply_take_here(struct usm_domain *domain, unsigned int want,
				  struct usm_run *runs, unsigned int max);

#endif /* USM_SUPPLY_H */

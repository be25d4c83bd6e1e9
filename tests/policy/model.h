/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A model of the module in memory, as far as an instance can see it: frame
 * table, rings, events, commands, faults. It obeys the contract of <linux/usm.h>
 * and counts what a module would refuse.
 */
#ifndef USM_TESTS_MODEL_H
#define USM_TESTS_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "engine.h"
#include "mapping.h"

#define MODEL_EVENTS	64	/* entries: few, so that overruns can be had */
#define MODEL_ENTRIES	64	/* of a supply ring */
#define MODEL_RUNS	8	/* that one fault gathers */
#define MODEL_TRIES	64	/* entries that it looks at */

/* What the module keeps of a ring to itself. */
struct model_hand {
	struct usm_run run;	/* the rest of the entry taken last */
	uint32_t told;		/* has called for more: 1 low, 2 empty, ... */
	uint32_t told_head;	/* ... when the head was this */
};

#define MODEL_NUMBERS	512	/* evicted pages */

/* What the module knows of an evicted page. */
struct model_evicted {
	uint64_t seed;		/* of its content */
	uint64_t page;
	uint32_t space;
	uint32_t sharers;	/* besides the one that it is taken from */
};

#define MODEL_ASKERS	32	/* faults that ask */

/* A fault that asks; its key is its index + 1. */
struct model_asker {
	uint64_t page;
	uint32_t pages;		/* that it could map; 0: has its answer */
	uint32_t frames[MODEL_RUNS * USM_MAX_RUN];
	uint32_t n;		/* of them that it got */
	bool declined;
};

struct model {
	struct usm_mapping mapping;
	/* The parts of the frame table. */
	uint64_t *words;
	uint32_t *owners;
	struct usm_frame_block *blocks;
	uint32_t limit;		/* frames that the cgroup allows */
	uint32_t present;
	struct model_hand *hand;	/* per CPU */
	bool mute;		/* grow requests get no answer */
	bool blind;		/* of evicted pages no event tells, as when the ring overruns */
	uint32_t pinned;	/* EVICT finds so many frames in use */
	bool *accessed;		/* each frame, since it was sampled */
	bool old;		/* it knows no command to sample */

	/* Eviction; model_evicts() makes these. */
	struct usm_evicted_mapping evicted;
	struct usm_evicted *numbers;
	struct model_evicted *known;	/* by number */
	uint64_t *seeds;		/* of each frame's content */

	struct model_asker askers[MODEL_ASKERS];
	uint32_t asked;

	/* counters */
	uint32_t exchanges, repeats;
	uint32_t submissions, kicks, grows, shrinks, zeroed, refused, sampled;
	uint32_t evictions, refaults, corrupt, lost;
};

void model_init(struct model *model, uint32_t frames, uint32_t cpus);
void model_done(struct model *model);

extern const struct usm_engine_ops model_ops;	/* context: the model */

static inline struct usm_frame model_frame(const struct model *model, uint32_t frame)
{
	return usm_frame_of(model->words[frame], model->owners[frame],
			    &model->blocks[frame / USM_BLOCK_SIZE]);
}

static inline void model_set_age(struct model *model, uint32_t frame, uint32_t age)
{
	model->owners[frame] = (model->owners[frame] & USM_MAX_SPACE) | age << USM_OWNER_AGE_SHIFT;
}

/* Empty the rings, as arming does. */
void model_arm(struct model *model);

/* Frames become present: FREE, zeroed or not. Posts nothing: before arming. */
void model_populate(struct model *model, uint32_t frame, uint32_t count, bool zeroed);

/* As model_populate(), but they hold a page of space 1. */
void model_occupy(struct model *model, uint32_t frame, uint32_t count);

/*
 * A fault on `cpu` that maps up to `pages`: takes them from its ring, else from
 * the others'. Returns how many, and which.
 */
uint32_t model_fault(struct model *model, uint32_t cpu, uint32_t pages, uint32_t *frames);

/* The pages in these frames are used. */
void model_access(struct model *model, uint32_t frame, uint32_t count);

/*
 * A fault that asks for `pages` from `page` on: posts EV_FAULT. What it has got is in the
 * asker, which is valid until the model's end.
 */
struct model_asker *model_ask(struct model *model, uint64_t page, uint32_t pages);

/* Unmap; posts EV_FREED. */
void model_free(struct model *model, uint32_t frame, uint32_t count);

/* The kernel takes free frames back; posts EV_SHRUNK. */
void model_reclaim(struct model *model, uint32_t frame, uint32_t count);

/* ------------------------------------------------------------------- eviction */

/* From now on pages may be evicted: their table and staging are there. */
void model_evicts(struct model *model);
/* What a frame holds; model_occupy() gives each its number. */
void model_write(struct model *model, uint32_t frame, uint64_t seed);
/* The module thinks that it may be touched soon. */
void model_expect(struct model *model, uint32_t number);
/* Somebody touches, or drops, a page that is away. */
void model_touch(struct model *model, uint32_t number);
void model_discard(struct model *model, uint32_t number);
/* The content of `seed`, in all of its kinds. */
void model_content(char page[4096], uint64_t seed);
/* EVICT, RESTORE, LOSE. */
int32_t model_command_evict(struct model *model, const struct usm_command *command);
int32_t model_command_restore(struct model *model, const struct usm_command *command);
int32_t model_command_lose(struct model *model, const struct usm_command *command);

void model_post(struct model *model, const struct usm_event *event);

uint32_t model_state(const struct model *model, uint32_t frame);
uint32_t model_count(const struct model *model, uint32_t state);

#endif /* USM_TESTS_MODEL_H */

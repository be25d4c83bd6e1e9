/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Evicts pages at random, keeps them in memory of its own and brings back what is
 * asked for, and looks at random which are in use: a policy against all sense, to
 * try the module with.
 */
#ifndef USM_TESTS_UAPI_EVICTOR_H
#define USM_TESTS_UAPI_EVICTOR_H

#include "domain.h"

struct evictor {
	struct domain *domain;
	struct usm_staged *staged;
	const struct usm_evicted *table;
	uint32_t numbers;	/* entries of the table */
	char **store;		/* content by number; NULL: none */
	uint32_t *generations;	/* of what is stored */
	uint64_t random;
	uint64_t stored, restored, late, refused, sampled;
	uint64_t lost;		/* of the event ring, as last seen */
};

void evictor_init_or_die(struct evictor *evictor, struct domain *domain);
void evictor_done(struct evictor *evictor);

/* Evict up to `pages`, wherever there are any, after sampling some others. */
void evictor_evict(struct evictor *evictor, uint32_t pages);

/* What an event asks for, or says is not needed any more. */
void evictor_event(struct evictor *evictor, const struct usm_event *event);

/* After events: where some were lost, look at the table instead. */
void evictor_catch_up(struct evictor *evictor);

/* Pages that are kept. */
uint64_t evictor_kept(const struct evictor *evictor);

#endif

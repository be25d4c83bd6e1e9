/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events of the module: what they change in the index, and whom they are told. */
#ifndef USM_INSTANCE_EVENTS_H
#define USM_INSTANCE_EVENTS_H

#include "engine.h"

/* USM_ENGINE_MORE: there may be more than `most`. */
int usm_events_drain(struct usm_engine *engine, uint32_t most);

/* Tell the policy which frames of the range may be supplied (again). */
void usm_events_announce(struct usm_engine *engine, uint32_t frame, uint32_t count,
			 void (*call)(void *state, uint32_t frame, uint32_t count));

#endif /* USM_INSTANCE_EVENTS_H */

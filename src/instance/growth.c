// SPDX-License-Identifier: GPL-2.0-or-later
#include "growth.h"

static uint32_t clamp(uint32_t value, uint32_t low, uint32_t high)
{
	return value < low ? low : value > high ? high : value;
}

uint32_t usm_growth_goal(const struct usm_growth_view *view)
{
	uint32_t used = view->present > view->free ? view->present - view->free : 0;
	uint32_t floor = clamp(view->ceiling / USM_GROWTH_FLOOR_PART, USM_GROWTH_FLOOR_MIN,
			       USM_GROWTH_FLOOR_MAX);

	return clamp(used / USM_GROWTH_PART, floor, USM_GROWTH_CAP);
}

uint32_t usm_growth_keep(const struct usm_growth_view *view)
{
	return 3 * usm_growth_goal(view);
}

uint32_t usm_growth_request(const struct usm_growth *growth, const struct usm_growth_view *view,
			    uint64_t now)
{
	uint32_t goal = usm_growth_goal(view);
	uint32_t room = view->ceiling > view->present ? view->ceiling - view->present : 0;
	uint32_t want;

	if (view->free >= goal || now < growth->not_before)
		return 0;
	if (growth->asked && now - growth->asked_at < USM_GROWTH_ANSWER_NS)
		return 0;

	want = 2 * goal - view->free;
	want = (want + USM_GROWTH_BLOCK - 1) / USM_GROWTH_BLOCK * USM_GROWTH_BLOCK;
	return want < room ? want : room;
}

void usm_growth_asked(struct usm_growth *growth, uint64_t now)
{
	growth->asked = true;
	growth->asked_at = now;
}

void usm_growth_answered(struct usm_growth *growth, bool more)
{
	growth->asked = growth->asked && more;
	growth->backoff = 0;
	growth->not_before = 0;
}

void usm_growth_limited(struct usm_growth *growth, uint64_t now)
{
	growth->asked = false;
	growth->backoff = growth->backoff ? 2 * growth->backoff : USM_GROWTH_BACKOFF_MIN_NS;
	if (growth->backoff > USM_GROWTH_BACKOFF_MAX_NS)
		growth->backoff = USM_GROWTH_BACKOFF_MAX_NS;
	growth->not_before = now + growth->backoff;
}

uint32_t usm_growth_surplus(struct usm_growth *growth, const struct usm_growth_view *view,
			    uint64_t now)
{
	uint32_t keep = usm_growth_keep(view);
	uint32_t blocks;

	if (view->free < keep + USM_GROWTH_BLOCK) {
		growth->surplus_since = 0;
		return 0;
	}
	if (!growth->surplus_since)
		growth->surplus_since = now ?: 1;
	if (now - growth->surplus_since < USM_GROWTH_IDLE_NS)
		return 0;

	blocks = (view->free - keep) / USM_GROWTH_BLOCK;
	return blocks < USM_GROWTH_SHRINK ? blocks : USM_GROWTH_SHRINK;
}

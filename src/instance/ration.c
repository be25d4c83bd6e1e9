// SPDX-License-Identifier: GPL-2.0-or-later
#include "ration.h"

#include <usm/policy.h>

static uint32_t lesser(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* An equal share of half of what is free, or of all of it when that is too little. */
static uint32_t share(uint32_t free, uint32_t cpus, uint32_t fault)
{
	uint32_t half = free / 2 / cpus;

	return half >= fault ? half : free / cpus + !!(free % cpus);
}

struct usm_ration usm_ration_plan(uint32_t free, uint32_t cpus, uint32_t active,
				  unsigned int fault_order)
{
	uint32_t fault = 1u << fault_order;
	uint32_t burst = fault * USM_RATION_FAULTS;

	if (burst < USM_RATION_FRAMES)
		burst = USM_RATION_FRAMES;
	if (!cpus)
		cpus = 1;
	if (!active)
		active = 1;

	return (struct usm_ration){
		.active = lesser(burst, share(free, active, fault)),
		.seed = lesser(burst / USM_RATION_SEED, share(free, cpus, fault)),
	};
}

uint32_t usm_ration_entry(uint32_t ration, uint32_t entries, unsigned int fault_order)
{
	uint32_t frames = ration / entries + !!(ration % entries);
	uint32_t whole = 1u << fault_order;

	if (whole < USM_RATION_ENTRY)
		whole = USM_RATION_ENTRY;
	/* When frames are scarce smaller entries spread them better. */
	while (whole > 1 && ration / whole < USM_RATION_ENTRIES)
		whole /= 2;
	return lesser(frames > whole ? frames : whole, USM_RUN_MAX);
}

uint32_t usm_ration_low(uint32_t ration, uint32_t entry)
{
	uint32_t quarter = ration / entry / 4;

	/* The last one lasts for one large fault only. */
	return quarter > 2 ? quarter : 2;
}

uint32_t usm_ration_due(uint32_t held, uint32_t ration, uint32_t entry, bool wanted)
{
	if (held < ration && (wanted || held < ration - ration / 2))
		return ration - held;
	return wanted ? entry : 0;
}

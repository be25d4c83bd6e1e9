// SPDX-License-Identifier: MIT
/*
 * First fit: the lowest free frames, in whole aligned runs of the fault order
 * as long as there are any. Used memory gathers at the low end of the table, so
 * that the high end comes free in whole blocks and goes back to the host.
 */
#include <usm/policy.h>

#include <errno.h>
#include <stdlib.h>

struct firstfit {
	const struct usm_host *host;
	bool whole_runs;
};

static int firstfit_init(const struct usm_host *host, void **state)
{
	struct firstfit *ff = malloc(sizeof(*ff));

	if (!ff)
		return -ENOMEM;
	ff->host = host;
	ff->whole_runs = host->parameter_bool(host, "whole-runs", true);
	*state = ff;
	return 0;
}

/*
 * One size of run an answer: the largest of which there is one. The host asks
 * again while it wants more, and by then these frames are no longer found.
 */
static uint32_t firstfit_supply(void *state, const struct usm_supply_request *request,
				struct usm_run *runs, uint32_t capacity)
{
	const struct firstfit *ff = state;
	const struct usm_host *host = ff->host;
	unsigned int order = ff->whole_runs ? request->order : 0;
	uint32_t left = request->frames;
	uint32_t n = 0, frame;

	while ((frame = host->find(host, 0, order)) == USM_FRAME_NOWHERE && order)
		order--;

	while (frame != USM_FRAME_NOWHERE && n < capacity && left) {
		uint32_t span = order ? 1u << order : host->length(host, frame, USM_RUN_MAX);
		uint32_t count = left < span ? left : span;

		runs[n++] = (struct usm_run){ .frame = frame, .count = count };
		left -= count;
		frame = host->find(host, frame + count, order);
	}
	return n;
}

/* With fault.mode=upcall: the lowest run that serves the fault as far as there is one. */
static uint32_t firstfit_fault(void *state, const struct usm_fault_request *request,
			       struct usm_run *runs, uint32_t capacity)
{
	const struct usm_host *host = ((const struct firstfit *)state)->host;
	unsigned int order = host->fault_order;
	uint32_t frame;

	while (order && 1u << order > request->frames)
		order--;
	while ((frame = host->find(host, 0, order)) == USM_FRAME_NOWHERE && order)
		order--;
	if (frame == USM_FRAME_NOWHERE)
		return 0;
	runs[0] = (struct usm_run){ .frame = frame, .count = 1u << order };
	return 1;
}

const struct usm_policy usm_policy = {
	.abi = USM_POLICY_ABI,
	.size = sizeof(struct usm_policy),
	.name = "firstfit",
	.summary = "lowest free frames first, in whole runs of the fault order",
	.init = firstfit_init,
	.fini = free,
	.supply = firstfit_supply,
	.fault = firstfit_fault,
};

/* SPDX-License-Identifier: MIT */
/*
 * Each CPU gets frames from a stretch of the table of its own as long as there
 * are any, so that what one CPU touched first lies together: fewer blocks are
 * shared between CPUs, and what a worker frees at its end comes free in blocks.
 */
#include <usm/policy.h>

#include <errno.h>
#include <stdlib.h>

struct percpu {
	const struct usm_host *host;
	uint32_t stretch;	/* frames */
};

static int percpu_init(const struct usm_host *host, void **state)
{
	struct percpu *pc = malloc(sizeof(*pc));
	uint32_t share = host->frames / host->cpus;

	if (!pc)
		return -ENOMEM;
	pc->host = host;
	/* In blocks of 512, which is what the host gives and takes back. */
	pc->stretch = (uint32_t)host->parameter_number(host, "stretch", 1, UINT32_MAX,
						       share > 512 ? share / 512 * 512 : 512);
	*state = pc;
	return 0;
}

/* Runs of 2^order from frames `from` to `end`; `left` and `n` go along. */
static uint32_t take(const struct usm_host *host, uint32_t from, uint32_t end, unsigned int order,
		     struct usm_run *runs, uint32_t n, uint32_t capacity, uint32_t *left)
{
	uint32_t size = 1u << order, frame = from;

	while (n < capacity && *left && (frame = host->find(host, frame, order)) < end) {
		uint32_t count = *left < size ? *left : size;

		runs[n++] = (struct usm_run){ .frame = frame, .count = count };
		*left -= count;
		frame += size;
	}
	return n;
}

static uint32_t percpu_supply(void *state, const struct usm_supply_request *request,
			      struct usm_run *runs, uint32_t capacity)
{
	const struct percpu *pc = state;
	uint64_t start = (uint64_t)request->cpu * pc->stretch;
	uint32_t left = request->frames, n = 0;

	/* A frame that is not there now may be soon, elsewhere: wrap around. */
	uint32_t home = (uint32_t)(start % pc->host->frames);

	/* One order an answer: a smaller run could lie within a larger one. */
	for (unsigned int order = request->order + 1; order-- && !n;) {
		n = take(pc->host, home, UINT32_MAX, order, runs, n, capacity, &left);
		n = take(pc->host, 0, home, order, runs, n, capacity, &left);
	}
	return n;
}

const struct usm_policy usm_policy = {
	.abi = USM_POLICY_ABI,
	.size = sizeof(struct usm_policy),
	.name = "percpu",
	.summary = "a stretch of the frame table for each CPU",
	.init = percpu_init,
	.fini = free,
	.supply = percpu_supply,
};

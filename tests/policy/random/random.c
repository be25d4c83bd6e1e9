// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random: no policy for anybody's memory, but one to try programs and the module with.
 * Of the pages that are mapped it evicts so many per cent a second, at random and whether
 * or not memory is short, and frames are given lowest first.
 */
#include <usm/policy.h>

#include <errno.h>
#include <stdlib.h>

/* Frames that one answer looks at: a quarter of a millisecond or so. */
#define LOOKS		8192
/* Neighbours that go with a page, as a kernel's or a person's policy would have it. */
#define RUN_BITS	3
#define SECOND		UINT64_C(1000000000)

struct chance {
	const struct usm_host *host;
	uint64_t state;
	uint64_t ticked_at;	/* 0: never */
	uint32_t percent;	/* of the mapped pages, a second */
};

static int random_init(const struct usm_host *host, void **state)
{
	struct chance *chance;

	if (!USM_HOST_HAS(host, evict)) {
		host->log(host, USM_POLICY_ERROR, "random needs a host that evicts when asked");
		return -EOPNOTSUPP;
	}
	chance = calloc(1, sizeof(*chance));
	if (!chance)
		return -ENOMEM;
	chance->host = host;
	chance->percent = (uint32_t)host->parameter_number(host, "percent", 0, 100, 25);
	/* An even state would not do for what follows; any odd one does. */
	chance->state = (uint64_t)host->parameter_number(host, "seed", 0, 1 << 30, 1) * 2 + 1;
	*state = chance;
	return 0;
}

/* One size of run an answer, the largest of which there is one; the host asks again. */
static uint32_t random_supply(void *state, const struct usm_supply_request *request,
			      struct usm_run *runs, uint32_t capacity)
{
	const struct usm_host *host = ((struct chance *)state)->host;
	unsigned int order = request->order;
	uint32_t left = request->frames, n = 0, frame;

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

/* xorshift64: Marsaglia, Xorshift RNGs, Journal of Statistical Software 8(14), 2003. */
static uint64_t roll(struct chance *chance)
{
	chance->state ^= chance->state << 13;
	chance->state ^= chance->state >> 7;
	chance->state ^= chance->state << 17;
	return chance->state;
}

static bool is_mapped(const struct usm_host *host, uint32_t frame)
{
	struct usm_page page = usm_host_page(host, frame);

	return page.state == USM_PAGE_MAPPED || page.state == USM_PAGE_SHARED;
}

static bool is_named(const struct usm_run *runs, uint32_t n, uint32_t frame)
{
	while (n--)
		if (frame - runs[n].frame < runs[n].count)
			return true;
	return false;
}

static uint32_t random_evict(void *state, const struct usm_evict_request *request,
			     struct usm_run *runs, uint32_t capacity)
{
	struct chance *chance = state;
	const struct usm_host *host = chance->host;
	uint32_t left = request->frames, n = 0;

	for (uint32_t looks = 0; looks < LOOKS && n < capacity && left; looks++) {
		uint64_t number = roll(chance);
		uint32_t frame = (uint32_t)(number % host->frames), count = 0;
		uint32_t most = 1 + (uint32_t)(number >> (64 - RUN_BITS));

		while (count < most && count < left && is_mapped(host, frame + count) &&
		       !is_named(runs, n, frame + count))
			count++;
		if (!count)
			continue;
		runs[n++] = (struct usm_run){ .frame = frame, .count = count };
		left -= count;
	}
	return n;
}

static void random_tick(void *state, uint64_t now)
{
	struct chance *chance = state;
	const struct usm_host *host = chance->host;
	uint64_t since = chance->ticked_at ? now - chance->ticked_at : SECOND, frames = 0;

	chance->ticked_at = now;
	for (uint32_t frame = 0; frame < host->frames; frame++)
		frames += is_mapped(host, frame);
	/* What was late is made up for: the rate is what is promised. */
	frames = (frames * chance->percent * (since / 1000) + SECOND / 10 - 1) / (SECOND / 10);
	host->evict(host, (uint32_t)frames);
}

const struct usm_policy usm_policy = {
	.abi = USM_POLICY_ABI,
	.size = sizeof(struct usm_policy),
	.name = "random",
	.summary = "for tests: evicts at random, all the time",
	.init = random_init,
	.fini = free,
	.supply = random_supply,
	.evict = random_evict,
	.tick = random_tick,
};

// SPDX-License-Identifier: MIT
/*
 * Clock: frames are given lowest first, in whole runs, as by firstfit. When memory is
 * short a hand goes round the frame table and evicts what it passes: what was mapped
 * longest ago, since behind the hand the frames are given anew. A page that was evicted
 * and had to come back is passed over once. No page is ever asked whether it was used.
 */
#include <usm/policy.h>

#include <errno.h>
#include <stdlib.h>

/* Frames that one answer looks at: a quarter of a millisecond or so. */
#define LOOKS		8192

/* Pages that came back and are remembered: an eighth of the frames, within bounds. */
#define RETURNS_PART	8
#define RETURNS_MIN	256
#define RETURNS_MAX	65536

struct clock {
	const struct usm_host *host;
	uint32_t hand;
	uint32_t mask;		/* of returns */
	uint64_t *returns;	/* space and page by their hash; 0: none */
};

static int clock_init(const struct usm_host *host, void **state)
{
	struct clock *clock = calloc(1, sizeof(*clock));
	uint32_t size = RETURNS_MIN;

	while (size < RETURNS_MAX && size < host->frames / RETURNS_PART)
		size *= 2;
	if (clock)
		clock->returns = calloc(size, sizeof(*clock->returns));
	if (!clock || !clock->returns) {
		free(clock);
		return -ENOMEM;
	}
	clock->host = host;
	clock->mask = size - 1;
	*state = clock;
	return 0;
}

static void clock_fini(void *state)
{
	struct clock *clock = state;

	free(clock->returns);
	free(clock);
}

/* One size of run an answer, the largest of which there is one; the host asks again. */
static uint32_t clock_supply(void *state, const struct usm_supply_request *request,
			     struct usm_run *runs, uint32_t capacity)
{
	const struct clock *clock = state;
	const struct usm_host *host = clock->host;
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

/* Two pages with the same would only share their chance. */
static uint64_t identity(uint32_t space, uint64_t page)
{
	return (uint64_t)space << 36 ^ page;
}

static uint64_t *place_of(const struct clock *clock, uint64_t id)
{
	return &clock->returns[(id * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & clock->mask];
}

static void clock_refault(void *state, const struct usm_return_note *note)
{
	uint64_t id = identity(note->space, note->page);

	*place_of(state, id) = id;
}

static bool had_its_chance(const struct clock *clock, const struct usm_page *page)
{
	uint64_t id = identity(page->space, page->page);
	uint64_t *place = place_of(clock, id);

	if (*place != id)
		return true;
	*place = 0;
	return false;
}

static bool is_mapped(const struct usm_page *page)
{
	return page->state == USM_PAGE_MAPPED || page->state == USM_PAGE_SHARED;
}

static uint32_t clock_evict(void *state, const struct usm_evict_request *request,
			    struct usm_run *runs, uint32_t capacity)
{
	struct clock *clock = state;
	uint32_t left = request->frames, n = 0;
	uint32_t looks = clock->host->frames < LOOKS ? clock->host->frames : LOOKS;

	for (; looks && left; looks--) {
		uint32_t frame = clock->hand;
		struct usm_page page = usm_host_page(clock->host, frame);

		if (is_mapped(&page) && had_its_chance(clock, &page)) {
			struct usm_run *last = n ? &runs[n - 1] : NULL;

			if (last && last->frame + last->count == frame && last->count < USM_RUN_MAX)
				last->count++;
			else if (n < capacity)
				runs[n++] = (struct usm_run){ .frame = frame, .count = 1 };
			else
				break;
			left--;
		}
		clock->hand = frame + 1 < clock->host->frames ? frame + 1 : 0;
	}
	return n;
}

const struct usm_policy usm_policy = {
	.abi = USM_POLICY_ABI,
	.size = sizeof(struct usm_policy),
	.name = "clock",
	.summary = "first fit, and what was mapped longest ago is evicted when memory is short",
	.init = clock_init,
	.fini = clock_fini,
	.supply = clock_supply,
	.evict = clock_evict,
	.refault = clock_refault,
};

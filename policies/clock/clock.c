// SPDX-License-Identifier: MIT
/*
 * Clock: frames are given lowest first, in whole runs, as by firstfit. When memory is
 * short a hand goes round the frame table and evicts what has not been used for longest:
 * each page has an age, the number of rounds of sampling in which it was not used, and
 * the hand passes over all that are younger than the oldest eighth was in the last round.
 * When there are no more of these, the next younger ones follow. Of pages of one age
 * those go first that were mapped first, since behind the hand the frames are given anew.
 * A page that was evicted and had to come back is passed over once.
 */
#include <usm/policy.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Frames that one answer looks at: a quarter of a millisecond or so. */
#define LOOKS		8192

/* Pages that came back and are remembered: an eighth of the frames, within bounds. */
#define RETURNS_PART	8
#define RETURNS_MIN	256
#define RETURNS_MAX	65536

/* Pages that are to go first: one in so many. */
#define OLDEST_PART	8
#define AGES		256	/* that a page may have */

/* Frames to be sampled in a second, at the most: 256 MiB. */
#define SAMPLE_DEFAULT	65536
#define SAMPLE_MAX	(1 << 20)

struct clock {
	const struct usm_host *host;
	uint32_t hand;
	uint32_t mask;		/* of returns */
	uint64_t *returns;	/* space and page by their hash; 0: none */

	uint32_t sample;	/* frames a second */
	uint32_t limit;		/* age from which on pages are evicted; 0: all are */
	uint32_t candidates;	/* pages of that age when it was last looked, less those evicted */
	uint32_t barren;	/* frames that the hand has passed since the last victim */
	uint32_t ages[AGES];	/* pages of each age in the last round of sampling */
	uint32_t next_ages[AGES];	/* and in the one under way */
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
	clock->sample = (uint32_t)host->parameter_number(host, "sample", 0, SAMPLE_MAX,
							 SAMPLE_DEFAULT);
	if (USM_HOST_HAS(host, sample))
		host->sample(host, clock->sample);
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

/* There are no more pages as old as the limit: those that are younger are next. */
static void limit_lower(struct clock *clock)
{
	clock->candidates = 0;
	while (clock->limit && !clock->candidates)
		clock->candidates = clock->ages[--clock->limit];
	clock->barren = 0;
}

/* From which age on are an eighth of all pages? Those of age 0 are in use, or new. */
static void limit_set(struct clock *clock)
{
	uint32_t pages = 0;

	for (uint32_t age = 0; age < AGES; age++)
		pages += clock->ages[age];
	clock->candidates = 0;
	clock->limit = AGES;
	while (clock->limit > 1 && clock->candidates <= pages / OLDEST_PART)
		clock->candidates += clock->ages[--clock->limit];
	clock->barren = 0;
	if (!clock->candidates)
		limit_lower(clock);
}

static void clock_sampled(void *state, const struct usm_sampled_note *note)
{
	struct clock *clock = state;

	for (uint32_t frame = note->frame; frame < note->frame + note->count; frame++) {
		struct usm_page page = usm_host_page(clock->host, frame);

		clock->next_ages[page.age] += is_mapped(&page);
	}
	if (!note->last)
		return;
	memcpy(clock->ages, clock->next_ages, sizeof(clock->ages));
	memset(clock->next_ages, 0, sizeof(clock->next_ages));
	limit_set(clock);
}

/* What has been used since it was counted must not keep the hand from finding any. */
static bool is_victim(struct clock *clock, const struct usm_page *page)
{
	if (clock->barren++ >= clock->host->frames)
		limit_lower(clock);
	return is_mapped(page) && page->age >= clock->limit && had_its_chance(clock, page);
}

static void victim_count(struct clock *clock)
{
	clock->barren = 0;
	if (clock->limit && (!clock->candidates || !--clock->candidates))
		limit_lower(clock);
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

		if (is_victim(clock, &page)) {
			struct usm_run *last = n ? &runs[n - 1] : NULL;

			if (last && last->frame + last->count == frame && last->count < USM_RUN_MAX)
				last->count++;
			else if (n < capacity)
				runs[n++] = (struct usm_run){ .frame = frame, .count = 1 };
			else
				break;
			left--;
			victim_count(clock);
		}
		clock->hand = frame + 1 < clock->host->frames ? frame + 1 : 0;
	}
	/* Somebody waits: there is no time to look for the oldest. */
	if (!n && request->urgent)
		limit_lower(clock);
	return n;
}

/* Where there is no store nothing is evicted, and nothing need be known. */
static void clock_tick(void *state, uint64_t now)
{
	const struct clock *clock = state;
	const struct usm_host *host = clock->host;
	struct usm_store_info store;

	if (USM_HOST_HAS(host, sample))
		host->sample(host, host->store(host, 0, &store, sizeof(store)) ? clock->sample : 0);
}

const struct usm_policy usm_policy = {
	.abi = USM_POLICY_ABI,
	.size = sizeof(struct usm_policy),
	.name = "clock",
	.summary = "first fit, and what was not used for longest is evicted when memory is short",
	.init = clock_init,
	.fini = clock_fini,
	.supply = clock_supply,
	.tick = clock_tick,
	.evict = clock_evict,
	.refault = clock_refault,
	.sampled = clock_sampled,
};

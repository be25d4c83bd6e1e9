// SPDX-License-Identifier: GPL-2.0-only
#include <linux/cpumask.h>
#include <linux/percpu.h>
#include <linux/vmalloc.h>

#include "core/ring.h"
#include "domain.h"
#include "frame.h"
#include "supply.h"
#include "trace.h"

/*
 * 256 entries of up to 512 frames name 512 MiB, far more than an instance
 * should bind to one CPU; as single frames they are 1 MiB, some 250 faults
 * while the instance is scheduled.
 */
#define USM_SUPPLY_ENTRIES	256
#define USM_SUPPLY_LOW		(USM_SUPPLY_ENTRIES / 4)

/*
 * Entries and frames that one take may find useless: all of a ring that reclaim
 * has made stale, but not all that a hostile instance could write.
 */
#define USM_SUPPLY_TRIES	(4 * USM_SUPPLY_ENTRIES)

size_t usm_supply_size(void)
{
	return PAGE_ALIGN(sizeof(struct usm_ring) + USM_SUPPLY_ENTRIES * sizeof(u64));
}

/*
 * Small faults share a claim: so many frames, 64 KiB, are claimed at a time. They are as
 * good as free: taken by another CPU's fault or let go when there is need.
 */
#define USM_SUPPLY_HAND		16

static void usm_supply_let_go_one(struct usm_domain *domain, struct usm_supply *supply)
{
	lockdep_assert_held(&supply->lock);
	if (!supply->hand_count)
		return;
	usm_frames_unready(domain, supply->hand_frame, supply->hand_count);
	/* It was the beginning of the run, and is again: the instance still counts on it. */
	supply->run_frame = supply->hand_frame;
	supply->run_count += supply->hand_count;
	supply->hand_count = 0;
}

void usm_supply_let_go(struct usm_domain *domain)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct usm_supply *supply = per_cpu_ptr(domain->supply, cpu);

		spin_lock(&supply->lock);
		usm_supply_let_go_one(domain, supply);
		spin_unlock(&supply->lock);
	}
}

static void usm_supply_reset_one(struct usm_domain *domain, struct usm_supply *supply)
{
	spin_lock(&supply->lock);
	usm_supply_let_go_one(domain, supply);
	supply->tail = 0;
	supply->run_count = 0;
	supply->told = USM_SUPPLY_IS_FILLED;
	WRITE_ONCE(supply->ring->entries, USM_SUPPLY_ENTRIES);
	WRITE_ONCE(supply->ring->entry_size, sizeof(u64));
	WRITE_ONCE(supply->ring->offset, sizeof(struct usm_ring));
	WRITE_ONCE(supply->ring->want, 0);
	WRITE_ONCE(supply->ring->low, 0);
	WRITE_ONCE(supply->ring->head, 0);
	smp_store_release(&supply->ring->tail, 0);
	spin_unlock(&supply->lock);
}

void usm_supply_reset(struct usm_domain *domain)
{
	int cpu;

	for_each_possible_cpu(cpu)
		usm_supply_reset_one(domain, per_cpu_ptr(domain->supply, cpu));
}

int usm_supply_init(struct usm_domain *domain)
{
	int cpu;

	domain->supply = alloc_percpu(struct usm_supply);
	if (!domain->supply)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		struct usm_supply *supply = per_cpu_ptr(domain->supply, cpu);

		spin_lock_init(&supply->lock);
		supply->ring = vmalloc_user(usm_supply_size());
		if (!supply->ring)
			return -ENOMEM;		/* uninit frees what is there */
		usm_supply_reset_one(domain, supply);
	}
	return 0;
}

void usm_supply_uninit(struct usm_domain *domain)
{
	int cpu;

	if (!domain->supply)
		return;
	for_each_possible_cpu(cpu)
		vfree(per_cpu_ptr(domain->supply, cpu)->ring);
	free_percpu(domain->supply);
	domain->supply = NULL;
}

/* The instance's to say; what is no number of entries means that it did not. */
static u32 usm_supply_low(const struct usm_supply *supply)
{
	u32 low = READ_ONCE(supply->ring->low);

	return low - 1 < USM_SUPPLY_ENTRIES ? low : USM_SUPPLY_LOW;
}

/*
 * Say once that the ring runs low, once more when it is empty, and again only after
 * it was filled since: who could add nothing at the first call may at the second.
 */
static void usm_supply_check_low(struct usm_domain *domain, struct usm_supply *supply,
				 int cpu, u32 head, bool nothing)
{
	u32 used = usm_ring_used(head, supply->tail, USM_SUPPLY_ENTRIES, 0);
	enum usm_supply_level level = nothing ? USM_SUPPLY_IS_EMPTY :
				      used < usm_supply_low(supply) ? USM_SUPPLY_IS_LOW :
				      USM_SUPPLY_IS_FILLED;

	if (level == USM_SUPPLY_IS_FILLED) {
		if (supply->told != USM_SUPPLY_IS_FILLED) {
			supply->told = USM_SUPPLY_IS_FILLED;
			WRITE_ONCE(supply->ring->want, 0);
		}
		return;
	}
	if (supply->told >= level && supply->told_head == head)
		return;
	supply->told = level;
	supply->told_head = head;
	WRITE_ONCE(supply->ring->want, 1);
	usm_event_post(domain, USM_EV_SUPPLY_LOW, 0, 0, 0, 0, cpu);
	trace_usm_supply_low(domain, cpu, used);
}

/* The next entry into run_frame and run_count; false: there is none. */
static bool usm_supply_next(struct usm_domain *domain, struct usm_supply *supply, u32 head)
{
	const u64 *entries = (const u64 *)(supply->ring + 1);
	u32 used = usm_ring_used(head, supply->tail, USM_SUPPLY_ENTRIES, U32_MAX);
	u64 entry;

	if (used == U32_MAX) {
		/* A head from nowhere: read on from there, as if it were empty. */
		usm_count_add(domain, USM_N_REFUSED, 1);
		supply->tail = head;
		smp_store_release(&supply->ring->tail, head);
		return false;
	}
	if (!used)
		return false;
	entry = READ_ONCE(entries[usm_ring_slot(supply->tail, USM_SUPPLY_ENTRIES)]);
	supply->tail++;
	smp_store_release(&supply->ring->tail, supply->tail);

	supply->run_frame = USM_SUPPLY_FRAME(entry);
	supply->run_count = USM_SUPPLY_COUNT(entry);
	if (!usm_frames_offered(domain, supply->run_frame, supply->run_count,
				USM_SUPPLY_GEN(entry))) {
		supply->run_count = 0;
		usm_count_add(domain, USM_N_REFUSED, 1);
	}
	return true;
}

/* What the next fault gets, into *run, where the hand is empty; false: nothing. */
static bool usm_supply_claim(struct usm_domain *domain, struct usm_supply *supply, u32 head,
			     unsigned int want, struct usm_run *run, bool *empty)
{
	unsigned int tries;

	for (tries = USM_SUPPLY_TRIES; tries; tries--) {
		u32 got;

		if (!supply->run_count) {
			*empty = !usm_supply_next(domain, supply, head);
			if (*empty)
				return false;
			continue;
		}
		run->frame = supply->run_frame;
		got = usm_frames_claim_word(domain, run->frame,
					    min(max_t(u32, want, USM_SUPPLY_HAND),
						supply->run_count), want, &run->ready);
		run->count = got;
		if (!got) {
			/* Not free any more: these are refused. */
			got = usm_frames_skip(domain, supply->run_frame, supply->run_count);
			usm_count_add(domain, USM_N_REFUSED, got);
		}
		supply->run_frame += got;
		supply->run_count -= got;
		if (run->count)
			return true;
	}
	return false;
}

/* What is in the hand or goes through it. Returns 0 when there is nothing. */
static unsigned int usm_supply_give(struct usm_domain *domain, struct usm_supply *supply,
				    u32 head, unsigned int want, struct usm_run *run,
				    bool *empty)
{
	if (!supply->hand_count) {
		if (!usm_supply_claim(domain, supply, head, want, run, empty))
			return 0;
		if (!run->ready || run->count <= want)
			return run->count;
		supply->hand_frame = run->frame;
		supply->hand_count = run->count;
	}
	run->frame = supply->hand_frame;
	run->count = min(want, supply->hand_count);
	run->ready = true;
	supply->hand_frame += run->count;
	supply->hand_count -= run->count;
	return run->count;
}

/* Somebody has got frames, of which `ready` are. */
static inline void usm_supply_count(struct usm_domain *domain, unsigned int frames,
				    unsigned int ready)
{
	usm_count_add(domain, USM_N_FREE, -(s64)frames);
	usm_count_add(domain, USM_N_ZEROED, -(s64)ready);
	usm_count_add(domain, USM_N_SUPPLIED, frames);
}

static unsigned int usm_supply_take_from(struct usm_domain *domain, int cpu,
					 unsigned int want, struct usm_run *runs,
					 unsigned int max, unsigned int *frames)
{
	struct usm_supply *supply = per_cpu_ptr(domain->supply, cpu);
	unsigned int nr = 0, got, taken = 0, ready = 0;
	bool empty = false;
	u32 head;

	spin_lock(&supply->lock);
	head = smp_load_acquire(&supply->ring->head);
	/*
	 * Fallback and a change of mode have let go of what was in the hand, and nothing
	 * shall come after it.
	 */
	while (likely(usm_domain_supplied(domain)) && nr < max) {
		got = usm_supply_give(domain, supply, head, want - taken, &runs[nr], &empty);
		if (!got)
			break;
		taken += got;
		if (runs[nr].ready)
			ready += got;
		if (nr && runs[nr - 1].ready == runs[nr].ready &&
		    runs[nr - 1].frame + runs[nr - 1].count == runs[nr].frame)
			runs[nr - 1].count += got;
		else
			nr++;
		if (taken >= want)
			break;
	}
	usm_supply_check_low(domain, supply, cpu, head, empty || !nr);
	spin_unlock(&supply->lock);
	*frames = taken;
	if (taken)
		usm_supply_count(domain, taken, ready);
	return nr;
}

unsigned int usm_supply_take_here(struct usm_domain *domain, unsigned int want,
				  struct usm_run *runs, unsigned int max)
{
	unsigned int frames;

	return usm_supply_take_from(domain, raw_smp_processor_id(), want, runs, max, &frames);
}

/*
 * Most faults find all they want in the hand of their CPU: then nothing else in the ring
 * changes.
 */
static __always_inline bool usm_supply_take_hand(struct usm_domain *domain, unsigned int want,
						 struct usm_run *run)
{
	struct usm_supply *supply = raw_cpu_ptr(domain->supply);
	bool got;

	spin_lock(&supply->lock);
	got = supply->hand_count >= want && usm_domain_supplied(domain);
	if (likely(got)) {
		run->frame = supply->hand_frame;
		supply->hand_frame += want;
		supply->hand_count -= want;
	}
	spin_unlock(&supply->lock);
	if (unlikely(!got))
		return false;
	run->count = want;
	run->ready = true;
	usm_supply_count(domain, want, want);
	return true;
}

static noinline unsigned int usm_supply_take_any(struct usm_domain *domain, unsigned int want,
						 struct usm_run *runs, unsigned int max)
{
	int this = raw_smp_processor_id(), cpu;
	unsigned int frames, nr;

	nr = usm_supply_take_from(domain, this, want, runs, max, &frames);
	if (likely(nr))
		return nr;
	for_each_possible_cpu(cpu) {
		if (cpu == this)
			continue;
		nr = usm_supply_take_from(domain, cpu, want, runs, max, &frames);
		if (nr) {
			usm_count_add(domain, USM_N_STOLEN, frames);
			break;
		}
	}
	return nr;
}

unsigned int usm_supply_take(struct usm_domain *domain, unsigned int want,
			     struct usm_run *runs, unsigned int max)
{
	/* No entry lasts for two of more than that. */
	if (want <= USM_SUPPLY_HAND / 2 && usm_supply_take_hand(domain, want, runs))
		return 1;
	return usm_supply_take_any(domain, want, runs, max);
}

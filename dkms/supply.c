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

static void usm_supply_reset_one(struct usm_supply *supply)
{
	spin_lock(&supply->lock);
	supply->tail = 0;
	supply->run_count = 0;
	supply->told = USM_SUPPLY_IS_FILLED;
	WRITE_ONCE(supply->ring->entries, USM_SUPPLY_ENTRIES);
	WRITE_ONCE(supply->ring->entry_size, sizeof(u64));
	WRITE_ONCE(supply->ring->offset, sizeof(struct usm_ring));
	WRITE_ONCE(supply->ring->want, 0);
	WRITE_ONCE(supply->ring->head, 0);
	smp_store_release(&supply->ring->tail, 0);
	spin_unlock(&supply->lock);
}

void usm_supply_reset(struct usm_domain *domain)
{
	int cpu;

	for_each_possible_cpu(cpu)
		usm_supply_reset_one(per_cpu_ptr(domain->supply, cpu));
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
		usm_supply_reset_one(supply);
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

/*
 * Say once that the ring runs low, once more when it is empty, and again only after
 * it was filled since: who could add nothing at the first call may at the second.
 */
static void usm_supply_check_low(struct usm_domain *domain, struct usm_supply *supply,
				 int cpu, u32 head, bool nothing)
{
	u32 used = usm_ring_used(head, supply->tail, USM_SUPPLY_ENTRIES, 0);
	enum usm_supply_level level = nothing ? USM_SUPPLY_IS_EMPTY :
				      used < USM_SUPPLY_LOW ? USM_SUPPLY_IS_LOW :
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

static unsigned int usm_supply_take_from(struct usm_domain *domain, int cpu,
					 unsigned int want, struct usm_run *runs,
					 unsigned int max)
{
	struct usm_supply *supply = per_cpu_ptr(domain->supply, cpu);
	unsigned int nr = 0, tries = USM_SUPPLY_TRIES;
	bool empty = false;
	u32 head;

	spin_lock(&supply->lock);
	head = smp_load_acquire(&supply->ring->head);
	while (want && nr < max && tries) {
		u32 got;

		if (!supply->run_count) {
			tries--;
			if (!usm_supply_next(domain, supply, head)) {
				empty = true;
				break;
			}
			continue;
		}
		got = usm_frames_claim(domain, supply->run_frame,
				       min(want, supply->run_count));
		if (got) {
			if (nr && runs[nr - 1].frame + runs[nr - 1].count == supply->run_frame)
				runs[nr - 1].count += got;
			else
				runs[nr++] = (struct usm_run){ supply->run_frame, got };
			want -= got;
			supply->run_frame += got;
			supply->run_count -= got;
		} else {
			/* Not free any more: these are refused. */
			got = usm_frames_skip(domain, supply->run_frame, supply->run_count);
			usm_count_add(domain, USM_N_REFUSED, got);
			supply->run_frame += got;
			supply->run_count -= got;
			tries--;
		}
	}
	usm_supply_check_low(domain, supply, cpu, head, empty || !nr);
	spin_unlock(&supply->lock);
	return nr;
}

static unsigned int usm_runs_frames(const struct usm_run *runs, unsigned int nr)
{
	unsigned int frames = 0;

	while (nr--)
		frames += runs[nr].count;
	return frames;
}

unsigned int usm_supply_take_here(struct usm_domain *domain, unsigned int want,
				  struct usm_run *runs, unsigned int max)
{
	unsigned int nr = usm_supply_take_from(domain, raw_smp_processor_id(), want, runs, max);

	if (nr)
		usm_count_add(domain, USM_N_SUPPLIED, usm_runs_frames(runs, nr));
	return nr;
}

unsigned int usm_supply_take(struct usm_domain *domain, unsigned int want,
			     struct usm_run *runs, unsigned int max)
{
	int this = raw_smp_processor_id(), cpu;
	unsigned int nr = usm_supply_take_here(domain, want, runs, max), frames;

	if (likely(nr))
		return nr;
	for_each_possible_cpu(cpu) {
		if (cpu == this)
			continue;
		nr = usm_supply_take_from(domain, cpu, want, runs, max);
		if (nr) {
			frames = usm_runs_frames(runs, nr);
			usm_count_add(domain, USM_N_STOLEN, frames);
			usm_count_add(domain, USM_N_SUPPLIED, frames);
			break;
		}
	}
	return nr;
}

// SPDX-License-Identifier: GPL-2.0-only
#include <linux/cpumask.h>

#include "domain.h"
#include "stat.h"

/* Exact when quiet; while others count, off by what they add meanwhile. */
s64 usm_count_sum(struct usm_domain *domain, enum usm_counter counter)
{
	s64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(domain->counts, cpu)->n[counter]);
	return sum;
}

static u64 usm_gauge(struct usm_domain *domain, enum usm_counter counter)
{
	return max_t(s64, 0, usm_count_sum(domain, counter));
}

void usm_stat_fill(struct usm_domain *domain, struct usm_stat *stat)
{
	int i;

	stat->state = READ_ONCE(domain->state);
	stat->spaces = atomic_read(&domain->nr_spaces);
	stat->ceiling = READ_ONCE(domain->ceiling);
	stat->reserve = READ_ONCE(domain->reserve);
	stat->fault_order = READ_ONCE(domain->order);
	stat->deadline_ms = READ_ONCE(domain->deadline_ms);
	stat->frames = usm_gauge(domain, USM_N_FRAMES);
	stat->frames_free = usm_gauge(domain, USM_N_FREE);
	stat->frames_zeroed = usm_gauge(domain, USM_N_ZEROED);
	stat->frames_mapped = usm_gauge(domain, USM_N_MAPPED);
	stat->frames_shared = usm_gauge(domain, USM_N_SHARED);
	stat->frames_held = usm_gauge(domain, USM_N_HELD);
	stat->mappings = usm_gauge(domain, USM_N_MAPPINGS);
	stat->fault_pages = usm_gauge(domain, USM_N_FAULT_PAGES);
	for (i = 0; i <= USM_MAX_ORDER; i++) {
		stat->faults_by_order[i] = usm_gauge(domain, USM_N_BY_ORDER + i);
		stat->faults += stat->faults_by_order[i];
	}
	stat->supplied = usm_gauge(domain, USM_N_SUPPLIED);
	stat->stolen = usm_gauge(domain, USM_N_STOLEN);
	stat->refused = usm_gauge(domain, USM_N_REFUSED);
	stat->waits = usm_gauge(domain, USM_N_WAITS);
	stat->deadlines = usm_gauge(domain, USM_N_DEADLINES);
	stat->fallbacks = usm_gauge(domain, USM_N_FALLBACKS);
	stat->fallback_pages = usm_gauge(domain, USM_N_FALLBACK_PAGES);
	stat->picked_pages = usm_gauge(domain, USM_N_PICKED_PAGES);
	stat->zeroed_in_fault = usm_gauge(domain, USM_N_ZEROED_IN_FAULT);
	stat->zeroed_ahead = usm_gauge(domain, USM_N_ZEROED_AHEAD);
	stat->forks = usm_gauge(domain, USM_N_FORKS);
	stat->cow_copied = usm_gauge(domain, USM_N_COW_COPIED);
	stat->cow_reused = usm_gauge(domain, USM_N_COW_REUSED);
	stat->broken = usm_gauge(domain, USM_N_BROKEN);
	stat->sigbus = usm_gauge(domain, USM_N_SIGBUS);
	stat->grown = usm_gauge(domain, USM_N_GROWN);
	stat->shrunk = usm_gauge(domain, USM_N_SHRUNK);
	stat->limits = usm_gauge(domain, USM_N_LIMITS);
	stat->oom_kills = usm_gauge(domain, USM_N_OOM_KILLS);
	stat->events = usm_gauge(domain, USM_N_EVENTS);
	stat->events_lost = usm_gauge(domain, USM_N_EVENTS_LOST);
	stat->arms = usm_gauge(domain, USM_N_ARMS);
	stat->brk_refused = usm_gauge(domain, USM_N_BRK_REFUSED);
	stat->evicted = usm_gauge(domain, USM_N_EVICTED);
	stat->evictions = usm_gauge(domain, USM_N_EVICTIONS);
	stat->refaults = usm_gauge(domain, USM_N_REFAULTS);
	stat->corrupt = usm_gauge(domain, USM_N_CORRUPT);
	stat->refaults_ahead = usm_gauge(domain, USM_N_REFAULTS_AHEAD);
	stat->sampled = usm_gauge(domain, USM_N_SAMPLED);
	stat->sampled_young = usm_gauge(domain, USM_N_SAMPLED_YOUNG);
	stat->unshared = usm_gauge(domain, USM_N_UNSHARED);
	stat->mode = READ_ONCE(domain->mode);
	stat->upcalls = usm_gauge(domain, USM_N_UPCALLS);
	stat->resolved = usm_gauge(domain, USM_N_RESOLVED);
	stat->declined = usm_gauge(domain, USM_N_DECLINED);
	stat->frames_bad = usm_gauge(domain, USM_N_BAD);
}

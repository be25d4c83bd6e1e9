/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_STAT_H
#define USM_STAT_H

#include <linux/percpu.h>
#include <linux/types.h>
#include <uapi/linux/usm.h>

struct usm_domain;

/*
 * One array a CPU and domain, so that the common fault shares no cache line.
 * The first group are gauges: a CPU's own value may be negative, only the sum
 * over all of them means something.
 */
enum usm_counter {
	USM_N_FRAMES,
	USM_N_FREE,
	USM_N_ZEROED,
	USM_N_MAPPED,
	USM_N_SHARED,
	USM_N_HELD,
	USM_N_MAPPINGS,
	USM_N_FAULT_PAGES,
	USM_N_BY_ORDER,
	USM_N_BY_ORDER_LAST = USM_N_BY_ORDER + USM_MAX_ORDER,
	USM_N_SUPPLIED,
	USM_N_STOLEN,
	USM_N_REFUSED,
	USM_N_WAITS,
	USM_N_DEADLINES,
	USM_N_FALLBACKS,
	USM_N_FALLBACK_PAGES,
	USM_N_PICKED_PAGES,
	USM_N_ZEROED_IN_FAULT,
	USM_N_ZEROED_AHEAD,
	USM_N_FORKS,
	USM_N_COW_COPIED,
	USM_N_COW_REUSED,
	USM_N_BROKEN,
	USM_N_SIGBUS,
	USM_N_GROWN,
	USM_N_SHRUNK,
	USM_N_LIMITS,
	USM_N_OOM_KILLS,
	USM_N_EVENTS,
	USM_N_EVENTS_LOST,
	USM_N_ARMS,
	USM_N_BRK_REFUSED,
	USM_N_EVICTED,
	USM_N_EVICTIONS,
	USM_N_REFAULTS,
	USM_N_CORRUPT,
	USM_N_REFAULTS_AHEAD,
	USM_N_SAMPLED,
	USM_N_SAMPLED_YOUNG,
	USM_N_UNSHARED,
	USM_N_UPCALLS,
	USM_N_RESOLVED,
	USM_N_DECLINED,
	USM_N_BAD,
	USM_N_COUNTERS
};

struct usm_counts {
	s64 n[USM_N_COUNTERS];
};

/* Safe in any context, preemptible or not. */
#define usm_count_add(domain, counter, by)				\
	this_cpu_add((domain)->counts->n[counter], (s64)(by))

s64 usm_count_sum(struct usm_domain *domain, enum usm_counter counter);
void usm_stat_fill(struct usm_domain *domain, struct usm_stat *stat);

#endif /* USM_STAT_H */

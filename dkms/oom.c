// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "domain.h"
#include "event.h"
#include "oom.h"
#include "space.h"
#include "trace.h"

/* A victim that has not exited by then is not waited for any longer. */
#define USM_OOM_GRACE	(5 * HZ)
/* Starving for so long, faults do not wait for frames in transit any more. */
#define USM_OOM_PATIENCE HZ

/*
 * Where pages can be evicted: how long to wait for that, as a multiple of the deadline,
 * and for another instance.
 */
#define USM_OOM_EVICT_DEADLINES	10
#define USM_OOM_EVICT_UNARMED	(30 * HZ)

/* Larger is worse; the scale of the kernel's own oom_badness(). */
static long usm_oom_points(struct usm_space *space, struct task_struct *task)
{
	long adj = task->signal->oom_score_adj, points;

	if (adj == OOM_SCORE_ADJ_MIN)
		return LONG_MIN;
	points = get_mm_rss(space->mm);
	return points + adj * (long)(space->domain->ceiling / 1000 + 1);
}

/* A task of the mm, referenced; mm->owner may have moved on. */
static struct task_struct *usm_oom_task(struct usm_space *space)
{
	struct task_struct *task;

	rcu_read_lock();
	task = rcu_dereference(space->mm->owner);
	/* Inside copy_process() it cannot take a signal yet, and may be undone. */
	if (task && (READ_ONCE(task->__state) & TASK_NEW))
		task = NULL;
	if (task)
		get_task_struct(task);
	rcu_read_unlock();
	return task;
}

static bool usm_oom_pending(struct usm_domain *domain)
{
	unsigned long until = READ_ONCE(domain->oom_until);

	return until && time_before(jiffies, until);
}

/*
 * Frames that are neither mapped nor free are being zeroed, returned or waited for.
 * Some of those waits have no end (a pipe that nobody reads), so this counts only
 * for as long as a starving fault is patient.
 */
static bool usm_oom_in_transit(struct usm_domain *domain)
{
	unsigned long starved = READ_ONCE(domain->starved);

	return usm_count_sum(domain, USM_N_MAPPED) < usm_count_sum(domain, USM_N_FRAMES) &&
	       (!starved || time_before(jiffies, starved + USM_OOM_PATIENCE));
}

bool usm_oom_relief(struct usm_domain *domain)
{
	unsigned long starved = READ_ONCE(domain->starved), patience;

	if (!READ_ONCE(domain->stores.count))
		return false;
	/* Not from the first want on: there would be one for each page. */
	if (!usm_domain_armed(domain))
		return time_before(jiffies, READ_ONCE(domain->fell) + USM_OOM_EVICT_UNARMED);
	patience = USM_OOM_EVICT_DEADLINES * msecs_to_jiffies(READ_ONCE(domain->deadline_ms));
	return !starved || time_before(jiffies, starved + patience);
}

void usm_oom_kill(struct usm_domain *domain)
{
	struct task_struct *victim = NULL, *task;
	struct usm_space *space;
	long worst = LONG_MIN;
	unsigned long at;
	u32 id = 0;

	if (usm_oom_in_transit(domain) || usm_oom_relief(domain))
		return;
	xa_lock(&domain->spaces);
	if (usm_oom_pending(domain)) {
		xa_unlock(&domain->spaces);
		return;
	}
	xa_for_each(&domain->spaces, at, space) {
		long points;

		/* Its frames come back without anybody being killed. */
		if (READ_ONCE(space->exiting)) {
			if (victim)
				put_task_struct(victim);
			victim = NULL;
			break;
		}
		task = usm_oom_task(space);
		if (!task)
			continue;
		points = usm_oom_points(space, task);
		if (points > worst) {
			if (victim)
				put_task_struct(victim);
			victim = task;
			worst = points;
			id = space->id;
		} else {
			put_task_struct(task);
		}
	}
	if (victim)
		domain->oom_until = (jiffies + USM_OOM_GRACE) | 1;
	xa_unlock(&domain->spaces);
	if (!victim)
		return;

	pr_warn("domain %llu (%s): all %lld frames are in use: killing %s[%d]\n", domain->id,
		domain->label, usm_count_sum(domain, USM_N_FRAMES), victim->comm,
		task_pid_nr(victim));
	usm_count_add(domain, USM_N_OOM_KILLS, 1);
	usm_event_post(domain, USM_EV_OOM, id, 0, 0, 0, task_pid_nr(victim));
	trace_usm_oom_kill(domain, id, victim);
	send_sig(SIGKILL, victim, 1);
	put_task_struct(victim);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints, in the system `usm`; usm(4) tells what each says. Scripts rely on
 * names and fields. In all of them `domain` is its id, that of the cgroup, `space`
 * its number, `page` an address / page size, and `frame` the index of a frame. None
 * is hit once a page where pages go by in runs.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM usm

#if !defined(USM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define USM_TRACE_H

#include <linux/tracepoint.h>
#include <uapi/linux/usm.h>

#include "domain.h"
#include "fault.h"
#include "space.h"

/* Tools get numbers from the trace: tell them what the names below stand for. */
TRACE_DEFINE_ENUM(USM_WAIT_SUPPLY);
TRACE_DEFINE_ENUM(USM_WAIT_FREED);
TRACE_DEFINE_ENUM(USM_WAIT_REFAULT);
TRACE_DEFINE_ENUM(USM_WAIT_UPCALL);
TRACE_DEFINE_ENUM(USM_FALLBACK_CLOSED);
TRACE_DEFINE_ENUM(USM_FALLBACK_DEADLINE);
TRACE_DEFINE_ENUM(USM_FALLBACK_DISARMED);
TRACE_DEFINE_ENUM(USM_SHRINK_COMMAND);
TRACE_DEFINE_ENUM(USM_SHRINK_PRESSURE);
TRACE_DEFINE_ENUM(USM_SHRINK_IDLE);
TRACE_DEFINE_ENUM(USM_SHRINK_NODE);
TRACE_DEFINE_ENUM(USM_LIMIT_CEILING);
TRACE_DEFINE_ENUM(USM_LIMIT_CGROUP);
TRACE_DEFINE_ENUM(USM_LIMIT_HOST);
TRACE_DEFINE_ENUM(USM_LIMIT_NODE);
TRACE_DEFINE_ENUM(USM_SIGBUS_FORK);
TRACE_DEFINE_ENUM(USM_SIGBUS_NOBODY);
TRACE_DEFINE_ENUM(USM_SIGBUS_WRONG);

#define usm_show_wait(why)						\
	__print_symbolic(why,						\
		{ USM_WAIT_SUPPLY,	"supply" },			\
		{ USM_WAIT_FREED,	"freed" },			\
		{ USM_WAIT_REFAULT,	"refault" },			\
		{ USM_WAIT_UPCALL,	"upcall" })

#define usm_show_fallback(why)						\
	__print_symbolic(why,						\
		{ USM_FALLBACK_CLOSED,	"closed" },			\
		{ USM_FALLBACK_DEADLINE, "deadline" },			\
		{ USM_FALLBACK_DISARMED, "disarmed" })

#define usm_show_shrink(why)						\
	__print_symbolic(why,						\
		{ USM_SHRINK_COMMAND,	"command" },			\
		{ USM_SHRINK_PRESSURE,	"pressure" },			\
		{ USM_SHRINK_IDLE,	"idle" },			\
		{ USM_SHRINK_NODE,	"node" })

#define usm_show_limit(limit)						\
	__print_symbolic(limit,						\
		{ USM_LIMIT_CEILING,	"ceiling" },			\
		{ USM_LIMIT_CGROUP,	"cgroup" },			\
		{ USM_LIMIT_HOST,	"host" },			\
		{ USM_LIMIT_NODE,	"node" })

#define usm_show_sigbus(why)						\
	__print_symbolic(why,						\
		{ USM_SIGBUS_FORK,	"fork" },			\
		{ USM_SIGBUS_NOBODY,	"nobody" },			\
		{ USM_SIGBUS_WRONG,	"wrong" },			\
		{ USM_SIGBUS_MEMORY,	"memory" })

/* ------------------------------------------------------------ domain, instance */

TRACE_EVENT(usm_domain_new,
	TP_PROTO(const struct usm_domain *domain),
	TP_ARGS(domain),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, ceiling)
		__array(char, label, USM_LABEL_LEN)
	),
	TP_fast_assign(
		__entry->domain = domain->id;
		__entry->ceiling = domain->ceiling;
		memcpy(__entry->label, domain->label, USM_LABEL_LEN);
	),
	TP_printk("domain=%llu ceiling=%u label=%s", __entry->domain, __entry->ceiling,
		  __entry->label)
);

TRACE_EVENT(usm_domain_end,
	TP_PROTO(const struct usm_domain *domain),
	TP_ARGS(domain),
	TP_STRUCT__entry(
		__field(u64, domain)
	),
	TP_fast_assign(
		__entry->domain = domain->id;
	),
	TP_printk("domain=%llu", __entry->domain)
);

DECLARE_EVENT_CLASS(usm_epoch,
	TP_PROTO(const struct usm_domain *domain),
	TP_ARGS(domain),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u64, epoch)
		__field(u32, deadline_ms)
	),
	TP_fast_assign(
		__entry->domain = domain->id;
		__entry->epoch = domain->epoch;
		__entry->deadline_ms = domain->deadline_ms;
	),
	TP_printk("domain=%llu epoch=%llu deadline_ms=%u", __entry->domain, __entry->epoch,
		  __entry->deadline_ms)
);

DEFINE_EVENT(usm_epoch, usm_arm,
	TP_PROTO(const struct usm_domain *domain),
	TP_ARGS(domain));

DEFINE_EVENT(usm_epoch, usm_deadline,
	TP_PROTO(const struct usm_domain *domain),
	TP_ARGS(domain));

TRACE_EVENT(usm_fallback,
	TP_PROTO(const struct usm_domain *domain, enum usm_fallback_why why),
	TP_ARGS(domain, why),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u64, epoch)
		__field(u32, why)
	),
	TP_fast_assign(
		__entry->domain = domain->id;
		__entry->epoch = domain->epoch;
		__entry->why = why;
	),
	TP_printk("domain=%llu epoch=%llu why=%s", __entry->domain, __entry->epoch,
		  usm_show_fallback(__entry->why))
);

TRACE_EVENT(usm_supply_low,
	TP_PROTO(const struct usm_domain *domain, int cpu, u32 entries),
	TP_ARGS(domain, cpu, entries),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, cpu)
		__field(u32, entries)
	),
	TP_fast_assign(
		__entry->domain = domain->id;
		__entry->cpu = cpu;
		__entry->entries = entries;
	),
	TP_printk("domain=%llu cpu=%u entries=%u", __entry->domain, __entry->cpu,
		  __entry->entries)
);

/* ----------------------------------------------------------------------- spaces */

TRACE_EVENT(usm_space_new,
	TP_PROTO(const struct usm_space *space, const struct task_struct *task),
	TP_ARGS(space, task),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, space)
		__field(pid_t, tgid)
		__array(char, comm, TASK_COMM_LEN)
	),
	TP_fast_assign(
		__entry->domain = space->domain->id;
		__entry->space = space->id;
		__entry->tgid = task->tgid;
		memcpy(__entry->comm, task->comm, TASK_COMM_LEN);
	),
	TP_printk("domain=%llu space=%u tgid=%d comm=%s", __entry->domain, __entry->space,
		  __entry->tgid, __entry->comm)
);

TRACE_EVENT(usm_space_fork,
	TP_PROTO(const struct usm_space *parent, const struct usm_space *child),
	TP_ARGS(parent, child),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, space)
		__field(u32, parent)
	),
	TP_fast_assign(
		__entry->domain = child->domain->id;
		__entry->space = child->id;
		__entry->parent = parent->id;
	),
	TP_printk("domain=%llu space=%u parent=%u", __entry->domain, __entry->space,
		  __entry->parent)
);

TRACE_EVENT(usm_space_broken,
	TP_PROTO(const struct usm_space *parent, u32 child, unsigned long page),
	TP_ARGS(parent, child, page),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, space)
		__field(u32, parent)
		__field(u64, page)
	),
	TP_fast_assign(
		__entry->domain = parent->domain->id;
		__entry->space = child;
		__entry->parent = parent->id;
		__entry->page = page;
	),
	TP_printk("domain=%llu space=%u parent=%u page=%#llx", __entry->domain,
		  __entry->space, __entry->parent, __entry->page)
);

DECLARE_EVENT_CLASS(usm_space,
	TP_PROTO(const struct usm_space *space),
	TP_ARGS(space),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, space)
	),
	TP_fast_assign(
		__entry->domain = space->domain->id;
		__entry->space = space->id;
	),
	TP_printk("domain=%llu space=%u", __entry->domain, __entry->space)
);

DEFINE_EVENT(usm_space, usm_space_exit,
	TP_PROTO(const struct usm_space *space),
	TP_ARGS(space));

DEFINE_EVENT(usm_space, usm_space_plain,
	TP_PROTO(const struct usm_space *space),
	TP_ARGS(space));

TRACE_EVENT(usm_adopt,
	TP_PROTO(const struct usm_space *space, const struct vm_area_struct *vma),
	TP_ARGS(space, vma),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, space)
		__field(u64, page)
		__field(u64, count)
	),
	TP_fast_assign(
		__entry->domain = space->domain->id;
		__entry->space = space->id;
		__entry->page = vma->vm_start >> PAGE_SHIFT;
		__entry->count = (vma->vm_end - vma->vm_start) >> PAGE_SHIFT;
	),
	TP_printk("domain=%llu space=%u page=%#llx count=%llu", __entry->domain,
		  __entry->space, __entry->page, __entry->count)
);

TRACE_EVENT(usm_sigbus,
	TP_PROTO(const struct usm_space *space, enum usm_sigbus_why why),
	TP_ARGS(space, why),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, space)
		__field(u32, why)
	),
	TP_fast_assign(
		__entry->domain = space->domain->id;
		__entry->space = space->id;
		__entry->why = why;
	),
	TP_printk("domain=%llu space=%u why=%s", __entry->domain, __entry->space,
		  usm_show_sigbus(__entry->why))
);

TRACE_EVENT(usm_memory_error,
	TP_PROTO(const struct usm_domain *domain, u32 frame, u32 space, u64 page, u64 key),
	TP_ARGS(domain, frame, space, page, key),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u64, page)
		__field(u64, key)
		__field(u32, frame)
		__field(u32, space)
	),
	TP_fast_assign(
		__entry->domain = domain->id;
		__entry->page = page;
		__entry->key = key;
		__entry->frame = frame;
		__entry->space = space;
	),
	TP_printk("domain=%llu frame=%u space=%u page=%#llx key=%#llx", __entry->domain,
		  __entry->frame, __entry->space, __entry->page, __entry->key)
);

TRACE_EVENT(usm_oom_kill,
	TP_PROTO(const struct usm_domain *domain, u32 space, const struct task_struct *task),
	TP_ARGS(domain, space, task),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, space)
		__field(u32, ceiling)
		__field(pid_t, pid)
		__array(char, comm, TASK_COMM_LEN)
	),
	TP_fast_assign(
		__entry->domain = domain->id;
		__entry->space = space;
		__entry->ceiling = domain->ceiling;
		__entry->pid = task->pid;
		memcpy(__entry->comm, task->comm, TASK_COMM_LEN);
	),
	TP_printk("domain=%llu space=%u ceiling=%u pid=%d comm=%s", __entry->domain,
		  __entry->space, __entry->ceiling, __entry->pid, __entry->comm)
);

/* ----------------------------------------------------------------------- faults */

TRACE_EVENT(usm_fault,
	TP_PROTO(const struct usm_space *space, unsigned long page, u32 frame,
		 unsigned int count),
	TP_ARGS(space, page, frame, count),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, space)
		__field(u32, frame)
		__field(u64, page)
		__field(u32, count)
		__field(u32, order)
	),
	TP_fast_assign(
		__entry->domain = space->domain->id;
		__entry->space = space->id;
		__entry->frame = frame;
		__entry->page = page;
		__entry->count = count;
		__entry->order = READ_ONCE(space->domain->order);
	),
	TP_printk("domain=%llu space=%u page=%#llx frame=%u count=%u order=%u",
		  __entry->domain, __entry->space, __entry->page, __entry->frame,
		  __entry->count, __entry->order)
);

/* The space may be gone when a wait is over. */
DECLARE_EVENT_CLASS(usm_waiting,
	TP_PROTO(const struct usm_domain *domain, u32 space, unsigned long page,
		 enum usm_wait_why why),
	TP_ARGS(domain, space, page, why),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, space)
		__field(u32, why)
		__field(u64, page)
	),
	TP_fast_assign(
		__entry->domain = domain->id;
		__entry->space = space;
		__entry->why = why;
		__entry->page = page;
	),
	TP_printk("domain=%llu space=%u page=%#llx why=%s", __entry->domain,
		  __entry->space, __entry->page, usm_show_wait(__entry->why))
);

DEFINE_EVENT(usm_waiting, usm_wait,
	TP_PROTO(const struct usm_domain *domain, u32 space, unsigned long page,
		 enum usm_wait_why why),
	TP_ARGS(domain, space, page, why));

DEFINE_EVENT(usm_waiting, usm_wake,
	TP_PROTO(const struct usm_domain *domain, u32 space, unsigned long page,
		 enum usm_wait_why why),
	TP_ARGS(domain, space, page, why));

DECLARE_EVENT_CLASS(usm_cow,
	TP_PROTO(const struct usm_space *space, unsigned long page, u32 frame),
	TP_ARGS(space, page, frame),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, space)
		__field(u32, frame)
		__field(u64, page)
	),
	TP_fast_assign(
		__entry->domain = space->domain->id;
		__entry->space = space->id;
		__entry->frame = frame;
		__entry->page = page;
	),
	TP_printk("domain=%llu space=%u page=%#llx frame=%u", __entry->domain,
		  __entry->space, __entry->page, __entry->frame)
);

DEFINE_EVENT(usm_cow, usm_cow_copy,
	TP_PROTO(const struct usm_space *space, unsigned long page, u32 frame),
	TP_ARGS(space, page, frame));

DEFINE_EVENT(usm_cow, usm_cow_reuse,
	TP_PROTO(const struct usm_space *space, unsigned long page, u32 frame),
	TP_ARGS(space, page, frame));

/* ----------------------------------------------------------------------- frames */

TRACE_EVENT(usm_freed,
	TP_PROTO(const struct usm_domain *domain, u32 frame, u32 count),
	TP_ARGS(domain, frame, count),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, frame)
		__field(u32, count)
	),
	TP_fast_assign(
		__entry->domain = domain->id;
		__entry->frame = frame;
		__entry->count = count;
	),
	TP_printk("domain=%llu frame=%u count=%u", __entry->domain, __entry->frame,
		  __entry->count)
);

TRACE_EVENT(usm_grow,
	TP_PROTO(const struct usm_domain *domain, u32 frame, u32 count, int node),
	TP_ARGS(domain, frame, count, node),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, frame)
		__field(u32, count)
		__field(s32, node)
	),
	TP_fast_assign(
		__entry->domain = domain->id;
		__entry->frame = frame;
		__entry->count = count;
		__entry->node = node;
	),
	TP_printk("domain=%llu frame=%u count=%u node=%d", __entry->domain, __entry->frame,
		  __entry->count, __entry->node)
);

TRACE_EVENT(usm_shrink,
	TP_PROTO(const struct usm_domain *domain, u32 frame, u32 count,
		 enum usm_shrink_why why),
	TP_ARGS(domain, frame, count, why),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, frame)
		__field(u32, count)
		__field(u32, why)
	),
	TP_fast_assign(
		__entry->domain = domain->id;
		__entry->frame = frame;
		__entry->count = count;
		__entry->why = why;
	),
	TP_printk("domain=%llu frame=%u count=%u why=%s", __entry->domain, __entry->frame,
		  __entry->count, usm_show_shrink(__entry->why))
);

TRACE_EVENT(usm_limit,
	TP_PROTO(const struct usm_domain *domain, enum usm_limit limit, u64 missing),
	TP_ARGS(domain, limit, missing),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u64, missing)
		__field(u32, limit)
	),
	TP_fast_assign(
		__entry->domain = domain->id;
		__entry->missing = missing;
		__entry->limit = limit;
	),
	TP_printk("domain=%llu limit=%s missing=%llu", __entry->domain,
		  usm_show_limit(__entry->limit), __entry->missing)
);

/* --------------------------------------------------------------------- eviction */

TRACE_EVENT(usm_evict,
	TP_PROTO(const struct usm_space *space, unsigned long page, u32 frame,
		 unsigned int count, unsigned int sharers, unsigned int evicted),
	TP_ARGS(space, page, frame, count, sharers, evicted),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, space)
		__field(u32, frame)
		__field(u64, page)
		__field(u32, count)
		__field(u32, sharers)
		__field(u32, evicted)
	),
	TP_fast_assign(
		__entry->domain = space->domain->id;
		__entry->space = space->id;
		__entry->frame = frame;
		__entry->page = page;
		__entry->count = count;
		__entry->sharers = sharers;
		__entry->evicted = evicted;
	),
	TP_printk("domain=%llu space=%u page=%#llx frame=%u count=%u sharers=%u evicted=%u",
		  __entry->domain, __entry->space, __entry->page, __entry->frame,
		  __entry->count, __entry->sharers, __entry->evicted)
);

TRACE_EVENT(usm_refault,
	TP_PROTO(const struct usm_space *space, unsigned long page, u32 frame, u64 key),
	TP_ARGS(space, page, frame, key),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, space)
		__field(u32, frame)
		__field(u64, page)
		__field(u64, key)
	),
	TP_fast_assign(
		__entry->domain = space->domain->id;
		__entry->space = space->id;
		__entry->frame = frame;
		__entry->page = page;
		__entry->key = key;
	),
	TP_printk("domain=%llu space=%u page=%#llx frame=%u key=%#llx", __entry->domain,
		  __entry->space, __entry->page, __entry->frame, __entry->key)
);

TRACE_EVENT(usm_sample,
	TP_PROTO(const struct usm_domain *domain, u32 frame, u32 count, u32 sampled, u32 young),
	TP_ARGS(domain, frame, count, sampled, young),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, frame)
		__field(u32, count)
		__field(u32, sampled)
		__field(u32, young)
	),
	TP_fast_assign(
		__entry->domain = domain->id;
		__entry->frame = frame;
		__entry->count = count;
		__entry->sampled = sampled;
		__entry->young = young;
	),
	TP_printk("domain=%llu frame=%u count=%u sampled=%u young=%u", __entry->domain,
		  __entry->frame, __entry->count, __entry->sampled, __entry->young)
);

TRACE_EVENT(usm_want,
	TP_PROTO(const struct usm_space *space, unsigned long page, u64 key),
	TP_ARGS(space, page, key),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, space)
		__field(u64, page)
		__field(u64, key)
	),
	TP_fast_assign(
		__entry->domain = space->domain->id;
		__entry->space = space->id;
		__entry->page = page;
		__entry->key = key;
	),
	TP_printk("domain=%llu space=%u page=%#llx key=%#llx", __entry->domain,
		  __entry->space, __entry->page, __entry->key)
);

TRACE_EVENT(usm_ahead,
	TP_PROTO(const struct usm_space *space, unsigned long page, unsigned int count),
	TP_ARGS(space, page, count),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, space)
		__field(u64, page)
		__field(u32, count)
	),
	TP_fast_assign(
		__entry->domain = space->domain->id;
		__entry->space = space->id;
		__entry->page = page;
		__entry->count = count;
	),
	TP_printk("domain=%llu space=%u page=%#llx count=%u", __entry->domain,
		  __entry->space, __entry->page, __entry->count)
);

TRACE_EVENT(usm_restore,
	TP_PROTO(const struct usm_domain *domain, u64 key, int result),
	TP_ARGS(domain, key, result),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u64, key)
		__field(s32, result)
	),
	TP_fast_assign(
		__entry->domain = domain->id;
		__entry->key = key;
		__entry->result = result;
	),
	TP_printk("domain=%llu key=%#llx result=%d", __entry->domain, __entry->key,
		  __entry->result)
);

DECLARE_EVENT_CLASS(usm_key,
	TP_PROTO(const struct usm_domain *domain, u64 key),
	TP_ARGS(domain, key),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u64, key)
	),
	TP_fast_assign(
		__entry->domain = domain->id;
		__entry->key = key;
	),
	TP_printk("domain=%llu key=%#llx", __entry->domain, __entry->key)
);

DEFINE_EVENT(usm_key, usm_discarded,
	TP_PROTO(const struct usm_domain *domain, u64 key),
	TP_ARGS(domain, key));

DEFINE_EVENT(usm_key, usm_lost,
	TP_PROTO(const struct usm_domain *domain, u64 key),
	TP_ARGS(domain, key));

/* ---------------------------------------------------------------------- upcalls */

TRACE_EVENT(usm_upcall,
	TP_PROTO(const struct usm_domain *domain, const struct usm_event *event),
	TP_ARGS(domain, event),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u32, space)
		__field(u32, count)
		__field(u64, page)
		__field(u64, key)
		__field(u32, flags)
	),
	TP_fast_assign(
		__entry->domain = domain->id;
		__entry->page = event->page;
		__entry->key = event->arg;
		__entry->space = event->space;
		__entry->count = event->count;
		__entry->flags = event->flags;
	),
	TP_printk("domain=%llu space=%u page=%#llx count=%u flags=%#x key=%#llx",
		  __entry->domain, __entry->space, __entry->page, __entry->count,
		  __entry->flags, __entry->key)
);

TRACE_EVENT(usm_resolve,
	TP_PROTO(const struct usm_domain *domain, u64 key, u32 frame, u32 count, int result),
	TP_ARGS(domain, key, frame, count, result),
	TP_STRUCT__entry(
		__field(u64, domain)
		__field(u64, key)
		__field(u32, frame)
		__field(u32, count)
		__field(s32, result)
	),
	TP_fast_assign(
		__entry->domain = domain->id;
		__entry->key = key;
		__entry->frame = frame;
		__entry->count = count;
		__entry->result = result;
	),
	TP_printk("domain=%llu key=%#llx frame=%u count=%u result=%d", __entry->domain,
		  __entry->key, __entry->frame, __entry->count, __entry->result)
);

#endif /* USM_TRACE_H */

/* Found through -I of this folder, wherever it is built. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

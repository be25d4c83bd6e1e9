// SPDX-License-Identifier: GPL-2.0-or-later
#include "journal.h"

#include <inttypes.h>

#include "log.h"
#include "size.h"

#define TELL(level, event, c, ...)					\
	usm_log(level, event, (c)->id, (c)->annotation.policy, (c)->domain_text, __VA_ARGS__)

static const char *title(const struct usm_container *c)
{
	return c->name ?: c->id;
}

static const char *policy_of(const struct usm_container *c)
{
	return c->annotation.policy ?: "unknown";
}

void usm_journal_bound(const struct usm_container *c)
{
	char size[USM_SIZE_TEXT];

	TELL(LOG_INFO, USM_MSG_BOUND, c,
	     "Container %s is under policy %s with up to %s in cgroup %s%s", title(c),
	     policy_of(c), usm_size_exact(c->budget.ceiling, size), c->cgroup,
	     c->late ? "; it ran already, and memory that it mapped before stays with the kernel" :
		       "");
}

void usm_journal_unmanaged(const char *id, const char *policy, const char *why)
{
	usm_log(LOG_WARNING, USM_MSG_UNMANAGED, id, policy, NULL,
		"Container %s runs without the policy that it asks for: %s", id, why);
}

void usm_journal_refused(const char *id, const char *policy, const char *why)
{
	usm_log(LOG_ERR, USM_MSG_REFUSED, id, policy, NULL,
		"Container %s requires its policy and was refused: %s", id, why);
}

void usm_journal_started(const struct usm_container *c)
{
	if (c->unit.restarts)
		TELL(LOG_NOTICE, USM_MSG_STARTED, c,
		     "The instance of container %s was started again as PID %" PRId32
		     ", restart %" PRIu32, title(c), c->unit.pid, c->unit.restarts);
	else
		TELL(LOG_INFO, USM_MSG_STARTED, c,
		     "The instance of container %s was started as PID %" PRId32, title(c),
		     c->unit.pid);
}

void usm_journal_lost(const struct usm_container *c, int32_t pid)
{
	TELL(LOG_WARNING, USM_MSG_LOST, c,
	     "The instance of container %s, PID %" PRId32 ", is gone; the module serves the "
	     "container until there is another", title(c), pid);
}

void usm_journal_gave_up(const struct usm_container *c)
{
	TELL(LOG_ERR, USM_MSG_GAVE_UP, c,
	     "The instance of container %s cannot run policy %s and will not be started again; "
	     "the module serves the container%s%s", title(c), policy_of(c),
	     c->instance_message ? ": " : "", c->instance_message ?: "");
}

void usm_journal_armed(const struct usm_container *c)
{
	TELL(LOG_INFO, USM_MSG_ARMED, c,
	     "Policy %s serves container %s (arming %" PRIu64 ")", policy_of(c), title(c),
	     (uint64_t)c->stat.arms);
}

void usm_journal_fallback(const struct usm_container *c)
{
	TELL(LOG_WARNING, USM_MSG_FALLBACK, c,
	     "Container %s fell back to the module: %s (fallback %" PRIu64 ")", title(c),
	     usm_device_state_name(c->stat.state), (uint64_t)c->stat.fallbacks);
}

void usm_journal_deadline(const struct usm_container *c)
{
	TELL(LOG_WARNING, USM_MSG_DEADLINE, c,
	     "Container %s waited longer than %" PRIu32 " ms for policy %s (missed deadline %"
	     PRIu64 ")", title(c), (uint32_t)c->stat.deadline_ms, policy_of(c),
	     (uint64_t)c->stat.deadlines);
}

void usm_journal_limit(const struct usm_container *c, uint64_t hits)
{
	char have[USM_SIZE_TEXT], ceiling[USM_SIZE_TEXT];

	TELL(LOG_NOTICE, USM_MSG_LIMIT, c,
	     "Container %s could not grow %" PRIu64 " time(s): it has %s of the %s that its "
	     "domain may hold", title(c), hits,
	     usm_size_human(c->stat.frames * USM_BUDGET_PAGE, have),
	     usm_size_human(c->stat.ceiling * USM_BUDGET_PAGE, ceiling));
}

void usm_journal_oom(const struct usm_container *c, uint64_t kills)
{
	TELL(LOG_ERR, USM_MSG_OOM, c,
	     "%" PRIu64 " process(es) of container %s were killed for want of memory", kills,
	     title(c));
}

void usm_journal_broken(const struct usm_container *c, uint64_t spaces)
{
	TELL(LOG_ERR, USM_MSG_BROKEN, c,
	     "Memory ran out while %" PRIu64 " process(es) of container %s were forked; the "
	     "children get SIGBUS", spaces, title(c));
}

void usm_journal_released(const struct usm_container *c)
{
	TELL(LOG_INFO, USM_MSG_RELEASED, c, "Container %s is released from policy %s", title(c),
	     policy_of(c));
}

void usm_journal_ended(const struct usm_container *c)
{
	TELL(LOG_INFO, USM_MSG_ENDED, c,
	     "The domain of container %s ended after %" PRIu64 " faults for %" PRIu64 " pages",
	     title(c), (uint64_t)c->stat.faults, (uint64_t)c->stat.fault_pages);
}

void usm_journal_unknown(const struct usm_container *c)
{
	TELL(LOG_WARNING, USM_MSG_UNKNOWN, c,
	     "Domain %s (\"%s\") is not in our records; it is left as it is", c->domain_text, c->id);
}

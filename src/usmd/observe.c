// SPDX-License-Identifier: GPL-2.0-or-later
/* Three tell of a container: the module, systemd and the instance itself. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "cgroup.h"
#include "device.h"
#include "domain.h"
#include "journal.h"
#include "json.h"
#include "log.h"
#include "manager.h"

/* A container at its limit hits it all the time; once in this time is told of it. */
#define LIMIT_USEC	(10 * UINT64_C(1000000))

/* -------------------------------------------------------------- the module */

/* The first limit is told at once, what follows with those after LIMIT_USEC. */
static void observe_limit(struct usm_manager *m, struct usm_container *c)
{
	uint64_t now;

	if (c->stat.limits == c->limits_told ||
	    sd_event_now(m->event, CLOCK_MONOTONIC, &now) < 0 ||
	    (c->told_limit && now - c->told_limit < LIMIT_USEC))
		return;
	usm_journal_limit(c, c->stat.limits - c->limits_told);
	c->told_limit = now;
	c->limits_told = c->stat.limits;
}

static void observe_oom(struct usm_container *c, const struct usm_stat *before)
{
	uint64_t kills = usm_cgroup_oom_kills(c->cgroup);
	uint64_t more = c->stat.oom_kills - before->oom_kills;

	/* The kernel's own; it reads as zero once the cgroup is gone. */
	if (kills > c->oom_kills) {
		more += kills - c->oom_kills;
		c->oom_kills = kills;
	}
	if (more)
		usm_journal_oom(c, more);
}

static void observe_state(struct usm_manager *m, struct usm_container *c,
			  const struct usm_stat *before)
{
	bool armed = c->stat.state == USM_FALLBACK_NONE;

	usm_container_set_text(&c->fallback_reason,
			       armed ? NULL : usm_device_state_name(c->stat.state));
	/* It may have fallen back and been armed again since the last look. */
	if (c->stat.fallbacks > before->fallbacks) {
		usm_container_step(c, USM_CONTAINER_FALL_BACK);
		usm_journal_fallback(c);
	} else if (!armed && c->stat.state != USM_FALLBACK_NEVER_ARMED) {
		usm_container_step(c, USM_CONTAINER_FALL_BACK);
	}
	if (armed) {
		bool again = c->stat.arms > before->arms;

		if (usm_container_step(c, USM_CONTAINER_ARM) || again) {
			usm_container_set_text(&c->instance_message, NULL);
			usm_journal_armed(c);
		}
		usm_methods_settle(m, c);
	}
}

bool usm_observe(struct usm_manager *m, struct usm_container *c)
{
	const struct usm_stat before = c->stat;
	int r = usm_domain_refresh(c);

	if (r < 0) {
		if (r != -ENODEV)
			usm_log(LOG_ERR, NULL, c->id, c->annotation.policy, c->domain_text,
				"Domain %s cannot be asked: %s", c->domain_text,
				usm_device_reason(r));
		usm_end(m, c);
		return false;
	}
	if (c->stat.deadlines > before.deadlines)
		usm_journal_deadline(c);
	observe_state(m, c, &before);
	observe_limit(m, c);
	observe_oom(c, &before);
	if (c->stat.broken > before.broken)
		usm_journal_broken(c, c->stat.broken - before.broken);
	return true;
}

/* ----------------------------------------------------------------- systemd */

static void on_unit_changed(uint64_t domain, const struct usm_unit_state *state, void *userdata)
{
	struct usm_manager *m = userdata;
	struct usm_container *c = usm_container_by_domain(&m->containers, domain);
	struct usm_unit_state before;

	if (!c)
		return;
	before = c->unit;
	c->unit = *state;
	/* With its domain gone it is only natural that an instance goes. */
	if (!usm_observe(m, c))
		return;
	if (before.pid && before.pid != state->pid && c->state != USM_CONTAINER_RELEASED)
		usm_journal_lost(c, before.pid);
	if (state->pid && before.pid != state->pid)
		usm_journal_started(c);
	if (state->failed && !before.failed) {
		usm_journal_gave_up(c);
		usm_methods_settle(m, c);
	}
}

static void on_unit_failed(uint64_t domain, const char *why, void *userdata)
{
	struct usm_manager *m = userdata;
	struct usm_container *c = usm_container_by_domain(&m->containers, domain);

	if (!c)
		return;
	c->unit.failed = true;
	usm_container_set_text(&c->instance_message, why);
	usm_journal_gave_up(c);
	usm_methods_settle(m, c);
}

/* An instance of a domain that is no more; it was left when usmd was not there. */
static void on_unit_listed(uint64_t domain, void *userdata)
{
	struct usm_manager *m = userdata;

	if (usm_container_by_domain(&m->containers, domain))
		return;
	usm_log_line(LOG_NOTICE, "The instance of domain %llu serves nothing any more; stopping it",
		     (unsigned long long)domain);
	usm_unit_stop(m->units, domain);
}

const struct usm_unit_callbacks usm_observe_unit = {
	.changed = on_unit_changed,
	.failed = on_unit_failed,
	.listed = on_unit_listed,
};

/* ------------------------------------------------------------ the instance */

static cJSON *setup_describe(const struct usm_container *c)
{
	cJSON *root = cJSON_CreateObject();
	int r = 0;

	r |= usm_json_add_string(root, "domain", c->domain_text);
	r |= usm_json_add_string(root, "container", c->id);
	r |= usm_json_add_string(root, "policy", c->annotation.policy);
	r |= usm_json_add_u64(root, "memory", c->budget.ceiling);
	r |= usm_json_add_u64(root, "fault_order", c->annotation.fault_order);
	r |= usm_json_add_string(root, "fault_mode", usm_annotation_mode(&c->annotation));
	r |= usm_json_add_u64(root, "store_quota", c->budget.store);
	r |= usm_json_add_item(root, "parameters", cJSON_Duplicate(c->annotation.parameters, true));
	if (r < 0) {
		cJSON_Delete(root);
		return NULL;
	}
	return root;
}

/*
 * Each instance gets a descriptor of its own and the only one of its kind: it is
 * by its closing that the module learns of the instance's end.
 */
static int on_hello(uint64_t domain, bool armed, int *domain_fd, cJSON **setup, void *userdata)
{
	struct usm_manager *m = userdata;
	struct usm_container *c = usm_container_by_domain(&m->containers, domain);
	cleanup_close int fd = -1;

	/* One that serves a domain which is not in our records goes on with that. */
	if (c && armed)
		return 0;
	if (!c || !c->annotation.policy) {
		usm_unit_stop(m->units, domain);
		return -ENOENT;
	}
	fd = usm_device_attach(m->device_fd, domain);
	if (fd < 0)
		return fd;
	*setup = setup_describe(c);
	if (!*setup)
		return -ENOMEM;
	*domain_fd = usm_steal_fd(&fd);
	return 0;
}

static void on_armed(uint64_t domain, uint64_t epoch, void *userdata)
{
	struct usm_manager *m = userdata;
	struct usm_container *c = usm_container_by_domain(&m->containers, domain);

	/* What counts is what the module says, which is read now and not later. */
	if (c && usm_observe(m, c))
		c->epoch = epoch;
}

static void on_failed(uint64_t domain, const char *message, void *userdata)
{
	struct usm_manager *m = userdata;
	struct usm_container *c = usm_container_by_domain(&m->containers, domain);

	/* Whether it is tried again is up to its unit. */
	if (c)
		usm_container_set_text(&c->instance_message, message);
}

static void on_store(uint64_t domain, const struct usm_store_report *report, void *userdata)
{
	struct usm_manager *m = userdata;
	struct usm_container *c = usm_container_by_domain(&m->containers, domain);

	if (c)
		c->store = *report;
}

const struct usm_instance_callbacks usm_observe_instance = {
	.hello = on_hello,
	.armed = on_armed,
	.failed = on_failed,
	.store = on_store,
};

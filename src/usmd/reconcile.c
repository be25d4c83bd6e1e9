// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * usmd was started: domains, instances and records of an earlier one may be
 * there, and things may have happened to each of them meanwhile.
 */
#include <errno.h>
#include <string.h>

#include "cgroup.h"
#include "domain.h"
#include "journal.h"
#include "log.h"
#include "manager.h"
#include "record.h"

/* A domain that we know nothing of but what the module says. */
static struct usm_container *unknown_new(const struct usm_list_entry *entry)
{
	struct usm_container *c = usm_container_new(entry->label, "/");

	if (c)
		usm_container_set_domain(c, entry->id);
	return c;
}

/* Whether its cgroup is there, and not another of the same name. */
static bool cgroup_is_there(const struct usm_manager *m, const struct usm_container *c)
{
	cleanup_close int fd = usm_cgroup_open(m->cgroup_root, c->cgroup);

	return fd >= 0 && usm_cgroup_id(fd) == c->domain;
}

static void instance_resume(struct usm_manager *m, struct usm_container *c)
{
	cleanup_error struct usm_error err = {};

	usm_container_step(c, USM_CONTAINER_START);
	/* If it runs, this only watches it: it serves on and connects by itself. */
	if (usm_unit_start(m->units, c->domain, &err) < 0)
		usm_log(LOG_ERR, NULL, c->id, c->annotation.policy, c->domain_text, "%s",
			usm_error_message(&err));
}

static int domain_resume(struct usm_manager *m, const struct usm_list_entry *entry,
			 struct usm_error *err)
{
	cleanup_container struct usm_container *owned = NULL;
	cleanup_error struct usm_error why = {};
	struct usm_container *c;
	int r;

	r = usm_record_read(m->records_fd, entry->id, &owned, &why);
	if (r < 0 && r != -ENOENT)
		usm_log_line(LOG_WARNING, "%s", usm_error_message(&why));
	if (r < 0)
		owned = unknown_new(entry);
	if (!owned)
		return usm_error_oom(err);

	/* It may have ended since it was listed. */
	if (usm_domain_attach(m->device_fd, owned, NULL) < 0 || usm_domain_refresh(owned) < 0)
		return 0;
	owned->oom_kills = usm_cgroup_oom_kills(owned->cgroup);
	owned->limits_told = owned->stat.limits;
	c = owned;
	usm_container_table_add(&m->containers, usm_steal_ptr(owned));

	if (entry->released)
		usm_container_step(c, USM_CONTAINER_RELEASE);
	/* What it was before is no news. */
	if (c->stat.state == USM_FALLBACK_NONE)
		usm_container_step(c, USM_CONTAINER_ARM);
	if (!c->annotation.policy) {
		if (c->stat.state != USM_FALLBACK_NONE)
			usm_container_step(c, USM_CONTAINER_FALL_BACK);
		usm_journal_unknown(c);
		return 0;
	}
	if (!cgroup_is_there(m, c))
		usm_release(m, c);
	else
		instance_resume(m, c);
	return 0;
}

/* A record without a domain: its container ended while we were away. */
static void record_check(uint64_t domain, void *userdata)
{
	struct usm_manager *m = userdata;

	if (usm_container_by_domain(&m->containers, domain))
		return;
	usm_unit_stop(m->units, domain);
	usm_record_remove(m->records_fd, domain);
}

int usm_reconcile(struct usm_manager *m, struct usm_error *err)
{
	cleanup_free struct usm_list_entry *entries = NULL;
	int count, r = 0;

	count = usm_device_list(m->device_fd, &entries);
	if (count < 0)
		return usm_error_set(err, -count, "domains cannot be listed: %s",
				     usm_device_reason(count));
	for (int i = 0; !r && i < count; i++) {
		entries[i].label[USM_LABEL_LEN - 1] = '\0';
		r = domain_resume(m, &entries[i], err);
	}
	if (!r)
		r = usm_record_list(m->records_fd, record_check, m, err);
	usm_units_list(m->units);
	usm_manager_wake(m);
	return r;
}

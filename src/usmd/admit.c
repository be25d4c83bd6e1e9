// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "cgroup.h"
#include "domain.h"
#include "journal.h"
#include "log.h"
#include "manager.h"
#include "record.h"

static uint64_t host_memory(void)
{
	struct sysinfo info;

	return sysinfo(&info) < 0 ? 0 : (uint64_t)info.totalram * info.mem_unit;
}

/* What the author of the container wrote, and whether the administrator lets it. */
static int request_take(struct usm_manager *m, const struct usm_admission *a,
			struct usm_container *c, struct usm_error *err)
{
	cleanup_error struct usm_error why = {};
	cleanup_free char *object = NULL;
	const char *policy;
	int r;

	r = usm_annotation_parse(&c->annotation, a->annotation, strlen(a->annotation), NULL, &why);
	if (r < 0)
		return usm_error_set(err, -r, "its annotation " USM_ANNOTATION_KEY ": %s",
				     usm_error_message(&why));
	policy = c->annotation.policy;
	if (!usm_config_allows(&m->config, policy))
		return usm_error_set(err, EPERM, "the administrator does not allow policy %s",
				     policy);
	if (c->annotation.upcall && !m->config.allow_upcall)
		return usm_error_set(err, EPERM, "the administrator does not allow fault.mode=upcall");
	if (c->annotation.upcall && !(m->query.modes & 1u << USM_MODE_UPCALL))
		return usm_error_set(err, EOPNOTSUPP, "the module is older than usmd and does not "
				     "know fault.mode=upcall");
	if (asprintf(&object, "%s/%s.so", m->options.policies, policy) < 0)
		return usm_error_oom(err);
	if (access(object, R_OK) < 0)
		return usm_error_set(err, ENOENT, "there is no policy %s in %s", policy,
				     m->options.policies);
	usm_container_set_text(&c->request, a->annotation);
	usm_container_set_text(&c->name, a->name);
	usm_container_set_text(&c->runtime, a->runtime);
	return c->request ? 0 : usm_error_oom(err);
}

static int budget_take(struct usm_manager *m, struct usm_container *c, struct usm_error *err)
{
	struct usm_budget_request request = {
		.has_memory = c->annotation.has_memory,
		.memory = c->annotation.memory,
		.has_reserve = c->annotation.has_reserve || m->config.has_reserve,
		.reserve = c->annotation.has_reserve ? c->annotation.reserve : m->config.reserve,
		.allowed = m->config.max_memory,
		.has_store = c->annotation.has_store_quota,
		.store = c->annotation.store_quota,
		.store_allowed = m->config.max_store,
		.host = host_memory(),
	};
	int r;

	r = usm_cgroup_limit(c->cgroup, &request.memory_max, err);
	return r < 0 ? r : usm_budget_decide(&request, &c->budget, err);
}

/* From here on it can only become late, not fail: the module serves it meanwhile. */
static void serve(struct usm_manager *m, struct usm_container *c)
{
	cleanup_error struct usm_error err = {};

	if (usm_record_write(m->records_fd, c, &err) < 0)
		usm_log_line(LOG_ERR, "%s; after a restart of usmd the container is unknown",
			     usm_error_message(&err));
	usm_error_clear(&err);
	c->oom_kills = usm_cgroup_oom_kills(c->cgroup);
	usm_journal_bound(c);

	usm_container_step(c, USM_CONTAINER_START);
	if (usm_unit_start(m->units, c->domain, &err) < 0) {
		usm_container_set_text(&c->instance_message, usm_error_message(&err));
		usm_journal_gave_up(c);
	}
	usm_manager_wake(m);
}

/*
 * A domain that is bound, but that we had no record of, and now its container has
 * been found: it gets its policy back. How large it may become was decided when
 * it was bound.
 */
static int identify(struct usm_manager *m, struct usm_container *unknown,
		    struct usm_container *fresh, struct usm_error *err)
{
	int r = usm_domain_refresh(unknown);

	if (r < 0)
		return usm_error_errno(err, -r, "its domain");
	usm_container_set_domain(fresh, unknown->domain);
	fresh->budget.ceiling = unknown->stat.ceiling * USM_BUDGET_PAGE;
	fresh->budget.reserve = unknown->stat.reserve;
	fresh->budget.store = fresh->annotation.has_store_quota ? fresh->annotation.store_quota :
			      fresh->budget.ceiling;
	if (fresh->budget.store > m->config.max_store)
		fresh->budget.store = m->config.max_store;
	fresh->stat = unknown->stat;
	/* When it was bound nobody remembers; its memory is adopted by now. */
	fresh->late = false;
	fresh->domain_fd = usm_steal_fd(&unknown->domain_fd);
	usm_container_step(fresh, USM_CONTAINER_BIND);
	usm_container_table_remove(&m->containers, unknown);
	return 0;
}

int usm_admit(struct usm_manager *m, const struct usm_admission *a, struct usm_container **out,
	      struct usm_error *err)
{
	cleanup_container struct usm_container *c = NULL;
	cleanup_free char *cgroup = NULL;
	struct usm_container *there;
	cleanup_close int fd = -1;
	int r;

	r = usm_cgroup_choose(m->cgroup_root, a->cgroup, a->id, &cgroup, err);
	if (r < 0)
		return r;
	fd = usm_cgroup_open(m->cgroup_root, cgroup);
	if (fd < 0)
		return usm_error_errno(err, -fd, "cgroup %s", cgroup);
	there = usm_container_by_domain(&m->containers, usm_cgroup_id(fd));
	if (there && there->annotation.policy) {
		*out = there;
		return 0;
	}

	c = usm_container_new(a->id, cgroup);
	if (!c)
		return usm_error_oom(err);
	c->late = a->late;
	r = request_take(m, a, c, err);
	if (r < 0)
		return r;
	if (there) {
		r = identify(m, there, c, err);
	} else if (m->containers.count >= m->config.max_containers) {
		r = usm_error_set(err, EUSERS, "%u containers are under a policy, and the "
				  "administrator allows no more", m->containers.count);
	} else {
		r = budget_take(m, c, err);
		if (!r)
			r = usm_domain_bind(m->device_fd, fd, c, err);
	}
	if (r < 0)
		return r;

	*out = c;
	usm_container_table_add(&m->containers, usm_steal_ptr(c));
	serve(m, *out);
	return 0;
}

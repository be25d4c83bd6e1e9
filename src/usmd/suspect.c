// SPDX-License-Identifier: GPL-2.0-or-later
#include "suspect.h"

#include <errno.h>
#include <string.h>

#include "cgpath.h"
#include "cgroup.h"
#include "journal.h"
#include "log.h"
#include "manager.h"
#include "runtime.h"

/*
 * The first look is a whole tick after a cgroup was found: by then the hook, if
 * there is one, has asked for the container itself and with better timing, and
 * the runtime has written memory.max. Slow runtimes are done after ten.
 */
#define LOOKS	10

struct usm_suspect {
	TAILQ_ENTRY(usm_suspect) link;
	uint64_t id;		/* of the cgroup */
	unsigned int looks;	/* that it had */
	char path[];
};

static struct usm_suspect *suspect_find(struct usm_manager *m, uint64_t id)
{
	struct usm_suspect *s;

	TAILQ_FOREACH(s, &m->suspects, link)
		if (s->id == id)
			return s;
	return NULL;
}

static void suspect_remove(struct usm_manager *m, struct usm_suspect *s)
{
	TAILQ_REMOVE(&m->suspects, s, link);
	free(s);
}

/* A domain whose policy nobody knows is still a suspect: the runtime may know it. */
static bool is_managed(struct usm_manager *m, uint64_t id)
{
	const struct usm_container *c = usm_container_by_domain(&m->containers, id);

	return c && c->annotation.policy;
}

static void on_found(const char *path, uint64_t id, void *userdata)
{
	struct usm_manager *m = userdata;
	struct usm_container *c = usm_container_by_domain(&m->containers, id);
	struct usm_suspect *s;

	if (!path[1] || is_managed(m, id))
		return;
	if (c)
		usm_container_set_text(&c->cgroup, path);
	s = calloc(1, sizeof(*s) + strlen(path) + 1);
	if (!s) {
		usm_log_line(LOG_ERR, "Out of memory: cgroup %s is not looked at", path);
		return;
	}
	strcpy(s->path, path);
	s->id = id;
	TAILQ_INSERT_TAIL(&m->suspects, s, link);
	usm_manager_wake(m);
}

static void on_changed(const char *path, uint64_t id, void *userdata)
{
	struct usm_manager *m = userdata;
	struct usm_suspect *s = suspect_find(m, id);

	/* Perhaps somebody attached a policy to it just now. */
	if (s)
		s->looks = 0;
	else
		on_found(path, id, userdata);
}

static void on_gone(const char *path, uint64_t id, void *userdata)
{
	struct usm_manager *m = userdata;
	struct usm_suspect *s = suspect_find(m, id);
	struct usm_container *c = usm_container_by_domain(&m->containers, id);

	if (s)
		suspect_remove(m, s);
	if (c)
		usm_release(m, c);
}

const struct usm_watcher_callbacks usm_suspect_watcher = {
	.found = on_found,
	.changed = on_changed,
	.gone = on_gone,
};

void usm_suspects_dismiss(struct usm_manager *m, const char *path, const char *container_id)
{
	size_t own = usm_cgpath_own_length(path, container_id);
	cleanup_free char *top = strndup(path, own ? own : strlen(path));
	struct usm_suspect *s, *next;

	for (s = TAILQ_FIRST(&m->suspects); top && s; s = next) {
		next = TAILQ_NEXT(s, link);
		if (usm_cgpath_is_within(s->path, top))
			suspect_remove(m, s);
	}
}

void usm_suspects_clear(struct usm_manager *m)
{
	while (!TAILQ_EMPTY(&m->suspects))
		suspect_remove(m, TAILQ_FIRST(&m->suspects));
}

/* Whether anything runs in it: an attribute may well be set before. */
static bool is_populated(struct usm_manager *m, const char *path)
{
	struct usm_cgroup_usage usage;

	usm_cgroup_usage(m->cgroup_root, path, &usage);
	return usage.processes != 0;
}

/* Bind late. Required or not, it runs already: all that is left is to tell. */
static void admit_late(struct usm_manager *m, const struct usm_runtime_container *found,
		       const char *path)
{
	cleanup_free char *cgroup = found->pid ? usm_cgroup_of_pid(found->pid) : NULL;
	cleanup_error struct usm_error err = {};
	struct usm_container *c;
	const struct usm_admission admission = {
		.id = found->id,
		.name = found->name,
		.runtime = found->runtime,
		.cgroup = cgroup ?: path,
		.annotation = found->annotation,
		.late = found->pid || is_populated(m, path),
	};

	if (usm_admit(m, &admission, &c, &err) < 0)
		usm_journal_unmanaged(found->id, NULL, usm_error_message(&err));
}

/* True: nothing more is to be learned of this one. */
static bool look(struct usm_manager *m, struct usm_suspect *s)
{
	cleanup_runtime_container struct usm_runtime_container found = {};
	cleanup_error struct usm_error err = {};
	cleanup_close int fd = usm_cgroup_open(m->cgroup_root, s->path);
	const struct usm_container *c;
	int r;

	/* Gone, or another one of that name: the watcher tells of both. */
	if (fd < 0 || usm_cgroup_id(fd) != s->id || is_managed(m, s->id))
		return true;

	r = usm_runtime_find_xattr(fd, s->path, &found, &err);
	if (!r)
		r = usm_runtime_find(&m->config.runtimes, s->path, usm_cgroup_of_pid, &found, &err);
	if (!r || r == -EBADMSG)
		return ++s->looks >= LOOKS;
	if (r < 0) {
		usm_log_line(LOG_WARNING, "Cgroup %s is not taken for a container's: %s", s->path,
			     usm_error_message(&err));
		return true;
	}
	/* Found with its outer cgroup already, or bound by the hook meanwhile. */
	c = usm_container_by_id(&m->containers, found.id);
	if (found.annotation && (!c || !c->annotation.policy))
		admit_late(m, &found, s->path);
	return true;
}

bool usm_suspects_look(struct usm_manager *m)
{
	struct usm_suspect *s, *next;

	for (s = TAILQ_FIRST(&m->suspects); s; s = next) {
		next = TAILQ_NEXT(s, link);
		/* The one that is looked at may be gone only by our own hand. */
		if (look(m, s))
			suspect_remove(m, s);
	}
	return !TAILQ_EMPTY(&m->suspects);
}

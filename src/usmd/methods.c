// SPDX-License-Identifier: GPL-2.0-or-later
/* org.usm.Status, org.usm.Show and org.usm.Bind. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cgroup.h"
#include "describe.h"
#include "journal.h"
#include "json.h"
#include "log.h"
#include "manager.h"
#include "runtime.h"
#include "varlink.h"

/*
 * How long a container's start is held up for its instance. It takes a fraction
 * of a second; when it takes longer the module serves the container meanwhile.
 */
#define BIND_WAIT_USEC	(5 * UINT64_C(1000000))

struct usm_waiter {
	LIST_ENTRY(usm_waiter) link;
	struct usm_manager *manager;
	struct usm_control_call *call;
	sd_event_source *patience;
	uint64_t domain;
	bool required;
};

/* ------------------------------------------------------------ Status, Show */

static void handle_status(struct usm_manager *m, struct usm_control_call *call)
{
	struct usm_container *c, *next;

	for (c = TAILQ_FIRST(&m->containers.list); c; c = next) {
		next = TAILQ_NEXT(c, link);
		usm_observe(m, c);
	}
	usm_control_reply(call, usm_describe_status(m));
}

static void handle_show(struct usm_manager *m, struct usm_control_call *call)
{
	cleanup_error struct usm_error err = {};
	struct usm_container *c;
	const char *text;
	int r;

	r = usm_json_get_string(usm_control_call_parameters(call), "container", &text, &err);
	if (r < 0) {
		usm_control_reply_error(call, USM_VARLINK_BAD_PARAMETER, "%s",
					usm_error_message(&err));
		return;
	}
	r = usm_container_query(&m->containers, text, &c);
	if (!r && !usm_observe(m, c))
		r = -ENOENT;
	if (r == -ENOTUNIQ)
		usm_control_reply_error(call, USM_VARLINK_NOT_FOUND,
					"more than one container under a policy is meant by %s",
					text);
	else if (r < 0)
		usm_control_reply_error(call, USM_VARLINK_NOT_FOUND,
					"no container under a policy is called %s", text);
	else
		usm_control_reply(call, usm_describe_container(m, c));
}

/* -------------------------------------------------------------------- Bind */

static void bind_answer(struct usm_control_call *call, bool managed, const char *policy,
			const char *message)
{
	cJSON *reply = cJSON_CreateObject();
	int r = 0;

	r |= usm_json_add_bool(reply, "managed", managed);
	r |= usm_json_add_string(reply, "policy", policy);
	r |= usm_json_add_string(reply, "message", message);
	if (r < 0) {
		cJSON_Delete(reply);
		reply = NULL;
	}
	usm_control_reply(call, reply);
}

/* It cannot have its policy: let it run without, or not at all. */
static void bind_fail(struct usm_control_call *call, const char *id, const char *policy,
		      bool required, const char *why)
{
	if (required) {
		usm_journal_refused(id, policy, why);
		usm_control_reply_error(call, USM_VARLINK_REFUSED, "%s", why);
	} else {
		usm_journal_unmanaged(id, policy, why);
		bind_answer(call, false, policy, why);
	}
}

static void waiter_answer(struct usm_waiter *w, const struct usm_container *c)
{
	struct usm_control_call *call = w->call;
	bool required = w->required;

	LIST_REMOVE(w, link);
	sd_event_source_disable_unref(w->patience);
	free(w);

	if (!c || c->state == USM_CONTAINER_RELEASED || c->state == USM_CONTAINER_GONE)
		usm_control_reply_error(call, USM_VARLINK_FAILED,
					"the container ended before its policy was there");
	else if (c->state == USM_CONTAINER_ARMED)
		bind_answer(call, true, c->annotation.policy, "the policy serves it");
	else if (c->unit.failed && required)
		/* The runtime gives the container up, and its cgroup with it. */
		bind_fail(call, c->id, c->annotation.policy, true,
			  c->instance_message ?: "its instance cannot be started");
	else if (c->unit.failed)
		bind_answer(call, true, c->annotation.policy,
			    "its instance cannot be started; the module serves it");
	else
		bind_answer(call, true, c->annotation.policy,
			    "its instance is late; the module serves it until then");
}

static int on_impatient(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct usm_waiter *w = userdata;

	waiter_answer(w, usm_container_by_domain(&w->manager->containers, w->domain));
	return 0;
}

static struct usm_waiter *waiter_find(struct usm_manager *m, uint64_t domain)
{
	struct usm_waiter *w;

	LIST_FOREACH(w, &m->waiters, link)
		if (w->domain == domain)
			return w;
	return NULL;
}

static bool is_settled(const struct usm_container *c)
{
	return c->unit.failed || c->state == USM_CONTAINER_ARMED ||
	       c->state == USM_CONTAINER_RELEASED || c->state == USM_CONTAINER_GONE;
}

void usm_methods_settle(struct usm_manager *m, const struct usm_container *c)
{
	struct usm_waiter *w;

	/* From the start each time: an answer may bring in the next call. */
	while (is_settled(c) && (w = waiter_find(m, c->domain)))
		waiter_answer(w, c);
}

void usm_methods_finish(struct usm_manager *m)
{
	while (!LIST_EMPTY(&m->waiters)) {
		struct usm_waiter *w = LIST_FIRST(&m->waiters);

		waiter_answer(w, usm_container_by_domain(&m->containers, w->domain));
	}
}

static void bind_wait(struct usm_manager *m, struct usm_control_call *call,
		      const struct usm_container *c, bool required)
{
	struct usm_waiter *w = calloc(1, sizeof(*w));
	int r = -ENOMEM;

	if (w)
		r = sd_event_add_time_relative(m->event, &w->patience, CLOCK_MONOTONIC,
					       BIND_WAIT_USEC, 0, on_impatient, w);
	if (r < 0) {
		free(w);
		/* It is bound; only that it is armed cannot be waited for. */
		bind_answer(call, true, c->annotation.policy, "its instance was not waited for");
		return;
	}
	w->manager = m;
	w->call = call;
	w->domain = c->domain;
	w->required = required;
	LIST_INSERT_HEAD(&m->waiters, w, link);
	usm_methods_settle(m, c);
}

struct bind_request {
	const char *id;
	const char *annotation;	/* NULL: it asks for nothing */
	bool required;
	pid_t pid;
};

static int bind_parse(const cJSON *parameters, struct bind_request *q, struct usm_error *err)
{
	const char *required = NULL;
	const cJSON *annotations;
	uint64_t pid;
	int r;

	r = usm_json_get_string(parameters, "id", &q->id, err);
	r = r ?: usm_json_get_u64(parameters, "pid", &pid, err);
	r = r ?: usm_json_get_object(parameters, "annotations", &annotations, err);
	if (r < 0)
		return r;
	if (!*q->id || strlen(q->id) > NAME_MAX)
		return usm_error_set(err, EINVAL, "\"id\" is not a container's");
	if (!pid || pid > INT_MAX)
		return usm_error_set(err, EINVAL, "\"pid\" is not a process");
	q->pid = pid;
	r = usm_json_get_string(annotations, USM_ANNOTATION_KEY, &q->annotation, err);
	if (r == -ENOENT) {
		usm_error_clear(err);
		return 0;
	}
	if (r < 0)
		return r;
	r = usm_json_get_string(annotations, USM_ANNOTATION_REQUIRED_KEY, &required, NULL);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : usm_annotation_parse_required(required, strlen(required),
							 &q->required, err);
}

static void handle_bind(struct usm_manager *m, struct usm_control_call *call)
{
	cleanup_error struct usm_error err = {};
	cleanup_free char *cgroup = NULL;
	cleanup_free char *name = NULL;
	struct usm_admission admission = { .runtime = "hook" };
	struct bind_request q = {};
	struct usm_container *c;

	if (bind_parse(usm_control_call_parameters(call), &q, &err) < 0) {
		usm_control_reply_error(call, USM_VARLINK_BAD_PARAMETER, "%s",
					usm_error_message(&err));
		return;
	}
	if (!q.annotation) {
		bind_answer(call, false, NULL, "it has no annotation " USM_ANNOTATION_KEY);
		return;
	}
	cgroup = usm_cgroup_of_pid(q.pid);
	if (!cgroup) {
		usm_error_errno(&err, errno, "the cgroup of its process %d", q.pid);
		bind_fail(call, q.id, NULL, q.required, usm_error_message(&err));
		return;
	}
	name = usm_runtime_name(&m->config.runtimes, q.id);
	admission.id = q.id;
	admission.name = name;
	admission.cgroup = cgroup;
	admission.annotation = q.annotation;
	usm_suspects_dismiss(m, cgroup, q.id);
	if (usm_admit(m, &admission, &c, &err) < 0)
		bind_fail(call, q.id, NULL, q.required, usm_error_message(&err));
	else
		bind_wait(m, call, c, q.required);
}

/* ---------------------------------------------------------------- dispatch */

static const struct method {
	const char *name;
	void (*handle)(struct usm_manager *m, struct usm_control_call *call);
	bool root_only;		/* it changes something */
} methods[] = {
	{ "org.usm.Status", handle_status, false },
	{ "org.usm.Show", handle_show, false },
	{ "org.usm.Bind", handle_bind, true },
};

void usm_methods_handle(struct usm_control_call *call, void *userdata)
{
	const char *name = usm_control_call_method(call);
	struct usm_manager *m = userdata;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(methods[i].name, name))
			continue;
		if (methods[i].root_only && usm_control_call_uid(call) != 0)
			usm_control_reply_error(call, USM_VARLINK_DENIED,
						"only root may call %s", name);
		else
			methods[i].handle(m, call);
		return;
	}
	usm_control_reply_error(call, USM_VARLINK_NO_METHOD, "there is no method %s", name);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "describe.h"

#include <string.h>

#include "cgroup.h"
#include "device.h"
#include "json.h"

/* The list has both the usage and what belongs to it at hand; so do we. */
static void usage_read(const struct usm_manager *m, const struct usm_container *c,
		       struct usm_cgroup_usage *usage)
{
	*usage = (struct usm_cgroup_usage){};
	/* "/": its cgroup is not known, and the whole host is not meant. */
	if (c->cgroup[1] && c->state != USM_CONTAINER_RELEASED)
		usm_cgroup_usage(m->cgroup_root, c->cgroup, usage);
}

static int summary_add(cJSON *root, const struct usm_container *c,
		       const struct usm_cgroup_usage *usage)
{
	const struct usm_stat *s = &c->stat;
	int r = 0;

	r |= usm_json_add_string(root, "container", c->id);
	r |= usm_json_add_string(root, "name", c->name);
	r |= usm_json_add_string(root, "cgroup", c->cgroup);
	r |= usm_json_add_string(root, "policy", c->annotation.policy);
	r |= usm_json_add_string(root, "state", usm_container_state_name(c->state));
	r |= usm_json_add_string(root, "fallback_reason", c->fallback_reason);
	r |= usm_json_add_u64(root, "instance_pid", c->unit.pid);
	r |= usm_json_add_u64(root, "instance_restarts", c->unit.restarts);
	r |= usm_json_add_u64(root, "frames", s->frames);
	r |= usm_json_add_u64(root, "frames_free", s->frames_free);
	r |= usm_json_add_u64(root, "ceiling", s->ceiling);
	r |= usm_json_add_u64(root, "resident_adopted", s->frames_mapped);
	r |= usm_json_add_u64(root, "resident_other_kib", usage->rss_anon_kib);
	r |= usm_json_add_u64(root, "faults", s->faults);
	r |= usm_json_add_u64(root, "fault_pages", s->fault_pages);
	r |= usm_json_add_u64(root, "faults_saved", s->fault_pages - s->faults);
	r |= usm_json_add_u64(root, "fallbacks", s->fallbacks);
	r |= usm_json_add_u64(root, "deadlines", s->deadlines);
	return r;
}

static cJSON *stat_describe(const struct usm_stat *stat)
{
	cJSON *root = cJSON_CreateObject();
	int r = 0;

	for (const struct usm_stat_field *f = usm_stat_fields; f->name; f++) {
		cJSON *array = f->count > 1 ? cJSON_CreateArray() : NULL;

		if (!array) {
			r |= usm_json_add_u64(root, f->name, usm_stat_value(stat, f, 0));
			continue;
		}
		for (unsigned int i = 0; i < f->count; i++)
			cJSON_AddItemToArray(array, cJSON_CreateNumber(
						     (double)usm_stat_value(stat, f, i)));
		r |= usm_json_add_item(root, f->name, array);
	}
	if (r < 0) {
		cJSON_Delete(root);
		return NULL;
	}
	return root;
}

static cJSON *supply_describe(const struct usm_manager *m, const struct usm_stat *s)
{
	cJSON *root = cJSON_CreateObject();
	int r = 0;

	r |= usm_json_add_u64(root, "rings", m->query.cpus);
	r |= usm_json_add_u64(root, "supplied", s->supplied);
	r |= usm_json_add_u64(root, "stolen", s->stolen);
	r |= usm_json_add_u64(root, "waits", s->waits);
	r |= usm_json_add_u64(root, "zeroed_ahead", s->zeroed_ahead);
	r |= usm_json_add_u64(root, "zeroed_in_fault", s->zeroed_in_fault);
	if (r < 0) {
		cJSON_Delete(root);
		return NULL;
	}
	return root;
}

static cJSON *store_describe(const struct usm_container *c)
{
	const struct usm_store_report *s = &c->store;
	cJSON *root = cJSON_CreateObject();
	int r = 0;

	r |= usm_json_add_u64(root, "quota", c->budget.store);
	r |= usm_json_add_u64(root, "used", s->used);
	r |= usm_json_add_u64(root, "data", s->data);
	r |= usm_json_add_u64(root, "pages", s->pages);
	r |= usm_json_add_u64(root, "evicted", c->stat.evicted);
	r |= usm_json_add_u64(root, "evictions", c->stat.evictions);
	r |= usm_json_add_u64(root, "refaults", c->stat.refaults);
	if (r < 0) {
		cJSON_Delete(root);
		return NULL;
	}
	return root;
}

static cJSON *memory_describe(const struct usm_cgroup_usage *usage)
{
	cJSON *root = cJSON_CreateObject();
	int r = 0;

	r |= usm_json_add_u64(root, "current", usage->current);
	r |= usm_json_add_u64(root, "anon", usage->anon);
	r |= usm_json_add_u64(root, "file", usage->file);
	r |= usm_json_add_u64(root, "kernel", usage->kernel);
	if (r < 0) {
		cJSON_Delete(root);
		return NULL;
	}
	return root;
}

static cJSON *summary_describe(const struct usm_manager *m, const struct usm_container *c)
{
	struct usm_cgroup_usage usage;
	cJSON *root = cJSON_CreateObject();

	usage_read(m, c, &usage);
	if (summary_add(root, c, &usage) < 0) {
		cJSON_Delete(root);
		return NULL;
	}
	return root;
}

cJSON *usm_describe_container(const struct usm_manager *m, const struct usm_container *c)
{
	struct usm_cgroup_usage usage;
	cJSON *root = cJSON_CreateObject();
	int r;

	usage_read(m, c, &usage);
	r = summary_add(root, c, &usage);
	r |= usm_json_add_item(root, "stat", stat_describe(&c->stat));
	r |= usm_json_add_item(root, "supply", supply_describe(m, &c->stat));
	r |= usm_json_add_item(root, "store", store_describe(c));
	r |= usm_json_add_item(root, "cgroup_memory", memory_describe(&usage));
	r |= usm_json_add_string(root, "fault_mode", c->stat.mode == USM_MODE_UPCALL ?
				 "upcall" : "supply");
	r |= usm_json_add_string(root, "annotation", c->request);
	r |= usm_json_add_string(root, "domain", c->domain_text);
	r |= usm_json_add_u64(root, "processes", usage.processes);
	r |= usm_json_add_string(root, "runtime", c->runtime);
	r |= usm_json_add_bool(root, "late", c->late);
	r |= usm_json_add_bool(root, "instance_connected",
			       usm_instance_is_connected(m->instances, c->domain));
	r |= usm_json_add_string(root, "instance_message", c->instance_message);
	if (r < 0) {
		cJSON_Delete(root);
		return NULL;
	}
	return root;
}

cJSON *usm_describe_status(const struct usm_manager *m)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *module = cJSON_CreateObject();
	cJSON *list = cJSON_CreateArray();
	const struct usm_container *c;
	int r = list ? 0 : -1;

	r |= usm_json_add_string(module, "version", m->query.version);
	r |= usm_json_add_u64(module, "abi", m->query.abi);
	r |= usm_json_add_string(module, "state", "loaded");
	TAILQ_FOREACH(c, &m->containers.list, link) {
		cJSON *summary = summary_describe(m, c);

		if (!summary || !cJSON_AddItemToArray(list, summary)) {
			cJSON_Delete(summary);
			r = -1;
		}
	}
	r |= usm_json_add_string(root, "version", USM_VERSION);
	r |= usm_json_add_item(root, "module", module);
	r |= usm_json_add_item(root, "containers", list);
	if (r < 0) {
		cJSON_Delete(root);
		return NULL;
	}
	return root;
}

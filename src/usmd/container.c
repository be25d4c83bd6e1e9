// SPDX-License-Identifier: GPL-2.0-or-later
#include "container.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

#define FOUND		USM_CONTAINER_FOUND
#define BOUND		USM_CONTAINER_BOUND
#define STARTING	USM_CONTAINER_STARTING
#define ARMED		USM_CONTAINER_ARMED
#define FALLBACK	USM_CONTAINER_FALLBACK
#define RELEASED	USM_CONTAINER_RELEASED
#define GONE		USM_CONTAINER_GONE
#define NEVER		(-EINVAL)

/*
 * Two rows need a word. A unit that is asked for again changes nothing while the
 * module serves or an instance does: what it does tells. And a released domain
 * is served as before, which is no longer of interest: it only ends.
 */
static const int transitions[][USM_CONTAINER_END + 1] = {
	/*	      BIND   START     ARM       FALL_BACK RELEASE   END */
	[FOUND]    = { BOUND, NEVER,    NEVER,    NEVER,    NEVER,    GONE },
	[BOUND]    = { NEVER, STARTING, ARMED,    FALLBACK, RELEASED, GONE },
	[STARTING] = { NEVER, STARTING, ARMED,    FALLBACK, RELEASED, GONE },
	[ARMED]    = { NEVER, ARMED,    ARMED,    FALLBACK, RELEASED, GONE },
	[FALLBACK] = { NEVER, FALLBACK, ARMED,    FALLBACK, RELEASED, GONE },
	[RELEASED] = { NEVER, RELEASED, RELEASED, RELEASED, RELEASED, GONE },
	[GONE]     = { NEVER, NEVER,    NEVER,    NEVER,    GONE,     GONE },
};

int usm_container_next(enum usm_container_state state, enum usm_container_event event)
{
	return transitions[state][event];
}

const char *usm_container_state_name(enum usm_container_state state)
{
	switch (state) {
	case FOUND:
	case BOUND:
	case STARTING:
		return "starting";
	case ARMED:
		return "armed";
	case FALLBACK:
		return "fallback";
	case RELEASED:
	case GONE:
		return "released";
	}
	return "unknown";
}

struct usm_container *usm_container_new(const char *id, const char *cgroup)
{
	cleanup_container struct usm_container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->domain_fd = -1;
	c->state = FOUND;
	c->id = strdup(id);
	c->cgroup = strdup(cgroup);
	if (!c->id || !c->cgroup)
		return NULL;
	return usm_steal_ptr(c);
}

void usm_container_free(struct usm_container *c)
{
	if (!c)
		return;
	usm_close(&c->domain_fd);
	usm_annotation_clear(&c->annotation);
	free(c->id);
	free(c->name);
	free(c->runtime);
	free(c->cgroup);
	free(c->request);
	free(c->fallback_reason);
	free(c->instance_message);
	free(c);
}

void usm_container_set_domain(struct usm_container *c, uint64_t domain)
{
	c->domain = domain;
	snprintf(c->domain_text, sizeof(c->domain_text), "%" PRIu64, domain);
}

bool usm_container_step(struct usm_container *c, enum usm_container_event event)
{
	int next = usm_container_next(c->state, event);
	bool changed;

	if (next < 0) {
		usm_log(LOG_ERR, NULL, c->id, c->annotation.policy, c->domain_text,
			"Event %d cannot happen to container %s in state %d; ignoring it",
			event, c->id, c->state);
		return false;
	}
	changed = (int)c->state != next;
	c->state = next;
	return changed;
}

void usm_container_set_text(char **member, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		return;
	free(*member);
	*member = copy;
}

void usm_container_table_init(struct usm_container_table *table)
{
	TAILQ_INIT(&table->list);
	table->count = 0;
}

void usm_container_table_add(struct usm_container_table *table, struct usm_container *c)
{
	TAILQ_INSERT_TAIL(&table->list, c, link);
	table->count++;
}

void usm_container_table_remove(struct usm_container_table *table, struct usm_container *c)
{
	TAILQ_REMOVE(&table->list, c, link);
	table->count--;
	usm_container_free(c);
}

void usm_container_table_clear(struct usm_container_table *table)
{
	while (!TAILQ_EMPTY(&table->list))
		usm_container_table_remove(table, TAILQ_FIRST(&table->list));
}

struct usm_container *usm_container_by_domain(const struct usm_container_table *table,
					      uint64_t domain)
{
	struct usm_container *c;

	TAILQ_FOREACH(c, &table->list, link)
		if (c->domain == domain)
			return c;
	return NULL;
}

static bool is_living(const struct usm_container *c)
{
	return c->state != RELEASED && c->state != GONE;
}

struct usm_container *usm_container_by_id(const struct usm_container_table *table,
					  const char *id)
{
	struct usm_container *c;

	TAILQ_FOREACH(c, &table->list, link)
		if (is_living(c) && !strcmp(c->id, id))
			return c;
	return NULL;
}

/* How well `text` fits; more is better. */
enum fit {
	FIT_NONE,
	FIT_PREFIX,
	FIT_EXACT,
};

static enum fit fit_of(const struct usm_container *c, const char *text)
{
	if (!strcmp(c->id, text) || (c->name && !strcmp(c->name, text)))
		return FIT_EXACT;
	return strncmp(c->id, text, strlen(text)) ? FIT_NONE : FIT_PREFIX;
}

int usm_container_query(const struct usm_container_table *table, const char *text,
			struct usm_container **out)
{
	struct usm_container *c, *best = NULL;
	unsigned int best_rank = 0, equals = 0;

	if (!*text)
		return -ENOENT;
	TAILQ_FOREACH(c, &table->list, link) {
		enum fit fit = fit_of(c, text);
		unsigned int rank = fit ? 2 * is_living(c) + fit : 0;

		/* A released one of the same ID gives way to the one that follows it. */
		if (!rank || rank < best_rank)
			continue;
		if (rank > best_rank)
			equals = 0;
		best_rank = rank;
		best = c;
		equals++;
	}
	if (!best)
		return -ENOENT;
	if (equals > 1 && is_living(best))
		return -ENOTUNIQ;
	*out = best;
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "host.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "journal.h"
#include "sampler.h"
#include "vault.h"

/* The SDK has its own names for what the uapi says: they must stay the same. */
_Static_assert((int)USM_PAGE_NONE == USM_FRAME_NONE && (int)USM_PAGE_FREE == USM_FRAME_FREE &&
	       (int)USM_PAGE_TAKEN == USM_FRAME_TAKEN && (int)USM_PAGE_MAPPED == USM_FRAME_MAPPED &&
	       (int)USM_PAGE_SHARED == USM_FRAME_SHARED && (int)USM_PAGE_HELD == USM_FRAME_HELD,
	       "states of a frame");
_Static_assert(USM_RUN_MAX == USM_MAX_RUN, "longest run");
_Static_assert(USM_FRAME_NOWHERE == USM_FRAMESET_NONE, "no frame");

static const struct usm_runtime *runtime_of(const struct usm_host *host)
{
	return host->runtime;
}

static void host_log(const struct usm_host *host, int level, const char *format, ...)
{
	cleanup_free char *line = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&line, format, ap) < 0)
		line = NULL;
	va_end(ap);

	/* Emergencies and alerts go to every terminal: not a policy's business. */
	if (level < LOG_CRIT || level > LOG_DEBUG)
		level = LOG_INFO;
	usm_journal_write(level, NULL, "policy: %s", line ?: format);
}

static uint64_t host_now(const struct usm_host *host)
{
	return runtime_of(host)->now;
}

static uint32_t host_find(const struct usm_host *host, uint32_t from, unsigned int order)
{
	if (order > USM_FRAMESET_MAX_ORDER)
		return USM_FRAME_NOWHERE;
	return usm_frameset_find(&runtime_of(host)->index->idle, from, order);
}

static uint32_t host_length(const struct usm_host *host, uint32_t frame, uint32_t max)
{
	return usm_frameset_length(&runtime_of(host)->index->idle, frame, max);
}

static uint32_t host_available(const struct usm_host *host)
{
	return runtime_of(host)->index->idle.count;
}

static bool host_page(const struct usm_host *host, uint32_t frame, struct usm_page *page,
		      size_t size)
{
	const struct usm_mapping *mapping = runtime_of(host)->mapping;
	struct usm_page p = {};
	struct usm_frame entry;
	uint64_t word;
	uint32_t owner;

	if (frame >= mapping->frames)
		return false;

	if (frame < usm_mapping_top(mapping)) {
		word = usm_mapping_word(mapping, frame, &owner);
		entry = usm_frame_of(word, owner, &mapping->blocks[frame / USM_BLOCK_SIZE]);
		p = (struct usm_page){
			.space = entry.space,
			.state = entry.state & USM_FRAME_STATE_MASK,
			.zeroed = !!(entry.state & USM_FRAME_ZEROED),
			.run = entry.run,
			.node = entry.node,
			.age = entry.age,
			.generation = USM_FRAME_GENERATION(&entry),
			.page = USM_FRAME_PAGE(&entry),
		};
	}
	/* Of policies of this version; inline, for they ask for very many. */
	if (size == sizeof(p)) {
		*page = p;
		return true;
	}
	/* A newer policy gets zeros for what is not known here. */
	if (size > sizeof(p))
		memset((char *)page + sizeof(p), 0, size - sizeof(p));
	memcpy(page, &p, size < sizeof(p) ? size : sizeof(p));
	return true;
}

static bool host_store(const struct usm_host *host, uint32_t index, struct usm_store_info *info,
		       size_t size)
{
	const struct usm_vault *vault = runtime_of(host)->vault;
	struct usm_store_usage usage;
	struct usm_store_info i;

	if (!vault || index >= vault->nr_stores)
		return false;
	vault->stores[index]->ops->usage(vault->stores[index], &usage);
	i = (struct usm_store_info){
		.quota = usage.quota,
		.used = usage.used,
		.data = usage.data,
		.pages = usage.pages,
	};
	snprintf(i.kind, sizeof(i.kind), "%s", vault->stores[index]->kind);
	if (size > sizeof(i))
		memset((char *)info + sizeof(i), 0, size - sizeof(i));
	memcpy(info, &i, size < sizeof(i) ? size : sizeof(i));
	return true;
}

static int host_grow(const struct usm_host *host, uint32_t frames, int32_t node)
{
	struct usm_runtime *runtime = host->runtime;
	uint32_t present = runtime->index->present.count;

	if (!frames || node < -1)
		return -EINVAL;
	if (runtime->growing || runtime->grow)
		return -EAGAIN;
	if (present >= runtime->ceiling)
		return -ENOSPC;

	runtime->grow = frames < runtime->ceiling - present ? frames : runtime->ceiling - present;
	runtime->grow_node = node;
	return 0;
}

static void host_sample(const struct usm_host *host, uint32_t rate)
{
	struct usm_runtime *runtime = host->runtime;

	runtime->sample_rate = rate < USM_SAMPLER_RATE_MAX ? rate : USM_SAMPLER_RATE_MAX;
}

static int host_evict(const struct usm_host *host, uint32_t frames)
{
	struct usm_runtime *runtime = host->runtime;

	if (!runtime->evicts || !runtime->vault || !runtime->vault->nr_stores)
		return -EOPNOTSUPP;
	runtime->evict = frames;
	return 0;
}

static const char *host_string(const struct usm_host *host, const char *name, const char *fallback)
{
	const struct usm_runtime *runtime = runtime_of(host);

	return runtime->beginning ?
		usm_parameters_string(runtime->parameters, name, fallback) : fallback;
}

static int64_t host_number(const struct usm_host *host, const char *name, int64_t min,
			   int64_t max, int64_t fallback)
{
	const struct usm_runtime *runtime = runtime_of(host);

	return runtime->beginning ?
		usm_parameters_number(runtime->parameters, name, min, max, fallback) : fallback;
}

static bool host_bool(const struct usm_host *host, const char *name, bool fallback)
{
	const struct usm_runtime *runtime = runtime_of(host);

	return runtime->beginning ?
		usm_parameters_bool(runtime->parameters, name, fallback) : fallback;
}

void usm_runtime_init(struct usm_runtime *runtime, const struct usm_index *index,
		      const struct usm_mapping *mapping, struct usm_parameters *parameters,
		      uint32_t fault_order, uint32_t ceiling)
{
	*runtime = (struct usm_runtime){
		.host = {
			.abi = USM_POLICY_ABI,
			.size = sizeof(struct usm_host),
			.frames = mapping->frames,
			.cpus = mapping->rings,
			.fault_order = fault_order,
			.runtime = runtime,
			.log = host_log,
			.now = host_now,
			.find = host_find,
			.length = host_length,
			.available = host_available,
			.page = host_page,
			.grow = host_grow,
			.parameter_string = host_string,
			.parameter_number = host_number,
			.parameter_bool = host_bool,
			.store = host_store,
			.sample = host_sample,
			.evict = host_evict,
		},
		.index = index,
		.mapping = mapping,
		.parameters = parameters,
		.ceiling = ceiling,
	};
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "upcall.h"

#include <errno.h>

#include "engine.h"
#include "events.h"

/* The SDK has its own names for what the uapi says: they must stay the same. */
_Static_assert(USM_TOUCH_WRITE == USM_FAULT_WRITE && USM_TOUCH_EXEC == USM_FAULT_EXEC &&
	       USM_TOUCH_USER == USM_FAULT_USER && USM_TOUCH_REMOTE == USM_FAULT_REMOTE,
	       "kinds of a fault");

/* What was taken has left the index already. The rest is looked up. */
static void settle(struct usm_engine *engine, const struct usm_command *command)
{
	uint32_t taken = command->result > 0 ? (uint32_t)command->result : 0;

	if (taken < command->count)
		usm_index_refresh(&engine->index, engine->setup.mapping, command->frame + taken,
				  command->count - taken);
	/* Somebody else has got the frame meanwhile, and the fault waits on. */
	if (command->result == -EBUSY)
		engine->upcalls.unanswered = true;
}

static void settle_all(struct usm_engine *engine)
{
	struct usm_upcalls *upcalls = &engine->upcalls;

	for (uint32_t i = 0; i < upcalls->filled; i++)
		settle(engine, &upcalls->commands[i]);
	upcalls->filled = 0;
}

int usm_upcall_flush(struct usm_engine *engine)
{
	struct usm_upcalls *upcalls = &engine->upcalls;
	int r;

	if (!upcalls->filled)
		return 0;
	r = engine->setup.ops->submit(engine->setup.context, upcalls->commands, upcalls->filled);
	if (r < 0)
		return r;
	settle_all(engine);
	return 0;
}

int usm_upcall_repeat(struct usm_engine *engine)
{
	struct usm_command repeat = { .op = USM_CMD_REPEAT };

	if (!engine->upcalls.unanswered || !engine->index.idle.count)
		return 0;
	engine->upcalls.unanswered = false;
	return engine->setup.ops->submit(engine->setup.context, &repeat, 1);
}

static void command_add(struct usm_engine *engine, uint64_t key, const struct usm_run *run,
			bool more)
{
	struct usm_frame first = usm_mapping_frame(engine->setup.mapping, run->frame);
	struct usm_upcalls *upcalls = &engine->upcalls;

	upcalls->commands[upcalls->filled++] = (struct usm_command){
		.op = USM_CMD_RESOLVE,
		.flags = more ? USM_RESOLVE_MORE : 0,
		.arg = key,
		.frame = run->frame,
		.count = run->count,
		.generation = USM_FRAME_GENERATION(&first),
	};
	usm_frameset_remove(&engine->index.idle, run->frame, run->count);
	usm_frameset_remove(&engine->index.dirty, run->frame, run->count);
}

int usm_upcall_handle(struct usm_engine *engine, const struct usm_event *event)
{
	struct usm_upcalls *upcalls = &engine->upcalls;
	struct usm_run runs[USM_UPCALL_RUNS];
	struct usm_fault_request request = {
		.size = sizeof(request),
		.space = event->space,
		.page = event->page,
		.frames = event->count,
		.cpu = event->frame,
		.flags = event->flags,
	};
	struct usm_answer answer;
	uint32_t n;

	if (!engine->index.idle.count) {
		/* It waits until there is something, however that comes about. */
		upcalls->unanswered = true;
		return 0;
	}
	n = engine->setup.policy->fault(engine->state, &request, runs, USM_UPCALL_RUNS);
	answer = usm_answer_check(&engine->index.idle, runs, n, USM_UPCALL_RUNS, event->count);
	if (answer.verdict) {
		if (!engine->wrong++)
			engine->first_wrong = answer;
		n = 0;
	}
	if (upcalls->filled + USM_UPCALL_RUNS > USM_UPCALL_BATCH) {
		int r = usm_upcall_flush(engine);

		if (r < 0)
			return r;
	}
	/* No answer is one: the module finds a frame by itself. */
	if (!n)
		upcalls->commands[upcalls->filled++] = (struct usm_command){
			.op = USM_CMD_RESOLVE, .arg = event->arg,
		};
	for (uint32_t i = 0; i < n; i++) {
		command_add(engine, event->arg, &runs[i], i + 1 < n);
		engine->put += runs[i].count;
	}
	return 0;
}

/* Does what the events said ask for a turn of the engine? */
static bool wants_turn(const struct usm_engine *engine)
{
	const struct usm_growth_view view = {
		.present = engine->index.present.count,
		.free = usm_index_free(&engine->index),
		.ceiling = engine->setup.ceiling,
	};

	return engine->fallback || engine->vault ||
	       (engine->upcalls.unanswered && engine->index.idle.count) ||
	       (!engine->empty && usm_growth_request(&engine->growth, &view, engine->runtime.now));
}

int usm_upcall_round(struct usm_engine *engine, uint64_t now)
{
	struct usm_upcalls *upcalls = &engine->upcalls;
	int r;

	if (!engine->armed)
		return USM_UPCALL_QUIET;
	r = engine->setup.ops->exchange(engine->setup.context, upcalls->commands, upcalls->filled,
					USM_UPCALL_WAIT_MS);
	if (r < 0)
		return r;
	settle_all(engine);
	/* The clock of the loop may be the more exact one. */
	if (now > engine->runtime.now)
		engine->runtime.now = now;
	if (!usm_event_pending(engine->setup.mapping))
		return USM_UPCALL_QUIET;
	r = usm_events_drain(engine, USM_ENGINE_EVENTS);
	if (engine->failed < 0)
		return engine->failed;
	if (r != USM_ENGINE_MORE && !wants_turn(engine))
		return USM_UPCALL_ROUND;
	r = usm_upcall_flush(engine);
	return r < 0 ? r : USM_UPCALL_TURN;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "rehearsal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "engine.h"
#include "policy.h"

/* Turns of the engine: each supplies at least a portion, so this is 256 MiB and
 * more, after which a policy has shown what it does. */
#define REHEARSAL_TURNS		256

/* Questions for victims, and how many each asks for: more than the table may have. */
#define REHEARSAL_EVICTIONS	64
#define REHEARSAL_VICTIMS	32

/* Faults that ask before the next turn, of processes that touch memory side by side. */
#define REHEARSAL_FAULTS	8

/* The mapping of the real table with rings of our own. */
struct stage {
	struct usm_mapping mapping;
	uint64_t now;
	uint64_t key;		/* of the fault that asked last */
	uint32_t resolved;	/* frames that faults got */
};

static int ring_build(struct usm_mapped_ring *ring, const struct usm_mapped_ring *like,
		      uint32_t entry_size)
{
	struct usm_ring *r = calloc(1, sizeof(*r) + (size_t)like->entries * entry_size);

	if (!r)
		return -ENOMEM;
	r->entries = like->entries;
	r->entry_size = entry_size;
	r->offset = sizeof(*r);
	*ring = (struct usm_mapped_ring){
		.ring = r,
		.base = (char *)(r + 1),
		.entries = like->entries,
		.entry_size = entry_size,
	};
	return 0;
}

static int stage_build(struct stage *stage, const struct usm_mapping *real)
{
	int r;

	stage->mapping = *real;
	stage->mapping.supply = calloc(real->rings ?: 1, sizeof(*stage->mapping.supply));
	if (!stage->mapping.supply)
		return -ENOMEM;
	r = ring_build(&stage->mapping.events, &real->events, sizeof(struct usm_event));
	if (!r)
		stage->mapping.events.ring->top = usm_mapping_top(real);
	for (uint32_t cpu = 0; !r && cpu < real->rings; cpu++)
		r = ring_build(&stage->mapping.supply[cpu], &real->supply[cpu], sizeof(uint64_t));
	return r;
}

/* The module's part: everything that was supplied is taken, as by a long burst. */
static void stage_consume(struct stage *stage)
{
	for (uint32_t cpu = 0; cpu < stage->mapping.rings; cpu++) {
		struct usm_ring *ring = stage->mapping.supply[cpu].ring;

		ring->tail = ring->head;
	}
}

static void stage_event(struct stage *stage, const struct usm_event *event)
{
	struct usm_mapped_ring *events = &stage->mapping.events;
	struct usm_ring *ring = events->ring;

	if (ring->head - ring->tail == events->entries)
		return;
	memcpy(events->base + (size_t)(ring->head & (events->entries - 1)) * events->entry_size,
	       event, sizeof(*event));
	ring->head++;
}

/* The module's part in upcall mode: faults of every kind and size. */
static void stage_touch(struct stage *stage, unsigned int order)
{
	for (uint32_t i = 0; i < REHEARSAL_FAULTS; i++) {
		uint64_t key = ++stage->key;

		stage_event(stage, &(struct usm_event){
			.type = USM_EV_FAULT,
			.flags = key % (2 * USM_FAULT_REMOTE),
			.space = 1 + key % 3,
			.page = key << order,
			.frame = key % (stage->mapping.rings ?: 1),
			.count = 1 + key % (1u << order),
			.arg = key,
		});
	}
}

/*
 * Commands are left undone: the real table is not for the rehearsal to change. What a
 * fault got is FREE there, so it comes back at once.
 */
static int stage_submit(void *context, struct usm_command *commands, uint32_t count)
{
	struct stage *stage = context;

	for (uint32_t i = 0; i < count; i++) {
		commands[i].result = 0;
		if (commands[i].op != USM_CMD_RESOLVE || !commands[i].count)
			continue;
		commands[i].result = (int32_t)commands[i].count;
		stage->resolved += commands[i].count;
		stage_event(stage, &(struct usm_event){
			.type = USM_EV_FREED,
			.frame = commands[i].frame,
			.count = commands[i].count,
		});
	}
	return 0;
}

static int stage_kick(void *context)
{
	return 0;
}

static int wrong_answer(const struct usm_engine *engine, const char *name, struct usm_error *err)
{
	char text[USM_ANSWER_TEXT];

	usm_answer_print(&engine->first_wrong, text);
	return usm_error_set(err, EPROTO, "policy %s gave a wrong answer in its rehearsal: %s", name,
			     text);
}

/* What it would evict is left where it is. */
static void evict_try(struct usm_engine *engine)
{
	struct usm_run runs[USM_ENGINE_RUNS];

	for (int i = 0; engine->setup.policy->evict && i < REHEARSAL_EVICTIONS; i++)
		usm_eviction_ask(engine, REHEARSAL_VICTIMS, i & 1, runs);
}

/* As if all had been looked at: ages are as they are. */
static void sampled_try(struct usm_engine *engine)
{
	uint32_t frames = usm_mapping_top(engine->setup.mapping);
	struct usm_sampled_note note = { .size = sizeof(note), .count = USM_MAX_RUN };

	for (; engine->setup.policy->sampled && note.frame < frames; note.frame += note.count) {
		if (frames - note.frame <= note.count) {
			note.count = frames - note.frame;
			note.last = 1;
		}
		engine->setup.policy->sampled(engine->state, &note);
	}
}

/* In the child. */
static int perform(const struct usm_rehearsal *rehearsal, struct usm_error *err)
{
	static const struct usm_engine_ops ops = { .submit = stage_submit, .kick = stage_kick };
	struct usm_policy_object object;
	struct usm_parameters parameters;
	struct usm_engine engine;
	struct stage stage = {};
	uint32_t idle;
	int r;

	r = usm_policy_load(&object, rehearsal->directory, rehearsal->policy, err);
	if (r < 0)
		return r;
	if (rehearsal->upcall && !object.policy.fault)
		return usm_error_set(err, EPROTO, "policy %s has no fault(): it cannot serve with "
				     "fault.mode=upcall", rehearsal->policy);
	r = usm_parameters_init(&parameters, rehearsal->parameters, err);
	if (r < 0)
		return r;
	r = stage_build(&stage, rehearsal->mapping);
	if (!r)
		r = usm_engine_init(&engine, &(struct usm_engine_setup){
			.mapping = &stage.mapping,
			.policy = &object.policy,
			.parameters = &parameters,
			.fault_order = rehearsal->fault_order,
			.ceiling = rehearsal->ceiling,
			.upcall = rehearsal->upcall,
			.ops = &ops,
			.context = &stage,
		});
	if (r)
		return usm_error_oom(err);

	r = usm_engine_begin(&engine, ++stage.now, err);
	if (r < 0)
		return r;
	usm_engine_reset(&engine, ++stage.now);
	idle = engine.index.idle.count;
	for (int turn = 0; turn < REHEARSAL_TURNS && !engine.wrong; turn++) {
		/*
		 * Taken frames still say FREE in the real table, so they come back
		 * into circulation, and the policy hears of them by freed().
		 */
		if (rehearsal->upcall)
			stage_touch(&stage, rehearsal->fault_order);
		if (usm_engine_turn(&engine, ++stage.now) == USM_ENGINE_IDLE)
			stage_consume(&stage);
	}
	sampled_try(&engine);
	evict_try(&engine);
	usm_engine_tick(&engine, ++stage.now);
	if (engine.wrong)
		return wrong_answer(&engine, rehearsal->policy, err);
	if (idle && !engine.put)
		return usm_error_set(err, EPROTO, "policy %s supplied nothing in its rehearsal, "
				     "although %u frames were free", rehearsal->policy, idle);
	/* By the module's word, beside ours. */
	if (rehearsal->upcall && idle && !stage.resolved)
		return usm_error_set(err, EPROTO, "policy %s answered no fault in its rehearsal",
				     rehearsal->policy);

	/* The end is part of it. What is left is the process's to free. */
	usm_engine_done(&engine);
	return 0;
}

/*
 * The child's result goes through a pipe: '+', or '-' and a sentence whose errno
 * value is the exit status. A policy that calls exit(0) has not passed.
 */
static _Noreturn void child(const struct usm_rehearsal *rehearsal, int out)
{
	static const int reset[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTERM, SIGINT };
	struct usm_error err = {};
	sigset_t none;
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < sizeof(reset) / sizeof(*reset); i++)
		signal(reset[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);

	r = perform(rehearsal, &err);
	if (r < 0)
		dprintf(out, "-%s", usm_error_message(&err));
	else
		dprintf(out, "+");
	_exit(r > -256 ? -r : EPROTO);
}

/* -ETIME: still running at the end of the time. */
static int wait_readable(int fd, unsigned int seconds)
{
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left;
		int r;

		clock_gettime(CLOCK_MONOTONIC, &now);
		left = (end.tv_sec - now.tv_sec) * 1000 + (end.tv_nsec - now.tv_nsec) / 1000000;
		r = poll(&p, 1, left > 0 ? (int)left : 0);
		if (r > 0)
			return 0;
		if (r == 0)
			return -ETIME;
		if (errno != EINTR)
			return -errno;
	}
}

static int verdict(const char *name, siginfo_t *info, const char *message, struct usm_error *err)
{
	if (info->si_code != CLD_EXITED)
		return usm_error_set(err, EPROTO, "policy %s crashed in its rehearsal (SIG%s)", name,
				     sigabbrev_np(info->si_status) ?: "?");
	if (*message == '+' && !info->si_status)
		return 0;
	if (*message != '-' || !info->si_status)
		return usm_error_set(err, EPROTO, "policy %s ended the process in its rehearsal "
				     "(status %d)", name, info->si_status);
	return usm_error_set(err, info->si_status, "%s", message + 1);
}

int usm_rehearsal_run(const struct usm_rehearsal *rehearsal, struct usm_error *err)
{
	unsigned int seconds = rehearsal->seconds ?: USM_REHEARSAL_SECONDS;
	cleanup_close int in = -1, out = -1, process = -1;
	char message[1024] = "";
	siginfo_t info = {};
	int pipes[2], r;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return usm_error_errno(err, errno, "cannot make a pipe");
	in = pipes[0];
	out = pipes[1];

	pid = fork();
	if (pid < 0)
		return usm_error_errno(err, errno, "cannot start the rehearsal of policy %s",
				       rehearsal->policy);
	if (!pid)
		child(rehearsal, out);

	usm_close(&out);
	/* A policy could close the pipe, so what is waited for is the process. */
	process = (int)syscall(SYS_pidfd_open, pid, 0);
	r = process < 0 ? -errno : wait_readable(process, seconds);
	if (r < 0)
		kill(pid, SIGKILL);
	while (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0 && errno == EINTR)
		;
	if (r == -ETIME)
		return usm_error_set(err, EPROTO, "policy %s was not done with its rehearsal after "
				     "%u seconds", rehearsal->policy, seconds);
	if (r < 0)
		return usm_error_errno(err, -r, "cannot watch the rehearsal of policy %s",
				       rehearsal->policy);

	/* It has ended, so this cannot block, unless it left a child of its own. */
	if (wait_readable(in, 0) == 0 && read(in, message, sizeof(message) - 1) < 0)
		message[0] = '\0';
	return verdict(rehearsal->policy, &info, message, err);
}

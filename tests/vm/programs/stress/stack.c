// SPDX-License-Identifier: GPL-2.0-or-later
/* Stacks that lie in anonymous memory: of threads, contexts and signals. */
#include "stress.h"

#include <alloca.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

/* ----------------------------------------------------------------- recursion */

#define RECURSION_BYTES	(1 * MIB)
#define FRAME_WORDS	128
#define ALLOCA_STEPS	40

/* What lies in each frame must be there when the recursion comes back to it. */
static __attribute__((noinline)) uint64_t recurse(unsigned int depth, uint64_t tag)
{
	volatile uint64_t frame[FRAME_WORDS];
	uint64_t sum = 0;

	pattern_fill((void *)frame, sizeof(frame), tag, depth * FRAME_WORDS, 0);
	if (depth)
		sum = recurse(depth - 1, tag);
	pattern_verify((const void *)frame, sizeof(frame), tag, depth * FRAME_WORDS, 0,
		       "stack frame");
	return sum + frame[0];
}

static __attribute__((noinline)) void alloca_use(struct rng *rng)
{
	size_t length = PAGE * (1 + rng_below(rng, 64));
	uint64_t tag = rng_next(rng);
	void *block = alloca(length);

	pattern_fill(block, length, tag, 0, 0);
	pattern_verify(block, length, tag, 0, 0, "alloca block");
}

static void recursion_worker(struct worker *worker)
{
	recurse(RECURSION_BYTES / (FRAME_WORDS * sizeof(uint64_t)), worker->index);
	for (unsigned int i = 0; i < ALLOCA_STEPS; i++)
		alloca_use(&worker->rng);
}

static void recursion_run(void)
{
	crew_run(settings.threads, recursion_worker, NULL);
}

/* ------------------------------------------------------------------ contexts */

#define CONTEXTS	24
#define CONTEXT_STACK	(32 * KIB)
#define SWITCHES	40

struct fiber {
	ucontext_t context;
	ucontext_t *home;
	unsigned int index;
	bool finished;
	char *stack;
};

static struct fiber *fiber_current;

static void fiber_main(void)
{
	struct fiber *self = fiber_current;
	uint64_t local[64];

	for (unsigned int i = 0; i < SWITCHES; i++) {
		pattern_fill(local, sizeof(local), self->index, 0, i);
		swapcontext(&self->context, self->home);
		pattern_verify(local, sizeof(local), self->index, 0, i,
			       "local variables over a context switch");
	}
	self->finished = true;
}

static void contexts_run(void)
{
	struct fiber *fibers = calloc(CONTEXTS, sizeof(*fibers));
	ucontext_t home;
	bool running = true;

	must(fibers != NULL, "calloc: %s", strerror(errno));
	for (unsigned int i = 0; i < CONTEXTS; i++) {
		struct fiber *fiber = &fibers[i];

		fiber->index = i;
		fiber->home = &home;
		fiber->stack = memory_map(CONTEXT_STACK);
		must(getcontext(&fiber->context) == 0, "getcontext: %s", strerror(errno));
		fiber->context.uc_stack.ss_sp = fiber->stack;
		fiber->context.uc_stack.ss_size = CONTEXT_STACK;
		fiber->context.uc_link = &home;
		makecontext(&fiber->context, fiber_main, 0);
	}
	while (running) {
		running = false;
		for (unsigned int i = 0; i < CONTEXTS; i++) {
			if (fibers[i].finished)
				continue;
			running = true;
			fiber_current = &fibers[i];
			swapcontext(&home, &fibers[i].context);
		}
	}
	for (unsigned int i = 0; i < CONTEXTS; i++)
		memory_unmap(fibers[i].stack, CONTEXT_STACK);
	free(fibers);
}

/* ------------------------------------------------------------ signal handlers */

#define ALTSTACK	(64 * KIB)
#define SIGNALS		200

static __thread char *altstack;
static __thread volatile unsigned int handled;

static void altstack_handler(int number, siginfo_t *info, void *context)
{
	uint64_t local[PAGE_WORDS];
	uintptr_t here = (uintptr_t)local;

	pattern_fill(local, sizeof(local), number, 0, handled);
	check(here >= (uintptr_t)altstack && here < (uintptr_t)altstack + ALTSTACK,
	      "the handler runs at %p, not on its stack", (void *)local);
	pattern_verify(local, sizeof(local), number, 0, handled, "stack of a handler");
	handled++;
	(void)info;
	(void)context;
}

static void altstack_worker(struct worker *worker)
{
	stack_t stack;

	altstack = memory_map(ALTSTACK);
	handled = 0;
	stack = (stack_t){ .ss_sp = altstack, .ss_size = ALTSTACK };
	must(sigaltstack(&stack, NULL) == 0, "sigaltstack: %s", strerror(errno));
	for (unsigned int i = 0; i < SIGNALS; i++) {
		/* Every so often the kernel pushes the frame onto fresh pages. */
		if (i % 8 == 0)
			check_call(madvise(altstack, ALTSTACK, MADV_DONTNEED));
		pthread_kill(pthread_self(), SIGUSR1);
	}
	check(handled == SIGNALS, "%u of %u signals were handled", handled, SIGNALS);
	stack.ss_flags = SS_DISABLE;
	sigaltstack(&stack, NULL);
	memory_unmap(altstack, ALTSTACK);
	(void)worker;
}

static void altstack_run(void)
{
	struct sigaction action = {
		.sa_sigaction = altstack_handler,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	sigaction(SIGUSR1, &action, NULL);
	crew_run(settings.threads, altstack_worker, NULL);
}

/* -------------------------------------------------------------- guard of a stack */

static void *overflow_thread(void *argument)
{
	/* The lowest page of the mapping is the guard that glibc protects. */
	check(memory_write_faults(argument), "the guard of a stack can be written");
	return NULL;
}

static void guard_run(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	size_t length = 128 * KIB;
	char *stack = memory_map(length);
	int r;

	check_call(mprotect(stack, PAGE, PROT_NONE));
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack, length);
	r = pthread_create(&thread, &attr, overflow_thread, stack);
	must(r == 0, "pthread_create: %s", strerror(r));
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
	memory_unmap(stack, length);
}

const struct scenario stack_scenarios[] = {
	{ "recursion", "deep recursion and alloca in threads", recursion_run },
	{ "contexts", "makecontext and swapcontext on mapped stacks", contexts_run },
	{ "altstack", "signal handlers on stacks of fresh pages", altstack_run },
	{ "guard", "the guard page of a thread's stack", guard_run },
	{ 0 }
};

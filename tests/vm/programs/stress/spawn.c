// SPDX-License-Identifier: GPL-2.0-or-later
/* Other ways to a new process: vfork, posix_spawn, clone(CLONE_VM), exec. */
#include "stress.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELPER_PAGES	64
#define HELPER_STATUS	42

extern char **environ;

/*
 * Runs in a program that was just started: its memory must be fresh. There is no
 * tally here (exec took it away), so the exit status is the verdict.
 */
int spawn_helper(const char *name)
{
	uint64_t *area = mmap(NULL, HELPER_PAGES * PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		return 2;
	if (strcmp(name, "fresh") == 0) {
		for (size_t i = 0; i < HELPER_PAGES * PAGE_WORDS; i++)
			if (area[i])
				return 3;
		for (size_t i = 0; i < HELPER_PAGES * PAGE_WORDS; i++)
			area[i] = pattern_word(9, i, 0);
		for (size_t i = 0; i < HELPER_PAGES * PAGE_WORDS; i++)
			if (area[i] != pattern_word(9, i, 0))
				return 4;
		return HELPER_STATUS;
	}
	return 5;
}

static void helper_join(pid_t pid, const char *how)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		must(errno == EINTR, "waitpid: %s", strerror(errno));
	check(WIFEXITED(status) && WEXITSTATUS(status) == HELPER_STATUS,
	      "the program started by %s ended with status 0x%x", how, status);
}

static char *helper_argv[] = { "stress", "--helper", "fresh", NULL };

/* ------------------------------------------------------------------------- exec */

static bool exec_stop;

static void exec_writer(struct worker *worker)
{
	size_t length = 32 * PAGE;
	char *area = memory_map(length);

	for (uint32_t generation = 1; !__atomic_load_n(&exec_stop, __ATOMIC_RELAXED);
	     generation++) {
		pattern_fill(area, length, worker->index, 0, generation);
		pattern_verify(area, length, worker->index, 0, generation,
			       "page while another thread executes a program");
		madvise(area, length, MADV_DONTNEED);
	}
}

/* exec kills the other threads in the middle of their faults. */
static void exec_threaded(void *context)
{
	crew_start(settings.threads, exec_writer, NULL);
	usleep(2000);
	execv(settings.self, helper_argv);
	must(false, "execv %s: %s", settings.self, strerror(errno));
	(void)context;
}

static void exec_run(void)
{
	for (unsigned int i = 0; i < stress_times(8); i++)
		helper_join(child_start(exec_threaded, NULL), "exec from a threaded process");
}

/* -------------------------------------------------------------- vfork and spawn */

static void vfork_once(char *area, uint32_t generation)
{
	volatile uint64_t *words = (volatile uint64_t *)area;
	pid_t pid;

	pattern_fill(area, 8 * PAGE, 4, 0, generation);
	pid = vfork();
	if (pid == 0) {
		/* Same memory: this must be seen by the parent. */
		words[0] = generation;
		execv(settings.self, helper_argv);
		_exit(1);
	}
	must(pid > 0, "vfork: %s", strerror(errno));
	word_verify(words, generation, "word written by a vfork child");
	words[0] = pattern_word(4, 0, generation);
	pattern_verify(area, 8 * PAGE, 4, 0, generation, "memory after vfork");
	helper_join(pid, "vfork and exec");
}

static void vfork_run(void)
{
	char *area = memory_map(8 * PAGE);

	for (uint32_t i = 1; i <= 6; i++) {
		pid_t pid;
		int r;

		vfork_once(area, i);
		r = posix_spawn(&pid, settings.self, NULL, NULL, helper_argv, environ);
		must(r == 0, "posix_spawn: %s", strerror(r));
		helper_join(pid, "posix_spawn");
		pattern_verify(area, 8 * PAGE, 4, 0, i, "memory after posix_spawn");
	}
	memory_unmap(area, 8 * PAGE);
}

/* --------------------------------------------------------------- clone(CLONE_VM) */

#define CLONE_STACK	(64 * KIB)
#define CLONE_PAGES	64

struct shared_vm {
	char *area;
	char *fresh;
};

static int clone_child(void *context)
{
	struct shared_vm *vm = context;

	pattern_verify(vm->area, CLONE_PAGES * PAGE, 5, 0, 1, "page read by a CLONE_VM child");
	pattern_fill(vm->area, CLONE_PAGES * PAGE, 5, 0, 2);
	pattern_fill(vm->fresh, CLONE_PAGES * PAGE, 6, 0, 1);
	/* Not through libc's exit: its locks are the parent's as well. */
	_exit(HELPER_STATUS);
}

/* A process of its own, but one memory: it is shared, not copied. */
static void clone_vm_run(void)
{
	struct shared_vm vm = { .area = memory_map(CLONE_PAGES * PAGE) };

	for (unsigned int i = 0; i < 20; i++) {
		char *stack = memory_map(CLONE_STACK);
		pid_t pid;

		vm.fresh = memory_map(CLONE_PAGES * PAGE);
		pattern_fill(vm.area, CLONE_PAGES * PAGE, 5, 0, 1);
		pid = clone(clone_child, stack + CLONE_STACK, CLONE_VM | SIGCHLD, &vm);
		must(pid > 0, "clone: %s", strerror(errno));
		helper_join(pid, "clone(CLONE_VM)");
		pattern_verify(vm.area, CLONE_PAGES * PAGE, 5, 0, 2,
			       "page written by a CLONE_VM child");
		pattern_verify(vm.fresh, CLONE_PAGES * PAGE, 6, 0, 1,
			       "page touched first by a CLONE_VM child");
		memory_unmap(vm.fresh, CLONE_PAGES * PAGE);
		memory_unmap(stack, CLONE_STACK);
	}
	memory_unmap(vm.area, CLONE_PAGES * PAGE);
}

/* ---------------------------------------------------------------- killed threads */

static void kill_worker(struct worker *worker)
{
	exec_writer(worker);
}

static void kill_child(void *context)
{
	crew_run(settings.threads, kill_worker, context);
}

/* SIGKILL in the middle of faults and discards. */
static void kill_run(void)
{
	for (unsigned int i = 0; i < 10; i++) {
		pid_t pid = child_start(kill_child, NULL);
		int status;

		usleep(1000 * (1 + i));
		kill(pid, SIGKILL);
		must(waitpid(pid, &status, 0) == pid, "waitpid: %s", strerror(errno));
		check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		      "a killed process ended with status 0x%x", status);
	}
}

const struct scenario spawn_scenarios[] = {
	{ "exec", "exec from a process whose threads fault", exec_run },
	{ "vfork", "vfork and posix_spawn", vfork_run },
	{ "clone-vm", "processes that share one memory", clone_vm_run },
	{ "kill", "SIGKILL in the middle of faults", kill_run },
	{ 0 }
};

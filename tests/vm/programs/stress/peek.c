// SPDX-License-Identifier: GPL-2.0-or-later
/* One process in the memory of another: process_vm_readv, ptrace, /proc/PID/mem. */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PEEK_PAGES	48
#define PEEK_LENGTH	(PEEK_PAGES * PAGE)

struct target {
	char *area;		/* filled before the fork: shared */
	char *fresh;		/* mapped, never touched by either */
	struct gate *ready;
	struct gate *done;
};

static void target_create(struct target *target)
{
	target->area = memory_map(PEEK_LENGTH);
	target->fresh = memory_map(PEEK_LENGTH);
	target->ready = gate_create();
	target->done = gate_create();
	pattern_fill(target->area, PEEK_LENGTH, 1, 0, 1);
}

static void target_destroy(struct target *target)
{
	pattern_verify(target->area, PEEK_LENGTH, 1, 0, 1, "parent's copy");
	zero_verify(target->fresh, PEEK_LENGTH, "parent's untouched memory");
	gate_destroy(target->ready);
	gate_destroy(target->done);
	memory_unmap(target->area, PEEK_LENGTH);
	memory_unmap(target->fresh, PEEK_LENGTH);
}

/* ------------------------------------------------------------- process_vm_readv */

static void vm_child(void *context)
{
	struct target *target = context;

	pattern_fill(target->area, PEEK_LENGTH / 2, 1, 0, 2);
	gate_open(target->ready);
	gate_wait(target->done);
	pattern_verify(target->area, PEEK_LENGTH, 1, 0, 3,
		       "memory written by process_vm_writev");
	pattern_verify(target->fresh, PEEK_LENGTH, 4, 0, 1,
		       "untouched memory written by process_vm_writev");
}

static bool vm_copy(bool to_child, pid_t pid, void *mine, void *theirs)
{
	struct iovec local = { mine, PEEK_LENGTH }, remote = { theirs, PEEK_LENGTH };
	ssize_t n = to_child ? process_vm_writev(pid, &local, 1, &remote, 1, 0) :
			       process_vm_readv(pid, &local, 1, &remote, 1, 0);

	if (n < 0 && (errno == EPERM || errno == ENOSYS)) {
		skip("process_vm_readv: %s", strerror(errno));
		return false;
	}
	return check(n == (ssize_t)PEEK_LENGTH, "%s: %zd, %s",
		     to_child ? "process_vm_writev" : "process_vm_readv", n,
		     n < 0 ? strerror(errno) : "short");
}

static void process_vm_run(void)
{
	for (unsigned int i = 0; i < 10; i++) {
		struct target target;
		char *mine = memory_map(PEEK_LENGTH);
		pid_t child;

		target_create(&target);
		child = child_start(vm_child, &target);
		gate_wait(target.ready);
		if (!vm_copy(false, child, mine, target.area)) {
			kill(child, SIGKILL);
			waitpid(child, NULL, 0);
			return;
		}
		pattern_verify(mine, PEEK_LENGTH / 2, 1, 0, 2, "page that the child wrote");
		pattern_verify(mine + PEEK_LENGTH / 2, PEEK_LENGTH / 2, 1, PEEK_LENGTH / 16,
			       1, "page that the child shares");
		vm_copy(false, child, mine, target.fresh);
		zero_verify(mine, PEEK_LENGTH, "page that the child never touched");

		pattern_fill(mine, PEEK_LENGTH, 1, 0, 3);
		vm_copy(true, child, mine, target.area);
		pattern_fill(mine, PEEK_LENGTH, 4, 0, 1);
		vm_copy(true, child, mine, target.fresh);
		gate_open(target.done);
		child_join(child);
		memory_unmap(mine, PEEK_LENGTH);
		target_destroy(&target);
	}
}

/* ------------------------------------------------------------------------ ptrace */

static void traced_child(void *context)
{
	struct target *target = context;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(77);
	raise(SIGSTOP);
	for (size_t page = 0; page < PEEK_PAGES; page++) {
		unsigned long *words = (unsigned long *)(target->area + page * PAGE);

		check(words[page] == page + 1, "word poked at %p: expected %zx, got %lx",
		      (void *)&words[page], page + 1, words[page]);
		words[page] = 0;
	}
	check(*(unsigned long *)(target->fresh + PAGE) == 5, "word poked to untouched memory");
}

/* Read-only memory: a debugger's breakpoint. Shared mappings refuse that. */
static void poke_read_only(pid_t child, unsigned long *word)
{
	unsigned long before = *word;

	errno = 0;
	if (ptrace(PTRACE_POKEDATA, child, word, 0x1234ul) < 0) {
		note("PTRACE_POKEDATA to read-only memory: %s", strerror(errno));
	} else {
		check(ptrace(PTRACE_PEEKDATA, child, word, NULL) == 0x1234,
		      "word poked to read-only memory");
		check_call(ptrace(PTRACE_POKEDATA, child, word, before));
	}
	check(*word == before, "poked read-only word shows in the parent");
}

static void ptrace_run(void)
{
	unsigned long *read_only = memory_map(PAGE);
	struct target target;
	pid_t child;
	int status;

	target_create(&target);
	read_only[3] = 33;
	check_call(mprotect(read_only, PAGE, PROT_READ));
	child = child_start(traced_child, &target);
	must(waitpid(child, &status, 0) == child, "waitpid: %s", strerror(errno));
	if (!WIFSTOPPED(status)) {
		skip("ptrace is not allowed here");
		return;
	}
	for (size_t page = 0; page < PEEK_PAGES; page++) {
		unsigned long *words = (unsigned long *)(target.area + page * PAGE);
		unsigned long *fresh = (unsigned long *)(target.fresh + page * PAGE);
		long got;

		errno = 0;
		got = ptrace(PTRACE_PEEKDATA, child, &words[page], NULL);
		check(errno == 0 && (unsigned long)got == words[page],
		      "PEEKDATA at %p: expected %lx, got %lx (%s)", (void *)&words[page],
		      words[page], got, strerror(errno));
		check_call(ptrace(PTRACE_POKEDATA, child, &words[page], page + 1));
		errno = 0;
		got = ptrace(PTRACE_PEEKDATA, child, &fresh[0], NULL);
		check(errno == 0 && got == 0, "PEEKDATA of untouched memory at %p: %lx (%s)",
		      (void *)fresh, got, strerror(errno));
	}
	check_call(ptrace(PTRACE_POKEDATA, child, target.fresh + PAGE, 5ul));
	poke_read_only(child, &read_only[3]);
	check_call(ptrace(PTRACE_CONT, child, NULL, NULL));
	child_join(child);
	memory_unmap(read_only, PAGE);
	target_destroy(&target);
}

/* ------------------------------------------------------------------ /proc/PID/mem */

static void mem_child(void *context)
{
	struct target *target = context;

	gate_open(target->ready);
	gate_wait(target->done);
	pattern_verify(target->area, PEEK_LENGTH, 1, 0, 9, "memory written through /proc");
}

static void mem_run(void)
{
	struct target target;
	char *mine = memory_map(PEEK_LENGTH), path[64];
	pid_t child;
	ssize_t n;
	int fd;

	target_create(&target);
	child = child_start(mem_child, &target);
	gate_wait(target.ready);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)child);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		skip("cannot open %s: %s", path, strerror(errno));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		return;
	}
	n = pread(fd, mine, PEEK_LENGTH, (off_t)(uintptr_t)target.area);
	check(n == (ssize_t)PEEK_LENGTH, "read of %s: %zd, %s", path, n, strerror(errno));
	pattern_verify(mine, PEEK_LENGTH, 1, 0, 1, "memory read through /proc");
	pattern_fill(mine, PEEK_LENGTH, 1, 0, 9);
	n = pwrite(fd, mine, PEEK_LENGTH, (off_t)(uintptr_t)target.area);
	check(n == (ssize_t)PEEK_LENGTH, "write to %s: %zd, %s", path, n, strerror(errno));
	gate_open(target.done);
	child_join(child);
	close(fd);
	memory_unmap(mine, PEEK_LENGTH);
	target_destroy(&target);
}

/*
 * What no access may use can be read through /proc: it is untouched memory then, as it is
 * when access is allowed again. The entries of such pages hold their address inverted.
 */
static void none_run(void)
{
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	char *mine;

	if (fd < 0) {
		skip("cannot open /proc/self/mem: %s", strerror(errno));
		return;
	}
	mine = memory_map(PEEK_LENGTH);
	for (size_t page = 0; page < PEEK_PAGES; page++) {
		char *beside = memory_map(PEEK_LENGTH), *area = memory_map(PEEK_LENGTH);
		off_t at = (off_t)(uintptr_t)(area + page * PAGE);
		ssize_t n;

		pattern_fill(beside, PEEK_LENGTH, 1, 0, 2);
		check_call(mprotect(area, PEEK_LENGTH, PROT_NONE));
		memset(mine, 1, PAGE);
		n = pread(fd, mine, PAGE, at);
		check(n == PAGE, "read of memory without access: %zd, %s", n, strerror(errno));
		zero_verify(mine, PAGE, "untouched memory without access");
		n = pread(fd, mine, PEEK_LENGTH, (off_t)(uintptr_t)area);
		check(n == (ssize_t)PEEK_LENGTH, "read of memory without access: %zd, %s", n,
		      strerror(errno));
		zero_verify(mine, PEEK_LENGTH, "untouched memory without access");
		check_call(mprotect(area, PEEK_LENGTH, PROT_READ | PROT_WRITE));
		zero_verify(area, PEEK_LENGTH, "memory read before access was allowed");
		pattern_fill(area, PEEK_LENGTH, 1, 0, 3);
		check_call(mprotect(area, PEEK_LENGTH, PROT_NONE));
		n = pread(fd, mine, PEEK_LENGTH, (off_t)(uintptr_t)area);
		check(n == (ssize_t)PEEK_LENGTH, "read of memory without access: %zd, %s", n,
		      strerror(errno));
		pattern_verify(mine, PEEK_LENGTH, 1, 0, 3, "memory that lost its access");
		pattern_verify(beside, PEEK_LENGTH, 1, 0, 2, "memory beside it");
		memory_unmap(area, PEEK_LENGTH);
		memory_unmap(beside, PEEK_LENGTH);
	}
	memory_unmap(mine, PEEK_LENGTH);
	close(fd);
}

const struct scenario peek_scenarios[] = {
	{ "process-vm", "process_vm_readv and writev with a child", process_vm_run },
	{ "ptrace", "peek and poke in a stopped child", ptrace_run },
	{ "proc-mem", "/proc/PID/mem of a child", mem_run },
	{ "proc-mem-none", "/proc/self/mem of memory without access", none_run },
	{ 0 }
};

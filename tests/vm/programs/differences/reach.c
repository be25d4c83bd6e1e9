// SPDX-License-Identifier: GPL-2.0-or-later
/* Who else reaches the memory: debuggers, devices, dumps, the OOM killer. */
#include "differences.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_process_mrelease
#define SYS_process_mrelease	448
#endif

/* ------------------------------------------------------------------- debuggers */

/* A child of this process that waits to be told to go on, under ptrace. */
static pid_t child_stopped(void)
{
	pid_t pid = fork();
	int status;

	must(pid >= 0);
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	return pid;
}

static void child_end(pid_t pid)
{
	kill(pid, SIGKILL);
	must(waitpid(pid, NULL, 0) == pid);
}

static void poke(long protection)
{
	char *area = area_touched(AREA);
	pid_t pid;

	must(!mprotect(area, AREA, (int)protection));
	pid = child_stopped();
	tell_call(ptrace(PTRACE_POKEDATA, pid, area, 0x1234ul));
	child_end(pid);
}

static void peek(long protection)
{
	char *area = area_touched(AREA);
	pid_t pid;

	must(!mprotect(area, AREA, (int)protection));
	pid = child_stopped();
	errno = 0;
	tell_call(ptrace(PTRACE_PEEKDATA, pid, area, NULL) == -1 && errno ? -1 : 0);
	child_end(pid);
}

static void mem_write(long protection)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	char *area = area_touched(AREA);

	must(fd >= 0);
	must(!mprotect(area, AREA, (int)protection));
	tell_call(pwrite(fd, "x", 1, (off_t)(uintptr_t)area));
}

static void vm_write(long protection)
{
	char *area = area_touched(AREA), byte = 'x';
	struct iovec from = { &byte, 1 }, to = { area, 1 };

	must(!mprotect(area, AREA, (int)protection));
	tell_call(process_vm_writev(getpid(), &from, 1, &to, 1, 0));
}

/* ------------------------------------------------------------------------ pins */

enum { ALONE, CHILD_LIVES, CHILD_GONE };

/* Long-term pins, as devices take them that write whenever they like. */
static void pin(long children)
{
	/* struct io_uring_params: 120 bytes, all zero is a valid request. */
	uint64_t params[15] = { 0 };
	struct iovec buffer = { area_touched(AREA), AREA };
	int fd = (int)syscall(SYS_io_uring_setup, 4, params), waited = 0;
	pid_t pid = children == ALONE ? 0 : child_stopped();
	long result;

	must(fd >= 0);
	if (children == CHILD_GONE)
		child_end(pid);
	/* Nothing is shared any more, which is noticed a moment later. */
	do
		result = syscall(SYS_io_uring_register, fd, 0 /* IORING_REGISTER_BUFFERS */,
				 &buffer, 1);
	while (result < 0 && errno == EFAULT && children == CHILD_GONE && waited++ < 500 &&
	       !usleep(10000));
	tell_call((int)result);
	if (children == CHILD_LIVES)
		child_end(pid);
}

/* A pipe keeps the pages that were given to it when their mapping is gone. */
static void splice_out(long argument)
{
	struct iovec buffer = { area_touched(AREA), 4 * PAGE };
	char byte = 0;
	int ends[2];

	must(!pipe2(ends, O_CLOEXEC));
	must(vmsplice(ends[1], &buffer, 1, 0) == 4 * (ssize_t)PAGE);
	must(!munmap(buffer.iov_base, AREA));
	must(read(ends[0], &byte, 1) == 1);
	tell("%s", byte == 1 ? "keeps its content" : "is lost");
}

/* ----------------------------------------------------------------------- dumps */

static void crash(const char *filter, const char *directory)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	char *area = area_map(AREA);

	must(!setrlimit(RLIMIT_CORE, &limit));
	file_write("/proc/self/coredump_filter", filter);
	must(!chdir(directory));
	/* Not as a constant: the program's own text may be in the dump. */
	for (size_t i = 0; i < 4096; i++)
		area[i] = (char)(i * 7 + i / 251 + 3);
	abort();
}

static bool pattern_found(const char *data, size_t size)
{
	for (size_t at = 0; at + 4096 <= size; at += PAGE) {
		size_t i = 0;

		while (i < 4096 && data[at + i] == (char)(i * 7 + i / 251 + 3))
			i++;
		if (i == 4096)
			return true;
	}
	return false;
}

/* With the bits of coredump_filter: is the memory in the core? */
static void dump(long filter)
{
	char directory[] = "./differences.XXXXXX", text[16], path[64], *data;
	int status, fd;
	off_t size;
	pid_t pid;

	must(mkdtemp(directory) != NULL);
	snprintf(text, sizeof(text), "%#lx", filter);
	pid = fork();
	must(pid >= 0);
	if (pid == 0)
		crash(text, directory);
	must(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WCOREDUMP(status));
	snprintf(path, sizeof(path), "%s/core", directory);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd >= 0);
	size = lseek(fd, 0, SEEK_END);
	data = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	must(data != MAP_FAILED);
	tell("%s", pattern_found(data, (size_t)size) ? "in the dump" : "not in the dump");
	must(!unlink(path) && !rmdir(directory));
}

/* ------------------------------------------------------------------ OOM killer */

static long rss_kib(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	return (long)file_value(path, "VmRSS");
}

/* The OOM reaper's work, for a process that was killed and takes long to exit. */
static void reap(long argument)
{
	int status, fd;
	long before;
	pid_t pid;

	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		area_touched(8 * MIB);
		raise(SIGSTOP);
		_exit(1);
	}
	must(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	must(!ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACEEXIT));
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	must(fd >= 0);
	before = rss_kib(pid);
	must(!kill(pid, SIGKILL));
	must(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	must(!syscall(SYS_process_mrelease, fd, 0));
	tell("%s", rss_kib(pid) < before / 2 ? "frees it" : "leaves it");
	must(!ptrace(PTRACE_CONT, pid, NULL, NULL));
	must(waitpid(pid, &status, 0) == pid);
}

const struct probe reach_probes[] = {
	{ "PTRACE_POKEDATA", poke, PROT_READ | PROT_WRITE },
	{ "PTRACE_POKEDATA, read-only memory", poke, PROT_READ },
	{ "PTRACE_PEEKDATA, memory without access", peek, PROT_NONE },
	{ "writing /proc/PID/mem", mem_write, PROT_READ | PROT_WRITE },
	{ "writing /proc/PID/mem, read-only memory", mem_write, PROT_READ },
	{ "process_vm_writev, read-only memory", vm_write, PROT_READ },
	{ "io_uring registered buffers", pin, ALONE },
	{ "io_uring registered buffers, with a child", pin, CHILD_LIVES },
	{ "io_uring registered buffers, after a child", pin, CHILD_GONE },
	{ "vmsplice and munmap", splice_out, 0 },
	{ "core dump, coredump_filter 0x33", dump, 0x33 },
	{ "core dump, coredump_filter 0x31", dump, 0x31 },
	{ "core dump, coredump_filter 0x32", dump, 0x32 },
	{ "process_mrelease of a killed process", reap, 0 },
	{ 0 }
};

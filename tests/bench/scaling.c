// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench-scaling CGROUP ORDER|stock [CPUS BEGIN END] - what it costs that several CPUs touch
 * memory at once: instructions of the machine for each page, in a guest that counts them, where time is
 * the number of instructions of all CPUs together. Who waits for a lock by spinning, and
 * the machine's own work meanwhile, are in it. Lines "WHO-N-WHAT OWN ALL", both the same:
 * WHO: threads of one process or processes, N: how many, each on a CPU of its own, WHAT:
 * touch or dontneed. All of them in 2 MiB ranges of their own.
 *
 * With CPUS: so many threads and nothing else, and the shell commands BEGIN and END are run
 * from outside right before they touch memory and right after.
 *
 * No instance takes part: the frames of each CPU are in its supply ring, zeroed, before.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../uapi/domain.h"
#include "meter.h"

#define PAGE		4096ul
#define WINDOW		512ul		/* pages */
#define MOST		8u		/* CPUs */
#define MEASURED	4ul		/* windows of each, after one that is not */
#define SUPPLIED	(MEASURED + 3)	/* entries of 512 frames a ring: stacks have some */

/* Shared with the processes, and nobody's to adopt. */
struct meeting {
	pthread_barrier_t ready;
	pthread_barrier_t done;
	uint64_t began[MOST];
	uint64_t ended[MOST];
};

static struct meeting *meeting;

/* Commands for outside, and what the process inside has to say and hear. */
static const char *commands[2];
static int ask[2], told[2];

static void here(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		err(EXIT_FAILURE, "no CPU %u", cpu);
}

static void meet(pthread_barrier_t *barrier)
{
	int r = pthread_barrier_wait(barrier);

	if (r && r != PTHREAD_BARRIER_SERIAL_THREAD)
		errx(EXIT_FAILURE, "pthread_barrier_wait: %s", strerror(r));
}

static void touch(volatile char *area, unsigned long from, unsigned long windows)
{
	for (unsigned long page = from * WINDOW; page < (from + windows) * WINDOW; page++)
		area[page * PAGE] = 1;
}

static void work(unsigned int cpu)
{
	size_t length = (MEASURED + 2) * WINDOW * PAGE;
	char *area;

	here(cpu);
	area = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		err(EXIT_FAILURE, "mmap");
	area += -(uintptr_t)area % (WINDOW * PAGE);
	touch(area, 0, 1);
	meet(&meeting->ready);
	meeting->began[cpu] = meter_now(CLOCK_MONOTONIC);
	touch(area, 1, MEASURED);
	meeting->ended[cpu] = meter_now(CLOCK_MONOTONIC);
	meet(&meeting->done);
	meet(&meeting->ready);
	meeting->began[cpu] = meter_now(CLOCK_MONOTONIC);
	for (unsigned long window = 1; window <= MEASURED; window++)
		if (madvise(area + window * WINDOW * PAGE, WINDOW * PAGE, MADV_DONTNEED) < 0)
			err(EXIT_FAILURE, "madvise");
	meeting->ended[cpu] = meter_now(CLOCK_MONOTONIC);
	meet(&meeting->done);
}

/* Somebody else runs it: a fork of ours would change what is measured. */
static void outside(int which)
{
	char byte = (char)which;

	if (commands[which] &&
	    (write(ask[1], &byte, 1) != 1 || read(told[0], &byte, 1) != 1))
		err(EXIT_FAILURE, "nobody runs %s", commands[which]);
}

static void *thread_main(void *cpu)
{
	work((unsigned int)(uintptr_t)cpu);
	return NULL;
}

static void print(const char *who, unsigned int n, const char *what, uint64_t cost)
{
	cost /= n * MEASURED * WINDOW;
	printf("%s-%u-%s %llu %llu\n", who, n, what, (unsigned long long)cost,
	       (unsigned long long)cost);
}

/* From when the first begins until the last is through. */
static uint64_t measure(unsigned int n)
{
	uint64_t began = UINT64_MAX, ended = 0;

	outside(0);
	meet(&meeting->ready);
	meet(&meeting->done);
	outside(1);
	commands[0] = commands[1] = NULL;
	for (unsigned int cpu = 0; cpu < n; cpu++) {
		began = meeting->began[cpu] < began ? meeting->began[cpu] : began;
		ended = meeting->ended[cpu] > ended ? meeting->ended[cpu] : ended;
	}
	return ended - began;
}

static void threads(unsigned int n)
{
	pthread_t thread[MOST];
	uint64_t touched, given;

	for (unsigned int cpu = 0; cpu < n; cpu++) {
		errno = pthread_create(&thread[cpu], NULL, thread_main, (void *)(uintptr_t)cpu);
		if (errno)
			err(EXIT_FAILURE, "pthread_create");
	}
	touched = measure(n);
	given = measure(n);
	for (unsigned int cpu = 0; cpu < n; cpu++)
		pthread_join(thread[cpu], NULL);
	print("threads", n, "touch", touched);
	print("threads", n, "dontneed", given);
}

static void processes(unsigned int n)
{
	uint64_t touched, given;
	int status;

	for (unsigned int cpu = 0; cpu < n; cpu++) {
		pid_t pid = fork();

		if (pid < 0)
			err(EXIT_FAILURE, "fork");
		if (!pid) {
			work(cpu);
			_exit(EXIT_SUCCESS);
		}
	}
	touched = measure(n);
	given = measure(n);
	while (wait(&status) > 0)
		if (status)
			errx(EXIT_FAILURE, "a process failed");
	print("processes", n, "touch", touched);
	print("processes", n, "dontneed", given);
}

static void meeting_init(unsigned int n)
{
	pthread_barrierattr_t attr;

	if (!meeting)
		meeting = mmap(NULL, sizeof(*meeting), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (meeting == MAP_FAILED)
		err(EXIT_FAILURE, "mmap");
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&meeting->ready, &attr, n + 1);
	pthread_barrier_init(&meeting->done, &attr, n + 1);
}

static void command(const struct domain *domain, uint32_t op, uint32_t frame, uint32_t count)
{
	struct usm_frame entry = domain_frame_read(domain, frame);
	struct usm_command command = {
		.op = op, .frame = frame, .count = count, .node = op == USM_CMD_GROW ? -1 : 0,
		.generation = op == USM_CMD_GROW ? 0 : USM_FRAME_GENERATION(&entry),
	};
	int r;

	if (op == USM_CMD_GROW)
		command.frame = 0;
	r = domain_command(domain, &command);
	if (r < 0)
		errx(EXIT_FAILURE, "command %u: %s", op, strerror(-r));
}

/* All frames that there will be, zeroed, and so many blocks of them for each CPU. */
static void supply(const struct domain *domain, unsigned int n, uint32_t frames)
{
	struct usm_stat stat;

	command(domain, USM_CMD_GROW, 0, frames);
	do {
		usleep(10000);
		domain_stat(domain, &stat);
	} while (stat.frames < frames);
	for (uint32_t frame = 0; frame < frames; frame += WINDOW)
		command(domain, USM_CMD_ZERO, frame, WINDOW);
	for (uint32_t i = 0; i < n * SUPPLIED; i++) {
		struct usm_ring *ring = domain->supply[i % n];
		uint32_t frame = i * WINDOW;
		struct usm_frame entry = domain_frame_read(domain, frame);

		*domain_ring_slot(ring, ring->head) =
			USM_SUPPLY(frame, WINDOW, USM_FRAME_GENERATION(&entry));
		__atomic_store_n(&ring->head, ring->head + 1, __ATOMIC_RELEASE);
	}
}

static void inside(int cgroup, void (*run)(unsigned int), unsigned int n)
{
	int procs = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC), status;
	pid_t pid = fork();

	if (pid < 0)
		err(EXIT_FAILURE, "fork");
	if (!pid) {
		if (procs < 0 || write(procs, "0", 1) != 1)
			err(EXIT_FAILURE, "cannot enter the cgroup");
		/* Not on one that has no supply. */
		here(0);
		run(n);
		fflush(stdout);
		_exit(EXIT_SUCCESS);
	}
	close(procs);
	for (int i = 0; i < 2 && commands[i]; i++) {
		char byte;

		if (read(ask[0], &byte, 1) != 1 || system(commands[(int)byte]) ||
		    write(told[1], &byte, 1) != 1)
			errx(EXIT_FAILURE, "cannot run '%s' for it", commands[i]);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		errx(EXIT_FAILURE, "the processes ended with %#x", status);
}

static void with_domain(int device, int cgroup, int order, void (*run)(unsigned int),
			unsigned int n)
{
	uint32_t frames = n * SUPPLIED * WINDOW;
	struct domain domain;
	struct usm_bind bind;
	struct usm_stat stat;
	uint64_t epoch;
	int r;

	domain_bind_init(&bind, cgroup, frames);
	bind.fault_order = order;
	bind.deadline_ms = USM_MAX_DEADLINE_MS;
	r = domain_ioctl(device, USM_IOC_BIND, &bind);
	if (r < 0)
		errx(EXIT_FAILURE, "cannot bind: %s", strerror(-r));
	domain_map_or_die(&domain, bind.domain_fd);
	r = domain_arm(&domain, &epoch);
	if (r < 0)
		errx(EXIT_FAILURE, "cannot arm: %s", strerror(-r));
	supply(&domain, n, frames);
	inside(cgroup, run, n);
	domain_stat(&domain, &stat);
	/* Else it was something else that was measured. */
	if (stat.stolen || stat.waits || stat.fallback_pages || stat.zeroed_in_fault)
		errx(EXIT_FAILURE, "%llu stolen, %llu waits, %llu in fallback, %llu zeroed",
		     (unsigned long long)stat.stolen, (unsigned long long)stat.waits,
		     (unsigned long long)stat.fallback_pages,
		     (unsigned long long)stat.zeroed_in_fault);
	domain_release(device, domain.id);
	domain_unmap(&domain);
}

int main(int argc, char **argv)
{
	static void (*const runs[])(unsigned int) = { threads, processes };
	unsigned int only = argc == 6 ? (unsigned int)atoi(argv[3]) : 0;
	int cgroup, order, device;
	bool stock;

	if ((argc != 3 && argc != 6) || only > MOST)
		errx(EXIT_FAILURE, "usage: bench-scaling CGROUP ORDER|stock [CPUS BEGIN END]");
	if (only) {
		commands[0] = argv[4];
		commands[1] = argv[5];
		if (pipe2(ask, O_CLOEXEC) < 0 || pipe2(told, O_CLOEXEC) < 0)
			err(EXIT_FAILURE, "pipe2");
	}
	stock = strcmp(argv[2], "stock") == 0;
	order = atoi(argv[2]);
	/* Pages of 4 KiB, as many as there are: what is compared is the way to answer a fault. */
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) < 0)
		err(EXIT_FAILURE, "PR_SET_THP_DISABLE");
	cgroup = domain_cgroup_open_or_die(argv[1]);
	device = stock ? -1 : domain_device_open_or_die();
	setvbuf(stdout, NULL, _IOFBF, 0);
	for (unsigned int n = only ?: 1; n <= (only ?: MOST); n *= 2) {
		for (int i = 0; i < (only ? 1 : 2); i++) {
			fflush(stdout);
			meeting_init(n);
			if (stock)
				inside(cgroup, runs[i], n);
			else
				with_domain(device, cgroup, order, runs[i], n);
		}
	}
	return EXIT_SUCCESS;
}

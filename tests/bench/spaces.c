// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench-spaces CGROUP N - what it costs that N processes, all forked by one, are in a
 * domain, in nanoseconds, which are instructions in a guest that counts them: "NAME OWN ALL".
 *
 *   sample-own      to look at a page that one process has, and nobody shares; each one's
 *   sample-new      at a page that the youngest shares with the parent
 *   sample-old      at one that the oldest does, of which each other has a copy
 *   sample-everyone at one that all share
 *   fork+exit       a child that does nothing: "own" is what its parent did, "all" what the
 *                   machine did for it, until nobody had anything left to do
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../uapi/domain.h"
#include "meter.h"

#define PAGE		4096ul
#define FORKS		20u	/* measured */
#define LOOKS		20u

/* Pages of the parent's area; what follows them are those of the processes. */
enum { EVERYONE, OLD, NEW, FIRST };

static char *map(unsigned long pages)
{
	char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err(EXIT_FAILURE, "mmap");
	return p;
}

static void tell(int fd, uint64_t value)
{
	if (write(fd, &value, sizeof(value)) != sizeof(value))
		err(EXIT_FAILURE, "write");
}

static uint64_t hear(int fd)
{
	uint64_t value;

	if (read(fd, &value, sizeof(value)) != sizeof(value))
		errx(EXIT_FAILURE, "a process is gone");
	return value;
}

static void child(volatile char *area, unsigned int i, int answers)
{
	if (i)
		area[OLD * PAGE] = 2;
	area[(FIRST + i) * PAGE] = 1;
	tell(answers, i);
	for (;;)
		pause();
}

static void parent(volatile char *area, unsigned int n, int orders, int answers)
{
	uint64_t own = 0;
	int ready[2];

	if (pipe(ready) < 0)
		err(EXIT_FAILURE, "pipe");
	area[EVERYONE * PAGE] = area[OLD * PAGE] = 1;
	for (unsigned int i = 0; i < n; i++) {
		pid_t pid;

		if (i == n - 1)
			area[NEW * PAGE] = 1;
		pid = fork();
		if (pid < 0)
			err(EXIT_FAILURE, "fork");
		if (!pid)
			child(area, i, ready[1]);
		hear(ready[0]);
	}
	tell(answers, (uintptr_t)area / PAGE);
	for (;;) {
		tell(answers, own);
		hear(orders);
		own = meter_now(CLOCK_THREAD_CPUTIME_ID);
		for (unsigned int i = 0; i < FORKS; i++) {
			pid_t pid = fork();

			if (!pid)
				_exit(EXIT_SUCCESS);
			if (pid < 0 || waitpid(pid, NULL, 0) < 0)
				err(EXIT_FAILURE, "fork");
		}
		own = meter_now(CLOCK_THREAD_CPUTIME_ID) - own;
	}
}

static void print(const char *name, uint64_t own, uint64_t all, unsigned int count)
{
	printf("%s %llu %llu\n", name, (unsigned long long)own / count,
	       (unsigned long long)all / count);
}

static void look(const struct domain *domain, uint32_t frame)
{
	struct usm_frame entry = domain_frame_read(domain, frame);
	struct usm_command command = {
		.op = USM_CMD_SAMPLE, .frame = frame, .count = 1,
		.generation = USM_FRAME_GENERATION(&entry),
	};
	int r = domain_command(domain, &command);

	if (r < 0)
		errx(EXIT_FAILURE, "sample: %s", strerror(-r));
}

/* The frame that holds the page in this state, from `from` on; or the number of frames. */
static uint32_t find(const struct domain *domain, uint32_t from, uint64_t page,
		     uint32_t pages, enum usm_frame_state state)
{
	uint32_t frame = from;

	for (; frame < domain->frames; frame++) {
		struct usm_frame entry = domain_frame_read(domain, frame);

		if (entry.state == state && USM_FRAME_PAGE(&entry) - page < pages)
			break;
	}
	return frame;
}

static void look_own(const struct domain *domain, uint64_t area, unsigned int n)
{
	uint64_t own = 0, all = 0, since;
	unsigned int looks = 0;

	for (uint32_t frame = 0; frame < domain->frames; frame++) {
		frame = find(domain, frame, area + FIRST, n, USM_FRAME_MAPPED);
		if (frame == domain->frames)
			break;
		since = meter_now(CLOCK_MONOTONIC);
		own -= meter_now(CLOCK_THREAD_CPUTIME_ID);
		look(domain, frame);
		own += meter_now(CLOCK_THREAD_CPUTIME_ID);
		all += meter_now(CLOCK_MONOTONIC) - since;
		looks++;
	}
	if (looks != n)
		errx(EXIT_FAILURE, "%u of %u processes have a page", looks, n);
	print("sample-own", own, all, n);
}

static void look_shared(const struct domain *domain, const char *name, uint64_t page)
{
	uint32_t frame = find(domain, 0, page, 1, USM_FRAME_SHARED);
	uint64_t own, all;

	if (frame == domain->frames)
		errx(EXIT_FAILURE, "%s: no such page is shared", name);
	own = meter_now(CLOCK_THREAD_CPUTIME_ID);
	all = meter_now(CLOCK_MONOTONIC);
	for (unsigned int i = 0; i < LOOKS; i++)
		look(domain, frame);
	print(name, meter_now(CLOCK_THREAD_CPUTIME_ID) - own, meter_now(CLOCK_MONOTONIC) - all,
	      LOOKS);
}

static void forks(int orders, int answers)
{
	uint64_t start, wait, all, own;

	meter_start();
	meter_settle();
	start = meter_busy();
	meter_settle();
	wait = meter_busy() - start;
	start = meter_busy();
	tell(orders, 0);
	own = hear(answers);
	meter_settle();
	all = meter_busy() - start;
	meter_stop();
	print("fork+exit", own, all > wait ? all - wait : 0, FORKS);
}

int main(int argc, char **argv)
{
	int device, cgroup, procs, orders[2], answers[2], r;
	struct domain domain;
	struct usm_bind bind;
	unsigned int n;
	uint64_t area;
	pid_t pid;

	if (argc != 3 || atoi(argv[2]) < 2)
		errx(EXIT_FAILURE, "usage: bench-spaces CGROUP N");
	n = (unsigned int)atoi(argv[2]);
	device = domain_device_open_or_die();
	cgroup = domain_cgroup_open_or_die(argv[1]);
	domain_bind_init(&bind, cgroup, 16ul * n + 4096);
	r = domain_ioctl(device, USM_IOC_BIND, &bind);
	if (r < 0)
		errx(EXIT_FAILURE, "cannot bind %s: %s", argv[1], strerror(-r));
	domain_map_or_die(&domain, bind.domain_fd);
	if (pipe(orders) < 0 || pipe(answers) < 0)
		err(EXIT_FAILURE, "pipe");
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		procs = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
		if (procs < 0 || write(procs, "0", 1) != 1)
			err(EXIT_FAILURE, "cannot enter the cgroup");
		parent(map(FIRST + n), n, orders[0], answers[1]);
	}
	area = hear(answers[0]);
	hear(answers[0]);
	look_own(&domain, area, n);
	look_shared(&domain, "sample-new", area + NEW);
	look_shared(&domain, "sample-old", area + OLD);
	look_shared(&domain, "sample-everyone", area + EVERYONE);
	forks(orders[1], answers[0]);
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
	domain_release(device, domain.id);
	return EXIT_SUCCESS;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench-sample CGROUP - what USM_CMD_SAMPLE costs a page, of those that were accessed
 * since the last time and of those that were not: "NAME OWN ALL" in nanoseconds, which
 * are instructions in a guest that counts them. The process that has the pages does
 * nothing meanwhile, and with them shared its child does neither. Without USM, of as many
 * pages, the same by what the kernel has for that: /proc/PID/clear_refs, and smaps_rollup
 * before it.
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../uapi/domain.h"

#define PAGE	4096ul
#define PAGES	8192u		/* 32 MiB */
#define CEILING	(PAGES + 1024)

/* In the cgroup, if there is one: touch the pages when told to, then share them with a child. */
static void inside(int cgroup, int orders, int answers)
{
	volatile char *p;
	char byte = 0;

	if (cgroup >= 0) {
		int procs = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);

		if (procs < 0 || write(procs, "0", 1) != 1)
			err(EXIT_FAILURE, "cannot enter the cgroup");
	}
	p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		err(EXIT_FAILURE, "mmap");
	madvise((void *)p, PAGES * PAGE, MADV_NOHUGEPAGE);
	while (read(orders, &byte, 1) == 1) {
		if (byte == 'f' && !fork())
			for (;;)
				pause();
		for (unsigned long i = 0; byte == 't' && i < PAGES; i++)
			p[i * PAGE]++;
		if (write(answers, &byte, 1) != 1)
			break;
	}
	kill(0, SIGKILL);
}

static void order(const int *pipes, char what)
{
	if (write(pipes[1], &what, 1) != 1 || read(pipes[2], &what, 1) != 1)
		errx(EXIT_FAILURE, "the process is gone");
}

static unsigned long now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (unsigned long)t.tv_sec * 1000000000u + (unsigned long)t.tv_nsec;
}

static void sample(const struct domain *domain, const char *name)
{
	unsigned long own = now(CLOCK_THREAD_CPUTIME_ID), all = now(CLOCK_MONOTONIC), n = 0;

	for (uint32_t frame = 0; frame < CEILING; frame += USM_MAX_RUN) {
		struct usm_frame entry = domain_frame_read(domain, frame);
		struct usm_command command = {
			.op = USM_CMD_SAMPLE, .frame = frame, .count = USM_MAX_RUN,
			.generation = USM_FRAME_GENERATION(&entry),
		};
		int r = domain_command(domain, &command);

		if (r < 0)
			errx(EXIT_FAILURE, "sample: %s", strerror(-r));
		n += (unsigned long)r;
	}
	if (n < PAGES)
		errx(EXIT_FAILURE, "only %lu pages were looked at", n);
	printf("%s %lu %lu\n", name, (now(CLOCK_THREAD_CPUTIME_ID) - own) / n,
	       (now(CLOCK_MONOTONIC) - all) / n);
}

/* Pages of the process that were accessed since its clear_refs was written to. */
static unsigned long referenced(pid_t pid)
{
	unsigned long kib = 0;
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	file = fopen(path, "r");
	if (!file)
		err(EXIT_FAILURE, "%s", path);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Referenced: %lu", &kib) == 1)
			break;
	fclose(file);
	return kib / (PAGE / 1024);
}

static void clear_refs(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)pid);
	fd = open(path, O_WRONLY);
	/* Of anonymous pages. */
	if (fd < 0 || write(fd, "2", 1) != 1)
		err(EXIT_FAILURE, "%s", path);
	close(fd);
}

static void stock(pid_t pid, const char *name, bool used)
{
	unsigned long own = now(CLOCK_THREAD_CPUTIME_ID), all = now(CLOCK_MONOTONIC), n;

	n = referenced(pid);
	clear_refs(pid);
	own = now(CLOCK_THREAD_CPUTIME_ID) - own;
	all = now(CLOCK_MONOTONIC) - all;
	if (used ? n < PAGES : n > PAGES / 2)
		errx(EXIT_FAILURE, "%s: %lu pages were accessed", name, n);
	printf("%s %lu %lu\n", name, own / PAGES, all / PAGES);
}

static pid_t inside_start(int cgroup, int *pipes)
{
	pid_t pid;

	if (pipe(pipes) < 0 || pipe(pipes + 2) < 0)
		err(EXIT_FAILURE, "pipe");
	pid = fork();
	if (pid < 0)
		err(EXIT_FAILURE, "fork");
	if (!pid) {
		setpgid(0, 0);
		close(pipes[1]);
		inside(cgroup, pipes[0], pipes[3]);
	}
	return pid;
}

static void inside_stop(pid_t pid, int *pipes)
{
	close(pipes[1]);
	waitpid(pid, NULL, 0);
}

static void stock_all(void)
{
	int pipes[4];
	pid_t pid = inside_start(-1, pipes);

	order(pipes, 't');
	clear_refs(pid);
	stock(pid, "stock-idle", false);
	order(pipes, 't');
	stock(pid, "stock-used", true);
	inside_stop(pid, pipes);
}

int main(int argc, char **argv)
{
	struct usm_command grow = { .op = USM_CMD_GROW, .count = CEILING, .node = -1 };
	int device, cgroup, pipes[4], r;
	struct domain domain;
	struct usm_bind bind;
	struct usm_stat stat;
	pid_t pid;

	if (argc != 2)
		errx(EXIT_FAILURE, "usage: bench-sample CGROUP");
	stock_all();
	device = domain_device_open_or_die();
	cgroup = domain_cgroup_open_or_die(argv[1]);
	domain_bind_init(&bind, cgroup, CEILING);
	r = domain_ioctl(device, USM_IOC_BIND, &bind);
	if (r < 0)
		errx(EXIT_FAILURE, "cannot bind %s: %s", argv[1], strerror(-r));
	domain_map_or_die(&domain, bind.domain_fd);
	domain_command(&domain, &grow);
	do {
		usleep(10000);
		domain_stat(&domain, &stat);
	} while (stat.frames < CEILING);
	pid = inside_start(cgroup, pipes);
	order(pipes, 't');
	sample(&domain, "sample-mapped");
	sample(&domain, "sample-idle");
	order(pipes, 't');
	sample(&domain, "sample-used");
	order(pipes, 'f');
	sample(&domain, "sample-shared-forked");
	sample(&domain, "sample-shared-idle");
	inside_stop(pid, pipes);
	domain_release(device, domain.id);
	return EXIT_SUCCESS;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "meter.h"

#include <err.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SETTLE_NS	200000000l

static struct {
	pid_t pid;
	clockid_t clock;
} spare;

uint64_t meter_now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void meter_start(void)
{
	struct sched_param none = {};

	spare.pid = fork();
	if (spare.pid < 0)
		err(EXIT_FAILURE, "fork");
	if (spare.pid == 0) {
		if (sched_setscheduler(0, SCHED_IDLE, &none) < 0)
			err(EXIT_FAILURE, "SCHED_IDLE");
		for (;;)
			__asm__ volatile("" ::: "memory");
	}
	errno = clock_getcpuclockid(spare.pid, &spare.clock);
	if (errno)
		err(EXIT_FAILURE, "clock_getcpuclockid");
}

void meter_stop(void)
{
	kill(spare.pid, SIGKILL);
	if (waitpid(spare.pid, NULL, 0) < 0)
		err(EXIT_FAILURE, "waitpid");
}

uint64_t meter_busy(void)
{
	return meter_now(CLOCK_MONOTONIC) - meter_now(spare.clock);
}

void meter_settle(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = SETTLE_NS }, NULL);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * shadowfork [--join CGROUP] - forks while /dev/shadow writes to its memory.
 *
 * What the device writes after a fork is the parent's alone, and what it wrote before
 * is in both. With --join, the process is in the cgroup only after the device
 * watches it. Prints "shadowfork: N words, 0 wrong"; exit status 1 where one was wrong.
 */
#include "util.h"

#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES	600	/* more than one page table of them */
#define ROUNDS	5

static unsigned long checked, wrong;

static uint64_t *word(char *area, size_t page)
{
	return (uint64_t *)(area + page * UTIL_PAGE + 8 * (page % UTIL_WORDS));
}

static void poke_all(int device, char *area, uint64_t value)
{
	for (size_t page = 0; page < PAGES; page++)
		if (pwrite(device, &value, sizeof(value), (off_t)word(area, page)) != sizeof(value))
			err(1, "/dev/shadow: page %zu", page);
}

static void verify_all(const char *who, char *area, uint64_t value)
{
	for (size_t page = 0; page < PAGES; page++) {
		uint64_t got = *(volatile uint64_t *)word(area, page);

		checked++;
		if (got == value)
			continue;
		if (!wrong++)
			util_say("%s: page %zu has %llu, wanted %llu", who, page,
				 (unsigned long long)got, (unsigned long long)value);
	}
}

/* The child looks when the parent has closed its end, and then writes to all. */
static int child(char *area, const int *hold, uint64_t value)
{
	char byte;

	checked = wrong = 0;
	close(hold[1]);
	if (read(hold[0], &byte, 1) != 0)
		err(1, "read");
	verify_all("child", area, value);
	for (size_t page = 0; page < PAGES; page++)
		*word(area, page) = ~0ull;
	return wrong != 0;
}

static void round_of(int device, char *area, uint64_t value)
{
	int hold[2], status;
	pid_t pid;

	poke_all(device, area, value);
	verify_all("before fork", area, value);
	if (pipe2(hold, O_CLOEXEC) < 0)
		err(1, "pipe");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid == 0)
		_exit(child(area, hold, value));
	close(hold[0]);
	poke_all(device, area, value + 1);
	verify_all("parent", area, value + 1);
	close(hold[1]);
	if (waitpid(pid, &status, 0) < 0)
		err(1, "waitpid");
	checked += PAGES;
	wrong += status != 0;
	verify_all("after the child", area, value + 1);
}

static void join(const char *cgroup)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		err(1, "%s", path);
	close(fd);
}

int main(int argc, char **argv)
{
	int device = open("/dev/shadow", O_WRONLY | O_CLOEXEC);
	char *area;

	if (device < 0)
		err(1, "/dev/shadow");
	if (argc == 3 && !strcmp(argv[1], "--join"))
		join(argv[2]);
	else if (argc != 1)
		errx(2, "use: shadowfork [--join CGROUP]");
	area = util_map((size_t)PAGES * UTIL_PAGE);
	for (uint64_t value = 2; value < 2 + 2 * ROUNDS; value += 2)
		round_of(device, area, value);
	util_say("shadowfork: %lu words, %lu wrong", checked, wrong);
	return wrong != 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench-metadata DIRECTORY MIB - what the module keeps in memory for a domain of MIB, bytes
 * that the machine has no more: while a process in a new cgroup in DIRECTORY, that is a
 * domain, has all of its frames, less while one in a cgroup that is none has as many pages.
 * Then what more is gone when all of them are evicted.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../uapi/domain.h"

#define PAGE		4096ul
#define SETTLE_NS	300000000l
#define GROW_SECONDS	60
#define BATCH		32

static void pause_a_while(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = SETTLE_NS }, NULL);
}

static void write_to(const char *directory, const char *name, const char *text)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s%s%s", directory ?: "", directory ? "/" : "", name);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(EXIT_FAILURE, "%s", path);
	close(fd);
}

/* What a slab cache keeps in case that it is needed again. */
static void slabs_shrink(void)
{
	glob_t found;

	if (glob("/sys/kernel/slab/*/shrink", 0, NULL, &found))
		errx(EXIT_FAILURE, "no slab cache can be shrunk");
	for (size_t i = 0; i < found.gl_pathc; i++)
		write_to(NULL, found.gl_pathv[i], "1");
	globfree(&found);
}

/* Pages free, whether the allocator has them or a list of a CPU. */
static int64_t pages_free(void)
{
	long pages = 0, n;
	char line[256];
	FILE *file;

	/* What is freed later is free; caches are empty; the numbers are not estimates. */
	pause_a_while();
	sync();
	write_to("/proc/sys/vm", "drop_caches", "3");
	pause_a_while();
	slabs_shrink();
	write_to("/proc/sys/vm", "stat_refresh", "1");
	file = fopen("/proc/zoneinfo", "r");
	if (!file)
		err(EXIT_FAILURE, "/proc/zoneinfo");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " pages free %ld", &n) == 1 ||
		    sscanf(line, " count: %ld", &n) == 1)
			pages += n;
	fclose(file);
	return pages;
}

static void cgroup_make(char path[4096], const char *directory, const char *name)
{
	snprintf(path, 4096, "%s/%s", directory, name);
	if (mkdir(path, 0755) < 0)
		err(EXIT_FAILURE, "%s", path);
}

/* A process in the cgroup that has so many pages, until it is killed. */
static pid_t holder_start(const char *cgroup, unsigned long pages)
{
	int there[2];
	pid_t child;
	char byte;

	if (pipe(there) < 0)
		err(EXIT_FAILURE, "pipe");
	child = fork();
	if (child < 0)
		err(EXIT_FAILURE, "fork");
	if (child == 0) {
		char *p;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		write_to(cgroup, "cgroup.procs", "0");
		p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			err(EXIT_FAILURE, "mmap");
		madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
		for (unsigned long i = 0; i < pages; i++)
			((volatile char *)p)[i * PAGE] = 1;
		if (write(there[1], "", 1) < 0)
			err(EXIT_FAILURE, "write");
		for (;;)
			pause();
	}
	close(there[1]);
	if (read(there[0], &byte, 1) != 1)
		errx(EXIT_FAILURE, "the process with the pages has ended");
	close(there[0]);
	return child;
}

static void holder_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	if (waitpid(pid, NULL, 0) < 0)
		err(EXIT_FAILURE, "waitpid");
}

static void stat_or_die(const struct domain *domain, struct usm_stat *stat)
{
	int r = domain_stat(domain, stat);

	if (r < 0)
		errx(EXIT_FAILURE, "stat: %s", strerror(-r));
}

static void grow(const struct domain *domain, unsigned long pages)
{
	struct usm_command command = { .op = USM_CMD_GROW, .node = -1 };
	struct usm_stat stat;
	int tries = GROW_SECONDS;

	stat_or_die(domain, &stat);
	command.count = (uint32_t)(pages - stat.frames);
	if (command.count && domain_command(domain, &command) < 0)
		errx(EXIT_FAILURE, "the domain cannot grow");
	for (; tries && stat.frames < pages; tries--) {
		pause_a_while();
		stat_or_die(domain, &stat);
	}
	if (stat.frames != pages)
		errx(EXIT_FAILURE, "%llu frames instead of %lu",
		     (unsigned long long)stat.frames, pages);
}

static void evict_all(const struct domain *domain, unsigned long pages)
{
	struct usm_stat stat;

	for (unsigned long frame = 0; frame < pages; frame += BATCH) {
		struct usm_frame first = domain_frame_read(domain, (uint32_t)frame);
		struct usm_command command = {
			.op = USM_CMD_EVICT,
			.frame = (uint32_t)frame,
			.count = BATCH,
			.generation = USM_FRAME_GENERATION(&first),
		};

		if (domain_command(domain, &command) != BATCH)
			errx(EXIT_FAILURE, "not all of %d frames from %lu are evicted", BATCH,
			     frame);
	}
	stat_or_die(domain, &stat);
	if (stat.evicted != pages)
		errx(EXIT_FAILURE, "%llu evicted pages", (unsigned long long)stat.evicted);
}

static int64_t gone_without(const char *directory, unsigned long pages)
{
	int64_t free = pages_free();
	char cgroup[4096];
	pid_t pid;

	cgroup_make(cgroup, directory, "none");
	pid = holder_start(cgroup, pages);
	free -= pages_free();
	holder_stop(pid);
	rmdir(cgroup);
	return free;
}

static int64_t gone_with(const char *directory, unsigned long pages, int64_t *evicted)
{
	int device = domain_device_open_or_die(), fd, r;
	int64_t free = pages_free(), used;
	struct domain domain;
	struct usm_bind bind;
	struct usm_stat stat;
	char cgroup[4096];
	pid_t pid;

	cgroup_make(cgroup, directory, "domain");
	fd = domain_cgroup_open_or_die(cgroup);
	domain_bind_init(&bind, fd, pages);
	r = domain_ioctl(device, USM_IOC_BIND, &bind);
	if (r < 0)
		errx(EXIT_FAILURE, "cannot bind %s: %s", cgroup, strerror(-r));
	domain_map_or_die(&domain, bind.domain_fd);
	grow(&domain, pages);
	pid = holder_start(cgroup, pages);
	used = free - pages_free();

	r = domain_arm(&domain, NULL);
	if (r < 0)
		errx(EXIT_FAILURE, "arm: %s", strerror(-r));
	evict_all(&domain, pages);
	*evicted = free - pages_free() - used;
	/* What is free the kernel takes back when its caches are dropped. */
	stat_or_die(&domain, &stat);
	*evicted += (int64_t)(pages - stat.frames);
	holder_stop(pid);
	domain_unmap(&domain);
	close(fd);
	rmdir(cgroup);
	close(device);
	return used;
}

int main(int argc, char **argv)
{
	int64_t without, with, evicted;
	unsigned long mib, pages;

	if (argc != 3)
		errx(EXIT_FAILURE, "usage: bench-metadata DIRECTORY MIB");
	mib = strtoul(argv[2], NULL, 10);
	pages = (mib << 20) / PAGE;
	/* What the first of them makes for all that come is not of a domain. */
	gone_without(argv[1], BATCH);
	gone_with(argv[1], BATCH, &evicted);

	without = gone_without(argv[1], pages);
	with = gone_with(argv[1], pages, &evicted);
	printf("frames-%lum %lld %lu\n", mib, (long long)(with - without) * (long long)PAGE,
	       pages * PAGE);
	printf("evicted-%lum %lld %lu\n", mib, (long long)evicted * (long long)PAGE, pages * PAGE);
	return EXIT_SUCCESS;
}

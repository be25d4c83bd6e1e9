// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * strike - end a process with SIGKILL at a moment of a domain's work.
 *
 *   strike --domain ID --pid PID [--delay-us N] [--when any|evicting|restoring]
 *
 * After the delay it looks at the domain until what is asked for is so: `evicting`, a page
 * lies in the staging pages and nowhere else; `restoring`, somebody waits for a page. For
 * half a second at the most; then it strikes all the same. Last line, as it was found when
 * the process was no more:
 * "struck MOMENT: S pages only in staging, A away, W wanted, C coming".
 */
#include "domain.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS		50000
#define LOOK_FOR_MS	500

enum moment { ANY, EVICTING, RESTORING };

struct scene {
	struct domain domain;
	const struct usm_staged *staged;
	const struct usm_evicted *evicted;
};

struct count {
	uint32_t staged, states[USM_EVICTED_LOST + 1];
};

static long long ms_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static void attach_or_die(struct scene *scene, uint64_t id)
{
	struct usm_attach attach = { .size = sizeof(attach), .id = id };
	int r = domain_ioctl(domain_device_open_or_die(), USM_IOC_ATTACH, &attach);

	if (r < 0)
		errx(DOMAIN_EXIT_FAILURE, "cannot attach: %s", strerror(-r));
	domain_map_or_die(&scene->domain, attach.domain_fd);
	scene->staged = mmap(NULL, scene->domain.info.staging_size, PROT_READ, MAP_SHARED,
			     attach.domain_fd, (off_t)USM_MMAP_STAGING);
	scene->evicted = mmap(NULL, scene->domain.info.evicted_size, PROT_READ, MAP_SHARED,
			      attach.domain_fd, (off_t)USM_MMAP_EVICTED);
	if (scene->staged == MAP_FAILED || scene->evicted == MAP_FAILED)
		err(DOMAIN_EXIT_FAILURE, "mmap");
}

static struct usm_evicted entry_of(const struct scene *scene, uint32_t number)
{
	uint32_t top = __atomic_load_n(&scene->domain.events->evicted_top, __ATOMIC_ACQUIRE);
	struct usm_evicted none = { 0 };

	return number < top ? scene->evicted[number] : none;
}

/* Descriptors whose page is nowhere else yet: one that came back may still be there. */
static uint32_t staged_count(const struct scene *scene)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < USM_STAGING_PAGES; i++) {
		uint64_t key = __atomic_load_n(&scene->staged[i].key, __ATOMIC_ACQUIRE);
		struct usm_evicted entry = entry_of(scene, USM_EVICTED_NUMBER(key));

		if (key && entry.generation == USM_EVICTED_GENERATION(key) &&
		    (entry.state == USM_EVICTED_AWAY || entry.state == USM_EVICTED_WANTED))
			count++;
	}
	return count;
}

static struct count look(const struct scene *scene)
{
	uint32_t top = __atomic_load_n(&scene->domain.events->evicted_top, __ATOMIC_ACQUIRE);
	struct count count = { .staged = staged_count(scene) };

	for (uint32_t i = 0; i < top; i++)
		if (scene->evicted[i].state <= USM_EVICTED_LOST)
			count.states[scene->evicted[i].state]++;
	return count;
}

static bool is_time(const struct scene *scene, enum moment moment)
{
	struct count count;

	if (moment == EVICTING)
		return staged_count(scene) > 0;
	count = look(scene);
	return count.states[USM_EVICTED_WANTED] || count.states[USM_EVICTED_COMING];
}

static void strike_or_die(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd gone = { .fd = fd, .events = POLLIN };

	if (fd < 0 || kill(pid, SIGKILL) < 0)
		err(DOMAIN_EXIT_FAILURE, "cannot kill %d", (int)pid);
	poll(&gone, 1, -1);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "domain", required_argument, NULL, 'd' },
		{ "pid", required_argument, NULL, 'p' },
		{ "delay-us", required_argument, NULL, 'u' },
		{ "when", required_argument, NULL, 'w' },
		{ 0 }
	};
	static const char *const moments[] = { "any", "evicting", "restoring" };
	const struct timespec pause = { 0, LOOK_NS };
	enum moment moment = ANY;
	struct scene scene;
	struct count count;
	uint64_t id = 0;
	long delay = 0;
	pid_t pid = 0;
	long long end;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'd': id = strtoull(optarg, NULL, 0); break;
		case 'p': pid = atoi(optarg); break;
		case 'u': delay = atol(optarg); break;
		case 'w':
			for (moment = ANY; moment <= RESTORING; moment++)
				if (!strcmp(optarg, moments[moment]))
					break;
			break;
		default: return DOMAIN_EXIT_FAILURE;
		}
	}
	if (!id || pid <= 1 || moment > RESTORING)
		errx(DOMAIN_EXIT_FAILURE, "usage: see the source");
	attach_or_die(&scene, id);
	usleep((useconds_t)delay);
	end = ms_now() + LOOK_FOR_MS;
	while (moment != ANY && !is_time(&scene, moment) && ms_now() < end)
		nanosleep(&pause, NULL);
	strike_or_die(pid);
	count = look(&scene);
	printf("struck %s: %u pages only in staging, %u away, %u wanted, %u coming\n",
	       moments[moment], count.staged, count.states[USM_EVICTED_AWAY],
	       count.states[USM_EVICTED_WANTED], count.states[USM_EVICTED_COMING]);
	return 0;
}

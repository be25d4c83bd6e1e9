// SPDX-License-Identifier: GPL-2.0-or-later
/* What an attacker does besides commands; and the attacker itself. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS		4

static uint64_t word_odd(struct attack *a)
{
	switch (attack_below(&a->rng, 6)) {
	case 0: return 0;
	case 1: return ~0ull;
	case 2: return attack_below(&a->rng, 4096);
	case 3: return USM_SUPPLY(attack_below(&a->rng, ATTACK_CEILING + 64),
				  attack_below(&a->rng, 600), attack_below(&a->rng, 16));
	case 4: return a->shared->recent[attack_below(&a->rng, ATTACK_RECENT)];
	default: return attack_random(&a->rng);
	}
}

/* ------------------------------------------------------------ rings and staging */

static uint32_t *ring_word(struct attack *a, struct usm_ring *ring)
{
	uint32_t *words = (uint32_t *)ring;

	switch (attack_below(&a->rng, 3)) {
	case 0: return &ring->head;
	case 1: return &ring->tail;
	default: return words + attack_below(&a->rng, sizeof(*ring) / sizeof(*words));
	}
}

void attack_scribble(struct attack *a)
{
	const struct usm_info *info = &a->domain.info;
	uint32_t ring = attack_below(&a->rng, info->supply_rings);
	uint64_t times = 1 + attack_below(&a->rng, 32);
	char *base = NULL;
	size_t size = 0;

	switch (attack_below(&a->rng, 6)) {
	case 0:
		/* By small steps, too: half a ring of entries that were used before. */
		*ring_word(a, a->domain.supply[ring]) += 1 + attack_below(&a->rng, 64);
		break;
	case 1:
		*ring_word(a, a->domain.events) = word_odd(a);
		break;
	case 2:
		*ring_word(a, a->domain.supply[ring]) = word_odd(a);
		break;
	case 3:
		base = (char *)a->domain.supply[ring], size = info->supply_size;
		break;
	case 4:
		base = (char *)a->domain.events, size = info->event_size;
		break;
	default:
		base = (char *)a->staged, size = info->staging_size;
		/* Descriptors are few beside the content. */
		if (attack_chance(&a->rng, 2))
			size = USM_STAGING_PAGES * sizeof(struct usm_staged);
	}
	for (uint64_t i = 0; base && i < times; i++)
		*(volatile uint64_t *)(base + attack_below(&a->rng, size / 8) * 8) = word_odd(a);
	attack_count(&a->shared->done[ATTACK_SCRIBBLE], base ? times : 1);
	attack_count(&a->shared->ok[ATTACK_SCRIBBLE], base ? times : 1);
}

/* ------------------------------------------------------------------------- ioctls */

static int descriptor_odd(struct attack *a)
{
	switch (attack_below(&a->rng, 7)) {
	case 0: return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 1: return open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	case 2: return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case 3: return dup(a->device);
	case 4: return dup(a->fds[attack_below(&a->rng, 3)]);
	default: return memfd_create("attack", MFD_CLOEXEC);
	}
}

static long control_store(struct attack *a, int fd)
{
	struct usm_store_fd store = { .size = sizeof(store), .fd = -1,
				      .index = attack_below(&a->rng, USM_MAX_STORES + 1),
				      .data = attack_random(&a->rng) };
	long r;

	switch (attack_below(&a->rng, 3)) {
	case 0:
		store.fd = descriptor_odd(a);
		store.index = 0;
		store.name[0] = 'a' + attack_below(&a->rng, 12);
		if (attack_chance(&a->rng, 16))
			memset(store.name, 'x', sizeof(store.name));
		r = ioctl(fd, USM_IOC_STORE_PUT, &store);
		close(store.fd);
		return r;
	case 1:
		r = ioctl(fd, USM_IOC_STORE_GET, &store);
		if (r == 0)
			close(store.fd);
		return r;
	default:
		return ioctl(fd, USM_IOC_STORE_DROP, &store);
	}
}

static long control_tune(struct attack *a, int fd)
{
	/* Faults go on: nothing here lets them wait for long, nor for ever. */
	struct usm_tune tune = {
		.size = sizeof(tune),
		.flags = attack_below(&a->rng, attack_chance(&a->rng, 8) ? 256 : 64),
		.ceiling = attack_chance(&a->rng, 4) ? attack_below(&a->rng, ATTACK_CEILING + 9) :
			   ATTACK_CEILING,
		.reserve = attack_chance(&a->rng, 8) ? attack_random(&a->rng) : 0,
		.fault_order = attack_below(&a->rng, USM_MAX_ORDER + 2),
		.deadline_ms = 10 + attack_below(&a->rng, 90),
		.mode = attack_below(&a->rng, attack_chance(&a->rng, 8) ? 3 : 2),
	};

	if (attack_chance(&a->rng, 2))
		tune.flags &= ~USM_TUNE_ORDER;
	for (int i = 0; i < USM_ORDER_SIZES; i++)
		tune.orders[i] = attack_below(&a->rng, attack_chance(&a->rng, 64) ? 256 :
					      USM_MAX_ORDER + 1);
	return ioctl(fd, USM_IOC_TUNE, &tune);
}

static long control_list(struct attack *a)
{
	struct usm_list_entry entries[8];
	struct usm_list list = { .size = sizeof(list), .entries = (uintptr_t)entries,
				 .capacity = attack_below(&a->rng, 9) };

	if (attack_chance(&a->rng, 8))
		list.entries = attack_random(&a->rng);
	return ioctl(a->device, USM_IOC_LIST, &list);
}

static long control_attach(struct attack *a)
{
	struct usm_attach attach = { .size = sizeof(attach), .id = a->shared->domain_id };
	struct pollfd pollfd = { .events = POLLIN };
	long r;

	if (attack_chance(&a->rng, 4))
		attach.id += attack_below(&a->rng, 64) - 32;
	r = ioctl(a->device, USM_IOC_ATTACH, &attach);
	if (r < 0)
		return r;
	if (attack_chance(&a->rng, 3)) {
		struct usm_arm arm = { .size = sizeof(arm) };

		ioctl(attach.domain_fd, USM_IOC_ARM, &arm);
	}
	pollfd.fd = attach.domain_fd;
	poll(&pollfd, 1, (int)attack_below(&a->rng, 5));
	close(attach.domain_fd);
	return 0;
}

static long control_close(struct attack *a)
{
	/* Under the hands of those who use it; the first is the server's. */
	struct usm_attach attach = { .size = sizeof(attach), .id = a->shared->domain_id };
	int n = 1 + (int)attack_below(&a->rng, 2);

	if (ioctl(a->device, USM_IOC_ATTACH, &attach) < 0)
		return -1;
	dup3(attach.domain_fd, a->fds[n], O_CLOEXEC);
	close(attach.domain_fd);
	return 0;
}

void attack_control(struct attack *a)
{
	struct usm_arm arm = { .size = sizeof(arm) };
	struct usm_info info = { .size = sizeof(info) };
	struct usm_stat stat = { .size = sizeof(stat) };
	struct usm_query query = { .size = sizeof(query) };
	int fd = a->fds[attack_below(&a->rng, 3)];
	long r = -1;

	switch (attack_below(&a->rng, 14)) {
	case 0:
	case 1: r = ioctl(fd, USM_IOC_ARM, &arm); break;
	case 2: r = attack_chance(&a->rng, 4) ? ioctl(fd, USM_IOC_DISARM) : -1; break;
	case 3: r = ioctl(fd, USM_IOC_INFO, &info); break;
	case 4: r = ioctl(fd, USM_IOC_STAT, &stat); break;
	case 5: r = ioctl(a->device, USM_IOC_QUERY, &query); break;
	case 6: r = control_list(a); break;
	case 7: r = control_attach(a); break;
	case 8: r = control_close(a); break;
	case 9: r = ioctl(fd, USM_IOC_KICK); break;
	case 10: r = control_store(a, fd); break;
	default: r = control_tune(a, fd);
	}
	attack_count(&a->shared->done[ATTACK_CONTROL], 1);
	attack_count(&a->shared->ok[ATTACK_CONTROL], r >= 0);
}

void attack_garbage(struct attack *a)
{
	uint64_t bytes[64];
	uint32_t *size = (uint32_t *)bytes;
	uint32_t nr = attack_chance(&a->rng, 2) ? attack_below(&a->rng, 6) :
		      0x1e + attack_below(&a->rng, 14);
	int fd = nr < 6 ? a->device : a->fds[attack_below(&a->rng, 3)];
	void *arg = bytes;
	long r;

	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
		bytes[i] = attack_chance(&a->rng, 3) ? word_odd(a) : 0;
	*size = attack_below(&a->rng, attack_chance(&a->rng, 4) ? 5000 : 520);
	/* Ends before the struct does; is read-only; is nobody's. */
	switch (attack_below(&a->rng, 8)) {
	case 0: arg = (char *)a->staged + a->domain.info.staging_size -
			8 * (1 + attack_below(&a->rng, 8)); break;
	case 1: arg = (void *)a->domain.words; break;
	case 2: arg = (void *)(uintptr_t)word_odd(a); break;
	case 3: arg = (char *)a->staged + a->domain.info.staging_offset; break;
	}
	/* RELEASE would end what is attacked, TUNE let its faults wait for a minute. */
	if (nr == _IOC_NR(USM_IOC_RELEASE) || nr == _IOC_NR(USM_IOC_BIND) ||
	    nr == _IOC_NR(USM_IOC_TUNE))
		return;
	r = ioctl(fd, _IOC(attack_below(&a->rng, 4), USM_IOC_MAGIC, nr,
			   attack_below(&a->rng, 512)), arg);
	if (r >= 0 && nr == _IOC_NR(USM_IOC_ATTACH) && arg == bytes)
		close(((struct usm_attach *)bytes)->domain_fd);
	attack_count(&a->shared->done[ATTACK_GARBAGE], 1);
	attack_count(&a->shared->ok[ATTACK_GARBAGE], r >= 0);
}

/* ---------------------------------------------------------------------- mappings */

/* By the kernel, who is told where there is nothing and does not end for it. */
static void bytes_touch(struct attack *a, char *at, size_t size)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC), pipes[2];

	if (pipe(pipes) == 0) {
		for (int i = 0; i < 4; i++) {
			char *p = at + (attack_below(&a->rng, size) & ~7ull);

			if (write(pipes[1], p, 8) == 8 && attack_chance(&a->rng, 2) &&
			    read(pipes[0], p, 8) < 0)
				break;
		}
		close(pipes[0]);
		close(pipes[1]);
	}
	close(fd);
}

void attack_map(struct attack *a)
{
	static const uint64_t offsets[] = { USM_MMAP_TABLE, USM_MMAP_EVENTS, USM_MMAP_SUPPLY,
					    USM_MMAP_EVICTED, USM_MMAP_STAGING };
	uint64_t offset = offsets[attack_below(&a->rng, 5)];
	int prot = attack_below(&a->rng, 2) ? PROT_READ : PROT_READ | PROT_WRITE;
	int flags = attack_chance(&a->rng, 8) ? MAP_PRIVATE : MAP_SHARED;
	size_t size = (1 + attack_below(&a->rng, attack_chance(&a->rng, 3) ? 200 : 4)) *
		      ATTACK_PAGE;
	bool table = offset == USM_MMAP_TABLE || offset == USM_MMAP_EVICTED;
	int fd = a->fds[attack_below(&a->rng, 3)];
	char *p;

	if (attack_chance(&a->rng, 3))
		offset += attack_below(&a->rng, 300) * ATTACK_PAGE;
	if (attack_chance(&a->rng, 16))
		offset = attack_random(&a->rng) & ~0xfffull;
	p = mmap(NULL, size, prot, flags, fd, (off_t)offset);
	attack_count(&a->shared->done[ATTACK_MAP], 1);
	if (p == MAP_FAILED)
		return;
	attack_count(&a->shared->ok[ATTACK_MAP], 1);
	/* What is the module's alone to write, and pages that may not be copied. */
	if ((table && ((prot & PROT_WRITE) || mprotect(p, size, PROT_READ | PROT_WRITE) == 0)) ||
	    flags == MAP_PRIVATE)
		attack_count(&a->shared->forbidden, 1);
	bytes_touch(a, p, size);
	if (attack_chance(&a->rng, 4)) {
		char *q = mremap(p, size, size + ATTACK_PAGE, MREMAP_MAYMOVE);

		if (q != MAP_FAILED)
			p = q, size += ATTACK_PAGE;
		bytes_touch(a, p, size);
	}
	if (attack_chance(&a->rng, 4))
		madvise(p, size, (int)attack_below(&a->rng, 26));
	if (attack_chance(&a->rng, 32)) {
		pid_t pid = fork();

		if (pid == 0) {
			bytes_touch(a, p, size);
			_exit(0);
		}
		while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	munmap(p, size);
}

/* --------------------------------------------------------------- another domain */

void attack_bind(struct attack *a)
{
	bool own = attack_chance(&a->rng, 4);
	struct usm_bind bind;
	struct usm_release release = { .size = sizeof(release) };
	int fd = own ? open(a->shared->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC) :
		 attack_chance(&a->rng, 8) ? descriptor_odd(a) :
		 open(a->shared->spare, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long r;

	domain_bind_init(&bind, fd, 1 + attack_below(&a->rng, 4096));
	if (attack_chance(&a->rng, 16))
		bind.ceiling = attack_random(&a->rng);
	bind.fault_order = attack_below(&a->rng, USM_MAX_ORDER + 2);
	bind.deadline_ms = attack_below(&a->rng, 100);
	bind.mode = attack_below(&a->rng, 3);
	if (attack_chance(&a->rng, 8))
		memset(bind.label, 'x', sizeof(bind.label));
	r = ioctl(a->device, USM_IOC_BIND, &bind);
	attack_count(&a->shared->done[ATTACK_BIND], 1);
	if (r == 0) {
		attack_count(&a->shared->ok[ATTACK_BIND], 1);
		if (attack_chance(&a->rng, 2)) {
			struct usm_arm arm = { .size = sizeof(arm) };
			struct usm_command grow = { .op = USM_CMD_GROW, .count = 64, .node = -1 };
			struct usm_submit s = { .size = sizeof(s), .count = 1,
						.commands = (uintptr_t)&grow };

			ioctl(bind.domain_fd, USM_IOC_ARM, &arm);
			ioctl(bind.domain_fd, USM_IOC_SUBMIT, &s);
		}
		release.id = bind.id;
		/* Its own is bound, or being released: this one has taken its place. */
		if (own || !attack_chance(&a->rng, 8))
			ioctl(a->device, USM_IOC_RELEASE, &release);
		close(bind.domain_fd);
	} else if (attack_chance(&a->rng, 2)) {
		struct stat st;

		if (!own && fstat(fd, &st) == 0 && st.st_ino != a->shared->domain_id) {
			release.id = st.st_ino;
			ioctl(a->device, USM_IOC_RELEASE, &release);
		}
	}
	close(fd);
}

/* ------------------------------------------------------------------ the attacker */

static __thread sigjmp_buf step_end;
static __thread bool stepping;
static struct attack_shared *all;
static pthread_t threads[THREADS];

static void on_fault(int number)
{
	attack_count(&all->signals, 1);
	if (!stepping) {
		signal(number, SIG_DFL);
		raise(number);
		return;
	}
	siglongjmp(step_end, 1);
}

static void on_nudge(int number)
{
	(void)number;
}

static void step(struct attack *a)
{
	uint64_t roll = attack_below(&a->rng, 100);

	if (roll < 45)
		attack_submit(a);
	else if (roll < 65)
		attack_scribble(a);
	else if (roll < 80)
		attack_control(a);
	else if (roll < 90)
		attack_garbage(a);
	else if (roll < 96)
		attack_map(a);
	else if (roll < 98)
		attack_bind(a);
	else if (threads[THREADS - 1])
		pthread_kill(threads[attack_below(&a->rng, THREADS)], SIGUSR1);
	/* Who is honest leaves the server time for more than mistakes. */
	if (a->honesty)
		usleep(1000 << a->honesty);
}

static void *thread_run(void *argument)
{
	struct attack *a = argument;
	bool server = a->grown == 0;

	sigsetjmp(step_end, 0);
	stepping = true;
	for (;;) {
		if (server)
			attack_serve(a);
		else
			step(a);
	}
	return NULL;
}

static void *map(int fd, size_t size, int prot, uint64_t offset)
{
	void *p = mmap(NULL, size, prot, MAP_SHARED, fd, (off_t)offset);

	if (p == MAP_FAILED)
		_exit(1);
	return p;
}

/* Into the cgroup that it serves: its own memory is then the domain's, or some of it. */
static void enter(const char *cgroup)
{
	char path[600];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "0", 1) < 0)
		_exit(1);
	close(fd);
}

void attack_run(struct attack_shared *shared, uint64_t seed)
{
	static struct attack attacks[THREADS];
	struct attack a = { .shared = shared, .rng = { seed | 1 } };
	struct sigaction fault = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };
	struct sigaction nudge = { .sa_handler = on_nudge };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	all = shared;
	sigaction(SIGBUS, &fault, NULL);
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGUSR1, &nudge, NULL);
	for (int i = 0; i < 8; i++)
		attack_random(&a.rng);
	a.honesty = attack_below(&a.rng, 4);
	a.device = domain_device_open();
	if (a.device < 0)
		_exit(1);
	for (int i = 0; i < 3; i++) {
		struct usm_attach attach = { .size = sizeof(attach), .id = shared->domain_id };

		if (ioctl(a.device, USM_IOC_ATTACH, &attach) < 0)
			_exit(1);
		a.fds[i] = attach.domain_fd;
	}
	if (attack_chance(&a.rng, 6))
		enter(shared->cgroup);
	domain_map_or_die(&a.domain, a.fds[0]);
	a.staged = map(a.fds[0], a.domain.info.staging_size, PROT_READ | PROT_WRITE,
		       USM_MMAP_STAGING);
	a.evicted = map(a.fds[0], a.domain.info.evicted_size, PROT_READ, USM_MMAP_EVICTED);
	for (int i = 0; i < THREADS; i++) {
		attacks[i] = a;
		attacks[i].grown = i;
		attacks[i].rng.state = (attack_random(&a.rng) << 8) | 1;
	}
	threads[0] = pthread_self();
	for (int i = 1; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, thread_run, &attacks[i]))
			_exit(1);
	thread_run(&attacks[0]);
	_exit(0);
}

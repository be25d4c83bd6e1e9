// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostile - what does the module do about an instance that means harm?
 *
 * A program that checks its own memory runs in a domain whose instances do at random
 * whatever a descriptor lets them do: stale, duplicated and senseless commands, several
 * threads and several instances at a time, rings and staging pages scribbled over, stores
 * that return wrong bytes, mappings, garbage. They are killed at random moments. After
 * some seconds the domain ends in one way or another, all that it had must be back, and
 * the next begins.
 *
 *   hostile --cgroup DIR --seconds N [--seed S] [--life SECONDS] -- PROGRAM...
 *
 * PROGRAM gets SIGTERM at the end of a life and then has to end with status 0, or by it;
 * what it prints goes to hostile's output. It may be killed for memory, and is started again.
 * DIR must exist; cgroups are made below it.
 */
#include "attack.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ATTACKERS	2
#define DEADLINE_MS	50
/* Emulated, with KASAN, beside others. */
#define PATIENCE_MS	60000
#define ATTACKED_MS	1000

struct life {
	struct attack_shared *shared;
	struct attack_rng rng;
	int device, domain_fd;
	char **program;
	pid_t guest;
	bool ending;
	pid_t attackers[ATTACKERS];
	long long ends[ATTACKERS];
};

/* Of all lives. */
static struct usm_stat sum;
static uint64_t lives, kills, guests, guests_killed, failures;

static long long ms_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

__attribute__((format(printf, 1, 2)))
static void failed(const char *fmt, ...)
{
	va_list ap;

	failures++;
	va_start(ap, fmt);
	fputs("FAIL: ", stdout);
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
	fflush(stdout);
}

/* ---------------------------------------------------------------------- processes */

static void guest_start(struct life *life)
{
	char path[600];

	fflush(stdout);
	life->guest = fork();
	if (life->guest < 0)
		err(DOMAIN_EXIT_FAILURE, "fork");
	if (life->guest == 0) {
		int fd;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(path, sizeof(path), "%s/cgroup.procs", life->shared->cgroup);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "0", 1) != 1)
			err(DOMAIN_EXIT_FAILURE, "cannot enter %s", life->shared->cgroup);
		execvp(life->program[0], life->program);
		err(DOMAIN_EXIT_FAILURE, "cannot run %s", life->program[0]);
	}
	guests++;
}

/* It has ended; by force only where the module may do that, or before it could listen. */
static void guest_ended(struct life *life, int status)
{
	life->guest = 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		guests_killed++;
	else if (status && !(life->ending && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM))
		failed("%s ended with wait status %#x", life->program[0], status);
}

static void attacker_start(struct life *life, int n)
{
	uint64_t seed = attack_random(&life->rng);

	fflush(stdout);
	life->attackers[n] = fork();
	if (life->attackers[n] < 0)
		err(DOMAIN_EXIT_FAILURE, "fork");
	if (life->attackers[n] == 0)
		attack_run(life->shared, seed);
	life->ends[n] = ms_now() + 100 + (long long)attack_below(&life->rng, 4000);
}

static void attackers_kill(struct life *life)
{
	for (int n = 0; n < ATTACKERS; n++) {
		if (!life->attackers[n])
			continue;
		kill(life->attackers[n], SIGKILL);
		kills++;
		waitpid(life->attackers[n], NULL, 0);
		life->attackers[n] = 0;
	}
}

static void reap(struct life *life)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == life->guest)
			guest_ended(life, status);
		for (int n = 0; n < ATTACKERS; n++)
			if (pid == life->attackers[n])
				life->attackers[n] = 0;
	}
}

/* -------------------------------------------------------------------------- a life */

static void cgroup_make(char *path, const char *parent, const char *name)
{
	snprintf(path, sizeof(((struct attack_shared *)0)->cgroup), "%s/%s", parent, name);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		err(DOMAIN_EXIT_FAILURE, "cannot make %s", path);
}

/* The spare one of an attacker that was killed may still be there. */
static bool bound(struct life *life, uint64_t id)
{
	struct usm_list_entry entries[64];
	struct usm_list list = { .size = sizeof(list), .entries = (uintptr_t)entries,
				 .capacity = 64 };
	int r = domain_ioctl(life->device, USM_IOC_LIST, &list);

	if (r < 0)
		errx(DOMAIN_EXIT_FAILURE, "USM_IOC_LIST: %s", strerror(-r));
	for (uint32_t i = 0; i < list.count; i++)
		if (entries[i].id == id)
			return true;
	return false;
}

/* Rings as they are before anybody has written to them. */
static void rings_learn(struct life *life, const struct domain *domain)
{
	const struct usm_ring *events = domain->events, *supply = domain->supply[0];

	life->shared->events = (struct attack_ring){ events->entries, events->entry_size,
						     events->offset };
	life->shared->supply = (struct attack_ring){ supply->entries, supply->entry_size,
						     supply->offset };
}

static void life_begin(struct life *life)
{
	int cgroup = domain_cgroup_open_or_die(life->shared->cgroup), r;
	struct domain domain;
	struct usm_bind bind;

	domain_bind_init(&bind, cgroup, ATTACK_CEILING);
	bind.fault_order = attack_below(&life->rng, USM_MAX_ORDER + 1);
	bind.deadline_ms = DEADLINE_MS;
	bind.mode = attack_below(&life->rng, 2);
	r = domain_ioctl(life->device, USM_IOC_BIND, &bind);
	if (r < 0)
		errx(DOMAIN_EXIT_FAILURE, "cannot bind: %s", strerror(-r));
	close(cgroup);
	life->shared->domain_id = bind.id;
	memset(life->shared->recent, 0, sizeof(life->shared->recent));
	domain_map_or_die(&domain, bind.domain_fd);
	rings_learn(life, &domain);
	life->domain_fd = dup(bind.domain_fd);
	domain_unmap(&domain);
	life->ending = false;
	guest_start(life);
}

static struct usm_stat stat_now(struct life *life)
{
	struct usm_stat stat = { .size = sizeof(stat) };
	int r = domain_ioctl(life->domain_fd, USM_IOC_STAT, &stat);

	if (r < 0)
		errx(DOMAIN_EXIT_FAILURE, "USM_IOC_STAT: %s", strerror(-r));
	return stat;
}

static void stat_add(const struct usm_stat *stat)
{
#define ADD(field) sum.field += stat->field
	ADD(faults), ADD(fault_pages), ADD(waits), ADD(deadlines), ADD(fallbacks), ADD(refused);
	ADD(evictions), ADD(refaults), ADD(corrupt), ADD(sigbus), ADD(oom_kills), ADD(upcalls);
	ADD(resolved), ADD(arms), ADD(forks), ADD(cow_copied), ADD(broken), ADD(sampled);
	ADD(shrunk), ADD(grown), ADD(events_lost), ADD(refaults_ahead), ADD(supplied);
#undef ADD
}

static void file_print(const char *name, int pid)
{
	char path[64], text[4096];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (n > 0)
		printf("%s:\n%.*s", path, (int)n, text);
	close(fd);
}

/* Where everybody in the domain is, for whoever wants to know why. */
static void stacks_print(const struct life *life)
{
	char path[600];
	FILE *procs;
	int pid;

	snprintf(path, sizeof(path), "%s/cgroup.procs", life->shared->cgroup);
	procs = fopen(path, "re");
	while (procs && fscanf(procs, "%d", &pid) == 1) {
		file_print("comm", pid);
		file_print("stack", pid);
	}
	if (procs)
		fclose(procs);
	fflush(stdout);
}

/* A page of the table that no number is in yet is not there: the kernel can tell. */
static uint32_t numbers_read(const struct usm_evicted *table, int *pipes,
			     struct usm_evicted *entries)
{
	ssize_t got = write(pipes[1], table, ATTACK_PAGE) < 0 ? 0 :
		      read(pipes[0], entries, ATTACK_PAGE);

	return got <= 0 ? 0 : got / sizeof(*entries);
}

/*
 * What attackers have evicted nobody has any more, and whoever touches it waits for an
 * instance that says so. This is the one.
 */
static void undertake(struct life *life)
{
	struct usm_evicted entries[ATTACK_PAGE / sizeof(struct usm_evicted)], *table;
	size_t size = ATTACK_NUMBERS * sizeof(*table);
	struct usm_command command = { .op = USM_CMD_LOSE, .count = 1 };
	struct domain domain = { .fd = life->domain_fd };
	int pipes[2];

	if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0)
		err(DOMAIN_EXIT_FAILURE, "pipe2");
	table = mmap(NULL, size, PROT_READ, MAP_SHARED, life->domain_fd,
		     (off_t)USM_MMAP_EVICTED);
	if (table == MAP_FAILED)
		err(DOMAIN_EXIT_FAILURE, "cannot map the table of evicted pages");
	domain_arm(&domain, NULL);
	for (uint32_t at = 0; at < ATTACK_NUMBERS; at += sizeof(entries) / sizeof(entries[0])) {
		uint32_t n = numbers_read(table + at, pipes, entries);

		for (uint32_t i = 0; i < n; i++) {
			command.arg = USM_EVICTED_KEY(at + i, entries[i].generation);
			if (entries[i].state != USM_EVICTED_NONE &&
			    entries[i].state != USM_EVICTED_LOST)
				domain_command(&domain, &command);
		}
	}
	domain_ioctl(life->domain_fd, USM_IOC_DISARM, NULL);
	munmap(table, size);
	close(pipes[0]);
	close(pipes[1]);
}

/* SIGTERM is all that it gets: whoever waits in a fault must come back from it. */
static void guest_end(struct life *life)
{
	long long end = ms_now() + PATIENCE_MS;

	life->ending = true;
	if (life->guest)
		kill(life->guest, SIGTERM);
	/* Some of it while they are still at it. */
	while (life->guest && ms_now() < end) {
		if (ms_now() > end - PATIENCE_MS + ATTACKED_MS) {
			attackers_kill(life);
			undertake(life);
		}
		reap(life);
		usleep(50000);
	}
	if (!life->guest)
		return;
	failed("%s does not end", life->program[0]);
	stacks_print(life);
	kill(life->guest, SIGKILL);
	while (life->guest) {
		reap(life);
		usleep(5000);
	}
}

/* With nobody left, nothing is left. */
static void life_check(struct life *life)
{
	long long end = ms_now() + PATIENCE_MS;
	struct usm_stat stat;

	do {
		stat = stat_now(life);
		if (!stat.spaces && !stat.frames_mapped && !stat.frames_held && !stat.evicted &&
		    !stat.frames_shared && stat.frames_free == stat.frames)
			return;
		usleep(10000);
	} while (ms_now() < end);
	failed("%u spaces, %llu frames mapped, %llu shared, %llu held, %llu evicted are left, and "
	       "%llu of %llu frames are free",
	       stat.spaces, (unsigned long long)stat.frames_mapped,
	       (unsigned long long)stat.frames_shared, (unsigned long long)stat.frames_held,
	       (unsigned long long)stat.evicted, (unsigned long long)stat.frames_free,
	       (unsigned long long)stat.frames);
}

static void life_end(struct life *life)
{
	uint64_t way = attack_below(&life->rng, 3);
	struct usm_stat stat;
	long long end;

	/* Attackers first, the program first, or its domain first. */
	if (way == 0)
		attackers_kill(life);
	if (way == 2) {
		stat = stat_now(life);
		stat_add(&stat);
		domain_release(life->device, life->shared->domain_id);
	}
	guest_end(life);
	attackers_kill(life);
	if (way != 2) {
		life_check(life);
		stat = stat_now(life);
		stat_add(&stat);
		if (way == 1 && rmdir(life->shared->cgroup) < 0)
			failed("the cgroup cannot be removed: %s", strerror(errno));
		else if (way == 0)
			domain_release(life->device, life->shared->domain_id);
	}
	close(life->domain_fd);
	/* After a release an attacker may have bound it once more, and been killed then. */
	end = ms_now() + PATIENCE_MS;
	while (bound(life, life->shared->domain_id) && ms_now() < end) {
		if (way == 2)
			domain_release(life->device, life->shared->domain_id);
		usleep(10000);
	}
	if (bound(life, life->shared->domain_id))
		failed("the domain does not end");
	mkdir(life->shared->cgroup, 0755);
	lives++;
}

static void life_run(struct life *life, long long end)
{
	life_begin(life);
	while (ms_now() < end) {
		reap(life);
		if (!life->guest)
			guest_start(life);
		for (int n = 0; n < ATTACKERS; n++) {
			if (!life->attackers[n])
				attacker_start(life, n);
			else if (ms_now() >= life->ends[n]) {
				kill(life->attackers[n], SIGKILL);
				life->ends[n] = ms_now() + PATIENCE_MS;
				kills++;
			}
		}
		usleep(5000);
	}
	life_end(life);
}

/* ------------------------------------------------------------------------- the whole */

static void report(const struct attack_shared *shared)
{
	static const char *const kinds[ATTACK_KINDS] = {
		"submits", "reads", "waits", "scribbles", "controls", "garbage", "maps", "binds",
	};
	static const char *const ops[ATTACK_OPS] = {
		NULL, "GROW", "SHRINK", "ZERO", "EVICT", "RESTORE", "LOSE", "RESOLVE", "REPEAT",
		"SAMPLE", "none",
	};
	uint64_t all = 0;

	for (int i = 1; i < ATTACK_OPS; i++) {
		printf("command %s: %llu, %llu of them accepted\n", ops[i],
		       (unsigned long long)shared->commands[i],
		       (unsigned long long)shared->commands_ok[i]);
		all += shared->commands[i];
	}
	for (int i = 0; i < ATTACK_KINDS; i++)
		printf("%s: %llu, %llu of them accepted\n", kinds[i],
		       (unsigned long long)shared->done[i], (unsigned long long)shared->ok[i]);
#define SAY(field) printf(#field " %llu\n", (unsigned long long)sum.field)
	SAY(faults), SAY(fault_pages), SAY(waits), SAY(deadlines), SAY(fallbacks), SAY(refused);
	SAY(evictions), SAY(refaults), SAY(corrupt), SAY(sigbus), SAY(oom_kills), SAY(upcalls);
	SAY(resolved), SAY(arms), SAY(forks), SAY(cow_copied), SAY(broken), SAY(sampled);
	SAY(shrunk), SAY(grown), SAY(events_lost), SAY(refaults_ahead), SAY(supplied);
#undef SAY
	printf("attackers killed %llu, signals in them %llu, programs %llu, killed %llu\n",
	       (unsigned long long)kills, (unsigned long long)shared->signals,
	       (unsigned long long)guests, (unsigned long long)guests_killed);
	printf("hostile: %llu lives, %llu commands, %llu failures\n", (unsigned long long)lives,
	       (unsigned long long)all, (unsigned long long)failures);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "cgroup", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 't' },
		{ "seed", required_argument, NULL, 's' },
		{ "life", required_argument, NULL, 'l' },
		{ 0 }
	};
	const char *cgroup = NULL;
	long seconds = 10, each = 10;
	struct life life = { 0 };
	uint64_t seed = (uint64_t)time(NULL);
	long long end;
	int c;

	while ((c = getopt_long(argc, argv, "+", options, NULL)) >= 0) {
		switch (c) {
		case 'c': cgroup = optarg; break;
		case 't': seconds = atol(optarg); break;
		case 's': seed = strtoull(optarg, NULL, 0); break;
		case 'l': each = atol(optarg); break;
		default: return DOMAIN_EXIT_FAILURE;
		}
	}
	life.program = argv + optind;
	if (!cgroup || !*life.program || seconds < 1 || each < 1)
		errx(DOMAIN_EXIT_FAILURE, "usage: see the source");
	printf("seed %llu\n", (unsigned long long)seed);
	life.rng.state = (seed << 1) | 1;
	for (int i = 0; i < 8; i++)
		attack_random(&life.rng);
	life.shared = mmap(NULL, sizeof(*life.shared), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (life.shared == MAP_FAILED)
		err(DOMAIN_EXIT_FAILURE, "mmap");
	life.device = domain_device_open_or_die();
	cgroup_make(life.shared->cgroup, cgroup, "hostile");
	cgroup_make(life.shared->spare, cgroup, "spare");
	end = ms_now() + seconds * 1000;
	while (ms_now() < end && !failures) {
		long long life_ends = ms_now() + each * 1000;

		life_run(&life, life_ends < end ? life_ends : end);
	}
	rmdir(life.shared->spare);
	rmdir(life.shared->cgroup);
	if (life.shared->forbidden)
		failed("%llu things that must be refused were not",
		       (unsigned long long)life.shared->forbidden);
	report(life.shared);
	return failures != 0;
}

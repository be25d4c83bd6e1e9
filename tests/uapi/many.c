// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * many - as many domains, or processes in one, as a large machine has.
 *
 *   many domains CGROUP N
 *     N new cgroups in CGROUP, each bound, with a port of its own and a process that uses
 *     memory: fills it, gives it back, forks. Most are fed by us. The instance of every
 *     tenth dies; that of the one after it hangs, and its process must be the only one to
 *     notice. In the end all cgroups are removed.
 *
 *   many spaces CGROUP N
 *     One domain, in CGROUP, with N processes at once that were all forked by one or by
 *     each other, share most of their memory and write to some; then they end, all at once.
 *
 * Exit status 0: no wrong byte, and nothing was left behind in the domains.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "domain.h"
#include "feeder.h"

#define PAGE		4096ul
#define CEILING		256u	/* frames of each of many domains */
#define GROW		64u
#define PAGES		48ul	/* of each process */
#define ROUNDS		1
#define HANG_MS		60000u	/* the deadline of a domain whose instance hangs */
#define PATIENCE_S	100	/* for what must happen at last */

enum fate { FED, DIES, HANGS, FATES };

/* What a process says of itself, in memory that is shared with us and not adopted. */
struct report {
	volatile uint32_t begun;
	volatile uint32_t done;
	volatile uint32_t wrong;
};

struct tenant {
	enum fate fate;
	bool bound;
	char path[256];
	struct domain domain;
	struct feeder feeder;
	pid_t pid;
};

static struct report *reports;
static int go[2], stay[2];

static void *shared_or_die(size_t length)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	return p;
}

static uint64_t *private_or_die(size_t pages)
{
	void *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	return p;
}

static void fill(uint64_t *area, size_t from, size_t to, uint64_t salt)
{
	for (size_t page = from; page < to; page++)
		for (size_t i = 0; i < PAGE / 8; i += 32)
			area[page * PAGE / 8 + i] = salt ^ (page << 16 | i);
}

/* Words that are not as they should be; salt 0: as never written. */
static uint32_t verify(const uint64_t *area, size_t from, size_t to, uint64_t salt)
{
	uint32_t wrong = 0;

	for (size_t page = from; page < to; page++)
		for (size_t i = 0; i < PAGE / 8; i += 32)
			wrong += area[page * PAGE / 8 + i] != (salt ? salt ^ (page << 16 | i) : 0);
	return wrong;
}

static void enter(const char *cgroup)
{
	char path[512];
	int procs;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	procs = open(path, O_WRONLY | O_CLOEXEC);
	if (procs < 0 || write(procs, "0", 1) != 1)
		err(1, "%s", path);
	close(procs);
}

/* Until nobody holds its other end. */
static void wait_for_end(int fd)
{
	char byte;

	while (read(fd, &byte, 1) < 0 && errno == EINTR)
		;
}

static bool soon(time_t since)
{
	usleep(5000);
	return time(NULL) - since < PATIENCE_S;
}

static struct usm_stat stat_of(const struct domain *domain)
{
	struct usm_stat stat = {};
	int r = domain_stat(domain, &stat);

	if (r < 0)
		errx(1, "USM_IOC_STAT: %s", strerror(-r));
	return stat;
}

/* How many domains there are, in the whole machine. */
static uint32_t listed(int device)
{
	struct usm_list list = { .size = sizeof(list) };
	int r = domain_ioctl(device, USM_IOC_LIST, &list);

	if (r < 0 && r != -ENOSPC)
		errx(1, "USM_IOC_LIST: %s", strerror(-r));
	return list.count;
}

static void bind_or_die(struct tenant *tenant, int device, uint32_t ceiling, uint32_t grow)
{
	struct usm_bind bind;
	int cgroup, r;

	cgroup = domain_cgroup_open_or_die(tenant->path);
	domain_bind_init(&bind, cgroup, ceiling);
	bind.deadline_ms = tenant->fate == HANGS ? HANG_MS : 0;
	bind.fault_order = 2;
	r = domain_ioctl(device, USM_IOC_BIND, &bind);
	close(cgroup);
	if (r < 0)
		errx(1, "cannot bind %s: %s", tenant->path, strerror(-r));
	domain_map_or_die(&tenant->domain, bind.domain_fd);
	r = domain_arm(&tenant->domain, NULL);
	if (r < 0)
		errx(1, "cannot arm %s: %s", tenant->path, strerror(-r));
	feeder_init(&tenant->feeder, &tenant->domain, grow, USM_MAX_RUN, false);
	feeder_reset(&tenant->feeder);
	tenant->bound = true;
}

/* Our side of the port is closed: the instance is gone. */
static void unbind(struct tenant *tenant)
{
	if (tenant->bound) {
		feeder_done(&tenant->feeder);
		domain_unmap(&tenant->domain);
	}
	tenant->bound = false;
}

static void feed(struct tenant *tenants, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct tenant *tenant = &tenants[i];

		if (!tenant->bound || tenant->fate != FED)
			continue;
		/* A machine that is slow enough may make us late. */
		if (feeder_events(&tenant->feeder) &&
		    stat_of(&tenant->domain).state != USM_FALLBACK_NONE &&
		    domain_arm(&tenant->domain, NULL) == 0)
			feeder_reset(&tenant->feeder);
		feeder_supply(&tenant->feeder);
	}
}

/* ---------------------------------------------------------------------- many domains */

static uint32_t forked(uint64_t *area, uint64_t salt)
{
	pid_t pid = fork();
	int status = -1;

	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		uint32_t wrong = verify(area, 0, PAGES, salt);

		fill(area, 0, PAGES / 2, salt + 1);
		wrong += verify(area, 0, PAGES / 2, salt + 1) +
			 verify(area, PAGES / 2, PAGES, salt);
		_exit(wrong ? 1 : 0);
	}
	if (waitpid(pid, &status, 0) != pid)
		err(1, "waitpid");
	return status ? 1 : verify(area, 0, PAGES, salt);
}

static void __attribute__((noreturn)) tenant_main(const struct tenant *tenant,
						  struct report *report, uint64_t salt)
{
	uint64_t *area;
	char byte;

	close(go[1]);
	close(stay[1]);
	if (read(go[0], &byte, 1) != 1)
		_exit(1);
	enter(tenant->path);
	area = private_or_die(PAGES);
	report->begun = 1;
	for (int round = 0; round < ROUNDS; round++) {
		report->wrong += verify(area, 0, PAGES, 0);
		fill(area, 0, PAGES, salt + round);
		report->wrong += forked(area, salt + round);
		if (madvise(area, PAGES * PAGE, MADV_DONTNEED) < 0)
			report->wrong++;
	}
	fill(area, 0, PAGES, salt);
	report->wrong += verify(area, 0, PAGES, salt);
	report->done = 1;
	wait_for_end(stay[0]);
	report->wrong += verify(area, 0, PAGES, salt);
	_exit(0);
}

static unsigned int done(const struct tenant *tenants, unsigned int n, enum fate fate)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < n; i++)
		count += tenants[i].fate == fate && reports[i].done;
	return count;
}

static unsigned int waiting(const struct tenant *tenants, unsigned int n)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < n; i++)
		if (tenants[i].fate == HANGS && stat_of(&tenants[i].domain).waits)
			count++;
	return count;
}

static void tenants_start(struct tenant *tenants, unsigned int n, const char *where, int device)
{
	/* First the processes, which so have nothing of ours in their memory. */
	for (unsigned int i = 0; i < n; i++) {
		struct tenant *tenant = &tenants[i];

		tenant->fate = i % 10 == 0 ? DIES : i % 10 == 1 ? HANGS : FED;
		snprintf(tenant->path, sizeof(tenant->path), "%s/many-%u", where, i);
		if (mkdir(tenant->path, 0755) < 0)
			err(1, "%s", tenant->path);
		tenant->pid = fork();
		if (tenant->pid < 0)
			err(1, "fork");
		if (!tenant->pid)
			tenant_main(tenant, &reports[i], (uint64_t)(i + 1) << 32);
	}
	for (unsigned int i = 0; i < n; i++)
		bind_or_die(&tenants[i], device, CEILING, GROW);
	feed(tenants, n);
}

static void tenants_end(struct tenant *tenants, unsigned int n)
{
	close(stay[1]);
	for (unsigned int i = 0; i < n; i++)
		if (waitpid(tenants[i].pid, NULL, 0) < 0)
			err(1, "waitpid");
	for (unsigned int i = 0; i < n; i++) {
		time_t since = time(NULL);

		while (rmdir(tenants[i].path) < 0 && errno == EBUSY && soon(since))
			;
		if (access(tenants[i].path, F_OK) == 0)
			errx(1, "%s cannot be removed", tenants[i].path);
		unbind(&tenants[i]);
	}
}

static int domains(const char *where, unsigned int n, int device)
{
	struct tenant *tenants = calloc(n, sizeof(*tenants));
	unsigned int each[FATES] = {};
	uint64_t missed = 0;
	uint32_t wrong = 0;
	time_t since;

	if (!tenants)
		err(1, "calloc");
	reports = shared_or_die(n * sizeof(*reports));
	tenants_start(tenants, n, where, device);
	printf("%u domains\n", listed(device));
	for (unsigned int i = 0; i < n; i++) {
		each[tenants[i].fate]++;
		if (tenants[i].fate == DIES)
			unbind(&tenants[i]);
		if (write(go[1], "", 1) != 1)
			err(1, "write");
	}

	for (since = time(NULL); soon(since);) {
		feed(tenants, n);
		if (done(tenants, n, FED) == each[FED] && done(tenants, n, DIES) == each[DIES] &&
		    waiting(tenants, n) == each[HANGS])
			break;
	}
	printf("done: %u of %u, and %u of %u whose instance died; %u of %u wait, whose instance "
	       "hangs\n", done(tenants, n, FED), each[FED], done(tenants, n, DIES), each[DIES],
	       waiting(tenants, n), each[HANGS]);
	if (done(tenants, n, FED) != each[FED] || done(tenants, n, DIES) != each[DIES])
		errx(1, "some are not done");
	if (done(tenants, n, HANGS) || waiting(tenants, n) != each[HANGS])
		errx(1, "not all wait whose instance hangs");
	for (unsigned int i = 0; i < n; i++) {
		if (tenants[i].fate == FED)
			missed += stat_of(&tenants[i].domain).deadlines;
		else
			unbind(&tenants[i]);
	}
	/* Now that theirs is gone they go on without. */
	for (since = time(NULL); done(tenants, n, HANGS) != each[HANGS] && soon(since);)
		feed(tenants, n);
	if (done(tenants, n, HANGS) != each[HANGS])
		errx(1, "%u of %u wait for an instance that is gone",
		     each[HANGS] - done(tenants, n, HANGS), each[HANGS]);
	tenants_end(tenants, n);
	for (unsigned int i = 0; i < n; i++)
		wrong += reports[i].wrong;
	for (since = time(NULL); listed(device) && soon(since);)
		;
	printf("%u wrong, %llu deadlines missed by those that are fed, %u domains left\n", wrong,
	       (unsigned long long)missed, listed(device));
	return wrong || listed(device);
}

/* ----------------------------------------------------------------------- many spaces */

#define SHARED		32ul	/* pages that the first has */

/* Each page is all as one of us, whoever it was, has written it. */
static uint32_t torn(const uint64_t *area)
{
	uint32_t wrong = 0;

	for (size_t page = 0; page < SHARED; page++)
		wrong += verify(area, page, page + 1, area[page * PAGE / 8] ^ page << 16);
	return wrong;
}

/* Writes to some of what it shares, forks its part of the others, and stays. */
static void __attribute__((noreturn)) member_main(uint64_t *area, unsigned int number,
						  unsigned int others)
{
	uint64_t salt = (uint64_t)(number + 1) << 32;
	size_t page = number % SHARED;
	uint32_t wrong = torn(area);

	fill(area, page, page + 1, salt);
	while (others) {
		unsigned int part = (others + 1) / 2;
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork");
		if (!pid)
			member_main(area, number + others - part + 1, part - 1);
		others -= part;
	}
	wrong += verify(area, page, page + 1, salt);
	reports[number].wrong = wrong;
	reports[number].done = 1;
	wait_for_end(stay[0]);
	/* However many have ended meanwhile. */
	reports[number].wrong += verify(area, page, page + 1, salt) + torn(area);
	_exit(0);
}

static void __attribute__((noreturn)) first_main(const struct tenant *tenant, unsigned int n)
{
	uint64_t *area;
	pid_t pid;
	char byte;

	close(go[1]);
	close(stay[1]);
	if (read(go[0], &byte, 1) != 1)
		_exit(1);
	enter(tenant->path);
	area = private_or_die(SHARED);
	fill(area, 0, SHARED, 7);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid)
		member_main(area, 0, n - 1);
	wait_for_end(stay[0]);
	if (verify(area, 0, SHARED, 7))
		reports[0].wrong++;
	/* Those whose parents have ended are somebody else's children. */
	while (waitpid(-1, NULL, 0) > 0)
		;
	_exit(verify(area, 0, SHARED, 7) ? 1 : 0);
}

/* A look at every page: whoever has it is found among all of them. */
static unsigned int look(const struct domain *domain, uint32_t frames)
{
	unsigned int seen = 0;

	for (uint32_t frame = 0; frame < frames; frame += USM_MAX_RUN) {
		struct usm_frame entry = domain_frame_read(domain, frame);
		struct usm_command command = {
			.op = USM_CMD_SAMPLE, .frame = frame, .count = USM_MAX_RUN,
			.generation = USM_FRAME_GENERATION(&entry),
		};
		int r;

		if (frames - frame < USM_MAX_RUN)
			command.count = frames - frame;
		r = domain_command(domain, &command);
		if (r < 0)
			errx(1, "sample: %s", strerror(-r));
		seen += (unsigned int)r;
	}
	return seen;
}

static int spaces(const char *where, unsigned int n, int device)
{
	struct tenant tenant = { .fate = FED };
	unsigned int ready = 0, seen;
	uint32_t wrong = 0;
	struct usm_stat stat;
	time_t since;
	int status;

	reports = shared_or_die(n * sizeof(*reports));
	snprintf(tenant.path, sizeof(tenant.path), "%s", where);
	tenant.pid = fork();
	if (tenant.pid < 0)
		err(1, "fork");
	if (!tenant.pid)
		first_main(&tenant, n);
	bind_or_die(&tenant, device, 16 * n + 4096, 2048);
	feed(&tenant, 1);
	if (write(go[1], "", 1) != 1)
		err(1, "write");
	for (since = time(NULL); ready < n && soon(since);) {
		feed(&tenant, 1);
		for (ready = 0; ready < n && reports[ready].done;)
			ready++;
	}
	stat = stat_of(&tenant.domain);
	seen = look(&tenant.domain, 16 * n + 4096);
	printf("%u spaces, %llu pages mapped, %llu shared, %u seen\n", stat.spaces,
	       (unsigned long long)stat.frames_mapped, (unsigned long long)stat.frames_shared, seen);
	if (ready < n || stat.spaces < n + 1)
		errx(1, "%u of %u processes are there", ready, n);
	/* More have the others than a look finds: what the first had, and the eldest wrote. */
	if (seen + SHARED + n / 16 < stat.frames_mapped)
		errx(1, "most pages are not found");

	close(stay[1]);
	if (waitpid(tenant.pid, &status, 0) != tenant.pid || status)
		errx(1, "the first ended with status %#x", status);
	for (since = time(NULL); soon(since);) {
		stat = stat_of(&tenant.domain);
		if (!stat.spaces && !stat.frames_mapped && !stat.frames_held)
			break;
		feed(&tenant, 1);
	}
	for (unsigned int i = 0; i < n; i++)
		wrong += reports[i].wrong;
	printf("%u wrong; left: %u spaces, %llu mapped, %llu shared, %llu held\n", wrong,
	       stat.spaces, (unsigned long long)stat.frames_mapped,
	       (unsigned long long)stat.frames_shared, (unsigned long long)stat.frames_held);
	domain_release(device, tenant.domain.id);
	unbind(&tenant);
	for (since = time(NULL); listed(device) && soon(since);)
		;
	return wrong || stat.spaces || stat.frames_mapped || stat.frames_shared ||
	       stat.frames_held || listed(device);
}

int main(int argc, char **argv)
{
	int device, n = argc == 4 ? atoi(argv[3]) : 0;

	if (n < 1)
		errx(2, "usage: many domains|spaces CGROUP N");
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (pipe2(go, O_CLOEXEC) < 0 || pipe2(stay, O_CLOEXEC) < 0)
		err(1, "pipe2");
	device = domain_device_open_or_die();
	if (strcmp(argv[1], "domains") == 0)
		return domains(argv[2], (unsigned int)n, device);
	if (strcmp(argv[1], "spaces") == 0)
		return spaces(argv[2], (unsigned int)n, device);
	errx(2, "what are %s?", argv[1]);
}

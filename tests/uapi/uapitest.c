// SPDX-License-Identifier: GPL-2.0-or-later
#include "uapitest.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Emulated machines are slow; nothing that works takes this long. */
#define PATIENCE_MS	10000

int device = -1;

static const char *parent_cgroup;
static unsigned long checks, errors;

/* --------------------------------------------------------------------- verdicts */

bool expect_at(bool ok, const char *where, int line, const char *fmt, ...)
{
	va_list ap;

	checks++;
	if (ok)
		return true;
	errors++;
	printf("FAIL %s:%d: ", where, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	return false;
}

static const char *error_name(int error)
{
	const char *name = error ? strerrorname_np(-error) : "success";

	return name ? name : "a value";
}

void expect_error_at(int got, int wanted, const char *call, const char *where, int line)
{
	/* Descriptors and counts are successes too. */
	expect_at(wanted ? got == wanted : got >= 0, where, line,
		  "%s: expected %s, got %s (%d)", call, error_name(wanted),
		  error_name(got < 0 ? got : 0), got);
}

void expect_number_at(uint64_t got, uint64_t wanted, const char *what, const char *where,
		      int line)
{
	expect_at(got == wanted, where, line, "%s: expected %" PRIu64 ", got %" PRIu64, what,
		  wanted, got);
}

/* ---------------------------------------------------------------------- cgroups */

void place_create(struct place *place, const char *name)
{
	if (asprintf(&place->path, "%s/uapi-%s", parent_cgroup, name) < 0)
		err(1, "asprintf");
	if (mkdir(place->path, 0755) < 0)
		err(1, "cannot make %s", place->path);
	place->fd = domain_cgroup_open_or_die(place->path);
	place->id = domain_cgroup_id(place->fd);
}

void place_destroy(struct place *place)
{
	int waited = 0;

	close(place->fd);
	/* Busy until the last process, which is dead already, is gone from it. */
	while (rmdir(place->path) < 0 && errno == EBUSY && waited++ < PATIENCE_MS / 10)
		usleep(10000);
	expect(access(place->path, F_OK) < 0, "%s cannot be removed", place->path);
	free(place->path);
}

/* ---------------------------------------------------------------------- domains */

void bound_create(struct bound *bound, const char *name, uint64_t ceiling, uint32_t order,
		  uint32_t deadline_ms)
{
	struct usm_bind bind;
	int r;

	place_create(&bound->place, name);
	domain_bind_init(&bind, bound->place.fd, ceiling);
	bind.fault_order = order;
	bind.deadline_ms = deadline_ms;
	r = domain_ioctl(device, USM_IOC_BIND, &bind);
	if (r < 0)
		errx(1, "cannot bind %s: %s", bound->place.path, strerror(-r));
	domain_map_or_die(&bound->domain, bind.domain_fd);
}

void bound_destroy(struct bound *bound)
{
	expect_ok(domain_release(device, bound->domain.id));
	domain_unmap(&bound->domain);
	place_destroy(&bound->place);
}

struct usm_stat bound_stat(const struct bound *bound)
{
	struct usm_stat stat = { 0 };

	expect_ok(domain_stat(&bound->domain, &stat));
	return stat;
}

/* The next of this type that is there; what comes before it is dropped. */
static bool event_take(struct bound *bound, uint16_t type, struct usm_event *ret)
{
	struct usm_event event;

	while (domain_event_take(&bound->domain, &event)) {
		if (type != UAPITEST_ANY_EVENT && event.type != type)
			continue;
		if (ret)
			*ret = event;
		return true;
	}
	return false;
}

bool bound_event(struct bound *bound, uint16_t type, int timeout_ms, struct usm_event *ret)
{
	struct pollfd poll_fd = { .fd = bound->domain.fd, .events = POLLIN };

	for (;;) {
		if (event_take(bound, type, ret))
			return true;
		if (poll(&poll_fd, 1, timeout_ms) <= 0 || !(poll_fd.revents & POLLIN))
			return false;
	}
}

void bound_grow(struct bound *bound, uint32_t frames)
{
	struct usm_command grow = { .op = USM_CMD_GROW, .count = frames, .node = -1 };
	struct usm_stat stat = bound_stat(bound);
	uint64_t wanted = stat.frames + frames;
	int waited = 0;

	if (wanted > stat.ceiling)
		wanted = stat.ceiling;
	expect_ok(domain_command(&bound->domain, &grow));
	/* Also unarmed, where nobody listens to events. */
	while (bound_stat(bound).frames < wanted && waited++ < PATIENCE_MS / 10)
		usleep(10000);
	expect(bound_stat(bound).frames >= wanted, "the domain did not grow by %u", frames);
}

/* ------------------------------------------------------------ a process inside */

struct touched {
	struct touched *next;
	uint64_t *words;
	uint32_t pages;
};

static bool touched_verify(const struct touched *touched)
{
	for (; touched; touched = touched->next)
		for (size_t i = 0; i < (size_t)touched->pages * PAGE / 8; i++)
			if (touched->words[i] != ((uintptr_t)touched->words ^ i))
				return false;
	return true;
}

static bool touched_add(struct touched **list, uint32_t pages)
{
	size_t length = (size_t)pages * PAGE;
	/* Not from malloc: the bookkeeping must not be adopted memory of the test. */
	static struct touched store[64];
	static unsigned int used;
	struct touched *touched = &store[used++];
	uint64_t *words = mmap(NULL, length, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (words == MAP_FAILED || used == 64)
		return false;
	for (size_t i = 0; i < length / 8; i++)
		if (words[i])
			return false;
	for (size_t i = 0; i < length / 8; i++)
		words[i] = (uintptr_t)words ^ i;
	*touched = (struct touched){ .next = *list, .words = words, .pages = pages };
	*list = touched;
	return true;
}

/* Children of the process, which wait for their end to be wanted. */
struct guest_child {
	pid_t pid;
	int to;
};

struct guest_children {
	struct guest_child child[GUEST_CHILDREN];
	uint32_t count;
};

/* What it writes must not show in its parent, nor be lost. */
static bool guest_child_verify(const struct touched *list)
{
	const struct touched *touched;

	if (!touched_verify(list))
		return false;
	for (touched = list; touched; touched = touched->next)
		for (uint32_t i = 0; i < touched->pages; i += 2)
			memset(touched->words + (size_t)i * PAGE / 8, 0xa5, PAGE);
	for (touched = list; touched; touched = touched->next)
		for (size_t i = 0; i < (size_t)touched->pages * PAGE / 8; i++)
			if (touched->words[i] != (i / (PAGE / 8) % 2 ?
						  ((uintptr_t)touched->words ^ i) :
						  UINT64_C(0xa5a5a5a5a5a5a5a5)))
				return false;
	return true;
}

static bool guest_child_start(struct guest_children *children, const struct touched *list)
{
	struct guest_child *child = &children->child[children->count];
	int to[2];
	char byte;

	if (children->count == GUEST_CHILDREN || pipe2(to, O_CLOEXEC) < 0)
		return false;
	child->pid = fork();
	if (child->pid == 0) {
		close(to[1]);
		_exit(read(to[0], &byte, 1) == 1 && guest_child_verify(list) ? 0 : 1);
	}
	close(to[0]);
	child->to = to[1];
	children->count += child->pid > 0;
	return child->pid > 0;
}

static bool guest_children_join(struct guest_children *children)
{
	bool good = true;

	while (children->count) {
		const struct guest_child *child = &children->child[--children->count];
		int status = -1;

		good &= write(child->to, "", 1) == 1;
		close(child->to);
		good &= waitpid(child->pid, &status, 0) == child->pid && status == 0;
	}
	return good;
}

/* In place of a number of pages. */
#define GUEST_FORK	UINT32_MAX
#define GUEST_JOIN	(UINT32_MAX - 1)
#define GUEST_END	(UINT32_MAX - 2)

/* Orders: a number of pages to touch; 0: verify. Answers: 1 or 0. */
static void __attribute__((noreturn)) guest_main(const struct guest *guest)
{
	struct guest_children children = {};
	struct touched *list = NULL;
	uint32_t pages;

	while (read(guest->to, &pages, sizeof(pages)) == sizeof(pages)) {
		uint32_t answer;

		if (pages == GUEST_END)
			break;
		if (pages == GUEST_FORK)
			answer = guest_child_start(&children, list);
		else if (pages == GUEST_JOIN)
			answer = guest_children_join(&children);
		else
			answer = pages ? touched_add(&list, pages) : touched_verify(list);
		if (write(guest->from, &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	_exit(0);
}

void guest_start(struct guest *guest, const struct bound *bound)
{
	int to[2], from[2], procs;

	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		err(1, "pipe2");
	fflush(stdout);
	guest->pid = fork();
	if (guest->pid < 0)
		err(1, "fork");
	if (guest->pid == 0) {
		struct guest inside = { .to = to[0], .from = from[1] };
		uint32_t ready = 1;

		/* The descriptors of the test must not keep anything alive. */
		close(to[1]);
		close(from[0]);
		close(bound->domain.fd);
		procs = openat(bound->place.fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
		if (procs < 0 || write(procs, "0", 1) != 1 ||
		    write(inside.from, &ready, sizeof(ready)) != sizeof(ready))
			_exit(1);
		close(procs);
		guest_main(&inside);
	}
	close(to[0]);
	close(from[1]);
	guest->to = to[1];
	guest->from = from[0];
	expect(guest_touch_end(guest), "no process could be started in the cgroup");
}

void guest_touch_begin(struct guest *guest, uint32_t pages)
{
	expect(write(guest->to, &pages, sizeof(pages)) == sizeof(pages), "the guest is gone");
}

bool guest_event(struct guest *guest, struct bound *bound, uint16_t type, struct usm_event *ret)
{
	struct pollfd fds[] = {
		{ .fd = bound->domain.fd, .events = POLLIN },
		{ .fd = guest->from, .events = POLLIN },
	};

	do {
		/* Asked first: when it is done, all that it waited for has been told. */
		bool done = fds[1].revents;

		if (event_take(bound, type, ret))
			return true;
		if (done)
			return false;
	} while (poll(fds, 2, PATIENCE_MS) > 0);
	return false;
}

bool guest_touch_end(struct guest *guest)
{
	struct pollfd poll_fd = { .fd = guest->from, .events = POLLIN };
	uint32_t answer = 0;

	if (poll(&poll_fd, 1, PATIENCE_MS) <= 0 ||
	    read(guest->from, &answer, sizeof(answer)) != sizeof(answer))
		return false;
	return answer == 1;
}

bool guest_answered(const struct guest *guest)
{
	struct pollfd poll_fd = { .fd = guest->from, .events = POLLIN };

	return poll(&poll_fd, 1, 0) > 0;
}

bool guest_touch(struct guest *guest, uint32_t pages)
{
	guest_touch_begin(guest, pages);
	return guest_touch_end(guest);
}

bool guest_verify(struct guest *guest)
{
	return guest_touch(guest, 0);
}

bool guest_fork(struct guest *guest)
{
	return guest_touch(guest, GUEST_FORK);
}

void guest_join_begin(struct guest *guest)
{
	guest_touch_begin(guest, GUEST_JOIN);
}

void guest_stop(struct guest *guest)
{
	uint32_t order = GUEST_END;
	int status;

	/* One that was started later holds its pipe open, so that it would see no end. */
	expect(write(guest->to, &order, sizeof(order)) == sizeof(order), "it is gone already");
	close(guest->to);
	close(guest->from);
	if (waitpid(guest->pid, &status, 0) != guest->pid)
		err(1, "waitpid");
	expect(status == 0, "the process in the cgroup ended with 0x%x", status);
}

/* -------------------------------------------------------------------------- main */

static const struct {
	const char *name;
	void (*run)(void);
} groups[] = {
	{ "device", device_tests },
	{ "port", port_tests },
	{ "command", command_tests },
	{ "supply", supply_tests },
	{ "evict", evict_tests },
	{ "store", store_tests },
	{ "sample", sample_tests },
	{ "upcall", upcall_tests },
	{ "nested", nested_tests },
};

static bool group_run(const char *name)
{
	bool found = false;

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (name && strcmp(groups[i].name, name) != 0)
			continue;
		groups[i].run();
		found = true;
	}
	return found;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: uapitest CGROUP [GROUP]...\n"
			"CGROUP: a directory whose cgroup.subtree_control has memory\n"
			"GROUP: device, port, command, supply, evict, store, sample, upcall, nested;"
			" default: all\n");
		return 2;
	}
	parent_cgroup = argv[1];
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	device = domain_device_open_or_die();

	expect(layout_checked(), "layout");
	if (argc == 2)
		group_run(NULL);
	for (int i = 2; i < argc; i++) {
		if (!group_run(argv[i])) {
			fprintf(stderr, "uapitest: no group %s\n", argv[i]);
			return 2;
		}
	}

	printf("uapitest: %lu checks, %lu errors\n", checks, errors);
	return errors ? 1 : 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * USM_MODE_UPCALL: what a fault asks, which answers it takes, and what becomes of it when
 * there is none; whoever it is that waits, and whatever happens to it meanwhile.
 */
#include "uapitest.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CEILING		2048
#define DEADLINE_MS	5000
#define SHORT_MS	300
#define PATIENCE_MS	10000

static long ms_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int tune(struct bound *bound, uint32_t flags, uint32_t mode, uint32_t order, uint32_t ms)
{
	struct usm_tune request = { .size = sizeof(request), .flags = flags, .mode = mode,
				    .fault_order = order, .deadline_ms = ms };

	return domain_ioctl(bound->domain.fd, USM_IOC_TUNE, &request);
}

static int submit_wait(struct bound *bound, struct usm_command *commands, uint32_t count,
		       uint32_t timeout_ms)
{
	struct usm_submit submit = { .size = sizeof(submit), .flags = USM_SUBMIT_WAIT,
				     .commands = (uintptr_t)commands, .count = count,
				     .timeout_ms = timeout_ms };

	return domain_ioctl(bound->domain.fd, USM_IOC_SUBMIT, &submit);
}

static uint8_t state_of(const struct bound *bound, uint32_t frame)
{
	return domain_frame_state(&bound->domain, frame) & USM_FRAME_STATE_MASK;
}

/* The first of `count` free frames in a row. */
static uint32_t free_run(const struct bound *bound, uint32_t count)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < CEILING; i++) {
		found = state_of(bound, i) == USM_FRAME_FREE ? found + 1 : 0;
		if (found == count)
			return i + 1 - count;
	}
	errx(1, "there are no %u free frames in a row", count);
}

static struct usm_command resolve(const struct bound *bound, uint64_t key, uint32_t frame,
				  uint32_t count)
{
	struct usm_frame value = domain_frame_read(&bound->domain, frame);

	return (struct usm_command){ .op = USM_CMD_RESOLVE, .arg = key, .frame = frame,
				     .count = count,
				     .generation = USM_FRAME_GENERATION(&value) };
}

static int answer(struct bound *bound, uint64_t key, uint32_t frame, uint32_t count)
{
	struct usm_command command = resolve(bound, key, frame, count);

	return domain_command(&bound->domain, &command);
}

/* Any frame will do. The table may show one as FREE that another fault was given just now. */
static int give(struct bound *bound, uint64_t key)
{
	int r = -EBUSY;

	for (uint32_t i = 0; i < CEILING && r == -EBUSY; i++)
		if (state_of(bound, i) == USM_FRAME_FREE)
			r = answer(bound, key, i, 1);
	return r;
}

static int decline(struct bound *bound, uint64_t key)
{
	struct usm_command command = { .op = USM_CMD_RESOLVE, .arg = key };

	return domain_command(&bound->domain, &command);
}

static bool asked(struct bound *bound, struct usm_event *event)
{
	return bound_event(bound, USM_EV_FAULT, PATIENCE_MS, event);
}

/* Whatever is asked gets the first free frame, until the process has ended. */
static int answer_until_exit(struct bound *bound, pid_t pid)
{
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct usm_event event;

		submit_wait(bound, NULL, 0, 20);
		while (domain_event_take(&bound->domain, &event))
			if (event.type == USM_EV_FAULT)
				give(bound, event.arg);
	}
	return status;
}

/* ------------------------------------------------------------- processes inside */

/* Shared with the test, of the kernel: not adopted. */
static struct stage {
	_Atomic(char *) page;		/* that is to be touched */
	_Atomic int step;
} *stage;

static void step_wait(int step)
{
	long end = ms_now() + PATIENCE_MS;

	while (stage->step < step && ms_now() < end)
		usleep(1000);
}

static pid_t inside(struct bound *bound, int (*run)(void))
{
	pid_t pid;
	int procs;

	*stage = (struct stage){};
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		procs = openat(bound->place.fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
		if (procs < 0 || write(procs, "0", 1) != 1)
			_exit(99);
		close(bound->domain.fd);
		_exit(run());
	}
	return pid;
}

static char *page_map(void)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		_exit(98);
	stage->page = page;
	return page;
}

static int run_touch(void)
{
	volatile char *page = page_map();

	if (page[1])
		return 1;
	page[0] = 1;
	return page[0] == 1 ? 0 : 2;
}

static void *thread_touch(void *page)
{
	((volatile char *)page)[0]++;
	return NULL;
}

/* Both threads are there, and their stacks, before the page is touched by them. */
static void *thread_touch_late(void *page)
{
	stage->step++;
	step_wait(4);
	return thread_touch(page);
}

static int run_two(void)
{
	char *page = page_map();
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, thread_touch_late, page + i * 8))
			return 3;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return page[0] == 1 && page[8] == 1 && !page[16] ? 0 : 4;
}

/* A thread waits for its first page while this one does something to the memory. */
static int run_beside(int (*meanwhile)(char *page))
{
	char *page = page_map();
	pthread_t thread;
	int r;

	stage->step = 2;
	if (pthread_create(&thread, NULL, thread_touch_late, page))
		return 3;
	step_wait(5);
	r = meanwhile(page);
	stage->step = 6;
	pthread_join(thread, NULL);
	return r ?: page[0] != 1;
}

static int fork_meanwhile(char *page)
{
	int status = -1;
	pid_t pid = fork();

	/* The child's page is its own, and nobody has touched it. */
	if (pid == 0) {
		step_wait(7);
		_exit(page[0] ? 5 : 0);
	}
	stage->step = 6;
	step_wait(7);
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 6;
}

static int run_fork(void)
{
	return run_beside(fork_meanwhile);
}

static int unmap_meanwhile(char *page)
{
	return munmap(page, PAGE) ? 7 : 0;
}

static int run_unmap(void)
{
	return run_beside(unmap_meanwhile);
}

static int run_read(void)
{
	char *page = page_map();
	int ends[2];

	if (pipe(ends) || write(ends[1], "abc", 3) != 3)
		return 8;
	return read(ends[0], page, 3) == 3 && !memcmp(page, "abc", 4) ? 0 : 9;
}

static int run_target(void)
{
	char *page = page_map();

	stage->step = 1;
	step_wait(2);
	return !memcmp(page, "far", 4) ? 0 : 10;
}

/* ------------------------------------------------------------------------ tests */

static void refusal_tests(struct bound *bound)
{
	struct usm_command good = resolve(bound, 4711, 0, 1), repeat = { .op = USM_CMD_REPEAT };
	struct usm_command bad[] = { good, good, good, good, good, good };

	expect_error(domain_command(&bound->domain, &good), -EPERM);
	expect_error(domain_command(&bound->domain, &repeat), -EPERM);
	expect_ok(domain_arm(&bound->domain, NULL));
	expect_error(domain_command(&bound->domain, &good), -ESTALE);
	expect_error(decline(bound, 0), -ESTALE);
	expect_number(domain_command(&bound->domain, &repeat), 0);
	bad[0].flags = 2;
	bad[1].node = 1;
	bad[2].count = USM_MAX_RUN + 1;
	bad[3].frame = UINT32_MAX;
	bad[4].count = 0, bad[4].frame = 1;
	bad[5].count = 0, bad[5].flags = USM_RESOLVE_MORE;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		expect_error(domain_command(&bound->domain, &bad[i]), -EINVAL);
	repeat.count = 1;
	expect_error(domain_command(&bound->domain, &repeat), -EINVAL);
	expect_error(tune(bound, USM_TUNE_MODE, 2, 0, 0), -EINVAL);
}

static void answer_tests(struct bound *bound)
{
	struct usm_stat before = bound_stat(bound), after;
	uint32_t frame = free_run(bound, 600) + 599, used;
	struct usm_command wrong;
	struct usm_event event;
	struct usm_frame entry;
	pid_t pid = inside(bound, run_touch);
	int status;

	expect(asked(bound, &event), "no EV_FAULT");
	expect_number(event.page, (uintptr_t)stage->page / PAGE);
	expect_number(event.flags, USM_FAULT_USER);
	expect_number(event.count, 1);
	expect(event.space && event.arg && event.frame < bound->domain.info.supply_rings,
	       "space %u, key %llx, CPU %u", event.space, (unsigned long long)event.arg,
	       event.frame);

	/* What is wrong is refused, and the fault waits on. */
	wrong = resolve(bound, event.arg, frame, 1);
	wrong.generation++;
	expect_error(domain_command(&bound->domain, &wrong), -EBUSY);
	expect_error(answer(bound, event.arg + 64, frame, 1), -ESTALE);
	expect_number(waitpid(pid, &status, WNOHANG), 0);

	/* One frame fits, and it is that one. */
	expect_number(answer(bound, event.arg, frame, 1), 1);
	expect_error(answer(bound, event.arg, frame, 1), -ESTALE);
	used = frame;
	expect_number(answer_until_exit(bound, pid), 0);
	after = bound_stat(bound);
	expect_number(after.upcalls, before.upcalls + 1);
	expect_number(after.resolved, before.resolved + 1);
	expect_number(after.fallback_pages, before.fallback_pages);
	expect_number(after.picked_pages, before.picked_pages);
	expect_number(after.supplied, before.supplied);
	entry = domain_frame_read(&bound->domain, used);
	expect_number(USM_FRAME_PAGE(&entry), event.page);
}

/* An order of 3: some pages, of which the one that was touched gets the first frame. */
static void run_tests(struct bound *bound, struct guest *guest)
{
	struct usm_command more;
	struct usm_event event;
	uint32_t first, mapped = 0;

	expect_ok(tune(bound, USM_TUNE_ORDER, 0, 3, 0));
	first = free_run(bound, 64);
	guest_touch_begin(guest, 8);
	while (guest_event(guest, bound, USM_EV_FAULT, &event)) {
		struct usm_frame entry;

		expect(event.count <= 8 && event.count, "%u pages", event.count);
		expect_number(answer(bound, event.arg, first, 64), event.count);
		for (int i = 0; i < PATIENCE_MS && state_of(bound, first) != USM_FRAME_MAPPED; i++)
			usleep(1000);
		entry = domain_frame_read(&bound->domain, first);
		expect_number(USM_FRAME_PAGE(&entry), event.page);
		mapped += event.count;
		first = free_run(bound, 64);
	}
	expect(guest_touch_end(guest) && guest_verify(guest), "memory in runs");
	expect(mapped >= 8, "%u pages for 8", mapped);

	/* In two runs, of which the first is not the last; then that is all. */
	guest_touch_begin(guest, 16);
	while (guest_event(guest, bound, USM_EV_FAULT, &event)) {
		first = free_run(bound, 2);
		more = resolve(bound, event.arg, first + 1, 1);
		more.flags = USM_RESOLVE_MORE;
		expect_number(domain_command(&bound->domain, &more), 1);
		if (event.count == 1)
			continue;
		/* It is taken now: no second time. */
		expect_error(answer(bound, event.arg, first + 1, 1), -EBUSY);
		more = resolve(bound, event.arg, first, 1);
		more.flags = USM_RESOLVE_MORE;
		expect_number(domain_command(&bound->domain, &more), 1);
		if (event.count > 2)
			expect_ok(decline(bound, event.arg));
	}
	expect(guest_touch_end(guest) && guest_verify(guest), "memory in two runs");
	expect_ok(tune(bound, USM_TUNE_ORDER, 0, 0, 0));
}

/*
 * Orders become smaller between the question and the answer: what was given for pages that
 * the fault does not map any more is free again.
 */
static void smaller_tests(struct bound *bound, struct guest *guest)
{
	struct usm_event event;
	bool more = false;

	expect_ok(tune(bound, USM_TUNE_ORDER, 0, 3, 0));
	/* Whatever lies before an aligned run is asked for page by page. */
	guest_touch_begin(guest, 16);
	while (guest_event(guest, bound, USM_EV_FAULT, &event)) {
		uint32_t first = free_run(bound, event.count);

		more |= event.count > 1;
		expect_ok(tune(bound, USM_TUNE_ORDER, 0, 0, 0));
		expect_number(answer(bound, event.arg, first, event.count), event.count);
		for (int i = 0; i < PATIENCE_MS && state_of(bound, first) != USM_FRAME_MAPPED; i++)
			usleep(1000);
		if (event.count > 1) {
			struct usm_frame entry = domain_frame_read(&bound->domain, first + 1);
			struct usm_command zero = { .op = USM_CMD_ZERO, .frame = first + 1,
						    .count = event.count - 1,
						    .generation = USM_FRAME_GENERATION(&entry) };
			int r = 0;

			/* Only what is free can be zeroed, whatever the table shows. */
			for (int i = 0; i < 1000 && r != (int)zero.count; i++, usleep(1000))
				r = domain_command(&bound->domain, &zero);
			expect_number(r, zero.count);
		}
		expect_ok(tune(bound, USM_TUNE_ORDER, 0, 3, 0));
	}
	expect_ok(tune(bound, USM_TUNE_ORDER, 0, 0, 0));
	expect(more, "no fault asked for more than a page");
	expect(guest_touch_end(guest) && guest_verify(guest), "memory of smaller orders");
}

static void decline_tests(struct bound *bound, struct guest *guest)
{
	struct usm_stat before = bound_stat(bound), after;
	struct usm_event event, again;
	struct usm_command repeat = { .op = USM_CMD_REPEAT };

	guest_touch_begin(guest, 1);
	expect(asked(bound, &event), "no EV_FAULT");
	expect_number(domain_command(&bound->domain, &repeat), 1);
	expect(asked(bound, &again), "no EV_FAULT again");
	expect(!memcmp(&event, &again, sizeof(event)), "it was not the same event");
	expect_ok(decline(bound, event.arg));
	expect(guest_touch_end(guest), "touch of a page that was declined");
	after = bound_stat(bound);
	expect_number(after.declined, before.declined + 1);
	expect_number(after.picked_pages, before.picked_pages + 1);
	expect_number(after.resolved, before.resolved);
	expect_number(after.state, USM_FALLBACK_NONE);
}

static void late_tests(struct bound *bound, struct guest *guest)
{
	struct usm_attach attach = { .size = sizeof(attach), .id = bound->domain.id };
	struct usm_arm request = { .size = sizeof(request) };
	struct usm_stat before, after;
	struct usm_event event;
	bool got;
	long start;

	/* No answer. */
	expect_ok(tune(bound, USM_TUNE_DEADLINE, 0, 0, SHORT_MS));
	before = bound_stat(bound);
	start = ms_now();
	guest_touch_begin(guest, 3);
	expect(asked(bound, &event), "no EV_FAULT");
	expect(guest_touch_end(guest), "touch without an answer");
	expect(ms_now() - start >= SHORT_MS - 10, "the deadline was not waited for");
	after = bound_stat(bound);
	expect_number(after.deadlines, before.deadlines + 1);
	expect_number(after.fallbacks, before.fallbacks + 1);
	expect_number(after.state, USM_FALLBACK_DEADLINE);
	expect_number(after.fallback_pages, before.fallback_pages + 3);
	expect_error(answer(bound, event.arg, free_run(bound, 1), 1), -EPERM);
	expect_ok(domain_arm(&bound->domain, NULL));
	expect_error(answer(bound, event.arg, free_run(bound, 1), 1), -ESTALE);
	expect_ok(tune(bound, USM_TUNE_DEADLINE, 0, 0, DEADLINE_MS));
	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_DISARM, NULL));

	/* The instance dies, with half of an answer given. */
	expect_ok(tune(bound, USM_TUNE_ORDER, 0, 4, 0));
	expect_ok(domain_ioctl(device, USM_IOC_ATTACH, &attach));
	expect_ok(domain_ioctl(attach.domain_fd, USM_IOC_ARM, &request));
	start = ms_now();
	guest_touch_begin(guest, 32);
	while (!(got = domain_event_take(&bound->domain, &event) && event.type == USM_EV_FAULT) &&
	       ms_now() - start < PATIENCE_MS)
		usleep(1000);
	expect(got, "no EV_FAULT");
	if (event.count > 1) {
		struct usm_command half = resolve(bound, event.arg, free_run(bound, 1), 1);
		struct usm_submit submit = { .size = sizeof(submit), .count = 1,
					     .commands = (uintptr_t)&half };

		half.flags = USM_RESOLVE_MORE;
		expect_ok(domain_ioctl(attach.domain_fd, USM_IOC_SUBMIT, &submit));
		expect_number(half.result, 1);
	}
	close(attach.domain_fd);
	expect(guest_touch_end(guest), "touch while the instance dies");
	expect(ms_now() - start < DEADLINE_MS, "a dead instance was waited for");
	expect_number(bound_stat(bound).state, USM_FALLBACK_CLOSED);
	expect_ok(tune(bound, USM_TUNE_ORDER, 0, 0, 0));
	expect(guest_verify(guest), "memory after that");
	expect_ok(domain_arm(&bound->domain, NULL));
}

static void mode_tests(struct bound *bound, struct guest *guest)
{
	struct usm_stat before;
	struct usm_event event;

	/* Who waits in one mode is served at once; the next one waits in the other. */
	before = bound_stat(bound);
	guest_touch_begin(guest, 2);
	expect(asked(bound, &event), "no EV_FAULT");
	expect_ok(tune(bound, USM_TUNE_MODE, USM_MODE_SUPPLY, 0, 0));
	expect(bound_event(bound, USM_EV_SUPPLY_LOW, PATIENCE_MS, NULL), "no EV_SUPPLY_LOW");
	expect_error(answer(bound, event.arg, free_run(bound, 1), 1), -ESTALE);
	expect_number(bound_stat(bound).picked_pages, before.picked_pages + 1);
	expect_number(bound_stat(bound).mode, USM_MODE_SUPPLY);
	expect_ok(tune(bound, USM_TUNE_MODE, USM_MODE_UPCALL, 0, 0));
	expect(asked(bound, &event), "no EV_FAULT after the change");
	expect_number(give(bound, event.arg), 1);
	expect(guest_touch_end(guest) && guest_verify(guest), "memory over the changes");
	expect_number(bound_stat(bound).mode, USM_MODE_UPCALL);
	expect_number(bound_stat(bound).fallbacks, before.fallbacks);
}

/* Who does something else instead of answering delays a fault by one deadline, no more. */
static void busy_tests(struct bound *bound, struct guest *guest)
{
	static const char *const names[] = { "deadline", "mode", "mode back and forth", "arming" };

	for (int way = 0; way < 4; way++) {
		long start = ms_now(), end = start + PATIENCE_MS;
		struct usm_event event;

		expect_ok(tune(bound, USM_TUNE_DEADLINE, 0, 0, SHORT_MS));
		guest_touch_begin(guest, 1);
		expect(asked(bound, &event), "no EV_FAULT");
		while (!guest_answered(guest) && ms_now() < end) {
			if (way == 0)
				expect_ok(tune(bound, USM_TUNE_DEADLINE, 0, 0, SHORT_MS));
			if (way == 2)
				expect_ok(tune(bound, USM_TUNE_MODE, USM_MODE_SUPPLY, 0, 0));
			if (way == 1 || way == 2)
				expect_ok(tune(bound, USM_TUNE_MODE, USM_MODE_UPCALL, 0, 0));
			if (way == 3) {
				domain_ioctl(bound->domain.fd, USM_IOC_DISARM, NULL);
				domain_arm(&bound->domain, NULL);
			}
			usleep(SHORT_MS * 1000 / 3);
		}
		expect(ms_now() < end, "a fault waits, whose instance sets the %s", names[way]);
		expect(guest_touch_end(guest) && guest_verify(guest), "its memory");
		expect_ok(tune(bound, USM_TUNE_DEADLINE, 0, 0, DEADLINE_MS));
		if (bound_stat(bound).state != USM_FALLBACK_NONE)
			expect_ok(domain_arm(&bound->domain, NULL));
	}
}

/* Its process is killed while it waits: at once, and nothing is kept for it. */
static void kill_tests(struct bound *bound)
{
	uint64_t frames = bound_stat(bound).frames_free;
	pid_t pid = inside(bound, run_touch);
	struct usm_event event;
	long start = ms_now();
	int status;

	expect(asked(bound, &event), "no EV_FAULT");
	kill(pid, SIGKILL);
	expect_number(waitpid(pid, &status, 0), pid);
	expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %x", status);
	expect(ms_now() - start < DEADLINE_MS, "a fault that waits could not be killed");
	expect_error(answer(bound, event.arg, free_run(bound, 1), 1), -ESTALE);
	expect_number(bound_stat(bound).frames_free, frames);
	expect_number(bound_stat(bound).state, USM_FALLBACK_NONE);
}

/* The threads' stacks are adopted too: answer until that is done with, */
static void answer_until_step(struct bound *bound, int step)
{
	long end = ms_now() + PATIENCE_MS;
	struct usm_event event;

	while (stage->step < step && ms_now() < end)
		if (bound_event(bound, USM_EV_FAULT, 10, &event))
			give(bound, event.arg);
	expect(stage->step >= step, "step %d of %d", stage->step, step);
}

/* ... or it is the page's turn. */
static bool asked_page(struct bound *bound, struct usm_event *event)
{
	while (asked(bound, event)) {
		if (event->page == (uintptr_t)stage->page / PAGE)
			return true;
		give(bound, event->arg);
	}
	return false;
}

static void thread_tests(struct bound *bound)
{
	struct usm_stat before;
	struct usm_event event;
	pid_t pid;

	/* Two touch the same page: one asks, and one frame does for both. */
	pid = inside(bound, run_two);
	answer_until_step(bound, 2);
	before = bound_stat(bound);
	stage->step = 4;
	expect(asked_page(bound, &event), "no EV_FAULT of the page");
	for (int i = 0; i < 1000 && bound_stat(bound).waits < before.waits + 2; i++)
		usleep(1000);
	expect_number(bound_stat(bound).waits, before.waits + 2);
	expect_number(bound_stat(bound).upcalls, before.upcalls + 1);
	expect_number(give(bound, event.arg), 1);
	expect_number(answer_until_exit(bound, pid), 0);
	expect_number(bound_stat(bound).upcalls, before.upcalls + 1);

	/* A fork while a thread waits: the child asks for itself. */
	pid = inside(bound, run_fork);
	answer_until_step(bound, 3);
	stage->step = 4;
	expect(asked_page(bound, &event), "no EV_FAULT of the page");
	stage->step = 5;
	step_wait(6);
	expect_number(give(bound, event.arg), 1);
	stage->step = 7;
	expect_number(answer_until_exit(bound, pid), 0);

	/* Its memory is unmapped: the frame comes back, and it gets what is its due. */
	pid = inside(bound, run_unmap);
	answer_until_step(bound, 3);
	stage->step = 4;
	expect(asked_page(bound, &event), "no EV_FAULT of the page");
	stage->step = 5;
	step_wait(6);
	expect_number(give(bound, event.arg), 1);
	expect_number(answer_until_exit(bound, pid) & 0x7f, SIGSEGV);
}

/* The kernel, and another process, touch what the program has not. */
static void kernel_tests(struct bound *bound)
{
	struct usm_event event;
	pid_t pid, writer;

	pid = inside(bound, run_read);
	expect(asked(bound, &event), "no EV_FAULT of read()");
	expect_number(event.flags, USM_FAULT_WRITE);
	expect_number(give(bound, event.arg), 1);
	expect_number(answer_until_exit(bound, pid), 0);

	pid = inside(bound, run_target);
	step_wait(1);
	writer = fork();
	if (writer == 0) {
		struct iovec from = { "far", 3 }, to = { stage->page, 3 };

		_exit(process_vm_writev(pid, &from, 1, &to, 1, 0) == 3 ? 0 : 1);
	}
	expect(asked(bound, &event), "no EV_FAULT of process_vm_writev()");
	expect_number(event.flags, USM_FAULT_WRITE | USM_FAULT_REMOTE);
	expect_number(give(bound, event.arg), 1);
	expect_number(answer_until_exit(bound, writer), 0);
	stage->step = 2;
	expect_number(answer_until_exit(bound, pid), 0);

	/* Killed while the other waits in its memory: that one goes on. */
	pid = inside(bound, run_target);
	step_wait(1);
	writer = fork();
	if (writer == 0) {
		struct iovec from = { "far", 3 }, to = { stage->page, 3 };

		process_vm_writev(pid, &from, 1, &to, 1, 0);
		_exit(0);
	}
	expect(asked(bound, &event), "no EV_FAULT of process_vm_writev()");
	kill(pid, SIGKILL);
	expect(waitpid(pid, NULL, 0) == pid, "the target has no end");
	expect_number(give(bound, event.arg), 1);
	expect_number(answer_until_exit(bound, writer), 0);
}

static void alarmed(int signal)
{
}

static void *thread_wait(void *bound)
{
	return (void *)(intptr_t)submit_wait(bound, NULL, 0, 1000);
}

static void wait_tests(struct bound *bound, struct guest *guest)
{
	struct sigaction action = { .sa_handler = alarmed }, old;
	struct usm_event event;
	struct usm_command command = { .op = USM_CMD_RESOLVE };
	struct usm_submit submit = { .size = sizeof(submit), .flags = USM_SUBMIT_WAIT, .count = 1,
				     .commands = (uintptr_t)&command, .timeout_ms = 1 };
	pthread_t thread;
	void *result;
	long start;

	/* What the tests before have left: frames that come back, and their clock. */
	usleep(300000);
	while (domain_event_take(&bound->domain, &event))
		;
	/* Nothing comes: for as long as was said, at the most. */
	start = ms_now();
	expect_ok(submit_wait(bound, NULL, 0, 100));
	expect(ms_now() - start >= 90 && ms_now() - start < 1000, "%ld ms", ms_now() - start);
	expect_error(submit_wait(bound, (void *)8, 1, 1), -EFAULT);

	/* By read(2), too. */
	expect_error(read(bound->domain.fd, &submit, sizeof(submit) - 1) < 0 ? -errno : 0, -EINVAL);
	expect_number(read(bound->domain.fd, &submit, sizeof(submit)), sizeof(submit));
	expect_number(submit.done, 1);
	expect_error(command.result, -ESTALE);

	/* Something is there, or comes: no longer than that. */
	start = ms_now();
	guest_touch_begin(guest, 2);
	for (int i = 0; i < 2; i++) {
		event.type = 0;
		while ((!domain_event_take(&bound->domain, &event) ||
			event.type != USM_EV_FAULT) && ms_now() - start < PATIENCE_MS)
			if (submit_wait(bound, NULL, 0, 0) < 0 ||
			    bound_stat(bound).state != USM_FALLBACK_NONE)
				break;
		expect_number(event.type, USM_EV_FAULT);
		command = resolve(bound, event.arg, free_run(bound, 1), 1);
		expect_ok(submit_wait(bound, &command, 1, i ? 1 : 0));
		expect_number(command.result, 1);
	}
	expect(guest_touch_end(guest), "touch");
	expect(ms_now() - start < PATIENCE_MS, "a wait went on");

	/* A signal, and a second one who wants to wait. */
	while (domain_event_take(&bound->domain, &event))
		;
	sigaction(SIGALRM, &action, &old);
	alarm(1);
	expect_error(submit_wait(bound, NULL, 0, 0), -EINTR);
	sigaction(SIGALRM, &old, NULL);
	expect(!pthread_create(&thread, NULL, thread_wait, bound), "pthread_create");
	usleep(200000);
	expect_error(submit_wait(bound, NULL, 0, 1), -EBUSY);
	pthread_join(thread, &result);
	expect_ok((int)(intptr_t)result);

	/* Not armed: nothing to wait for. */
	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_DISARM, NULL));
	while (domain_event_take(&bound->domain, &event))
		;
	expect_ok(submit_wait(bound, NULL, 0, 0));
	expect_ok(domain_arm(&bound->domain, NULL));
}

void upcall_tests(void)
{
	struct usm_stat stat;
	struct bound bound;
	struct guest guest;

	stage = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stage == MAP_FAILED)
		err(1, "mmap");
	bound_create(&bound, "upcall", CEILING, 0, DEADLINE_MS);
	bound_grow(&bound, CEILING);
	guest_start(&guest, &bound);
	expect(guest_touch(&guest, 2), "touch in fallback");
	expect_ok(tune(&bound, USM_TUNE_MODE, USM_MODE_UPCALL, 0, 0));
	refusal_tests(&bound);
	answer_tests(&bound);
	run_tests(&bound, &guest);
	smaller_tests(&bound, &guest);
	decline_tests(&bound, &guest);
	late_tests(&bound, &guest);
	mode_tests(&bound, &guest);
	busy_tests(&bound, &guest);
	kill_tests(&bound);
	thread_tests(&bound);
	kernel_tests(&bound);
	wait_tests(&bound, &guest);
	expect(guest_verify(&guest), "memory at the end");
	guest_stop(&guest);
	for (int waited = 0; waited < 1000 && bound_stat(&bound).spaces; waited++)
		usleep(10000);
	stat = bound_stat(&bound);
	expect_number(stat.spaces, 0);
	expect_number(stat.frames_mapped, 0);
	expect_number(stat.frames_held, 0);
	expect_number(stat.frames_free, stat.frames);
	bound_destroy(&bound);
	munmap(stage, PAGE);
}

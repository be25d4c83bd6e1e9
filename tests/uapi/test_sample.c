// SPDX-License-Identifier: GPL-2.0-or-later
/* USM_CMD_SAMPLE: the age of frames says who was accessed, in whichever process. */
#include "uapitest.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CEILING		2048
#define PAGES		200u
#define PART		70u	/* of them, read alone */
#define SHARERS_MOST	32	/* that one look finds */
#define AGE_MAX		255

/* A process in the cgroup, or a child of it, that reads pages when it is told how many. */
struct looker {
	pid_t pid;
	int to, from;		/* of us */
	int orders, answers;	/* of it */
};

/* In place of a number of pages. */
#define FORK	UINT32_MAX

static uint64_t area_page;	/* address / page size, in all of them */

static void looker_pipes(struct looker *looker)
{
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		err(1, "pipe2");
	*looker = (struct looker){
		.to = to[1], .from = from[0], .orders = to[0], .answers = from[1],
	};
}

/*
 * Sampling flushes no TLB, and a CPU that has an entry there sets no bit: change the
 * protection back and forth, which flushes, and nothing else.
 */
static void area_read(volatile char *area, uint32_t pages)
{
	if (mprotect((void *)area, PAGES * PAGE, PROT_READ) < 0 ||
	    mprotect((void *)area, PAGES * PAGE, PROT_READ | PROT_WRITE) < 0)
		_exit(1);
	for (uint32_t i = 0; i < pages; i++)
		(void)area[(size_t)i * PAGE];
}

static void __attribute__((noreturn)) looker_main(const struct looker *self,
						  const struct looker *child, char *area)
{
	uint64_t answer = (uintptr_t)area / PAGE;
	uint32_t pages;

	close(self->to);
	do {
		if (write(self->answers, &answer, sizeof(answer)) != sizeof(answer) ||
		    read(self->orders, &pages, sizeof(pages)) != sizeof(pages))
			_exit(0);
		if (pages != FORK)
			area_read(area, pages);
		else if (!fork())
			looker_main(child, NULL, area);
	} while (1);
}

/* Wait until it has done what it was told. */
static void looker_done(const struct looker *looker)
{
	uint64_t page = 0;

	expect(read(looker->from, &page, sizeof(page)) == sizeof(page), "it is gone");
	area_page = page;
}

static void looker_tell(const struct looker *looker, uint32_t pages)
{
	expect(write(looker->to, &pages, sizeof(pages)) == sizeof(pages), "nobody listens");
	looker_done(looker);
}

static void looker_start(struct looker *looker, const struct looker *child,
			 const struct bound *bound)
{
	looker->pid = fork();
	if (looker->pid < 0)
		err(1, "fork");
	if (!looker->pid) {
		int procs = openat(bound->place.fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
		char *area;

		close(bound->domain.fd);
		close(child->to);
		if (procs < 0 || write(procs, "0", 1) != 1)
			_exit(1);
		area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (area == MAP_FAILED)
			_exit(1);
		for (uint32_t i = 0; i < PAGES; i++)
			area[(size_t)i * PAGE] = 1;
		looker_main(looker, child, area);
	}
	looker_done(looker);
}

static int sample(const struct bound *bound, uint32_t frame, uint32_t count, uint32_t generation)
{
	struct usm_command command = {
		.op = USM_CMD_SAMPLE, .frame = frame, .count = count, .generation = generation,
	};

	return domain_command(&bound->domain, &command);
}

static uint32_t generation(const struct bound *bound, uint32_t frame)
{
	struct usm_frame value = domain_frame_read(&bound->domain, frame);

	return USM_FRAME_GENERATION(&value);
}

/* The whole table; returns how many ages are up to date. */
static uint32_t sample_all(const struct bound *bound)
{
	uint32_t sampled = 0;

	for (uint32_t frame = 0; frame < CEILING; frame += USM_MAX_RUN) {
		int r = sample(bound, frame, USM_MAX_RUN, generation(bound, frame));

		expect_ok(r);
		sampled += r > 0 ? (uint32_t)r : 0;
	}
	return sampled;
}

/* Frames that hold one of the first `pages` pages of the area, or one of the others. */
static uint32_t with_age(const struct bound *bound, uint32_t pages, uint8_t state, uint8_t age)
{
	uint32_t n = 0;

	for (uint32_t frame = 0; frame < CEILING; frame++) {
		struct usm_frame value = domain_frame_read(&bound->domain, frame);

		n += value.state == state && value.age == age &&
		     USM_FRAME_PAGE(&value) - area_page < pages;
	}
	return n;
}

static void arguments_tests(const struct bound *bound)
{
	uint32_t good = generation(bound, 0);
	struct usm_command command = {
		.op = USM_CMD_SAMPLE, .count = 1, .generation = good, .arg = 1,
	};

	expect_error(sample(bound, 0, 0, good), -EINVAL);
	expect_error(sample(bound, 0, USM_MAX_RUN + 1, good), -EINVAL);
	expect_error(sample(bound, CEILING, 1, good), -EINVAL);
	expect_error(sample(bound, CEILING - 1, 2, good), -EINVAL);
	expect_error(sample(bound, 0, 1, good + 1), -ESTALE);
	expect_error(domain_command(&bound->domain, &command), -EINVAL);
}

/* One process: all were touched; then none; then some. */
static void own_tests(const struct bound *bound, const struct looker *looker)
{
	struct usm_stat before, after;

	expect_number(with_age(bound, PAGES, USM_FRAME_MAPPED, 0), PAGES);
	before = bound_stat(bound);
	expect(sample_all(bound) >= PAGES, "not all pages were looked at");
	expect_number(with_age(bound, PAGES, USM_FRAME_MAPPED, 0), PAGES);
	after = bound_stat(bound);
	expect(after.sampled >= before.sampled + PAGES, "they were not counted");
	expect(after.sampled_young >= before.sampled_young + PAGES, "nor as young");

	before = after;
	expect(sample_all(bound) >= PAGES, "not all pages were looked at again");
	expect_number(with_age(bound, PAGES, USM_FRAME_MAPPED, 1), PAGES);
	expect_number(bound_stat(bound).sampled_young, before.sampled_young);

	looker_tell(looker, PART);
	sample_all(bound);
	expect_number(with_age(bound, PART, USM_FRAME_MAPPED, 0), PART);
	expect_number(with_age(bound, PAGES, USM_FRAME_MAPPED, 2), PAGES - PART);
	expect_number(bound_stat(bound).sampled_young, before.sampled_young + PART);

	/* It never begins again at 0 by itself. */
	for (int i = 0; i < AGE_MAX + 5; i++)
		sample_all(bound);
	expect_number(with_age(bound, PAGES, USM_FRAME_MAPPED, AGE_MAX), PAGES);
	looker_tell(looker, PAGES);
	sample_all(bound);
	expect_number(with_age(bound, PAGES, USM_FRAME_MAPPED, 0), PAGES);
}

/* Two that share the pages: either's access counts, and a fork makes none younger. */
static void shared_tests(const struct bound *bound, const struct looker *parent,
			 const struct looker *child)
{
	sample_all(bound);
	sample_all(bound);
	looker_tell(parent, FORK);
	looker_done(child);
	expect_number(with_age(bound, PAGES, USM_FRAME_SHARED, 2), PAGES);
	expect(sample_all(bound) >= PAGES, "shared pages were not looked at");
	expect_number(with_age(bound, PAGES, USM_FRAME_SHARED, 3), PAGES);
	looker_tell(child, PART);
	sample_all(bound);
	expect_number(with_age(bound, PART, USM_FRAME_SHARED, 0), PART);
	expect_number(with_age(bound, PAGES, USM_FRAME_SHARED, 4), PAGES - PART);
	looker_tell(parent, PAGES);
	sample_all(bound);
	expect_number(with_age(bound, PAGES, USM_FRAME_SHARED, 0), PAGES);
	sample_all(bound);
	expect_number(with_age(bound, PAGES, USM_FRAME_SHARED, 1), PAGES);
}

/* More have them than a look finds: nobody can tell, so nothing changes. */
static void crowd_tests(const struct bound *bound, const struct looker *parent,
			const struct looker *child)
{
	for (int i = 0; i < SHARERS_MOST - 1; i++) {
		looker_tell(parent, FORK);
		looker_done(child);
	}
	for (int i = 0; i < 3; i++)
		sample_all(bound);
	expect_number(with_age(bound, PAGES, USM_FRAME_SHARED, 1), PAGES);
}

static void alone_again_tests(const struct bound *bound)
{
	uint64_t before = bound_stat(bound).unshared;
	int waited = 0;

	while (bound_stat(bound).unshared == before && waited++ < 1000)
		usleep(10000);
	expect_number(bound_stat(bound).unshared, before + 1);
	expect_number(bound_stat(bound).frames_shared, 0);
	/* It is its own again, and no younger for it. */
	expect_number(with_age(bound, PAGES, USM_FRAME_MAPPED, 1), PAGES);
	expect(sample_all(bound) >= PAGES, "pages that were shared once were not looked at");
	expect_number(with_age(bound, PAGES, USM_FRAME_MAPPED, 2), PAGES);
}

/* Of a family that is made for this: what they say when they are where they should be. */
struct family {
	int ready[2];		/* a byte or a page number each */
	int stay[2];		/* EOF: end, except for the first, */
	int first_stays[2];	/* ... which waits for this one */
};

static void family_say(const struct family *family, uint64_t value)
{
	if (write(family->ready[1], &value, sizeof(value)) != sizeof(value))
		_exit(1);
}

static uint64_t family_heard(const struct family *family)
{
	uint64_t value = 0;

	expect(read(family->ready[0], &value, sizeof(value)) == sizeof(value), "nobody is there");
	return value;
}

static void __attribute__((noreturn)) family_stay(const struct family *family, int how)
{
	uint64_t byte;

	family_say(family, 0);
	_exit(read(how, &byte, 1) == 0 ? 0 : 1);
}

/*
 * Has half of the area, forks two that share all, lets go of some of it by writing, and
 * ends. They share with each other what nobody else has any more.
 */
static void __attribute__((noreturn)) family_middle(const struct family *family, char *area)
{
	for (uint32_t i = PAGES / 2; i < PAGES; i++)
		area[(size_t)i * PAGE] = 2;
	for (int i = 0; i < 2; i++)
		if (!fork())
			family_stay(family, family->stay[0]);
	for (uint32_t i = PAGES / 4; i < PAGES * 3 / 4; i++)
		area[(size_t)i * PAGE] = 3;
	_exit(0);
}

static void __attribute__((noreturn)) family_first(const struct family *family, int cgroup)
{
	int procs = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC), status;
	char *area;
	pid_t pid;

	close(family->stay[1]);
	close(family->first_stays[1]);
	if (procs < 0 || write(procs, "0", 1) != 1)
		_exit(1);
	area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	if (area == MAP_FAILED)
		_exit(1);
	for (uint32_t i = 0; i < PAGES / 2; i++)
		area[(size_t)i * PAGE] = 1;
	pid = fork();
	if (!pid)
		family_middle(family, area);
	if (waitpid(pid, &status, 0) != pid || status)
		_exit(1);
	family_say(family, (uintptr_t)area / PAGE);
	family_stay(family, family->first_stays[0]);
}

/* Frames that hold pages of the area, which several share and nobody has used of late. */
static uint32_t aged_shared(const struct bound *bound, uint8_t least)
{
	uint32_t n = 0;

	for (unsigned int age = least; age <= AGE_MAX; age++)
		n += with_age(bound, PAGES, USM_FRAME_SHARED, (uint8_t)age);
	return n;
}

static void spaces_wait(const struct bound *bound, uint32_t spaces)
{
	for (int i = 0; bound_stat(bound).spaces != spaces && i < 1000; i++)
		usleep(10000);
	expect_number(bound_stat(bound).spaces, spaces);
}

/* Those are found whom the table does not name, also when whom it names is gone. */
static void orphans_tests(const struct bound *bound)
{
	struct family family;
	int status = -1;
	pid_t pid;

	if (pipe(family.ready) < 0 || pipe(family.stay) < 0 || pipe(family.first_stays) < 0)
		err(1, "pipe");
	pid = fork();
	if (!pid)
		family_first(&family, bound->place.fd);
	/* Two grandchildren, and the first with its area, in whatever order. */
	area_page = 0;
	for (int i = 0; i < 4; i++)
		area_page += family_heard(&family);
	spaces_wait(bound, 3);
	sample_all(bound);
	sample_all(bound);
	expect_number(aged_shared(bound, 1), PAGES);

	close(family.first_stays[1]);
	expect(waitpid(pid, &status, 0) == pid && !status, "the first ended with 0x%x", status);
	spaces_wait(bound, 2);
	sample_all(bound);
	sample_all(bound);
	expect_number(aged_shared(bound, 3), PAGES);
	close(family.stay[1]);
	spaces_wait(bound, 0);
	close(family.stay[0]);
	close(family.first_stays[0]);
	close(family.ready[0]);
	close(family.ready[1]);
}

void sample_tests(void)
{
	struct looker parent, child;
	struct bound bound;
	int status = -1;

	bound_create(&bound, "sample", CEILING, 0, 0);
	bound_grow(&bound, CEILING);
	arguments_tests(&bound);
	looker_pipes(&parent);
	looker_pipes(&child);
	looker_start(&parent, &child, &bound);
	own_tests(&bound, &parent);
	shared_tests(&bound, &parent, &child);
	crowd_tests(&bound, &parent, &child);
	/* All of the children end. */
	close(child.to);
	alone_again_tests(&bound);
	close(parent.orders);
	close(parent.to);
	expect(waitpid(parent.pid, &status, 0) == parent.pid && !status, "it ended with 0x%x", status);
	close(parent.from);
	close(parent.answers);
	close(child.orders);
	close(child.from);
	close(child.answers);
	orphans_tests(&bound);
	bound_destroy(&bound);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * allocload - memory used in each way for which the kernel must allocate something.
 *
 * What may fail for lack of memory may fail here, and is counted: a system call that says
 * ENOMEM (refused), a child that lacks a page and ends by SIGBUS (broken), a program that
 * cannot be started. What is there must be right, and this process gets no signal.
 * Last line: "allocload: C checks, R refused, B broken, W wrong".
 */
#include "util.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif

#define PAGES		640	/* more than one page table's */
#define SPARSE		24	/* page tables of a mapping with a page in each */
#define TABLE		(512ul * UTIL_PAGE)
#define SALT		21
#define SALT_CHILD	22
#define STATUS_WRONG	3
#define STATUS_REFUSED	4

static unsigned long checked, refused, broken, wrong;

static void check(bool ok, const char *what)
{
	checked++;
	if (!ok) {
		wrong++;
		util_say("wrong: %s", what);
	}
}

/* Was a call refused? Only for want of memory. */
static bool is_refused(bool failed, const char *what)
{
	if (!failed)
		return false;
	if (errno != ENOMEM)
		err(1, "%s", what);
	refused++;
	return true;
}

static char *map(size_t length)
{
	char *area = mmap(NULL, length, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return is_refused(area == MAP_FAILED, "mmap") ? NULL : area;
}

static void fill(char *area, size_t first, size_t end, uint64_t salt)
{
	for (size_t page = first; page < end; page++)
		util_page_fill(area, page, salt);
}

static void verify(const char *area, size_t first, size_t end, uint64_t salt, const char *what)
{
	for (size_t page = first; page < end; page++)
		check(util_page_verify(area, page, salt), what);
}

/* A child's exit status, whose parent wrote beside it. */
static void child_wait(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child)
		err(1, "waitpid");
	/* SIGSEGV where the kernel met the page itself, in a thread's rseq area. */
	if (WIFSIGNALED(status) &&
	    (WTERMSIG(status) == SIGBUS || WTERMSIG(status) == SIGSEGV))
		broken++;
	else if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_REFUSED)
		refused++;
	else
		check(status == 0, "a child");
}

static void child_run(char *area)
{
	checked = wrong = refused = 0;
	verify(area, 0, PAGES, SALT, "what a child inherits");
	fill(area, 0, PAGES / 2, SALT_CHILD);
	verify(area, 0, PAGES / 2, SALT_CHILD, "what a child wrote");
	verify(area, PAGES / 2, PAGES, SALT, "what a child left alone");
	_exit(wrong ? STATUS_WRONG : 0);
}

static void use_fork(char *area)
{
	pid_t child = fork();

	if (is_refused(child < 0, "fork"))
		return;
	if (child == 0)
		child_run(area);
	fill(area, PAGES / 4, PAGES, SALT_CHILD);
	verify(area, 0, PAGES / 4, SALT, "what a parent left alone");
	verify(area, PAGES / 4, PAGES, SALT_CHILD, "what a parent wrote");
	fill(area, 0, PAGES, SALT);
	child_wait(child);
	verify(area, 0, PAGES, SALT, "a parent's memory after its child");
}

/* To an address in the middle of other page tables; the area, wherever it is. */
static char *use_mremap(char *area)
{
	char *room = map(PAGES * UTIL_PAGE + 2 * TABLE), *moved;

	if (!room)
		return area;
	moved = mremap(area, PAGES * UTIL_PAGE, PAGES * UTIL_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       room + TABLE / 2 + 3 * UTIL_PAGE);
	if (!is_refused(moved == MAP_FAILED, "mremap"))
		area = moved;
	verify(area, 0, PAGES, SALT, "what mremap moved");
	return area;
}

static void use_discard(char *area)
{
	if (madvise(area, PAGES / 4 * UTIL_PAGE, MADV_DONTNEED) < 0)
		err(1, "madvise");
	for (size_t page = 0; page < PAGES / 4; page++)
		check(area[page * UTIL_PAGE] == 0, "a fresh page");
	verify(area, PAGES / 4, PAGES, SALT, "what was not discarded");
	fill(area, 0, PAGES / 4, SALT);
}

static void use_guard(char *area)
{
	int r = madvise(area, 64 * UTIL_PAGE, MADV_GUARD_INSTALL);

	/* Not on this kernel. */
	if (r < 0 && errno == EINVAL)
		return;
	/* What it has got to is guarded already. */
	is_refused(r < 0, "MADV_GUARD_INSTALL");
	if (madvise(area, 64 * UTIL_PAGE, MADV_GUARD_REMOVE) < 0)
		err(1, "MADV_GUARD_REMOVE");
	verify(area, 64, PAGES, SALT, "what no guard was put over");
	fill(area, 0, 64, SALT);
}

static void use_sparse(void)
{
	char *area = map(SPARSE * TABLE);
	pid_t child;

	if (!area)
		return;
	for (size_t i = 0; i < SPARSE; i++)
		util_page_fill(area, i * 512 + i, SALT);
	child = fork();
	if (child == 0) {
		checked = wrong = 0;
		for (size_t i = 0; i < SPARSE; i++) {
			check(util_page_verify(area, i * 512 + i, SALT), "a sparse page");
			check(area[(i * 512 + i + 7) * UTIL_PAGE] == 0, "a child's fresh page");
		}
		_exit(wrong ? STATUS_WRONG : 0);
	}
	if (!is_refused(child < 0, "fork"))
		child_wait(child);
	for (size_t i = 0; i < SPARSE; i++)
		check(util_page_verify(area, i * 512 + i, SALT), "a sparse page");
	munmap(area, SPARSE * TABLE);
}

static void use_exec(const char *self)
{
	pid_t child = fork();
	int status;

	if (is_refused(child < 0, "fork"))
		return;
	if (child == 0) {
		execl(self, self, "--rounds", "0", NULL);
		_exit(STATUS_REFUSED);
	}
	if (waitpid(child, &status, 0) != child)
		err(1, "waitpid");
	/* Its loader may get no memory, and says so in many ways; or its fork was broken. */
	if (status)
		refused++;
}

static void round_run(const char *self)
{
	char *area = map(PAGES * UTIL_PAGE);

	if (area) {
		fill(area, 0, PAGES, SALT);
		verify(area, 0, PAGES, SALT, "what was written");
		use_fork(area);
		area = use_mremap(area);
		use_discard(area);
		use_guard(area);
		use_fork(area);
		munmap(area, PAGES * UTIL_PAGE);
	}
	use_sparse();
	use_exec(self);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "rounds", required_argument, NULL, 'r' },
		{ 0 }
	};
	unsigned long rounds = 1;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'r': rounds = util_number("--rounds", optarg, 0, 1000); break;
		default: return 2;
		}
	}
	while (rounds--)
		round_run(argv[0]);
	util_say("allocload: %lu checks, %lu refused, %lu broken, %lu wrong", checked, refused,
		 broken, wrong);
	return wrong != 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * poison - a page whose memory went bad (MADV_HWPOISON), over fork and writes beside it.
 *
 * Its child and grandchild get SIGBUS where they touch the page, and only there; what
 * is written in a row up to it and after it is right. Prints "poison: N checks, 0
 * wrong". Exit status 3: the kernel handles no memory errors.
 */
#include "util.h"

#include <err.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES	64
#define BAD	40	/* the page */
#define SALT	11

static sigjmp_buf back;
static unsigned long checked, wrong;

static void on_sigbus(int signal)
{
	siglongjmp(back, signal);
}

static void check(bool ok, const char *what)
{
	checked++;
	if (!ok) {
		wrong++;
		util_say("wrong: %s", what);
	}
}

static bool touch_kills(char *area, size_t page, bool write)
{
	volatile char *byte = area + page * UTIL_PAGE;

	if (sigsetjmp(back, 1))
		return true;
	if (write)
		*byte = 1;
	else
		(void)*byte;
	return false;
}

static void verify_good(const char *area)
{
	for (size_t page = 0; page < PAGES; page++)
		if (page != BAD)
			check(util_page_verify(area, page, SALT), "a page beside the bad one");
}

/* The next generation first, so that it inherits what nobody has touched yet. */
static void generation(char *area, int more)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		err(1, "fork");
	if (child == 0) {
		checked = wrong = 0;
		if (more)
			generation(area, more - 1);
		check(touch_kills(area, BAD, false), "the bad page could be read");
		check(touch_kills(area, BAD, true), "the bad page could be written");
		verify_good(area);
		_exit(wrong != 0);
	}
	/* Writes in a row, up to the page and on from behind it. */
	for (size_t page = 0; page < PAGES; page++)
		if (page != BAD)
			util_page_fill(area, page, SALT);
	verify_good(area);
	if (waitpid(child, &status, 0) < 0)
		err(1, "waitpid");
	check(status == 0, "a child found something wrong");
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_sigbus };
	char *area = util_map((size_t)PAGES * UTIL_PAGE);

	sigaction(SIGBUS, &action, NULL);
	for (size_t page = 0; page < PAGES; page++)
		util_page_fill(area, page, SALT);
	if (madvise(area + BAD * UTIL_PAGE, UTIL_PAGE, MADV_HWPOISON) < 0) {
		if (errno == EINVAL)
			return 3;
		/* The kernel says EBUSY of a page that it could not take away, and marks it. */
		if (errno != EBUSY)
			err(1, "MADV_HWPOISON");
	}
	generation(area, 2);
	util_say("poison: %lu checks, %lu wrong", checked, wrong);
	return wrong != 0;
}

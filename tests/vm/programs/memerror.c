// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memerror - memory errors as a machine reports them, through the kernel's own injector
 * (module mce-inject, which hands a made-up record to those who decode real ones).
 *
 * A page that is free, mapped, shared after fork, locked or pinned is lost to whoever has it, who
 * gets SIGBUS on touching it and can discard it; the pages beside it are right, and the
 * frame is never seen again. While pages are evicted at random each page is either right or
 * gone. Prints "memerror: N checks, E errors injected, L pages lost, W wrong".
 */
#include "util.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define INJECT	"/sys/kernel/debug/mce-inject/"
#define PAGES	64
#define SALT	31
#define STORM	2048	/* pages of which some are hit while they are evicted */
#define HITS	24
#define FREED	16	/* free frames that are hit */

/*
 * Uncorrected, with a physical address; a memory error as AMD's bank 4 (extended code 8) and
 * as Intel's (0x9f) report it.
 */
#define STATUS	"0xbc0000000008009f"
#define MISC	"0x8c"		/* Intel: a physical address, to the page */
#define BANK	"4"

static sigjmp_buf back;
static volatile int code;
static unsigned long checked, injected, lost, wrong;
static int pagemap;

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
	(void)context;
	code = info->si_code;
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

/* 0: not there. */
static uint64_t frame_of(const char *page)
{
	uint64_t entry = 0;

	if (pread(pagemap, &entry, sizeof(entry), (off_t)((uintptr_t)page / UTIL_PAGE * 8)) != 8)
		err(1, "pagemap");
	return entry >> 63 ? entry & ((1ull << 55) - 1) : 0;
}

static void put(const char *file, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), INJECT "%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		err(1, "%s", path);
	close(fd);
}

static void inject(uint64_t frame)
{
	char address[32];

	snprintf(address, sizeof(address), "%#" PRIx64, frame * UTIL_PAGE + 64);
	put("flags", "sw\n");
	put("status", STATUS);
	put("misc", MISC);
	put("addr", address);
	put("bank", BANK);
	injected++;
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* Taken away within some seconds? */
static bool is_taken(const char *page, int ms)
{
	while (frame_of(page) && ms > 0) {
		pause_ms(20);
		ms -= 20;
	}
	return !frame_of(page);
}

/* 0, or the code of the SIGBUS. */
static int touch(const char *page)
{
	if (sigsetjmp(back, 1))
		return code;
	(void)*(volatile const char *)page;
	return 0;
}

static char *area_new(size_t pages)
{
	char *area = util_map(pages * UTIL_PAGE);

	for (size_t page = 0; page < pages; page++)
		util_page_fill(area, page, SALT);
	return area;
}

/* All but one page are right. */
static void verify_beside(const char *area, size_t bad)
{
	for (size_t page = 0; page < PAGES; page++)
		if (page != bad)
			check(util_page_verify(area, page, SALT), "a page beside the bad one");
}

static void is_lost(const char *area, size_t bad)
{
	check(touch(area + bad * UTIL_PAGE) == BUS_MCEERR_AR, "no SIGBUS of a memory error");
	verify_beside(area, bad);
}

static void hit_mapped(bool lock)
{
	char *area = area_new(PAGES);

	if (lock && mlock(area, PAGES * UTIL_PAGE) < 0)
		err(1, "mlock");
	inject(frame_of(area + 7 * UTIL_PAGE));
	check(is_taken(area + 7 * UTIL_PAGE, 5000), "a bad page is still mapped");
	is_lost(area, 7);
	lost++;
	/* Content that is given up needs no memory that is good. */
	if (lock)
		munlock(area, PAGES * UTIL_PAGE);
	if (madvise(area + 7 * UTIL_PAGE, UTIL_PAGE, MADV_DONTNEED) < 0)
		err(1, "madvise");
	check(!touch(area + 7 * UTIL_PAGE) && area[7 * UTIL_PAGE] == 0, "not a fresh page");
	munmap(area, PAGES * UTIL_PAGE);
}

/* Shared by two when it is hit, and inherited by a third afterwards. */
static void hit_shared(void)
{
	char *area = area_new(PAGES);
	int go[2], status;
	pid_t child;
	char c;

	if (pipe(go) < 0)
		err(1, "pipe");
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (child == 0) {
		checked = wrong = 0;
		close(go[1]);
		if (read(go[0], &c, 1) < 0)
			err(1, "read");
		is_lost(area, 9);
		child = fork();
		if (child == 0) {
			is_lost(area, 9);
			_exit(wrong != 0);
		}
		check(waitpid(child, &status, 0) == child && status == 0, "a grandchild");
		_exit(wrong != 0);
	}
	inject(frame_of(area + 9 * UTIL_PAGE));
	check(is_taken(area + 9 * UTIL_PAGE, 5000), "a bad page is still mapped");
	is_lost(area, 9);
	lost++;
	close(go[1]);
	check(waitpid(child, &status, 0) == child && status == 0, "a child");
	close(go[0]);
	munmap(area, PAGES * UTIL_PAGE);
}

/* In a pipe's hand when it is hit, and for a while after that. */
static void hit_pinned(void)
{
	char *area = area_new(PAGES), content[UTIL_PAGE];
	struct iovec iov = { area + 3 * UTIL_PAGE, UTIL_PAGE };
	int ends[2];

	if (pipe(ends) < 0 || vmsplice(ends[1], &iov, 1, 0) != UTIL_PAGE)
		err(1, "vmsplice");
	inject(frame_of(area + 3 * UTIL_PAGE));
	pause_ms(300);
	if (read(ends[0], content, sizeof(content)) != UTIL_PAGE)
		err(1, "read");
	close(ends[0]);
	close(ends[1]);
	check(is_taken(area + 3 * UTIL_PAGE, 5000), "a bad page that was pinned is still mapped");
	is_lost(area, 3);
	lost++;
	munmap(area, PAGES * UTIL_PAGE);
}

/* Frames that nobody has: with the module, in a ring, in a CPU's hand. */
static void hit_free(void)
{
	uint64_t bad[FREED];
	char *area = area_new(PAGES);
	size_t page;

	for (page = 0; page < FREED; page++)
		bad[page] = frame_of(area + 2 * page * UTIL_PAGE);
	munmap(area, PAGES * UTIL_PAGE);
	pause_ms(100);
	for (page = 0; page < FREED; page++)
		inject(bad[page]);
	pause_ms(1000);
	area = area_new(STORM);
	for (page = 0; page < STORM; page++) {
		uint64_t frame = frame_of(area + page * UTIL_PAGE);

		for (size_t i = 0; i < FREED; i++)
			check(!frame || frame != bad[i], "a bad frame was used again");
	}
	munmap(area, STORM * UTIL_PAGE);
}

/* Where nothing keeps a page where it was a moment ago. */
static void hit_any(void)
{
	char *area = area_new(STORM);
	unsigned long gone = 0;

	for (size_t i = 0; i < HITS; i++) {
		uint64_t frame = frame_of(area + i * 67 % STORM * UTIL_PAGE);

		if (frame)
			inject(frame);
		for (size_t page = i; page < STORM; page += HITS)
			touch(area + page * UTIL_PAGE);
	}
	pause_ms(1000);
	for (size_t page = 0; page < STORM; page++) {
		if (touch(area + page * UTIL_PAGE)) {
			check(code == BUS_MCEERR_AR, "a SIGBUS of another kind");
			gone++;
		} else {
			check(util_page_verify(area, page, SALT), "a page that is there");
		}
	}
	check(gone <= HITS, "more pages are lost than were hit");
	lost += gone;
	munmap(area, STORM * UTIL_PAGE);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pagemap < 0)
		err(1, "pagemap");
	sigaction(SIGBUS, &action, NULL);
	hit_mapped(false);
	hit_mapped(true);
	hit_shared();
	hit_pinned();
	hit_free();
	hit_any();
	util_say("memerror: %lu checks, %lu errors injected, %lu pages lost, %lu wrong", checked,
		 injected, lost, wrong);
	return wrong != 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench-evict KIND [CGROUP] - what it costs that a page leaves memory and comes back, in
 * nanoseconds of the machine's only CPU, whoever ran. In a guest that counts instructions
 * a nanosecond is one. KIND is what is in the pages: zero, mixed or random.
 *
 * Without CGROUP the program must be in one that has room for half of its pages or so: it
 * reads all of them, in order, over and over, so that some come back and others leave. With
 * CGROUP, that it is in, they leave because it asks the kernel for that, and then come back.
 * What is counted is divided by the number of pages that came back.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "meter.h"

#define PAGE		4096ul
#define PAGES		8192ul		/* 32 MiB */
#define WORDS		(PAGE / sizeof(uint64_t))
#define RECORD		8		/* words, a cache line */
#define SWEEPS		2		/* that are counted */
#define STRETCH		64ul		/* pages */
#define PAGEMAP_PRESENT	(UINT64_C(1) << 63)

static uint64_t scramble(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t zero(unsigned long page, unsigned int word)
{
	return 0;
}

static uint64_t noise(unsigned long page, unsigned int word)
{
	return scramble(page * WORDS + word + 1);
}

/* Every other cache line is as the others of its kind, but for one word that counts them. */
static uint64_t mixed(unsigned long page, unsigned int word)
{
	unsigned int record = word / RECORD;

	if (record % 2)
		return noise(page, word);
	return word % RECORD ? scramble(word % RECORD) : page * WORDS + word;
}

static const struct kind {
	const char *name;
	uint64_t (*word)(unsigned long page, unsigned int word);
} kinds[] = {
	{ "zero", zero },
	{ "mixed", mixed },
	{ "random", noise },
};

static const struct kind *kind_find(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	errx(EXIT_FAILURE, "no such kind of page: %s", name);
}

static void fill(uint64_t *p, const struct kind *kind)
{
	for (unsigned long page = 0; page < PAGES; page++)
		for (unsigned int word = 0; word < WORDS; word++)
			p[page * WORDS + word] = kind->word(page, word);
}

/* How many of the STRETCH pages are not there, and so have to come back. */
static unsigned long missing(int pagemap, const uint64_t *p, unsigned long page)
{
	off_t at = (off_t)(((uintptr_t)p / PAGE + page) * sizeof(uint64_t));
	uint64_t entries[STRETCH];
	unsigned long n = 0;

	if (pread(pagemap, entries, sizeof(entries), at) != sizeof(entries))
		err(EXIT_FAILURE, "pagemap");
	for (unsigned long i = 0; i < STRETCH; i++)
		n += !(entries[i] & PAGEMAP_PRESENT);
	return n;
}

/*
 * One word of each page, as a program that looks for something. Returns how many came back:
 * seen some time before they are read, for they may come with those before them.
 */
static unsigned long sweep(int pagemap, const uint64_t *p, const struct kind *kind)
{
	unsigned long back = missing(pagemap, p, 0);

	for (unsigned long page = 0; page < PAGES; page++) {
		unsigned int word = WORDS / 2 + RECORD;

		if (page % STRETCH == 0 && page + STRETCH < PAGES)
			back += missing(pagemap, p, page + STRETCH);
		if (((const volatile uint64_t *)p)[page * WORDS + word] != kind->word(page, word))
			errx(EXIT_FAILURE, "page %lu has another content", page);
	}
	return back;
}

/* A failure says that not all could leave: how many did is seen when they come back. */
static void reclaim(int file)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%lu", PAGES * PAGE);

	if (file >= 0 && write(file, text, (size_t)n) < 0 && errno != EAGAIN)
		err(EXIT_FAILURE, "memory.reclaim");
}

static int open_or_die(const char *path, int flags)
{
	int file = open(path, flags);

	if (file < 0)
		err(EXIT_FAILURE, "%s", path);
	return file;
}

static int reclaim_open(const char *cgroup)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/memory.reclaim", cgroup);
	return open_or_die(path, O_WRONLY);
}

int main(int argc, char **argv)
{
	unsigned long back = 0;
	uint64_t start, wait, own, all;
	const struct kind *kind;
	int file = -1, pagemap;
	uint64_t *p;

	if (argc != 2 && argc != 3)
		errx(EXIT_FAILURE, "usage: bench-evict KIND [CGROUP]");
	kind = kind_find(argv[1]);
	if (argc == 3)
		file = reclaim_open(argv[2]);
	p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		err(EXIT_FAILURE, "mmap");
	madvise(p, PAGES * PAGE, MADV_NOHUGEPAGE);
	pagemap = open_or_die("/proc/self/pagemap", O_RDONLY);
	/* Before there is anything that a child could share. */
	meter_start();
	fill(p, kind);
	/* The first round is everybody's first. */
	reclaim(file);
	sweep(pagemap, p, kind);

	meter_settle();
	start = meter_busy();
	meter_settle();
	wait = meter_busy() - start;

	start = meter_busy();
	own = meter_now(CLOCK_THREAD_CPUTIME_ID);
	for (int i = 0; i < SWEEPS; i++) {
		reclaim(file);
		back += sweep(pagemap, p, kind);
	}
	own = meter_now(CLOCK_THREAD_CPUTIME_ID) - own;
	meter_settle();
	all = meter_busy() - start;
	meter_stop();
	if (back < PAGES)
		errx(EXIT_FAILURE, "only %lu of %lu pages have left", back, SWEEPS * PAGES);
	printf("evict-refault-%s %llu %llu\n", kind->name, (unsigned long long)(own / back),
	       (unsigned long long)((all - wait) / back));
	printf("came-back-%s %lu %lu\n", kind->name, back, SWEEPS * PAGES);
	return EXIT_SUCCESS;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "util.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

unsigned long util_number(const char *option, const char *text, unsigned long min,
			  unsigned long max)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 0);
	if (errno || end == text || *end || value < min || value > max)
		errx(2, "%s: '%s' is not a number from %lu to %lu", option, text, min, max);
	return value;
}

char *util_map(size_t length)
{
	char *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	if (p == MAP_FAILED)
		err(1, "cannot map %zu bytes", length);
	return p;
}

static uint64_t page_word(size_t page, size_t word, uint64_t salt)
{
	uint64_t x = (page * UTIL_WORDS + word) * 0x9e3779b97f4a7c15ull ^ salt << 32;

	/* Never zero, which is what a lost page reads. */
	return (x ^ x >> 31) | 1;
}

void util_page_fill(char *area, size_t page, uint64_t salt)
{
	volatile uint64_t *words = (volatile uint64_t *)(area + page * UTIL_PAGE);

	for (size_t i = 0; i < UTIL_WORDS; i++)
		words[i] = page_word(page, i, salt);
}

bool util_page_verify(const char *area, size_t page, uint64_t salt)
{
	const volatile uint64_t *words =
		(const volatile uint64_t *)(area + page * UTIL_PAGE);

	for (size_t i = 0; i < UTIL_WORDS; i++) {
		uint64_t got = words[i];

		if (got == page_word(page, i, salt))
			continue;
		util_say("FAIL page %zu, word %zu at %p: expected %016llx, got %016llx", page,
			 i, (const void *)(words + i),
			 (unsigned long long)page_word(page, i, salt),
			 (unsigned long long)got);
		return false;
	}
	return true;
}

size_t util_pages_verify(const char *area, size_t pages, uint64_t salt)
{
	size_t wrong = 0;

	for (size_t page = 0; page < pages; page++)
		wrong += !util_page_verify(area, page, salt);
	return wrong;
}

void util_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	/* These programs run where memory is short: a verdict must not get lost. */
	if (vprintf(fmt, ap) < 0 || putchar('\n') == EOF || fflush(stdout) == EOF)
		err(1, "cannot print");
	va_end(ap);
}

void util_cgroup_each(const char *path, void (*function)(int pid, void *context),
		      void *context)
{
	struct dirent *entry;
	char *below;
	FILE *procs;
	DIR *dir;
	int pid;

	if (asprintf(&below, "%s/cgroup.procs", path) < 0)
		err(1, "asprintf");
	procs = fopen(below, "re");
	if (!procs)
		err(1, "cannot open %s", below);
	while (fscanf(procs, "%d", &pid) == 1)
		function(pid, context);
	fclose(procs);
	free(below);

	dir = opendir(path);
	if (!dir)
		err(1, "cannot open %s", path);
	while ((entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (asprintf(&below, "%s/%s", path, entry->d_name) < 0)
			err(1, "asprintf");
		util_cgroup_each(below, function, context);
		free(below);
	}
	closedir(dir);
}

bool util_field_next(FILE *file, char *name, size_t size, unsigned long long *value)
{
	char line[512], *end;

	while (fgets(line, sizeof(line), file)) {
		size_t length = strcspn(line, ": \t\n");
		char *digits = line + length + strspn(line + length, ": \t");

		*value = strtoull(digits, &end, 10);
		if (end == digits || length >= size)
			continue;
		memcpy(name, line, length);
		name[length] = '\0';
		return true;
	}
	return false;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the small programs share. Each of them says its use in its first comment. */
#ifndef UTIL_H
#define UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define UTIL_PAGE	4096
#define UTIL_WORDS	(UTIL_PAGE / sizeof(uint64_t))
#define UTIL_MIB	(1024ul * 1024)

/* A number in [min, max], or exit status 2 with a sentence that names @option. */
unsigned long util_number(const char *option, const char *text, unsigned long min,
			  unsigned long max);

/* Private anonymous memory, or exit status 1. */
char *util_map(size_t length);

/* Fill and verify page @page of an area; @salt tells contents apart. */
void util_page_fill(char *area, size_t page, uint64_t salt);
/* False after printing the first wrong word. */
bool util_page_verify(const char *area, size_t page, uint64_t salt);
/* Number of pages that are wrong. */
size_t util_pages_verify(const char *area, size_t pages, uint64_t salt);

/* A line on stdout that is there at once, whatever stdout is. */
void util_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Call @function for each process of the cgroup and of those below it. */
void util_cgroup_each(const char *path, void (*function)(int pid, void *context),
		      void *context);

/* The next "NAME: value kB" or "NAME value" line of a file of the kernel. */
bool util_field_next(FILE *file, char *name, size_t size, unsigned long long *value);

#endif

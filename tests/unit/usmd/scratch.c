// SPDX-License-Identifier: GPL-2.0-or-later
#include "scratch.h"

#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/usm-test-XXXXXX";
static char made;

const char *scratch(void)
{
	if (!made)
		ck_assert_ptr_nonnull(mkdtemp(directory));
	made = 1;
	return directory;
}

const char *scratch_path(const char *path)
{
	static char full[4096];

	ck_assert_int_lt(snprintf(full, sizeof(full), "%s/%s", scratch(), path), sizeof(full));
	return full;
}

void scratch_mkdir(const char *path)
{
	char *full = strdup(scratch_path(path));

	for (char *at = full + strlen(directory) + 1; at; ) {
		at = strchr(at, '/');
		if (at)
			*at = '\0';
		ck_assert(!mkdir(full, 0755) || errno == EEXIST);
		if (at)
			*at++ = '/';
	}
	free(full);
}

void scratch_rmdir(const char *path)
{
	ck_assert_int_eq(rmdir(scratch_path(path)), 0);
}

void scratch_write(const char *path, const char *content)
{
	char *parent = strdup(path);
	char *slash = strrchr(parent, '/');
	FILE *out;

	if (slash) {
		*slash = '\0';
		scratch_mkdir(parent);
	}
	free(parent);
	out = fopen(scratch_path(path), "w");
	ck_assert_ptr_nonnull(out);
	ck_assert_int_ge(fputs(content, out), 0);
	ck_assert_int_eq(fclose(out), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void scratch_remove(void)
{
	if (made)
		nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	made = 0;
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
}

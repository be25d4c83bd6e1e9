// SPDX-License-Identifier: GPL-2.0-or-later
/* Every MESSAGE_ID of usmd is explained in the catalog, and nothing else is. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "suite.h"

#define CATALOG	"systemd/usm.catalog"
#define HEADER	"src/usmd/journal.h"

static char *file_read(const char *path)
{
	FILE *in = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	ck_assert_msg(in != NULL, "%s cannot be read; run from the top of the sources", path);
	ck_assert_int_gt(getdelim(&text, &size, '\0', in), 0);
	fclose(in);
	return text;
}

/* The 32 hex digits at `at`, each followed by `end`. */
static int is_id(const char *at, char end)
{
	for (int i = 0; i < 32; i++)
		if (!isxdigit((unsigned char)at[i]))
			return 0;
	return at[32] == end;
}

static size_t check(const char *from, const char *before, char end, const char *in)
{
	size_t found = 0;

	for (const char *at = strstr(from, before); at; at = strstr(at, before)) {
		char id[33] = "";

		at += strlen(before);
		if (!is_id(at, end))
			continue;
		memcpy(id, at, 32);
		ck_assert_msg(strstr(in, id) != NULL, "%s is only in one of the files", id);
		found++;
	}
	return found;
}

START_TEST(test_same_ids)
{
	char *catalog = file_read(CATALOG), *header = file_read(HEADER);
	size_t n = check(header, "\"", '"', catalog);

	ck_assert_uint_gt(n, 0);
	ck_assert_uint_eq(check(catalog, "\n-- ", '\n', header), n);
	free(catalog);
	free(header);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("catalog");

	suite_add(suite, "same-ids", test_same_ids);
	return suite_run(suite);
}

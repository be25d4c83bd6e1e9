// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * member PATH... - members of the JSON object on stdin, as words in one line.
 * A PATH is as for jq: .a.b; jq itself takes a fifth of a second in a guest, and
 * conditions are asked for many times. Exit 1: one is not there, or null.
 */
#include <cjson/cJSON.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX	(1 << 20)

static const cJSON *walk(const cJSON *item, const char *path)
{
	char name[256];

	while (item && *path) {
		size_t length = strcspn(path + 1, ".");

		if (*path != '.' || length >= sizeof(name))
			errx(2, "a path is .NAME.NAME..., not %s", path);
		memcpy(name, path + 1, length);
		name[length] = '\0';
		item = cJSON_GetObjectItemCaseSensitive(item, name);
		path += 1 + length;
	}
	return item;
}

static void print(const cJSON *item)
{
	char *text;

	if (cJSON_IsString(item)) {
		fputs(item->valuestring, stdout);
	} else if (cJSON_IsNumber(item)) {
		printf("%.17g", item->valuedouble);
	} else {
		text = cJSON_PrintUnformatted(item);
		if (!text)
			err(2, "cJSON_PrintUnformatted");
		fputs(text, stdout);
		free(text);
	}
}

int main(int argc, char **argv)
{
	char *text = calloc(1, TEXT_MAX);
	cJSON *root;

	if (!text)
		err(2, "calloc");
	fread(text, 1, TEXT_MAX - 1, stdin);
	root = cJSON_Parse(text);
	if (!root)
		errx(2, "not JSON: %.80s", text);
	for (int i = 1; i < argc; i++) {
		const cJSON *item = walk(root, argv[i]);

		if (!item || cJSON_IsNull(item))
			return 1;
		if (i > 1)
			putchar(' ');
		print(item);
	}
	putchar('\n');
	return 0;
}

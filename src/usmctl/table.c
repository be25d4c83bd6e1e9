// SPDX-License-Identifier: GPL-2.0-or-later
#include "table.h"

#include <string.h>

#include "utf8.h"

#define GAP	2

void usm_table_add(struct usm_table *table, char *text)
{
	char **cells = NULL;

	if (text)
		cells = reallocarray(table->cells, table->count + 1, sizeof(*cells));
	if (!cells) {
		table->failed = true;
		free(text);
		return;
	}
	table->cells = cells;
	cells[table->count++] = text;
}

static size_t characters(const char *text)
{
	size_t count = 0, length = strlen(text);

	for (size_t at = 0; at < length; count++)
		at += usm_utf8_character(text + at, length - at) ?: 1;
	return count;
}

static size_t column_width(const struct usm_table *table, size_t column)
{
	size_t width = characters(table->columns[column].title);

	for (size_t i = column; i < table->count; i += table->width)
		if (characters(table->cells[i]) > width)
			width = characters(table->cells[i]);
	return width;
}

static void print_cell(const struct usm_table *table, size_t column, size_t width,
		       const char *text, FILE *out)
{
	bool last = column == table->width - 1;
	int padding = (int)(width - characters(text));

	if (table->columns[column].right)
		fprintf(out, "%*s%s", padding, "", text);
	else
		fprintf(out, "%s%*s", text, last ? 0 : padding, "");
	fprintf(out, "%*s", last ? 0 : GAP, "");
	if (last)
		putc('\n', out);
}

int usm_table_print(const struct usm_table *table, FILE *out)
{
	cleanup_free size_t *widths = calloc(table->width, sizeof(*widths));

	if (table->failed || !widths)
		return -ENOMEM;
	for (size_t i = 0; i < table->width; i++)
		widths[i] = column_width(table, i);
	for (size_t i = 0; i < table->width; i++)
		print_cell(table, i, widths[i], table->columns[i].title, out);
	for (size_t i = 0; i < table->count; i++)
		print_cell(table, i % table->width, widths[i % table->width], table->cells[i], out);
	return 0;
}

void usm_table_clear(struct usm_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	table->cells = NULL;
	table->count = 0;
}

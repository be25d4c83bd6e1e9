/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A table whose columns are as wide as what is in them. */
#ifndef USM_USMCTL_TABLE_H
#define USM_USMCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cleanup.h"

struct usm_column {
	const char *title;
	bool right;		/* numbers */
};

struct usm_table {
	const struct usm_column *columns;
	size_t width;		/* columns */
	char **cells;		/* row by row */
	size_t count;		/* cells */
	bool failed;		/* out of memory */
};

/* Append the next cell; takes `text` over, NULL for want of memory included. */
void usm_table_add(struct usm_table *table, char *text);

/* -ENOMEM if a cell could not be had. */
int usm_table_print(const struct usm_table *table, FILE *out);

void usm_table_clear(struct usm_table *table);
#define cleanup_table	usm_cleanup(usm_table_clear)

#endif /* USM_USMCTL_TABLE_H */

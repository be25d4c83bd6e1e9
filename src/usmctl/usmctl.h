/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands of usmctl share. */
#ifndef USM_USMCTL_H
#define USM_USMCTL_H

#include "error.h"
#include "json.h"
#include "varlink.h"

struct usmctl {
	const char *socket;
	unsigned int timeout_ms;
	bool json;
	bool quiet;
};

/* Return 0, or -errno with err set. `operands` are those behind the command. */
int usmctl_status(const struct usmctl *ctl, char **operands, struct usm_error *err);
int usmctl_show(const struct usmctl *ctl, char **operands, struct usm_error *err);
int usmctl_check(const struct usmctl *ctl, char **operands, struct usm_error *err);

/*
 * Call usmd. An error reply becomes an error, whose code is -ENOENT for a
 * container that is not known, -EPERM if denied, otherwise -EREMOTEIO.
 */
int usmctl_call(const struct usmctl *ctl, const char *method, const cJSON *parameters,
		struct usm_reply *reply, struct usm_error *err);

/*
 * For tables: a missing or strange member is shown as "-", since usmd may be of
 * another version. Number returns -1 for it.
 */
double usmctl_number(const cJSON *object, const char *key);
/* Safe on a terminal. NULL only without memory; free with free(). */
char *usmctl_text(const cJSON *object, const char *key);
char *usmctl_count(const cJSON *object, const char *key);
char *usmctl_pages(const cJSON *object, const char *key);	/* pages of 4 KiB as a size */
char *usmctl_size(double bytes);				/* negative: "-" */

/* One line of JSON on stdout. */
int usmctl_print_json(const cJSON *item, struct usm_error *err);

#endif /* USM_USMCTL_H */

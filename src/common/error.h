/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The error object: last argument of whatever can fail in a way that a human
 * should read about. A function fills it on failure and only then; whoever
 * handles the error logs it, once. Passing NULL means that the caller does not
 * care for the sentence.
 *
 *	cleanup_error struct usm_error err = {};
 *
 *	if (usm_thing_open(name, &thing, &err) < 0)
 *		usm_log_line(LOG_ERR, "%s", usm_error_message(&err));
 */
#ifndef USM_COMMON_ERROR_H
#define USM_COMMON_ERROR_H

#include "cleanup.h"

struct usm_error {
	char *message;	/* one sentence without final period; NULL: out of memory */
	int code;	/* positive errno value, 0: no error */
};

/*
 * Fill *err, replacing what it held. `code` is a positive errno value. Returns
 * -code, so that the caller can return the call. If no memory is left for the
 * sentence, the code still says what happened.
 */
int usm_error_set(struct usm_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, with ": " and the text of errno value `code` at the end. */
int usm_error_errno(struct usm_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Put "PREFIX: " before the message of an error that is set. Returns -code, so
 * `err` must not be NULL.
 */
int usm_error_prefix(struct usm_error *err, const char *fmt, ...)
	__attribute__((nonnull(1), format(printf, 2, 3)));

/* -ENOMEM with its sentence. */
int usm_error_oom(struct usm_error *err);

/* Never NULL: what to print. Valid until the error is changed. */
const char *usm_error_message(const struct usm_error *err);

static inline int usm_error_is_set(const struct usm_error *err)
{
	return err->code != 0;
}

/* Free the sentence and make *err empty. Takes NULL. */
void usm_error_clear(struct usm_error *err);

/* Move *from to *to (which may be NULL); *from is empty afterwards. */
void usm_error_move(struct usm_error *to, struct usm_error *from);

#define cleanup_error	usm_cleanup(usm_error_clear)

#endif /* USM_COMMON_ERROR_H */

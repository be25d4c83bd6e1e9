// SPDX-License-Identifier: GPL-2.0-or-later
#include "error.h"

#include <stdarg.h>
#include <string.h>

void usm_error_clear(struct usm_error *err)
{
	if (!err)
		return;
	usm_free_cleanup(&err->message);
	err->message = NULL;
	err->code = 0;
}

void usm_error_move(struct usm_error *to, struct usm_error *from)
{
	if (to) {
		usm_error_clear(to);
		*to = *from;
		*from = (struct usm_error){};
	} else {
		usm_error_clear(from);
	}
}

/* The new sentence may quote the old one, so that one goes last. */
static void replace(struct usm_error *err, int code, char *message)
{
	usm_free_cleanup(&err->message);
	err->message = message;
	err->code = code;
}

int usm_error_set(struct usm_error *err, int code, const char *fmt, ...)
{
	char *message;
	va_list ap;

	if (!err)
		return -code;

	va_start(ap, fmt);
	if (vasprintf(&message, fmt, ap) < 0)
		message = NULL;
	va_end(ap);
	replace(err, code, message);
	return -code;
}

int usm_error_errno(struct usm_error *err, int code, const char *fmt, ...)
{
	cleanup_free char *what = NULL;
	char *message;
	va_list ap;

	if (!err)
		return -code;

	va_start(ap, fmt);
	if (vasprintf(&what, fmt, ap) < 0)
		what = NULL;
	va_end(ap);
	if (!what || asprintf(&message, "%s: %s", what, strerrordesc_np(code) ?: "unknown error") < 0)
		message = usm_steal_ptr(what);
	replace(err, code, message);
	return -code;
}

int usm_error_prefix(struct usm_error *err, const char *fmt, ...)
{
	cleanup_free char *prefix = NULL;
	char *message;
	va_list ap;
	int code = err->code;

	va_start(ap, fmt);
	if (vasprintf(&prefix, fmt, ap) < 0)
		prefix = NULL;
	va_end(ap);
	/* Without memory the sentence stays as it is, which is better than none. */
	if (prefix && asprintf(&message, "%s: %s", prefix, usm_error_message(err)) >= 0)
		replace(err, code, message);
	return -code;
}

int usm_error_oom(struct usm_error *err)
{
	return usm_error_set(err, ENOMEM, "out of memory");
}

const char *usm_error_message(const struct usm_error *err)
{
	if (err->message)
		return err->message;
	return strerrordesc_np(err->code) ?: "unknown error";
}

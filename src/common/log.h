/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One line to the journal, with the fields by which an admin finds it again:
 * `journalctl USM_CONTAINER=web MESSAGE_ID=...`. Without a journal (no socket,
 * or usm_log_open() was told so) the line goes to stderr, with the "<N>" prefix
 * of sd-daemon(3) if stderr is the journal's stream.
 */
#ifndef USM_COMMON_LOG_H
#define USM_COMMON_LOG_H

#include <syslog.h>	/* LOG_ERR ... LOG_DEBUG */

enum usm_log_target {
	USM_LOG_AUTO,		/* the journal if it is there, else stderr */
	USM_LOG_STDERR,
	USM_LOG_JOURNAL,
};

/*
 * Choose target and SYSLOG_IDENTIFIER (kept by reference). Not needed: the
 * default is USM_LOG_AUTO and the program's own name. Call it from one thread.
 */
void usm_log_open(const char *identifier, enum usm_log_target target);

/* Drop what is less important than `level`; the default is LOG_INFO. */
void usm_log_limit(int level);

/*
 * `message_id` is the 32 hex digits of the event in the journal's catalog;
 * `container`, `policy` and `domain` (decimal) become USM_CONTAINER=,
 * USM_POLICY= and USM_DOMAIN=. Each of the four may be NULL: no such field.
 * Keeps errno. Safe from any thread, not from a signal handler.
 */
void usm_log(int level, const char *message_id, const char *container,
	     const char *policy, const char *domain, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/* A line that belongs to no event, container or domain. */
#define usm_log_line(level, ...)					\
	usm_log(level, NULL, NULL, NULL, NULL, __VA_ARGS__)

#endif /* USM_COMMON_LOG_H */

// SPDX-License-Identifier: GPL-2.0-or-later
#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

/* The fields below are the message's; where usm_log() itself stands says nothing. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "cleanup.h"

#define JOURNAL_SOCKET	"/run/systemd/journal/socket"

static const char *log_identifier;
static enum usm_log_target log_target = USM_LOG_AUTO;
static int log_level = LOG_INFO;

void usm_log_open(const char *identifier, enum usm_log_target target)
{
	log_identifier = identifier;
	log_target = target;
}

void usm_log_limit(int level)
{
	log_level = level;
}

/*
 * libsystemd drops a line without a word when the journal's socket is not
 * there, so look first. A terminal is where the reader of a program started by
 * hand is.
 */
static bool journal_wanted(void)
{
	switch (log_target) {
	case USM_LOG_JOURNAL:
		return true;
	case USM_LOG_STDERR:
		return false;
	case USM_LOG_AUTO:
		break;
	}
	return !isatty(STDERR_FILENO) && access(JOURNAL_SOCKET, W_OK) == 0;
}

static bool field_add(struct iovec *fields, int *count, const char *name, const char *value)
{
	char *field;

	if (!value)
		return true;
	if (asprintf(&field, "%s=%s", name, value) < 0)
		return false;
	fields[(*count)++] = (struct iovec){ field, strlen(field) };
	return true;
}

static bool journal_send(int level, const char *message_id, const char *container,
			 const char *policy, const char *domain, const char *message)
{
	const char priority[] = { (char)('0' + level), '\0' };
	struct iovec fields[7];
	int count = 0;
	bool sent;

	sent = field_add(fields, &count, "MESSAGE", message) &&
	       field_add(fields, &count, "PRIORITY", priority) &&
	       field_add(fields, &count, "SYSLOG_IDENTIFIER",
			 log_identifier ?: program_invocation_short_name) &&
	       field_add(fields, &count, "MESSAGE_ID", message_id) &&
	       field_add(fields, &count, "USM_CONTAINER", container) &&
	       field_add(fields, &count, "USM_POLICY", policy) &&
	       field_add(fields, &count, "USM_DOMAIN", domain) &&
	       sd_journal_sendv(fields, count) >= 0;

	while (count)
		free(fields[--count].iov_base);
	return sent;
}

void usm_log(int level, const char *message_id, const char *container,
	     const char *policy, const char *domain, const char *fmt, ...)
{
	cleanup_free char *message = NULL;
	int saved = errno;
	va_list ap;

	level &= LOG_PRIMASK;
	if (level > log_level)
		return;

	va_start(ap, fmt);
	if (vasprintf(&message, fmt, ap) < 0)
		message = NULL;
	va_end(ap);

	if (!message || !journal_wanted() ||
	    !journal_send(level, message_id, container, policy, domain, message)) {
		/* sd-daemon(3): the prefix keeps the level over a stream to the journal. */
		if (getenv("JOURNAL_STREAM"))
			fprintf(stderr, "<%d>", level);
		else
			fprintf(stderr, "%s: ", log_identifier ?: program_invocation_short_name);
		if (container)
			fprintf(stderr, "container %s: ", container);
		fprintf(stderr, "%s\n", message ?: fmt);
	}
	errno = saved;
}

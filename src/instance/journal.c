// SPDX-License-Identifier: GPL-2.0-or-later
#include "journal.h"

#include <stdarg.h>
#include <stdio.h>

#include "cleanup.h"
#include "log.h"

static struct {
	const char *container;
	const char *policy;
	const char *domain;
} identity;

void usm_journal_identify(const char *container, const char *policy, const char *domain)
{
	identity.container = container;
	identity.policy = policy;
	identity.domain = domain;
}

void usm_journal_write(int level, const char *message_id, const char *fmt, ...)
{
	cleanup_free char *line = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&line, fmt, ap) < 0)
		line = NULL;
	va_end(ap);
	usm_log(level, message_id, identity.container, identity.policy, identity.domain, "%s",
		line ?: fmt);
}

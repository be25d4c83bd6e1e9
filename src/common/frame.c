// SPDX-License-Identifier: GPL-2.0-or-later
#include "frame.h"

#include <string.h>
#include <sys/socket.h>

/* What one recv() asks for: most messages come in one piece. */
#define READ_SIZE	4096u

/*
 * Room for `more` bytes at *end. The bytes before *start are spent, so they are
 * moved away before the buffer grows.
 */
static int reserve(char **data, size_t *start, size_t *end, size_t *capacity, size_t more)
{
	size_t used = *end - *start;
	size_t wanted;
	char *grown;

	if (more <= *capacity - *end)
		return 0;

	if (used)
		memmove(*data, *data + *start, used);
	*start = 0;
	*end = used;
	if (more <= *capacity - used)
		return 0;

	wanted = *capacity ? *capacity : READ_SIZE;
	while (wanted - used < more)
		if (__builtin_mul_overflow(wanted, 2, &wanted))
			return -ENOMEM;
	grown = realloc(*data, wanted);
	if (!grown)
		return -ENOMEM;
	*data = grown;
	*capacity = wanted;
	return 0;
}

static size_t inbox_limit(const struct usm_inbox *inbox)
{
	return inbox->limit ? inbox->limit : USM_INBOX_LIMIT;
}

static int inbox_reserve(struct usm_inbox *inbox, size_t more)
{
	size_t scanned = inbox->scanned - inbox->start;
	int r;

	r = reserve(&inbox->data, &inbox->start, &inbox->end, &inbox->capacity, more);
	inbox->scanned = inbox->start + scanned;
	return r;
}

int usm_inbox_read(struct usm_inbox *inbox, int fd, struct usm_error *err)
{
	ssize_t got;

	if (inbox_reserve(inbox, READ_SIZE) < 0)
		return usm_error_oom(err);
	do
		got = recv(fd, inbox->data + inbox->end, READ_SIZE, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);

	if (got < 0) {
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return USM_INBOX_AGAIN;
		return usm_error_errno(err, errno, "cannot read from the peer");
	}
	if (!got)
		return USM_INBOX_EOF;
	inbox->end += (size_t)got;
	return USM_INBOX_DATA;
}

int usm_inbox_push(struct usm_inbox *inbox, const void *bytes, size_t length,
		   struct usm_error *err)
{
	if (!length)
		return 0;
	if (inbox_reserve(inbox, length) < 0)
		return usm_error_oom(err);
	memcpy(inbox->data + inbox->end, bytes, length);
	inbox->end += length;
	return 0;
}

int usm_inbox_next(struct usm_inbox *inbox, const char **message, size_t *length,
		   struct usm_error *err)
{
	size_t size;
	char *nul;

	if (inbox->scanned == inbox->end)
		nul = NULL;
	else
		nul = memchr(inbox->data + inbox->scanned, '\0', inbox->end - inbox->scanned);
	inbox->scanned = nul ? (size_t)(nul - inbox->data) : inbox->end;
	size = inbox->scanned - inbox->start;

	if (size > inbox_limit(inbox))
		return usm_error_set(err, EMSGSIZE, "a message is longer than %zu bytes",
				     inbox_limit(inbox));
	if (!nul)
		return 0;
	if (!size)
		return usm_error_set(err, EBADMSG, "a message is empty");

	*message = inbox->data + inbox->start;
	*length = size;
	inbox->start = inbox->scanned = inbox->scanned + 1;
	return 1;
}

size_t usm_inbox_pending(const struct usm_inbox *inbox)
{
	return inbox->end - inbox->start;
}

void usm_inbox_clear(struct usm_inbox *inbox)
{
	size_t limit = inbox->limit;

	free(inbox->data);
	*inbox = (struct usm_inbox){ .limit = limit };
}

int usm_outbox_put(struct usm_outbox *outbox, const char *message, size_t length,
		   struct usm_error *err)
{
	size_t limit = outbox->limit ? outbox->limit : USM_OUTBOX_LIMIT;
	size_t waiting = outbox->end - outbox->start;

	if (memchr(message, '\0', length))
		return usm_error_set(err, EBADMSG, "a message contains a NUL byte");
	if (waiting > limit || length >= limit - waiting)
		return usm_error_set(err, ENOBUFS, "the peer does not read: %zu bytes are waiting",
				     waiting);
	if (reserve(&outbox->data, &outbox->start, &outbox->end, &outbox->capacity,
		    length + 1) < 0)
		return usm_error_oom(err);
	memcpy(outbox->data + outbox->end, message, length);
	outbox->data[outbox->end + length] = '\0';
	outbox->end += length + 1;
	return 0;
}

int usm_outbox_write(struct usm_outbox *outbox, int fd, struct usm_error *err)
{
	while (outbox->start < outbox->end) {
		ssize_t sent = send(fd, outbox->data + outbox->start,
				    outbox->end - outbox->start, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent >= 0) {
			outbox->start += (size_t)sent;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return 1;
		return usm_error_errno(err, errno, "cannot write to the peer");
	}
	outbox->start = outbox->end = 0;
	return 0;
}

void usm_outbox_clear(struct usm_outbox *outbox)
{
	size_t limit = outbox->limit;

	free(outbox->data);
	*outbox = (struct usm_outbox){ .limit = limit };
}

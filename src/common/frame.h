/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Framing of the control socket, as in varlink: a message is a JSON object
 * followed by one NUL byte. Two buffers do the work without ever blocking, so
 * that an event loop can own the descriptors; both have a limit, so that no
 * peer can make us grow. (A "frame" here is never a frame of memory: hence the
 * names inbox and outbox.)
 */
#ifndef USM_COMMON_FRAME_H
#define USM_COMMON_FRAME_H

#include <stddef.h>

#include "cleanup.h"
#include "error.h"

/* Default limit of one message, and of what may be waiting to be sent. */
#define USM_INBOX_LIMIT		(64u << 10)
#define USM_OUTBOX_LIMIT	(4u << 20)

struct usm_inbox {
	char *data;
	size_t start;		/* of the first message not handed out */
	size_t scanned;		/* no NUL between start and here */
	size_t end;
	size_t capacity;
	size_t limit;		/* bytes of one message; 0: USM_INBOX_LIMIT */
};

enum usm_inbox_result {
	USM_INBOX_EOF = 0,	/* the peer closed; what is complete can be had */
	USM_INBOX_AGAIN = 1,	/* nothing to read now */
	USM_INBOX_DATA = 2,	/* something came in: call usm_inbox_next() */
};

/*
 * Receive once from a stream socket, without blocking. Returns
 * enum usm_inbox_result, or -errno with err set (-ECONNRESET, -ENOMEM ...).
 */
int usm_inbox_read(struct usm_inbox *inbox, int fd, struct usm_error *err);

/* Put bytes in that were received otherwise. 0 or -ENOMEM, -EMSGSIZE. */
int usm_inbox_push(struct usm_inbox *inbox, const void *bytes, size_t length,
		   struct usm_error *err);

/*
 * The next complete message, without its NUL but terminated by it: 1, and
 * *message is valid until the inbox is next touched; 0: not complete yet;
 * -EMSGSIZE: longer than the limit, -EBADMSG: empty. After an error the stream
 * has no known boundary any more and must be closed.
 */
int usm_inbox_next(struct usm_inbox *inbox, const char **message, size_t *length,
		   struct usm_error *err);

/* Bytes of a message that is not complete yet. */
size_t usm_inbox_pending(const struct usm_inbox *inbox);

void usm_inbox_clear(struct usm_inbox *inbox);
#define cleanup_inbox	usm_cleanup(usm_inbox_clear)

struct usm_outbox {
	char *data;
	size_t start;
	size_t end;
	size_t capacity;
	size_t limit;		/* bytes waiting; 0: USM_OUTBOX_LIMIT */
};

/*
 * Append a message and its NUL. -ENOBUFS: the peer does not read and the limit
 * is reached; -EBADMSG: the text itself contains a NUL; -ENOMEM.
 */
int usm_outbox_put(struct usm_outbox *outbox, const char *message, size_t length,
		   struct usm_error *err);

/*
 * Send what the socket takes without blocking, never raising SIGPIPE. Returns
 * 1 if something is left (poll for POLLOUT), 0 if all is sent, -errno.
 */
int usm_outbox_write(struct usm_outbox *outbox, int fd, struct usm_error *err);

static inline int usm_outbox_is_empty(const struct usm_outbox *outbox)
{
	return outbox->start == outbox->end;
}

void usm_outbox_clear(struct usm_outbox *outbox);
#define cleanup_outbox	usm_cleanup(usm_outbox_clear)

#endif /* USM_COMMON_FRAME_H */

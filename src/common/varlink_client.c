// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The client of the control socket. Programs that wait for it are short-lived
 * and one of them stands between a container and its start, so every wait here
 * has the same end: the deadline of the whole call.
 */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "frame.h"
#include "varlink.h"

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static int timed_out(const char *path, struct usm_error *err)
{
	return usm_error_set(err, ETIMEDOUT, "no answer from %s in time", path);
}

/* 0 when `events` came (an error or hang-up counts: the next call tells). */
static int wait_for(int fd, short events, int64_t deadline, const char *path, struct usm_error *err)
{
	for (;;) {
		struct pollfd pollfd = { .fd = fd, .events = events };
		int64_t left = deadline - now_ms();
		int r;

		if (left <= 0)
			return timed_out(path, err);
		r = poll(&pollfd, 1, left > INT32_MAX ? INT32_MAX : (int)left);
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return usm_error_errno(err, errno, "cannot wait for %s", path);
	}
}

static int connect_to(const char *path, int64_t deadline, struct usm_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_close int fd = -1;
	int64_t left = deadline - now_ms();
	struct timeval timeout;
	int code;

	if (strlen(path) >= sizeof(address.sun_path))
		return usm_error_set(err, ENAMETOOLONG, "%s: too long for the name of a socket", path);
	if (left <= 0)
		return timed_out(path, err);
	memcpy(address.sun_path, path, strlen(path) + 1);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return usm_error_errno(err, errno, "cannot make a socket");

	/*
	 * A non-blocking connect() to a full backlog fails at once and cannot be
	 * polled for; SO_SNDTIMEO bounds a blocking one (unix(7)).
	 */
	timeout = (struct timeval){ .tv_sec = left / 1000, .tv_usec = left % 1000 * 1000 };
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		return usm_error_errno(err, errno, "cannot bound the wait for %s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		code = errno;
		if (code == EAGAIN || code == EINPROGRESS)
			return timed_out(path, err);
		return usm_error_errno(err, code, "cannot connect to %s", path);
	}
	return usm_steal_fd(&fd);
}

static int send_all(int fd, struct usm_outbox *outbox, int64_t deadline, const char *path,
		    struct usm_error *err)
{
	int r;

	while ((r = usm_outbox_write(outbox, fd, err)) > 0) {
		r = wait_for(fd, POLLOUT, deadline, path, err);
		if (r < 0)
			return r;
	}
	return r;
}

static int receive_one(int fd, struct usm_inbox *inbox, int64_t deadline, const char *path,
		       const char **message, size_t *length, struct usm_error *err)
{
	for (;;) {
		int r = usm_inbox_next(inbox, message, length, err);

		if (r)
			return r < 0 ? r : 0;
		r = usm_inbox_read(inbox, fd, err);
		if (r < 0)
			return r;
		if (r == USM_INBOX_EOF)
			return usm_error_set(err, ECONNRESET, "%s was closed without an answer", path);
		if (r == USM_INBOX_AGAIN) {
			r = wait_for(fd, POLLIN, deadline, path, err);
			if (r < 0)
				return r;
		}
		/* A peer that drips bytes must not get more time either. */
		if (now_ms() >= deadline)
			return timed_out(path, err);
	}
}

int usm_varlink_call(const char *path, const char *method, const cJSON *parameters,
		     unsigned int timeout_ms, struct usm_reply *reply,
		     struct usm_error *err)
{
	cleanup_outbox struct usm_outbox outbox = {};
	cleanup_inbox struct usm_inbox inbox = { .limit = USM_REPLY_LIMIT };
	const int64_t deadline = now_ms() + timeout_ms;
	cleanup_free char *call = NULL;
	cleanup_close int fd = -1;
	const char *message;
	size_t length;
	int r;

	call = usm_call_encode(method, parameters);
	if (!call)
		return usm_error_oom(err);
	r = usm_outbox_put(&outbox, call, strlen(call), err);
	if (r < 0)
		return r;

	fd = connect_to(path, deadline, err);
	if (fd < 0)
		return fd;
	r = send_all(fd, &outbox, deadline, path, err);
	if (r < 0)
		return r;
	r = receive_one(fd, &inbox, deadline, path, &message, &length, err);
	if (r < 0)
		return r;
	return usm_reply_decode(reply, message, length, err);
}

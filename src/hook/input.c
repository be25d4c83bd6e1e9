// SPDX-License-Identifier: GPL-2.0-or-later
#include "input.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>

#define FIRST_SIZE	4096u

int64_t usm_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/*
 * Standard input is the runtime's pipe, whose flags others may share: poll
 * before each read instead of making it non-blocking.
 */
static int wait_readable(int fd, int64_t deadline, struct usm_error *err)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int r;

	do {
		int64_t left = deadline - usm_now_ms();

		if (left <= 0)
			return usm_error_set(err, ETIMEDOUT, "the input did not end in time");
		r = poll(&pollfd, 1, (int)(left > INT32_MAX ? INT32_MAX : left));
	} while (r == 0 || (r < 0 && errno == EINTR));
	return r < 0 ? usm_error_errno(err, errno, "cannot wait for the input") : 0;
}

int usm_input_read(int fd, size_t limit, int64_t deadline, char **text, size_t *length,
		   struct usm_error *err)
{
	cleanup_free char *buffer = NULL;
	size_t used = 0, size = 0;
	int r;

	for (;;) {
		ssize_t got;

		if (used == size) {
			char *grown;

			if (size > limit)
				return usm_error_set(err, EMSGSIZE, "longer than %zu bytes", limit);
			size = size ? 2 * size : FIRST_SIZE;
			grown = realloc(buffer, size);
			if (!grown)
				return usm_error_oom(err);
			buffer = grown;
		}
		r = wait_readable(fd, deadline, err);
		if (r < 0)
			return r;
		got = read(fd, buffer + used, size - used);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0)
			return usm_error_errno(err, errno, "cannot read the input");
		if (!got)
			break;
		used += (size_t)got;
	}
	if (used > limit)
		return usm_error_set(err, EMSGSIZE, "longer than %zu bytes", limit);
	*text = usm_steal_ptr(buffer);
	*length = used;
	return 0;
}

int usm_input_read_config(const char *bundle, size_t limit, int64_t deadline, char **text,
			  size_t *length, struct usm_error *err)
{
	cleanup_free char *path = NULL;
	cleanup_close int fd = -1;
	struct stat status;
	int r;

	if (asprintf(&path, "%s/config.json", bundle) < 0)
		return usm_error_oom(err);
	/* O_NONBLOCK: a FIFO must not keep us waiting for a writer. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return usm_error_errno(err, errno, "cannot open %s", path);
	if (fstat(fd, &status) < 0)
		return usm_error_errno(err, errno, "cannot look at %s", path);
	if (!S_ISREG(status.st_mode))
		return usm_error_set(err, EINVAL, "%s is not a regular file", path);
	r = usm_input_read(fd, limit, deadline, text, length, err);
	return r < 0 ? usm_error_prefix(err, "%s", path) : 0;
}

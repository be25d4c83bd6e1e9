// SPDX-License-Identifier: GPL-2.0-or-later
#include "read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"

/* Most of what is read is a line or a page of procfs and cgroupfs. */
#define FIRST_CHUNK	4096

int usm_read_file(int dirfd, const char *path, size_t limit, char **text, size_t *length)
{
	cleanup_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	cleanup_free char *data = NULL;
	size_t capacity = 0, used = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;

	for (;;) {
		ssize_t n;

		if (used + 1 >= capacity) {
			size_t more = capacity ? capacity * 2 : FIRST_CHUNK;
			char *grown = realloc(data, more);

			if (!grown)
				return -ENOMEM;
			data = grown;
			capacity = more;
		}
		n = read(fd, data + used, capacity - used - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		used += n;
		if (used > limit)
			return -EFBIG;
	}
	data[used] = '\0';
	*text = usm_steal_ptr(data);
	*length = used;
	return 0;
}

static int write_all(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		length -= n;
	}
	return 0;
}

int usm_write_file(int dirfd, const char *name, const char *text)
{
	cleanup_free char *draft = NULL;
	cleanup_close int fd = -1;
	int r;

	if (asprintf(&draft, ".%s.new", name) < 0)
		return -ENOMEM;
	fd = openat(dirfd, draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, strlen(text));
	if (!r && renameat(dirfd, draft, dirfd, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dirfd, draft, 0);
	return r;
}

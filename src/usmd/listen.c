// SPDX-License-Identifier: GPL-2.0-or-later
#include "listen.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "cleanup.h"

static int usm_listen(const char *path, int type, mode_t mode, struct usm_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_close int fd = -1;
	mode_t old;
	int r;

	if (strlen(path) >= sizeof(address.sun_path))
		return usm_error_set(err, ENAMETOOLONG, "%s is too long for a socket", path);
	strcpy(address.sun_path, path);

	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return usm_error_errno(err, errno, "%s cannot be listened at", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return usm_error_errno(err, errno, "%s cannot be replaced", path);

	/* With chmod() afterwards there would be a moment with other bits. */
	old = umask(0777 & ~mode);
	r = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	umask(old);
	if (!r && listen(fd, SOMAXCONN) < 0)
		r = -errno;
	if (r < 0)
		return usm_error_errno(err, -r, "%s cannot be listened at", path);
	return usm_steal_fd(&fd);
}

int usm_listen_at(sd_event *event, const char *path, int type, mode_t mode,
		  sd_event_io_handler_t handler, void *userdata, int *fd,
		  sd_event_source **source, struct usm_error *err)
{
	int r;

	*fd = usm_listen(path, type, mode, err);
	if (*fd < 0)
		return *fd;
	r = sd_event_add_io(event, source, *fd, EPOLLIN, handler, userdata);
	if (r < 0)
		return usm_error_errno(err, -r, "%s cannot be listened at", path);
	return 0;
}

int usm_accept(int fd, pid_t *pid, uid_t *uid)
{
	cleanup_close int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred credentials;
	socklen_t size = sizeof(credentials);

	if (peer < 0)
		return -errno;
	if (getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
		return -errno;
	*pid = credentials.pid;
	*uid = credentials.uid;
	return usm_steal_fd(&peer);
}

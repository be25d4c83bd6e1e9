// SPDX-License-Identifier: GPL-2.0-or-later
#include "link.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cleanup.h"
#include "json.h"

bool usm_link_is_absent(int error)
{
	switch (error < 0 ? -error : error) {
	case ENOENT:
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
	case EAGAIN:
		return true;
	default:
		return false;
	}
}

/* Takes `root` over. */
static int send_json(int link, cJSON *root, int built, struct usm_error *err)
{
	cleanup_json cJSON *owned = root;
	cleanup_free char *text = NULL;

	if (!owned || built < 0)
		return usm_error_oom(err);
	text = usm_json_print(owned);
	if (!text)
		return usm_error_oom(err);
	if (send(link, text, strlen(text), MSG_NOSIGNAL) < 0)
		return usm_error_errno(err, errno, "cannot send to usmd");
	return 0;
}

int usm_link_open(const char *path, const char *domain, bool armed, struct usm_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_close int link = -1;
	cJSON *hello;
	int r;

	if (strlen(path) >= sizeof(address.sun_path))
		return usm_error_set(err, ENAMETOOLONG, "the path of a socket has fewer than %zu "
				     "bytes: %s", sizeof(address.sun_path), path);
	memcpy(address.sun_path, path, strlen(path));

	link = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (link < 0)
		return usm_error_errno(err, errno, "cannot make a socket");
	if (connect(link, (struct sockaddr *)&address, sizeof(address)) < 0)
		return usm_error_errno(err, errno, "cannot connect to %s", path);

	hello = cJSON_CreateObject();
	r = usm_json_add_bool(hello, "hello", true) | usm_json_add_string(hello, "domain", domain) |
	    usm_json_add_bool(hello, "armed", armed);
	r = send_json(link, hello, r, err);
	return r < 0 ? r : usm_steal_fd(&link);
}

int usm_link_receive(int link, char *text, int *fd, struct usm_error *err)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec iov = { .iov_base = text, .iov_len = USM_LINK_MESSAGE_MAX };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	cleanup_close int received = -1;
	struct cmsghdr *cmsg;
	ssize_t n;

	n = recvmsg(link, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n < 0)
		return usm_error_errno(err, errno, "cannot receive from usmd");

	cmsg = CMSG_FIRSTHDR(&message);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS &&
	    cmsg->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&received, CMSG_DATA(cmsg), sizeof(int));
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return usm_error_set(err, EMSGSIZE, "usmd sent a message of more than %u bytes or "
				     "more than one descriptor", USM_LINK_MESSAGE_MAX);
	text[n] = '\0';
	if (fd)
		*fd = usm_steal_fd(&received);
	return (int)n;
}

int usm_link_say_armed(int link, uint64_t epoch, struct usm_error *err)
{
	cJSON *root = cJSON_CreateObject();
	int r = usm_json_add_string(root, "state", "armed") |
		usm_json_add_u64(root, "epoch", epoch);

	return send_json(link, root, r, err);
}

int usm_link_say_store(int link, const struct usm_store_usage *usage, struct usm_error *err)
{
	cJSON *root = cJSON_CreateObject();
	int r = usm_json_add_string(root, "state", "store") |
		usm_json_add_u64(root, "quota", usage->quota) |
		usm_json_add_u64(root, "used", usage->used) |
		usm_json_add_u64(root, "data", usage->data) |
		usm_json_add_u64(root, "pages", usage->pages);

	return send_json(link, root, r, err);
}

int usm_link_say_failed(int link, const char *message, struct usm_error *err)
{
	cJSON *root = cJSON_CreateObject();
	int r = usm_json_add_string(root, "state", "failed") |
		usm_json_add_string(root, "message", message);

	return send_json(link, root, r, err);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "device.h"

/*
 * Domains come and go between two calls of USM_IOC_LIST; room for a few more
 * than it asked for makes the second try nearly always the last.
 */
#define LIST_SLACK	16

static int device_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

int usm_device_open(const char *path, struct usm_query *query)
{
	struct usm_query q = { .size = sizeof(q) };
	int fd, r;

	fd = open(path ?: USM_DEVICE_PATH, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;

	r = device_ioctl(fd, USM_IOC_QUERY, &q);
	if (!r) {
		/* An unterminated string from a newer module must not run on. */
		q.version[sizeof(q.version) - 1] = '\0';
		if (query)
			*query = q;
		if (q.abi != USM_ABI)
			r = -EPROTO;
	}
	if (r) {
		close(fd);
		return r;
	}
	return fd;
}

int usm_device_bind(int device_fd, struct usm_bind *bind)
{
	bind->size = sizeof(*bind);
	return device_ioctl(device_fd, USM_IOC_BIND, bind);
}

int usm_device_list(int device_fd, struct usm_list_entry **entries)
{
	uint32_t capacity = LIST_SLACK;

	for (;;) {
		struct usm_list_entry *array;
		struct usm_list list;
		int r;

		array = calloc(capacity, sizeof(*array));
		if (!array)
			return -ENOMEM;

		list = (struct usm_list) {
			.size = sizeof(list),
			.entries = (uintptr_t)array,
			.capacity = capacity,
		};
		r = device_ioctl(device_fd, USM_IOC_LIST, &list);
		if (!r) {
			*entries = array;
			return (int)list.count;
		}
		free(array);
		if (r != -ENOSPC)
			return r;
		/* A module that does not say how many must not make us spin. */
		if (list.count <= capacity)
			return -EPROTO;
		capacity = list.count + LIST_SLACK;
	}
}

int usm_device_attach(int device_fd, uint64_t id)
{
	struct usm_attach attach = { .size = sizeof(attach), .id = id };
	int r = device_ioctl(device_fd, USM_IOC_ATTACH, &attach);

	return r ?: attach.domain_fd;
}

int usm_device_release(int device_fd, uint64_t id)
{
	struct usm_release release = { .size = sizeof(release), .id = id };

	return device_ioctl(device_fd, USM_IOC_RELEASE, &release);
}

int usm_device_info(int domain_fd, struct usm_info *info)
{
	struct usm_info got = { .size = sizeof(got) };
	int r = device_ioctl(domain_fd, USM_IOC_INFO, &got);

	if (!r)
		*info = got;
	return r;
}

int usm_device_arm(int domain_fd, uint64_t *epoch)
{
	struct usm_arm arm = { .size = sizeof(arm) };
	int r = device_ioctl(domain_fd, USM_IOC_ARM, &arm);

	if (!r && epoch)
		*epoch = arm.epoch;
	return r;
}

int usm_device_disarm(int domain_fd)
{
	return device_ioctl(domain_fd, USM_IOC_DISARM, NULL);
}

int usm_device_tune(int domain_fd, struct usm_tune *tune)
{
	tune->size = sizeof(*tune);
	return device_ioctl(domain_fd, USM_IOC_TUNE, tune);
}

int usm_device_submit(int domain_fd, struct usm_command *commands, size_t count)
{
	while (count) {
		struct usm_submit submit = {
			.size = sizeof(submit),
			.commands = (uintptr_t)commands,
			.count = count < USM_MAX_COMMANDS ? count : USM_MAX_COMMANDS,
		};
		int r = device_ioctl(domain_fd, USM_IOC_SUBMIT, &submit);

		if (r && r != -EINTR)
			return r;
		/* Everything done, or interrupted: the rest is still to do. */
		if (submit.done > submit.count || (!r && submit.done < submit.count))
			return -EPROTO;
		commands += submit.done;
		count -= submit.done;
	}
	return 0;
}

int usm_device_exchange(int domain_fd, struct usm_command *commands, uint32_t count,
			uint32_t timeout_ms)
{
	struct usm_submit submit = {
		.size = sizeof(submit),
		.flags = USM_SUBMIT_WAIT,
		.commands = (uintptr_t)commands,
		.count = count,
		.timeout_ms = timeout_ms,
	};
	/* The same as the ioctl, which costs as much again where it is filtered. */
	int r = read(domain_fd, &submit, sizeof(submit)) < 0 ? -errno : 0;

	/* A signal may end the wait, and may come before it: what was left out is done. */
	if (r != -EINTR || submit.done >= count)
		return r == -EINTR ? 0 : r;
	return usm_device_submit(domain_fd, commands + submit.done, count - submit.done);
}

int usm_device_kick(int domain_fd)
{
	return device_ioctl(domain_fd, USM_IOC_KICK, NULL);
}

int usm_device_stat(int domain_fd, struct usm_stat *stat)
{
	struct usm_stat got = { .size = sizeof(got) };
	int r = device_ioctl(domain_fd, USM_IOC_STAT, &got);

	if (!r)
		*stat = got;
	return r;
}

int usm_device_store_put(int domain_fd, struct usm_store_fd *store)
{
	store->size = sizeof(*store);
	return device_ioctl(domain_fd, USM_IOC_STORE_PUT, store);
}

int usm_device_store_get(int domain_fd, struct usm_store_fd *store)
{
	store->size = sizeof(*store);
	return device_ioctl(domain_fd, USM_IOC_STORE_GET, store);
}

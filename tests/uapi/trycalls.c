// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trycalls CGROUP - each call of /dev/usm that allocates and that miniinst does not make:
 * the list, attaching, stores. Exit status 1 after a sentence about the first that failed.
 */
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "domain.h"

#define LIST_MAX	64

static void call_or_die(const char *what, int r)
{
	if (r < 0)
		errx(1, "%s: %s", what, strerror(-r));
}

static int calls(int device, uint64_t id, const char **what)
{
	struct usm_list_entry entries[LIST_MAX];
	struct usm_list list = {
		.size = sizeof(list), .capacity = LIST_MAX, .entries = (uintptr_t)entries,
	};
	struct usm_store_fd store = { .size = sizeof(store), .name = "trycalls" };
	struct usm_store_fd back = { .size = sizeof(back), .fd = -1 };
	struct usm_arm arm = { .size = sizeof(arm) };
	struct usm_attach attach = { .size = sizeof(attach), .id = id };
	int r;

	*what = "list";
	r = domain_ioctl(device, USM_IOC_LIST, &list);
	if (r < 0)
		return r;
	*what = "attach";
	r = domain_ioctl(device, USM_IOC_ATTACH, &attach);
	if (r < 0)
		return r;
	*what = "arm";
	r = domain_ioctl(attach.domain_fd, USM_IOC_ARM, &arm);
	if (r < 0)
		return r;
	*what = "store";
	store.fd = memfd_create("store", MFD_CLOEXEC);
	r = domain_ioctl(attach.domain_fd, USM_IOC_STORE_PUT, &store);
	if (r < 0)
		return r;
	back.index = store.index;
	return domain_ioctl(attach.domain_fd, USM_IOC_STORE_GET, &back);
}

int main(int argc, char **argv)
{
	const char *what;
	struct usm_bind bind;
	int device, r;

	if (argc != 2)
		errx(2, "usage: trycalls CGROUP");
	device = domain_device_open_or_die();
	domain_bind_init(&bind, domain_cgroup_open_or_die(argv[1]), 1024);
	call_or_die("bind", domain_ioctl(device, USM_IOC_BIND, &bind));
	r = calls(device, bind.id, &what);
	/* Whatever failed, the domain ends. */
	domain_release(device, bind.id);
	call_or_die(what, r);
	puts("trycalls: ok");
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* USM_IOC_STORE_*: what a domain keeps for its instances, and what it must not keep. */
#include "uapitest.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CEILING		1024
#define DEADLINE_MS	300

static int put(int domain_fd, int fd, const char *name, uint32_t *index)
{
	struct usm_store_fd store = { .size = sizeof(store), .fd = fd, .data = 0x1234567890 };
	int r;

	snprintf(store.name, sizeof(store.name), "%s", name);
	r = domain_ioctl(domain_fd, USM_IOC_STORE_PUT, &store);
	if (!r && index)
		*index = store.index;
	return r;
}

static int get(int domain_fd, uint32_t index, struct usm_store_fd *store)
{
	*store = (struct usm_store_fd){ .size = sizeof(*store), .fd = -1, .index = index };
	return domain_ioctl(domain_fd, USM_IOC_STORE_GET, store);
}

static int drop(int domain_fd, uint32_t index)
{
	struct usm_store_fd store = { .size = sizeof(store), .index = index };

	return domain_ioctl(domain_fd, USM_IOC_STORE_DROP, &store);
}

static int memory_file(const char *text)
{
	int fd = memfd_create("store", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 1 << 20) < 0 ||
	    pwrite(fd, text, strlen(text), 4096) != (ssize_t)strlen(text))
		err(1, "memfd");
	return fd;
}

static bool holds(int fd, const char *text)
{
	char found[64] = "";

	return pread(fd, found, strlen(text), 4096) == (ssize_t)strlen(text) &&
	       strcmp(found, text) == 0;
}

static void arguments_tests(const struct bound *bound, int memory)
{
	struct usm_store_fd store = { .size = sizeof(store), .fd = memory, .name = "a" };
	int domain = bound->domain.fd;

	store.flags = 1;
	expect_error(domain_ioctl(domain, USM_IOC_STORE_PUT, &store), -EINVAL);
	store.flags = 0;
	store.index = 1;
	expect_error(domain_ioctl(domain, USM_IOC_STORE_PUT, &store), -EINVAL);
	store.index = 0;
	store.size = offsetof(struct usm_store_fd, name);
	expect_error(domain_ioctl(domain, USM_IOC_STORE_PUT, &store), -EINVAL);
	expect_error(domain_ioctl(domain, USM_IOC_STORE_GET, &store), -EINVAL);
	expect_error(domain_ioctl(domain, USM_IOC_STORE_DROP, &store), -EINVAL);
	store.size = sizeof(store);
	memset(store.name, 'x', sizeof(store.name));
	expect_error(domain_ioctl(domain, USM_IOC_STORE_PUT, &store), -EINVAL);
	expect_error(put(domain, memory, "", NULL), -EINVAL);
	expect_error(domain_ioctl(domain, USM_IOC_STORE_PUT, NULL), -EFAULT);
	expect_error(domain_ioctl(domain, USM_IOC_STORE_GET, NULL), -EFAULT);
	expect_error(get(domain, 0, &store), -ENOENT);
	expect_error(get(domain, USM_MAX_STORES, &store), -ENOENT);
	expect_error(get(domain, UINT32_MAX, &store), -ENOENT);
	expect_error(drop(domain, 0), -ENOENT);
	expect_error(drop(domain, UINT32_MAX), -ENOENT);
}

/* What could keep itself alive, or gives nothing back, or cannot be written. */
static void refused_tests(const struct bound *bound, int memory)
{
	char path[64];
	int pair[2], fd;

	expect_error(put(bound->domain.fd, -1, "a", NULL), -EBADF);
	expect_error(put(bound->domain.fd, bound->domain.fd, "a", NULL), -EINVAL);
	expect_error(put(bound->domain.fd, device, "a", NULL), -EINVAL);
	expect_error(put(bound->domain.fd, bound->place.fd, "a", NULL), -EINVAL);
	if (pipe2(pair, O_CLOEXEC) < 0)
		err(1, "pipe2");
	expect_error(put(bound->domain.fd, pair[0], "a", NULL), -EINVAL);
	close(pair[0]);
	close(pair[1]);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	expect_error(put(bound->domain.fd, fd, "a", NULL), -EINVAL);
	close(fd);
	fd = open(path, O_PATH | O_CLOEXEC);
	expect_error(put(bound->domain.fd, fd, "a", NULL), -EBADF);
	close(fd);
	fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	expect_error(put(bound->domain.fd, fd, "a", NULL), -EINVAL);
	close(fd);
	fd = openat(bound->place.fd, "memory.max", O_RDWR | O_CLOEXEC);
	expect_error(put(bound->domain.fd, fd, "a", NULL), -EINVAL);
	close(fd);
}

/* As many as there may be; each name once; a place that is free again is used again. */
static void places_tests(const struct bound *bound, int memory)
{
	char name[] = "store 0";
	uint32_t index;

	for (uint32_t i = 0; i < USM_MAX_STORES; i++, name[6]++) {
		expect_ok(put(bound->domain.fd, memory, name, &index));
		expect_number(index, i);
		expect_error(put(bound->domain.fd, memory, name, NULL), -EEXIST);
	}
	expect_error(put(bound->domain.fd, memory, "one more", NULL), -ENOSPC);
	expect_ok(drop(bound->domain.fd, 3));
	expect_error(drop(bound->domain.fd, 3), -ENOENT);
	expect_ok(put(bound->domain.fd, memory, "one more", &index));
	expect_number(index, 3);
	for (uint32_t i = 0; i < USM_MAX_STORES; i++)
		expect_ok(drop(bound->domain.fd, i));
}

/* All descriptors are closed, and another instance comes. */
static void successor_tests(struct bound *bound)
{
	struct usm_attach attach = { .size = sizeof(attach), .id = bound->domain.id };
	struct usm_store_fd store;
	int memory = memory_file("what was evicted");
	uint32_t index = 0;

	expect_ok(put(bound->domain.fd, memory, "lz4", &index));
	close(memory);
	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_DISARM, NULL));
	domain_unmap(&bound->domain);
	expect_ok(domain_ioctl(device, USM_IOC_ATTACH, &attach));
	domain_map_or_die(&bound->domain, attach.domain_fd);

	/* To look is everybody's who has the domain, to change is the instance's. */
	expect_error(drop(bound->domain.fd, index), -EPERM);
	expect_error(put(bound->domain.fd, bound->place.fd, "x", NULL), -EPERM);
	if (!expect(get(bound->domain.fd, index, &store) == 0, "the store is not there"))
		return;
	expect(fcntl(store.fd, F_GETFD) & FD_CLOEXEC, "the descriptor stays over exec");
	expect(strcmp(store.name, "lz4") == 0, "the name is '%s'", store.name);
	expect_number(store.data, 0x1234567890);
	expect(holds(store.fd, "what was evicted"), "the content is another");
	close(store.fd);
	expect_ok(domain_arm(&bound->domain, NULL));
}

/* The domain's end is the store's: it refers to nothing any more. */
static void end_tests(struct bound *bound)
{
	struct flock lease = { .l_type = F_WRLCK };
	int memory = memory_file("x"), second;
	char path[64];

	/* A lock belongs to the file as it is open: it goes with the last reference. */
	expect_ok(put(bound->domain.fd, memory, "locked", NULL));
	expect(fcntl(memory, F_OFD_SETLK, &lease) == 0, "lock: %s", strerror(errno));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	second = open(path, O_RDWR | O_CLOEXEC);
	close(memory);
	expect(fcntl(second, F_OFD_SETLK, &lease) < 0 && errno == EAGAIN,
	       "the domain does not keep the file");
	bound_destroy(bound);
	for (int i = 0; i < 100 && fcntl(second, F_OFD_SETLK, &lease) < 0; i++)
		usleep(50000);
	expect(fcntl(second, F_OFD_SETLK, &lease) == 0, "a domain that has ended keeps the file");
	close(second);
}

void store_tests(void)
{
	struct bound bound;
	int memory = memory_file("x");

	bound_create(&bound, "store", CEILING, 0, DEADLINE_MS);
	expect_error(put(bound.domain.fd, memory, "a", NULL), -EPERM);
	expect_ok(domain_arm(&bound.domain, NULL));
	arguments_tests(&bound, memory);
	refused_tests(&bound, memory);
	places_tests(&bound, memory);
	successor_tests(&bound);
	end_tests(&bound);
	close(memory);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The ioctls of /dev/usm: query, bind, list, attach, release. */
#include "uapitest.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNTOUCHED	0xa5

static void query_tests(void)
{
	struct usm_query query = { .size = sizeof(query) };
	struct {
		struct usm_query known;
		uint64_t tail[2];
	} longer = { .known.size = sizeof(longer) };

	expect_ok(domain_ioctl(device, USM_IOC_QUERY, &query));
	expect_number(query.abi, USM_ABI);
	expect_number(query.page_size, sysconf(_SC_PAGESIZE));
	expect_number(query.max_order, USM_MAX_ORDER);
	expect_number(query.modes & 3, 3);
	expect(query.cpus >= 1 && query.cpus <= 8192, "cpus: %u", query.cpus);
	expect(query.version[0] && memchr(query.version, 0, sizeof(query.version)),
	       "the version is no text");

	/* From a later header: what the module does not know has to be zero. */
	expect_ok(domain_ioctl(device, USM_IOC_QUERY, &longer));
	longer.tail[1] = 1;
	expect_error(domain_ioctl(device, USM_IOC_QUERY, &longer), -E2BIG);

	/* From an earlier one: what the caller does not know stays as it is. */
	memset(&query, UNTOUCHED, sizeof(query));
	query.size = offsetof(struct usm_query, page_size);
	query.flags = 0;
	expect_ok(domain_ioctl(device, USM_IOC_QUERY, &query));
	expect_number(query.abi, USM_ABI);
	expect_number(query.page_size, UNTOUCHED * 0x01010101u);

	memset(&query, UNTOUCHED, sizeof(query));
	query.size = sizeof(query);
	query.flags = 1;
	expect_error(domain_ioctl(device, USM_IOC_QUERY, &query), -EINVAL);
	expect_number(query.abi, UNTOUCHED * 0x01010101u);
	query.flags = 0;
	for (uint32_t size = 0; size < 8; size++) {
		query.size = size;
		expect_error(domain_ioctl(device, USM_IOC_QUERY, &query), -EINVAL);
	}
	query.size = UINT32_MAX;
	expect_error(domain_ioctl(device, USM_IOC_QUERY, &query), -EINVAL);
	expect_error(domain_ioctl(device, USM_IOC_QUERY, NULL), -EFAULT);
	expect_error(domain_ioctl(device, USM_IOC_QUERY, (void *)8), -EFAULT);

	/* The size within the request is ignored. */
	query = (struct usm_query){ .size = sizeof(query) };
	expect_ok(domain_ioctl(device, _IOWR(USM_IOC_MAGIC, 0x00, char[16]), &query));
}

static void unknown_tests(void)
{
	struct usm_query query = { .size = sizeof(query) };

	expect_error(domain_ioctl(device, _IOWR(USM_IOC_MAGIC, 0x1f, struct usm_query), &query),
		     -ENOTTY);
	expect_error(domain_ioctl(device, USM_IOC_STAT, &query), -ENOTTY);
	expect_error(domain_ioctl(device, _IOWR('T', 0x00, struct usm_query), &query), -ENOTTY);
	expect(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, device, 0) == MAP_FAILED,
	       "/dev/usm itself can be mapped");
}

/* What the member of a good request must not be. */
static void bind_refused(struct usm_bind bind, int wanted, const char *what)
{
	int r;

	bind.id = 77;
	bind.domain_fd = -5;
	r = domain_ioctl(device, USM_IOC_BIND, &bind);
	expect(r == wanted, "bind with %s: expected %s, got %d", what, strerror(-wanted), r);
	expect(bind.id == 77 && bind.domain_fd == -5, "a failed bind (%s) wrote its output",
	       what);
	if (r == 0) {
		domain_release(device, bind.id);
		close(bind.domain_fd);
	}
}

static void bind_refused_tests(const struct place *place)
{
	struct usm_bind good, bad;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int tmp = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int root = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *below_path;
	int below;

	domain_bind_init(&good, place->fd, 1024);
#define REFUSED(field, value, wanted)					\
	do {								\
		bad = good;						\
		bad.field = (value);					\
		bind_refused(bad, (wanted), #field " " #value);		\
	} while (0)
	REFUSED(cgroup_fd, -1, -EBADF);
	REFUSED(cgroup_fd, 9999, -EBADF);
	REFUSED(cgroup_fd, null, -EBADF);
	REFUSED(cgroup_fd, tmp, -EBADF);
	REFUSED(cgroup_fd, device, -EBADF);
	REFUSED(cgroup_fd, root, -EINVAL);
	REFUSED(flags, 1, -EINVAL);
	REFUSED(pad, 1, -EINVAL);
	REFUSED(mode, 2, -EINVAL);
	REFUSED(mode, UINT32_MAX, -EINVAL);
	REFUSED(ceiling, 0, -EINVAL);
	REFUSED(ceiling, USM_MAX_FRAMES + 1ull, -EINVAL);
	REFUSED(ceiling, UINT64_MAX, -EINVAL);
	REFUSED(fault_order, USM_MAX_ORDER + 1, -EINVAL);
	REFUSED(fault_order, UINT32_MAX, -EINVAL);
	REFUSED(deadline_ms, USM_MAX_DEADLINE_MS + 1, -EINVAL);
	REFUSED(size, 0, -EINVAL);
	REFUSED(size, 7, -EINVAL);
	REFUSED(size, UINT32_MAX, -EINVAL);
#undef REFUSED
	bad = good;
	memset(bad.label, 'x', sizeof(bad.label));
	bind_refused(bad, -EINVAL, "a label without end");
	expect_error(domain_ioctl(device, USM_IOC_BIND, NULL), -EFAULT);

	/* A cgroup whose parent does not hand it the memory controller. */
	if (asprintf(&below_path, "%s/below", place->path) < 0 || mkdir(below_path, 0755) < 0)
		err(1, "cannot make a cgroup below %s", place->path);
	below = domain_cgroup_open_or_die(below_path);
	bad = good;
	bad.cgroup_fd = below;
	bind_refused(bad, -EOPNOTSUPP, "a cgroup without memory controller");
	close(below);
	rmdir(below_path);
	close(null);
	close(tmp);
	close(root);
}

static const struct usm_list_entry *list_find(const struct usm_list_entry *entries,
					      uint32_t count, uint64_t id)
{
	for (uint32_t i = 0; i < count; i++)
		if (entries[i].id == id)
			return &entries[i];
	return NULL;
}

static void list_tests(uint64_t id)
{
	struct usm_list_entry entries[64];
	const struct usm_list_entry *entry;
	struct usm_list list = {
		.size = sizeof(list), .entries = (uintptr_t)entries, .capacity = 64,
	};

	expect_ok(domain_ioctl(device, USM_IOC_LIST, &list));
	entry = list_find(entries, list.count, id);
	if (expect(entry != NULL, "the new domain is not in the list")) {
		expect(strcmp(entry->label, "test") == 0, "label '%s'", entry->label);
		expect_number(entry->state, USM_FALLBACK_NEVER_ARMED);
		expect_number(entry->spaces, 0);
		expect_number(entry->released, 0);
	}

	memset(entries, UNTOUCHED, sizeof(entries));
	list.capacity = 0;
	list.count = 0;
	expect_error(domain_ioctl(device, USM_IOC_LIST, &list), -ENOSPC);
	expect(list.count >= 1, "-ENOSPC without the count");
	expect_number(entries[0].spaces, UNTOUCHED * 0x01010101u);

	list.capacity = 64;
	list.entries = 8;
	expect_error(domain_ioctl(device, USM_IOC_LIST, &list), -EFAULT);
	list.entries = (uintptr_t)entries;
	list.flags = 1;
	expect_error(domain_ioctl(device, USM_IOC_LIST, &list), -EINVAL);
}

static void attach_tests(const struct domain *domain)
{
	struct usm_attach attach = { .size = sizeof(attach), .id = domain->id };
	struct usm_info info = { .size = sizeof(info) };

	expect_ok(domain_ioctl(device, USM_IOC_ATTACH, &attach));
	expect(fcntl(attach.domain_fd, F_GETFD) & FD_CLOEXEC,
	       "a domain descriptor is inherited over exec");
	expect_ok(domain_ioctl(attach.domain_fd, USM_IOC_INFO, &info));
	expect_number(info.id, domain->id);
	close(attach.domain_fd);

	attach.domain_fd = -5;
	attach.flags = 1;
	expect_error(domain_ioctl(device, USM_IOC_ATTACH, &attach), -EINVAL);
	attach.flags = 0;
	attach.pad = 1;
	expect_error(domain_ioctl(device, USM_IOC_ATTACH, &attach), -EINVAL);
	attach.pad = 0;
	attach.id = UINT64_MAX;
	expect_error(domain_ioctl(device, USM_IOC_ATTACH, &attach), -ENOENT);
	expect(attach.domain_fd == -5, "a failed attach wrote its output");
}

static void release_tests(struct domain *domain)
{
	struct usm_release release = { .size = sizeof(release), .id = UINT64_MAX };
	struct usm_attach attach = { .size = sizeof(attach), .id = domain->id };
	struct usm_stat stat;

	expect_error(domain_ioctl(device, USM_IOC_RELEASE, &release), -ENOENT);
	release.id = domain->id;
	release.flags = 1;
	expect_error(domain_ioctl(device, USM_IOC_RELEASE, &release), -EINVAL);
	expect_ok(domain_stat(domain, &stat));

	/* Without a space it ends here and now, whoever has a descriptor of it. */
	expect_ok(domain_release(device, domain->id));
	expect_error(domain_stat(domain, &stat), -ENODEV);
	expect_error(domain_arm(domain, NULL), -ENODEV);
	expect_error(domain_ioctl(device, USM_IOC_ATTACH, &attach), -ENOENT);
	expect_error(domain_release(device, domain->id), -ENOENT);
	/* What is mapped can still be read; it only means nothing any more. */
	(void)*(const volatile uint64_t *)domain->words;
	domain_unmap(domain);
}

/* Removing the cgroup ends the domain as well. */
static void removed_tests(void)
{
	struct usm_attach attach = { .size = sizeof(attach) };
	struct place place;
	struct usm_bind bind;
	int waited = 0, r;

	place_create(&place, "removed");
	domain_bind_init(&bind, place.fd, 1024);
	expect_ok(domain_ioctl(device, USM_IOC_BIND, &bind));
	close(bind.domain_fd);
	attach.id = bind.id;
	expect_ok(domain_ioctl(device, USM_IOC_ATTACH, &attach));
	close(attach.domain_fd);
	place_destroy(&place);
	do {
		r = domain_ioctl(device, USM_IOC_ATTACH, &attach);
		if (r == 0)
			close(attach.domain_fd);
		usleep(10000);
	} while (r == 0 && waited++ < 1000);
	expect_error(r, -ENOENT);
}

void device_tests(void)
{
	struct place place;
	struct usm_bind bind;
	struct domain domain;

	query_tests();
	unknown_tests();

	place_create(&place, "device");
	bind_refused_tests(&place);
	domain_bind_init(&bind, place.fd, 1024);
	expect_ok(domain_ioctl(device, USM_IOC_BIND, &bind));
	expect_number(bind.id, place.id);
	expect(fcntl(bind.domain_fd, F_GETFD) & FD_CLOEXEC,
	       "a domain descriptor is inherited over exec");
	domain_map_or_die(&domain, bind.domain_fd);
	bind_refused(bind, -EBUSY, "a cgroup that is bound");
	list_tests(bind.id);
	attach_tests(&domain);
	release_tests(&domain);

	/* The cgroup itself can be bound again. */
	domain_bind_init(&bind, place.fd, 1024);
	expect_ok(domain_ioctl(device, USM_IOC_BIND, &bind));
	expect_ok(domain_release(device, bind.id));
	close(bind.domain_fd);
	place_destroy(&place);
	removed_tests();
}

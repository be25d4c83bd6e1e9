// SPDX-License-Identifier: GPL-2.0-or-later
/* A domain descriptor: info, mmap, arm, disarm, tune, stat, poll. */
#include "uapitest.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void info_tests(struct bound *bound)
{
	struct usm_info info = { .size = sizeof(info) };
	const struct usm_ring *events = bound->domain.events;

	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_INFO, &info));
	expect_number(info.id, bound->place.id);
	expect_number(info.frame_size, sizeof(uint64_t));
	expect_number(info.frames, 1024);
	expect(info.owners_offset >= info.frames * sizeof(uint64_t) &&
	       info.blocks_offset >= info.owners_offset + info.frames * sizeof(uint32_t) &&
	       info.table_size >= info.blocks_offset +
	       info.frames / USM_BLOCK_SIZE * sizeof(struct usm_frame_block),
	       "parts of the table are too small");
	expect(info.supply_rings >= (uint32_t)sysconf(_SC_NPROCESSORS_CONF),
	       "%u supply rings", info.supply_rings);
	expect(strcmp(info.label, "test") == 0, "label '%s'", info.label);
	info.flags = 1;
	expect_error(domain_ioctl(bound->domain.fd, USM_IOC_INFO, &info), -EINVAL);
	expect_error(domain_ioctl(bound->domain.fd, USM_IOC_INFO, NULL), -EFAULT);
	expect_error(domain_ioctl(bound->domain.fd, USM_IOC_QUERY, &info), -ENOTTY);
	expect_error(domain_ioctl(bound->domain.fd, _IO(USM_IOC_MAGIC, 0x7f), NULL), -ENOTTY);

	expect_number(events->entry_size, sizeof(struct usm_event));
	expect(events->entries && !(events->entries & (events->entries - 1)),
	       "%u entries are no power of two", events->entries);
	expect(events->offset + (uint64_t)events->entries * events->entry_size <=
	       info.event_size, "the event ring does not fit into its mapping");
	for (uint32_t i = 0; i < info.supply_rings; i++) {
		const struct usm_ring *ring = bound->domain.supply[i];

		expect_number(ring->entry_size, sizeof(uint64_t));
		expect(ring->entries && !(ring->entries & (ring->entries - 1)) &&
		       ring->offset + (uint64_t)ring->entries * 8 <= info.supply_size,
		       "supply ring %u has a wrong shape", i);
	}
}

static void map_refused(int fd, uint64_t size, int prot, int flags, uint64_t offset,
			const char *what)
{
	void *p = mmap(NULL, size, prot, flags, fd, (off_t)offset);

	if (!expect(p == MAP_FAILED, "mmap of %s succeeded", what))
		munmap(p, size);
}

static void mmap_tests(struct bound *bound)
{
	const struct usm_info *info = &bound->domain.info;
	int fd = bound->domain.fd;
	int rw = PROT_READ | PROT_WRITE;

	map_refused(fd, info->table_size, rw, MAP_SHARED, USM_MMAP_TABLE, "a writable table");
	map_refused(fd, info->table_size, PROT_WRITE, MAP_SHARED, USM_MMAP_TABLE,
		    "a write-only table");
	map_refused(fd, info->table_size, rw, MAP_PRIVATE, USM_MMAP_TABLE, "a private table");
	map_refused(fd, info->table_size, PROT_READ | PROT_EXEC, MAP_SHARED, USM_MMAP_TABLE,
		    "an executable table");
	map_refused(fd, info->table_size + PAGE, PROT_READ, MAP_SHARED, USM_MMAP_TABLE,
		    "more than the table");
	map_refused(fd, PAGE, PROT_READ, MAP_SHARED, info->table_size, "what is behind it");
	map_refused(fd, info->event_size + PAGE, rw, MAP_SHARED, USM_MMAP_EVENTS,
		    "more than the event ring");
	map_refused(fd, PAGE, rw, MAP_SHARED, USM_MMAP_EVENTS + info->event_size,
		    "what is behind the event ring");
	map_refused(fd, info->supply_size, rw, MAP_SHARED,
		    USM_MMAP_SUPPLY + (uint64_t)info->supply_rings * info->supply_size,
		    "a supply ring too many");
	map_refused(fd, info->supply_size + PAGE, rw, MAP_SHARED, USM_MMAP_SUPPLY,
		    "more than a supply ring");
	map_refused(fd, PAGE, rw, MAP_SHARED, 0x7ffffffffffff000ull, "the last page there is");

	expect(mprotect((void *)bound->domain.words, info->table_size, rw) < 0,
	       "the table was made writable");
}

static short poll_now(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) < 0 ? 0 : poll_fd.revents;
}

static void arm_tests(struct bound *bound)
{
	struct usm_attach attach = { .size = sizeof(attach), .id = bound->domain.id };
	struct usm_arm arm = { .size = sizeof(arm) };
	struct usm_stat stat;
	uint64_t first, next;
	int other;

	expect_ok(domain_ioctl(device, USM_IOC_ATTACH, &attach));
	other = attach.domain_fd;

	expect_number(bound_stat(bound).state, USM_FALLBACK_NEVER_ARMED);
	arm.flags = 1;
	expect_error(domain_ioctl(other, USM_IOC_ARM, &arm), -EINVAL);
	arm.flags = 0;
	expect_error(domain_ioctl(other, USM_IOC_KICK, NULL), -EPERM);
	expect_ok(domain_arm(&bound->domain, &first));
	expect_number(first, 1);
	expect_number(bound_stat(bound).state, USM_FALLBACK_NONE);
	expect_error(domain_arm(&bound->domain, NULL), -EBUSY);
	expect_error(domain_ioctl(other, USM_IOC_ARM, &arm), -EBUSY);
	expect_error(domain_ioctl(other, USM_IOC_KICK, NULL), -EPERM);
	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_KICK, NULL));
	expect(poll_now(other) & POLLHUP, "no POLLHUP while another descriptor is armed");
	expect(!(poll_now(bound->domain.fd) & POLLHUP), "POLLHUP at the armed descriptor");
	for (uint32_t i = 0; i < bound->domain.info.supply_rings; i++)
		expect_number(bound->domain.supply[i]->head, bound->domain.supply[i]->tail);

	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_DISARM, NULL));
	expect_number(bound_stat(bound).state, USM_FALLBACK_DISARMED);
	expect_ok(domain_ioctl(other, USM_IOC_ARM, &arm));
	next = arm.epoch;
	expect_number(next, first + 1);
	expect_error(domain_ioctl(bound->domain.fd, USM_IOC_ARM, &arm), -EBUSY);

	/* Not this descriptor but its last duplicate disarms. */
	close(dup(other));
	expect_number(bound_stat(bound).state, USM_FALLBACK_NONE);
	close(other);
	stat = bound_stat(bound);
	expect_number(stat.state, USM_FALLBACK_CLOSED);
	expect_number(stat.arms, 2);
	expect_number(stat.fallbacks, 2);
	expect_ok(domain_arm(&bound->domain, &next));
	expect_number(next, first + 2);
	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_DISARM, NULL));
}

static void tune_refused(struct bound *bound, struct usm_tune tune, int wanted,
			 const char *what)
{
	int r;

	tune.size = sizeof(tune);
	r = domain_ioctl(bound->domain.fd, USM_IOC_TUNE, &tune);
	expect(r == wanted, "tune with %s: expected %s, got %d", what, strerror(-wanted), r);
}

static void tune_tests(struct bound *bound)
{
	struct usm_tune tune = {
		.size = sizeof(tune),
		.flags = USM_TUNE_CEILING | USM_TUNE_RESERVE | USM_TUNE_ORDER |
			 USM_TUNE_DEADLINE,
		.ceiling = 512, .reserve = 1 << 20, .fault_order = 3, .deadline_ms = 123,
	};
	struct usm_stat before = bound_stat(bound), stat;

	tune_refused(bound, (struct usm_tune){ 0 }, -EINVAL, "no flag");
	tune_refused(bound, (struct usm_tune){ .flags = 1u << 31 }, -EINVAL, "unknown flag");
	tune_refused(bound, (struct usm_tune){ .flags = USM_TUNE_ORDER,
		     .fault_order = USM_MAX_ORDER + 1 }, -EINVAL, "order too high");
	tune_refused(bound, (struct usm_tune){ .flags = USM_TUNE_DEADLINE,
		     .deadline_ms = USM_MAX_DEADLINE_MS + 1 }, -EINVAL, "long deadline");
	tune_refused(bound, (struct usm_tune){ .flags = USM_TUNE_CEILING,
		     .ceiling = 1 << 20 }, -ERANGE, "ceiling above the table");
	tune_refused(bound, (struct usm_tune){ .flags = USM_TUNE_ORDERS,
		     .orders = { [USM_ORDER_SIZES - 1] = USM_MAX_ORDER + 1 } }, -EINVAL,
		     "one order too high");
	tune_refused(bound, (struct usm_tune){ .flags = USM_TUNE_ORDERS | USM_TUNE_ORDER }, -EINVAL,
		     "one order and several");
	/* All or nothing. */
	tune_refused(bound, (struct usm_tune){ .flags = USM_TUNE_DEADLINE | USM_TUNE_ORDER,
		     .deadline_ms = 999, .fault_order = 99 }, -EINVAL, "one good, one bad");
	stat = bound_stat(bound);
	expect_number(stat.deadline_ms, before.deadline_ms);
	expect_number(stat.fault_order, before.fault_order);

	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_TUNE, &tune));
	stat = bound_stat(bound);
	expect_number(stat.ceiling, 512);
	expect_number(stat.reserve, 1 << 20);
	expect_number(stat.fault_order, 3);
	expect_number(stat.deadline_ms, 123);
	tune.flags = USM_TUNE_ORDERS;
	memset(tune.orders, 0, sizeof(tune.orders));
	tune.orders[17] = 7;
	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_TUNE, &tune));
	expect_number(bound_stat(bound).fault_order, 7);
	/* Only what the flags say. */
	tune.flags = USM_TUNE_CEILING;
	tune.ceiling = 1024;
	tune.deadline_ms = 456;
	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_TUNE, &tune));
	expect_number(bound_stat(bound).ceiling, 1024);
	expect_number(bound_stat(bound).deadline_ms, 123);
}

static void stat_tests(struct bound *bound)
{
	struct usm_stat stat;

	memset(&stat, 0xa5, sizeof(stat));
	stat.size = offsetof(struct usm_stat, frames);
	stat.flags = 0;
	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_STAT, &stat));
	expect_number(stat.size, offsetof(struct usm_stat, frames));
	expect_number(stat.ceiling, 1024);
	expect_number(stat.frames, 0xa5a5a5a5a5a5a5a5ull);
	stat.flags = 1;
	expect_error(domain_ioctl(bound->domain.fd, USM_IOC_STAT, &stat), -EINVAL);
	stat.flags = 0;
	stat.size = 4;
	expect_error(domain_ioctl(bound->domain.fd, USM_IOC_STAT, &stat), -EINVAL);
	expect_error(domain_ioctl(bound->domain.fd, USM_IOC_STAT, NULL), -EFAULT);
}

/* Descriptors come and go: the domain stays until it is released. */
static void lifetime_tests(void)
{
	struct usm_attach attach = { .size = sizeof(attach) };
	struct usm_arm arm = { .size = sizeof(arm) };
	struct usm_info info = { .size = sizeof(info) };
	struct bound bound;
	struct guest guest;
	int fd;

	bound_create(&bound, "lifetime", 4096, 0, 0);
	guest_start(&guest, &bound);
	expect(guest_touch(&guest, 20), "touch before any arming");
	attach.id = bound.domain.id;
	fd = dup(bound.domain.fd);
	domain_unmap(&bound.domain);
	close(fd);
	expect(guest_touch(&guest, 20), "touch without any descriptor");
	expect_ok(domain_ioctl(device, USM_IOC_ATTACH, &attach));
	expect_ok(domain_ioctl(attach.domain_fd, USM_IOC_INFO, &info));
	domain_map_or_die(&bound.domain, attach.domain_fd);
	expect(bound_stat(&bound).frames_mapped >= 40, "fewer than 40 frames are mapped");

	/* After the release it goes on until the last space is gone. */
	expect_ok(domain_release(device, bound.domain.id));
	expect(guest_touch(&guest, 20) && guest_verify(&guest), "touch after the release");
	expect_ok(domain_ioctl(bound.domain.fd, USM_IOC_STAT, &(struct usm_stat){
				.size = sizeof(struct usm_stat) }));
	guest_stop(&guest);
	for (int waited = 0; waited < 1000; waited++) {
		if (domain_ioctl(bound.domain.fd, USM_IOC_ARM, &arm) == -ENODEV)
			break;
		domain_ioctl(bound.domain.fd, USM_IOC_DISARM, NULL);
		usleep(10000);
	}
	expect_error(domain_ioctl(bound.domain.fd, USM_IOC_ARM, &arm), -ENODEV);
	expect(poll_now(bound.domain.fd) & POLLHUP, "no POLLHUP after the domain's end");
	domain_unmap(&bound.domain);
	place_destroy(&bound.place);
}

void port_tests(void)
{
	struct bound bound;

	bound_create(&bound, "port", 1024, 2, 0);
	expect_number(bound_stat(&bound).fault_order, 2);
	expect_number(bound_stat(&bound).deadline_ms, USM_DEFAULT_DEADLINE_MS);
	info_tests(&bound);
	mmap_tests(&bound);
	arm_tests(&bound);
	tune_tests(&bound);
	stat_tests(&bound);
	bound_destroy(&bound);
	lifetime_tests();
}

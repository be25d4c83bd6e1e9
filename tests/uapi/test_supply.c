// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an instance may write into its rings, with a process that depends on it:
 * good entries are followed, garbage is refused and counted, and no page is ever
 * wrong, not zero, or given to two.
 */
#include "uapitest.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CEILING		4096
#define DEADLINE_MS	300

static long ms_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void push(struct usm_ring *ring, uint64_t entry)
{
	*domain_ring_slot(ring, ring->head) = entry;
	__atomic_store_n(&ring->head, ring->head + 1, __ATOMIC_RELEASE);
}

static void push_all(struct bound *bound, uint64_t entry)
{
	for (uint32_t i = 0; i < bound->domain.info.supply_rings; i++)
		push(bound->domain.supply[i], entry);
}

static void kick(struct bound *bound)
{
	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_KICK, NULL));
}

static uint64_t entry_for(const struct bound *bound, uint32_t frame, uint16_t count)
{
	struct usm_frame value = domain_frame_read(&bound->domain, frame);

	return USM_SUPPLY(frame, count, USM_FRAME_GENERATION(&value));
}

static bool frame_free(const struct bound *bound, uint32_t frame)
{
	return (domain_frame_state(&bound->domain, frame) & USM_FRAME_STATE_MASK) == USM_FRAME_FREE;
}

/* A free frame at or behind @from. */
static uint32_t free_next(const struct bound *bound, uint32_t from)
{
	while (from < CEILING - 1 && !frame_free(bound, from))
		from++;
	return from;
}

static void arm(struct bound *bound)
{
	expect_ok(domain_arm(&bound->domain, NULL));
}

/* The pages of the table that are mapped: all different, all of one space. */
static void table_verify(const struct bound *bound, uint32_t least)
{
	struct usm_stat stat = bound_stat(bound);
	uint64_t seen[CEILING];
	uint32_t mapped = 0;

	for (uint32_t i = 0; i < CEILING; i++) {
		struct usm_frame frame = domain_frame_read(&bound->domain, i);

		if ((frame.state & USM_FRAME_STATE_MASK) != USM_FRAME_MAPPED)
			continue;
		expect(frame.space != 0, "mapped frame %u has no space", i);
		for (uint32_t j = 0; j < mapped; j++)
			expect(seen[j] != USM_FRAME_PAGE(&frame),
			       "page %llx is in two frames", (unsigned long long)seen[j]);
		seen[mapped++] = USM_FRAME_PAGE(&frame);
	}
	expect_number(stat.frames_mapped, mapped);
	expect(mapped >= least, "%u frames are mapped, not %u", mapped, least);
}

static void order_tests(struct bound *bound, struct guest *guest)
{
	struct usm_stat before, after;
	uint32_t frame = free_next(bound, 700);

	/* Frames are taken in the order in which they were put there. */
	arm(bound);
	before = bound_stat(bound);
	push_all(bound, entry_for(bound, frame, 1));
	kick(bound);
	expect(guest_touch(guest, 1), "touch of a supplied frame");
	expect((domain_frame_state(&bound->domain, frame) & USM_FRAME_STATE_MASK) == USM_FRAME_MAPPED,
	       "frame %u was supplied, but another one was taken", frame);
	after = bound_stat(bound);
	expect_number(after.supplied, before.supplied + 1);
	expect_number(after.fault_pages, before.fault_pages + 1);
	expect_number(after.faults, before.faults + 1);
	expect_number(after.faults_by_order[0], before.faults_by_order[0] + 1);
	expect_number(after.fallback_pages, before.fallback_pages);
	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_DISARM, NULL));
}

static void garbage_tests(struct bound *bound, struct guest *guest)
{
	uint32_t good = free_next(bound, 1000), used = good;
	struct usm_stat before, after;

	arm(bound);
	before = bound_stat(bound);
	for (uint32_t i = 0; i < bound->domain.frames; i++)
		if (domain_frame_state(&bound->domain, i) == USM_FRAME_MAPPED)
			used = i;
	push_all(bound, USM_SUPPLY(CEILING, 1, 0));
	push_all(bound, USM_SUPPLY(UINT32_MAX, 1, 0));
	push_all(bound, USM_SUPPLY(CEILING - 1, 2, 0));
	push_all(bound, USM_SUPPLY(good, 0, 0));
	push_all(bound, USM_SUPPLY(good, USM_MAX_RUN + 1, 0));
	push_all(bound, USM_SUPPLY(good, UINT16_MAX, 0));
	push_all(bound, entry_for(bound, good, 1) + (1ull << 48));
	push_all(bound, entry_for(bound, used, 1));
	push_all(bound, UINT64_MAX);
	push_all(bound, 0);
	/* The same run three times over, and one that overlaps. */
	push_all(bound, entry_for(bound, good, 32));
	push_all(bound, entry_for(bound, good, 32));
	push_all(bound, entry_for(bound, good + 8, 32));
	push_all(bound, entry_for(bound, good + 40, 200));
	kick(bound);
	expect(guest_touch(guest, 100) && guest_verify(guest), "touch after garbage");
	after = bound_stat(bound);
	expect(after.refused > before.refused, "garbage was not counted as refused");
	expect_number(after.state, USM_FALLBACK_NONE);
	expect(after.supplied >= before.supplied + 100, "frames came from elsewhere");
	table_verify(bound, 100);
	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_DISARM, NULL));
}

static void index_tests(struct bound *bound, struct guest *guest)
{
	struct usm_stat before = bound_stat(bound), after;
	uint32_t frame = free_next(bound, 2000);

	/* A head from nowhere makes the ring empty, and that costs the deadline. */
	arm(bound);
	for (uint32_t i = 0; i < bound->domain.info.supply_rings; i++) {
		struct usm_ring *ring = bound->domain.supply[i];

		__atomic_store_n(&ring->head, ring->tail + ring->entries + 5,
				 __ATOMIC_RELEASE);
	}
	expect(guest_touch(guest, 4) && guest_verify(guest), "touch with a wrong head");
	after = bound_stat(bound);
	expect(after.refused > before.refused, "a wrong head was not counted");
	expect_number(after.state, USM_FALLBACK_DEADLINE);

	/* What the module owns is not believed: shape and tail are its own. */
	arm(bound);
	for (uint32_t i = 0; i < bound->domain.info.supply_rings; i++) {
		struct usm_ring *ring = bound->domain.supply[i];

		push(ring, entry_for(bound, frame, 200));
		ring->entries = 1u << 31;
		ring->entry_size = 0;
		ring->offset = UINT32_MAX;
		ring->tail = 0x12345678;
	}
	bound->domain.events->entries = 1u << 30;
	bound->domain.events->head = 0xdeadbeef;
	bound->domain.events->offset = UINT32_MAX;
	kick(bound);
	expect(guest_touch(guest, 64) && guest_verify(guest),
	       "touch after the module's part of a ring was overwritten");

	/* A tail of the event ring from nowhere: full, and events are lost. */
	bound->domain.events->tail = 0x70000000;
	expect(guest_touch(guest, 300) && guest_verify(guest), "touch with a full event ring");
	domain_ioctl(bound->domain.fd, USM_IOC_DISARM, NULL);
	arm(bound);
	expect_number(bound->domain.events->head, bound->domain.events->tail);
	expect_number(bound->domain.events->entry_size, sizeof(struct usm_event));
	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_DISARM, NULL));
}

static void deadline_tests(struct bound *bound, struct guest *guest)
{
	struct usm_stat before, after;
	struct usm_event event;
	long start;

	/* Nothing is supplied: one deadline is missed, and it is the only wait. */
	arm(bound);
	before = bound_stat(bound);
	start = ms_now();
	expect(guest_touch(guest, 200), "touch without supply");
	expect(ms_now() - start >= DEADLINE_MS, "the deadline was not waited for");
	after = bound_stat(bound);
	expect_number(after.deadlines, before.deadlines + 1);
	expect_number(after.fallbacks, before.fallbacks + 1);
	expect_number(after.state, USM_FALLBACK_DEADLINE);
	expect(after.fallback_pages >= before.fallback_pages + 199, "pages came from elsewhere");
	/* The ring still holds what was said before: an instance may read it. */
	memset(&event, 0, sizeof(event));
	expect_ok(domain_arm(&bound->domain, NULL));

	/* A supply in time: no fallback, and the fault that waited goes on. */
	before = bound_stat(bound);
	guest_touch_begin(guest, 1);
	expect(bound_event(bound, USM_EV_SUPPLY_LOW, 5000, &event), "no EV_SUPPLY_LOW");
	expect(event.arg < bound->domain.info.supply_rings, "EV_SUPPLY_LOW of CPU %llu",
	       (unsigned long long)event.arg);
	push(bound->domain.supply[event.arg], entry_for(bound, free_next(bound, 3000), 16));
	kick(bound);
	expect(guest_touch_end(guest), "touch of a frame supplied while it waited");
	after = bound_stat(bound);
	expect_number(after.deadlines, before.deadlines);
	expect_number(after.state, USM_FALLBACK_NONE);
	expect(after.waits > before.waits, "the wait was not counted");
	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_DISARM, NULL));
}

static void closed_tests(struct bound *bound, struct guest *guest)
{
	struct usm_attach attach = { .size = sizeof(attach), .id = bound->domain.id };
	struct usm_arm request = { .size = sizeof(request) };
	long start;

	/* The instance dies while a fault waits for it. */
	expect_ok(domain_ioctl(device, USM_IOC_ATTACH, &attach));
	expect_ok(domain_ioctl(attach.domain_fd, USM_IOC_ARM, &request));
	start = ms_now();
	guest_touch_begin(guest, 50);
	close(attach.domain_fd);
	expect(guest_touch_end(guest), "touch while the instance dies");
	expect(ms_now() - start < 5000, "a dead instance was waited for");
	expect_number(bound_stat(bound).state, USM_FALLBACK_CLOSED);
	expect(guest_verify(guest), "memory after the instance died");
}

void supply_tests(void)
{
	struct bound bound;
	struct guest guest;
	struct usm_stat stat;

	bound_create(&bound, "supply", CEILING, 0, DEADLINE_MS);
	bound_grow(&bound, CEILING);
	guest_start(&guest, &bound);
	/* In fallback first: what the guest needs for itself is there then. */
	expect(guest_touch(&guest, 4), "touch in fallback");
	order_tests(&bound, &guest);
	garbage_tests(&bound, &guest);
	index_tests(&bound, &guest);
	deadline_tests(&bound, &guest);
	closed_tests(&bound, &guest);
	expect(guest_verify(&guest), "memory at the end");
	guest_stop(&guest);
	for (int waited = 0; waited < 1000 && bound_stat(&bound).spaces; waited++)
		usleep(10000);
	stat = bound_stat(&bound);
	expect_number(stat.spaces, 0);
	expect_number(stat.frames_mapped, 0);
	expect_number(stat.frames_held, 0);
	expect_number(stat.frames_free, stat.frames);
	bound_destroy(&bound);
}

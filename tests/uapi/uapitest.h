/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * uapitest - does the module keep the contract of <linux/usm.h>? Each group of
 * tests is a function; what it finds wrong is printed with where it was found.
 */
#ifndef USM_TESTS_UAPI_UAPITEST_H
#define USM_TESTS_UAPI_UAPITEST_H

#include "domain.h"

#include <sys/types.h>

#define PAGE	4096

/* Count a check. Values are printed when they differ; errors by name. */
bool expect_at(bool ok, const char *where, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
#define expect(ok, ...)	expect_at((ok), __func__, __LINE__, __VA_ARGS__)
void expect_error_at(int got, int wanted, const char *call, const char *where, int line);
#define expect_error(call, wanted) \
	expect_error_at((call), (wanted), #call, __func__, __LINE__)
#define expect_ok(call)	expect_error(call, 0)
void expect_number_at(uint64_t got, uint64_t wanted, const char *what, const char *where,
		      int line);
#define expect_number(got, wanted) \
	expect_number_at((got), (wanted), #got, __func__, __LINE__)

/* A cgroup of its own for a test, with the memory controller; and its end. */
struct place {
	char *path;
	int fd;
	uint64_t id;
};

void place_create(struct place *place, const char *name);
void place_destroy(struct place *place);

/* A domain that is bound to a new cgroup and mapped; released at the end. */
struct bound {
	struct place place;
	struct domain domain;
};

/* order and deadline as in struct usm_bind */
void bound_create(struct bound *bound, const char *name, uint64_t ceiling, uint32_t order,
		  uint32_t deadline_ms);
void bound_destroy(struct bound *bound);
/* Ask for @frames more and wait until they, or all up to the ceiling, are there. */
void bound_grow(struct bound *bound, uint32_t frames);
struct usm_stat bound_stat(const struct bound *bound);
/* The next event of the type, within the time; others are dropped. */
bool bound_event(struct bound *bound, uint16_t type, int timeout_ms, struct usm_event *ret);

/*
 * A process in the cgroup that touches memory when it is told. Its pages hold what
 * it writes, so it can tell when one was lost, not zero, or somebody else's.
 */
struct guest {
	pid_t pid;
	int to, from;
};

void guest_start(struct guest *guest, const struct bound *bound);
/* Touch @pages fresh pages; true when all were zero and kept what was written. */
bool guest_touch(struct guest *guest, uint32_t pages);
/* The same in two steps, for faults that have to wait. */
void guest_touch_begin(struct guest *guest, uint32_t pages);
bool guest_touch_end(struct guest *guest);
bool guest_answered(const struct guest *guest);
#define UAPITEST_ANY_EVENT	0
/* The next event of this type while it has not answered; false: it has. */
bool guest_event(struct guest *guest, struct bound *bound, uint16_t type, struct usm_event *ret);
/* Verify everything that was touched so far. */
bool guest_verify(struct guest *guest);
/* A child with the same memory, which verifies it when all are joined, and ends. */
#define GUEST_CHILDREN	40
bool guest_fork(struct guest *guest);
void guest_join_begin(struct guest *guest);
void guest_stop(struct guest *guest);

extern int device;

void device_tests(void);
void port_tests(void);
void command_tests(void);
void supply_tests(void);
void evict_tests(void);
void store_tests(void);
void sample_tests(void);
void upcall_tests(void);
void nested_tests(void);

int layout_checked(void);

#endif

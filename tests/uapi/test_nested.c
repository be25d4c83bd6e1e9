// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bound cgroups beside and below each other: the nearest one above a process has what it
 * maps first and all that comes from it, wherever the process goes and whichever ends first.
 */
#include "uapitest.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CEILING	4096
#define PAGES	64u

/*
 *   outer		bound
 *     leaf		not bound: outer's
 *     inner		bound
 *     sibling		bound
 */
struct nest {
	struct bound outer, inner, sibling;
	struct bound leaf;		/* no domain, only a place */
};

static void write_to(const char *path, const char *file, const char *text)
{
	char name[4096];
	int fd;

	snprintf(name, sizeof(name), "%s/%s", path, file);
	fd = open(name, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s", name);
	close(fd);
}

static void nest_create(struct nest *nest)
{
	bound_create(&nest->outer, "nest", CEILING, 0, 0);
	write_to(nest->outer.place.path, "cgroup.subtree_control", "+memory");
	bound_create(&nest->inner, "nest/inner", CEILING, 0, 0);
	bound_create(&nest->sibling, "nest/sibling", CEILING, 0, 0);
	place_create(&nest->leaf.place, "nest/leaf");
	nest->leaf.domain.fd = -1;
}

static void guest_move(const struct guest *guest, const char *path)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", guest->pid);
	write_to(path, "cgroup.procs", pid);
}

static bool alive(uint64_t id)
{
	struct usm_attach attach = { .size = sizeof(attach), .id = id };

	if (domain_ioctl(device, USM_IOC_ATTACH, &attach) < 0)
		return false;
	close(attach.domain_fd);
	return true;
}

static bool ends(uint64_t id)
{
	for (int i = 0; alive(id) && i < 1000; i++)
		usleep(10000);
	return !alive(id);
}

static uint32_t spaces(const struct bound *bound)
{
	return bound_stat(bound).spaces;
}

/* The exit of a space is told a little after that of its process. */
static void expect_spaces(const struct bound *bound, uint32_t wanted)
{
	for (int i = 0; spaces(bound) != wanted && i < 1000; i++)
		usleep(10000);
	expect_number(spaces(bound), wanted);
}

static void start(struct guest *guest, const struct bound *where)
{
	guest_start(guest, where);
	expect(guest_touch(guest, PAGES), "its memory is not right");
}

static void owner_tests(const struct nest *nest, struct guest *leaf, struct guest *inner,
			struct guest *sibling)
{
	start(leaf, &nest->leaf);
	expect_spaces(&nest->outer, 1);
	expect(bound_stat(&nest->outer).frames_mapped >= PAGES, "it has other memory");
	expect_spaces(&nest->inner, 0);

	start(inner, &nest->inner);
	start(sibling, &nest->sibling);
	expect_spaces(&nest->outer, 1);
	expect_spaces(&nest->inner, 1);
	expect_spaces(&nest->sibling, 1);
	expect(bound_stat(&nest->inner).frames_mapped >= PAGES, "the inner one has it not");
	expect(bound_stat(&nest->sibling).frames_mapped >= PAGES, "the sibling has it not");
}

/* What it had stays where it is; what it maps from then on is the kernel's. */
static void moves_tests(const struct nest *nest, struct guest *leaf, struct guest *inner,
			struct guest *sibling)
{
	uint64_t outer_mapped = bound_stat(&nest->outer).frames_mapped;
	uint64_t inner_mapped = bound_stat(&nest->inner).frames_mapped;
	uint64_t inner_mappings = bound_stat(&nest->inner).mappings;

	guest_move(leaf, nest->inner.place.path);
	guest_move(inner, nest->sibling.place.path);
	guest_move(sibling, nest->leaf.place.path);
	expect(guest_touch(leaf, PAGES) && guest_touch(inner, PAGES) &&
	       guest_touch(sibling, PAGES), "new memory after the move is not right");
	expect_spaces(&nest->outer, 1);
	expect_spaces(&nest->inner, 1);
	expect_spaces(&nest->sibling, 1);
	expect_number(bound_stat(&nest->outer).frames_mapped, outer_mapped);
	expect_number(bound_stat(&nest->inner).frames_mapped, inner_mapped);
	expect_number(bound_stat(&nest->inner).mappings, inner_mappings);

	/* The child's memory is from where the parent's is. */
	expect(guest_fork(leaf), "fork");
	expect_spaces(&nest->outer, 2);
	expect_spaces(&nest->inner, 1);
	guest_join_begin(leaf);
	expect(guest_touch_end(leaf), "the child's memory is not right");
	expect_spaces(&nest->outer, 1);
	expect(guest_verify(leaf) && guest_verify(inner) && guest_verify(sibling),
	       "memory changed by a move");
	guest_move(leaf, nest->leaf.place.path);
	guest_move(inner, nest->inner.place.path);
	guest_move(sibling, nest->sibling.place.path);
}

/* The inner one first: new processes in it are the outer one's, old ones stay its own. */
static void inner_first_tests(const struct nest *nest, struct guest *inner)
{
	struct guest late;

	expect_ok(domain_release(device, nest->inner.domain.id));
	start(&late, &nest->inner);
	expect_spaces(&nest->outer, 2);
	expect_spaces(&nest->inner, 1);
	expect(guest_verify(inner), "memory changed by a release");
	expect(alive(nest->inner.domain.id), "it ended with a space in it");
	guest_stop(inner);
	expect(ends(nest->inner.domain.id), "it did not end with its last space");
	expect(guest_verify(&late), "memory changed when the inner domain ended");
	guest_stop(&late);
	expect_spaces(&nest->outer, 1);
}

/* The outer one first: those below it are bound as before, others by nobody. */
static void outer_first_tests(const struct nest *nest, struct guest *leaf,
			      struct guest *sibling)
{
	struct guest late, free;

	expect_ok(domain_release(device, nest->outer.domain.id));
	start(&late, &nest->sibling);
	expect_spaces(&nest->sibling, 2);
	start(&free, &nest->leaf);
	expect_spaces(&nest->outer, 1);
	guest_stop(leaf);
	expect(ends(nest->outer.domain.id), "it did not end with its last space");
	expect(alive(nest->sibling.domain.id), "it ended with the outer one");
	expect(guest_verify(&late) && guest_verify(&free) && guest_verify(sibling),
	       "memory changed when the outer domain ended");
	guest_stop(&late);
	guest_stop(&free);
	expect_spaces(&nest->sibling, 1);
}

/* All cgroups go, from the inside out, while a process elsewhere has memory of one. */
static void removal_tests(struct nest *nest, struct guest *sibling, const char *elsewhere)
{
	uint64_t id = nest->sibling.domain.id;

	guest_move(sibling, elsewhere);
	place_destroy(&nest->leaf.place);
	place_destroy(&nest->inner.place);
	place_destroy(&nest->sibling.place);
	place_destroy(&nest->outer.place);
	expect(guest_touch(sibling, PAGES) && guest_verify(sibling),
	       "memory changed when the cgroup was removed");
	expect(alive(id), "it ended with a space in it");
	guest_stop(sibling);
	expect(ends(id), "it did not end with its last space");
	domain_unmap(&nest->inner.domain);
	domain_unmap(&nest->sibling.domain);
	domain_unmap(&nest->outer.domain);
}

void nested_tests(void)
{
	struct guest leaf, inner, sibling;
	struct place elsewhere;
	struct nest nest;

	place_create(&elsewhere, "elsewhere");
	nest_create(&nest);
	owner_tests(&nest, &leaf, &inner, &sibling);
	moves_tests(&nest, &leaf, &inner, &sibling);
	inner_first_tests(&nest, &inner);
	outer_first_tests(&nest, &leaf, &sibling);
	removal_tests(&nest, &sibling, elsewhere.path);
	place_destroy(&elsewhere);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Anonymous mappings of special kinds, which must stay what they are: the state of
 * the vDSO's getrandom, MAP_DROPPABLE, shadow stacks, MAP_GROWSDOWN, huge pages.
 */
#include "stress.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE		0x08
#endif
#ifndef SYS_map_shadow_stack
#define SYS_map_shadow_stack	453
#endif

/* ------------------------------------------------------------------- the vDSO */

struct vdso {
	const char *base;
	const ElfW(Sym) *symbols;
	const char *strings;
	size_t count;
};

/* Symbols in a DT_GNU_HASH table: the end of the last chain (gABI has no count). */
static size_t gnu_hash_count(const uint32_t *table)
{
	uint32_t buckets = table[0], first = table[1], bloom = table[2], last = 0;
	const uint32_t *bucket = table + 4 + bloom * (sizeof(ElfW(Addr)) / 4);
	const uint32_t *chain = bucket + buckets;

	for (uint32_t i = 0; i < buckets; i++)
		if (bucket[i] > last)
			last = bucket[i];
	if (last < first)
		return first;
	while (!(chain[last - first] & 1))
		last++;
	return last + 1;
}

static bool vdso_open(struct vdso *vdso)
{
	const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
	const ElfW(Ehdr) *header = (const void *)base;
	const ElfW(Phdr) *segments;
	const ElfW(Dyn) *dynamic = NULL;

	if (!base)
		return false;
	*vdso = (struct vdso){ .base = base };
	segments = (const void *)(base + header->e_phoff);
	for (unsigned int i = 0; i < header->e_phnum; i++)
		if (segments[i].p_type == PT_DYNAMIC)
			dynamic = (const void *)(base + segments[i].p_offset);
	for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
		const void *at = base + dynamic->d_un.d_ptr;

		switch (dynamic->d_tag) {
		case DT_SYMTAB:		vdso->symbols = at; break;
		case DT_STRTAB:		vdso->strings = at; break;
		case DT_HASH:		vdso->count = ((const uint32_t *)at)[1]; break;
		case DT_GNU_HASH:
			if (!vdso->count)
				vdso->count = gnu_hash_count(at);
			break;
		}
	}
	return vdso->symbols && vdso->strings;
}

static const void *vdso_find(const struct vdso *vdso, const char *name)
{
	for (size_t i = 0; i < vdso->count; i++)
		if (vdso->symbols[i].st_shndx != SHN_UNDEF &&
		    strcmp(vdso->strings + vdso->symbols[i].st_name, name) == 0)
			return vdso->base + vdso->symbols[i].st_value;
	return NULL;
}

/* As in the kernel's include/uapi/linux/random.h since 6.11. */
struct opaque_params {
	uint32_t size;
	uint32_t prot;
	uint32_t flags;
	uint32_t reserved[13];
};

typedef ssize_t vgetrandom_t(void *buffer, size_t length, unsigned int flags, void *state,
			     size_t state_length);

struct random {
	vgetrandom_t *get;
	char *state;
	uint32_t size;
	uint64_t *child;	/* shared: what the child drew */
};

#define DRAWN	64

static void random_draw(const struct random *random, uint64_t *drawn)
{
	ssize_t n = random->get(drawn, DRAWN * sizeof(*drawn), 0, random->state,
				random->size);

	check(n == DRAWN * (ssize_t)sizeof(*drawn), "vgetrandom: %zd", n);
}

static void random_child(void *context)
{
	struct random *random = context;

	random_draw(random, random->child);
}

static void random_compare(const uint64_t *a, const uint64_t *b, const char *what)
{
	check(memcmp(a, b, DRAWN * sizeof(*a)) != 0, "the same random bytes %s", what);
}

/* Two processes that draw the same bytes share their keys. */
static void random_run(void)
{
	struct opaque_params params = { 0 };
	uint64_t first[DRAWN], second[DRAWN];
	struct random random;
	struct vdso vdso;
	const void *found = vdso_open(&vdso) ? vdso_find(&vdso, "__vdso_getrandom") : NULL;

	if (!found) {
		skip("no getrandom in the vDSO");
		return;
	}
	memcpy(&random.get, &found, sizeof(found));
	must(random.get(NULL, 0, 0, &params, ~0ul) == 0, "vgetrandom tells no parameters");
	random.size = params.size;
	random.state = mmap(NULL, PAGE, params.prot, params.flags, -1, 0);
	must(random.state != MAP_FAILED, "mmap of the state: %s", strerror(errno));
	random.child = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);
	must(random.child != MAP_FAILED, "mmap: %s", strerror(errno));

	for (unsigned int i = 0; i < 10; i++) {
		random_draw(&random, first);
		child_run(random_child, &random);
		random_draw(&random, second);
		random_compare(first, second, "twice");
		random_compare(second, random.child, "in parent and child");
	}
	/* As when the kernel drops the state. */
	check_call(madvise(random.state, PAGE, MADV_DONTNEED));
	random_draw(&random, first);
	random_compare(first, second, "after the state was dropped");
	memory_unmap(random.state, PAGE);
}

/* ---------------------------------------------------------------- MAP_DROPPABLE */

static void droppable_child(void *context)
{
	zero_verify(context, 16 * PAGE, "droppable memory in a child");
}

static void droppable_run(void)
{
	char *area = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED) {
		skip("no MAP_DROPPABLE: %s", strerror(errno));
		return;
	}
	zero_verify(area, 16 * PAGE, "fresh droppable memory");
	pattern_fill(area, 16 * PAGE, 1, 0, 1);
	for (size_t page = 0; page < 16; page++) {
		uint64_t *words = (uint64_t *)(area + page * PAGE);

		check(words[0] == 0 || words[0] == pattern_word(1, page * PAGE_WORDS, 1),
		      "droppable word at %p: %llx", (void *)words,
		      (unsigned long long)words[0]);
	}
	child_run(droppable_child, area);
	memory_unmap(area, 16 * PAGE);
}

/* ---------------------------------------------------------------- shadow stacks */

static void shadow_run(void)
{
	long address = syscall(SYS_map_shadow_stack, 0, 4 * PAGE, 0);

	if (address == -1) {
		skip("no shadow stacks: %s", strerror(errno));
		return;
	}
	/* Ordinary stores must not reach it. */
	check(memory_write_faults((void *)address), "a shadow stack can be written");
	zero_verify((const void *)address, 4 * PAGE, "fresh shadow stack");
	memory_unmap((void *)address, 4 * PAGE);
}

/* ---------------------------------------------------------------- MAP_GROWSDOWN */

static void growsdown_run(void)
{
	size_t room = 4 * MIB;
	char *reserved = memory_reserve(room);
	char *top = reserved + room - 2 * PAGE;

	/* Unmapped below: this is where it grows to. */
	memory_unmap(reserved, room);
	if (mmap(top, 2 * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_GROWSDOWN, -1,
		 0) != top) {
		skip("no MAP_GROWSDOWN: %s", strerror(errno));
		return;
	}
	for (unsigned int page = 1; page <= 32; page++) {
		char *p = top - page * PAGE;

		pattern_fill(p, PAGE, page, 0, 1);
	}
	for (unsigned int page = 1; page <= 32; page++)
		pattern_verify(top - page * PAGE, PAGE, page, 0, 1, "page of a growing stack");
	memory_unmap(top - 32 * PAGE, 34 * PAGE);
}

/* ------------------------------------------------------------------- huge pages */

static void hugetlb_run(void)
{
	size_t length = 2 * MIB;
	char *area = mmap(NULL, length, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	if (area == MAP_FAILED) {
		skip("no huge pages reserved: %s", strerror(errno));
		return;
	}
	zero_verify(area, length, "fresh huge page");
	pattern_fill(area, length, 1, 0, 1);
	pattern_verify(area, length, 1, 0, 1, "huge page");
	memory_unmap(area, length);
}

/* ------------------------------------------------------------- shared anonymous */

static void shared_child(void *context)
{
	pattern_verify(context, 16 * PAGE, 1, 0, 1, "MAP_SHARED memory in a child");
	pattern_fill(context, 16 * PAGE, 1, 0, 2);
}

/* MAP_SHARED|MAP_ANONYMOUS is no private memory: a child's writes must show. */
static void shared_run(void)
{
	char *area = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	must(area != MAP_FAILED, "mmap: %s", strerror(errno));
	for (unsigned int i = 0; i < 5; i++) {
		pattern_fill(area, 16 * PAGE, 1, 0, 1);
		child_run(shared_child, area);
		pattern_verify(area, 16 * PAGE, 1, 0, 2, "MAP_SHARED memory after the child");
	}
	memory_unmap(area, 16 * PAGE);
}

/* /dev/zero mapped privately is anonymous memory by another name. */
static void dev_zero_run(void)
{
	FILE *zero = fopen("/dev/zero", "r+e");
	char *area;

	if (!zero) {
		skip("no /dev/zero: %s", strerror(errno));
		return;
	}
	area = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fileno(zero), 0);
	must(area != MAP_FAILED, "mmap of /dev/zero: %s", strerror(errno));
	zero_verify(area, 16 * PAGE, "private /dev/zero");
	pattern_fill(area, 16 * PAGE, 1, 0, 1);
	check_call(madvise(area, PAGE, MADV_DONTNEED));
	zero_verify(area, PAGE, "discarded page of /dev/zero");
	pattern_verify(area + PAGE, 15 * PAGE, 1, PAGE_WORDS, 1, "page of /dev/zero");
	memory_unmap(area, 16 * PAGE);
	fclose(zero);
}

const struct scenario special_scenarios[] = {
	{ "vdso-random", "the state of the vDSO's getrandom", random_run },
	{ "droppable", "MAP_DROPPABLE", droppable_run },
	{ "shadow-stack", "memory for shadow stacks", shadow_run },
	{ "growsdown", "MAP_GROWSDOWN", growsdown_run },
	{ "hugetlb", "MAP_HUGETLB", hugetlb_run },
	{ "shared", "MAP_SHARED anonymous memory stays shared", shared_run },
	{ "dev-zero", "/dev/zero mapped privately", dev_zero_run },
	{ 0 }
};

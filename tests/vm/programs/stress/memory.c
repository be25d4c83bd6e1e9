// SPDX-License-Identifier: GPL-2.0-or-later
#include "stress.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *memory_map_flags(size_t length, int prot, int flags)
{
	void *p = mmap(NULL, length, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	must(p != MAP_FAILED, "mmap of %zu bytes: %s", length, strerror(errno));
	return p;
}

void *memory_map(size_t length)
{
	return memory_map_flags(length, PROT_READ | PROT_WRITE, 0);
}

void memory_unmap(void *memory, size_t length)
{
	check_call(munmap(memory, length));
}

void *memory_reserve(size_t length)
{
	return memory_map_flags(length, PROT_NONE, MAP_NORESERVE);
}

size_t memory_share(unsigned int parts)
{
	size_t length = settings.mib * MIB / parts & ~(PAGE - 1);

	return length < 16 * PAGE ? 16 * PAGE : length;
}

static FILE *proc_open(const char *path)
{
	FILE *file = fopen(path, "re");

	must(file != NULL, "cannot open %s: %s", path, strerror(errno));
	return file;
}

unsigned int maps_count(uintptr_t start, uintptr_t end)
{
	FILE *file = proc_open("/proc/self/maps");
	unsigned long from, to;
	unsigned int count = 0;
	char line[512];

	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2 &&
		    from >= start && to <= end)
			count++;
	fclose(file);
	return count;
}

long smaps_sum(const void *start, size_t length, const char *field)
{
	FILE *file = proc_open("/proc/self/smaps");
	size_t field_length = strlen(field);
	unsigned long from, to;
	bool inside = false;
	char line[512];
	long sum = 0;

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = from >= (uintptr_t)start &&
				 to <= (uintptr_t)start + length;
		else if (inside && strncmp(line, field, field_length) == 0 &&
			 line[field_length] == ':')
			sum += atol(line + field_length + 1);
	}
	fclose(file);
	return sum;
}

static __thread sigjmp_buf fault_return;
static __thread volatile sig_atomic_t fault_expected;

static void fault_handler(int number, siginfo_t *info, void *context)
{
	if (fault_expected)
		siglongjmp(fault_return, number);
	check(false, "unexpected signal %d at %p", number, info->si_addr);
	stress_abandon();
}

static void fault_handlers_install(void)
{
	struct sigaction action = { .sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

static bool access_faults(volatile char *address, bool write)
{
	struct sigaction segv, bus;
	int number;

	sigaction(SIGSEGV, NULL, &segv);
	sigaction(SIGBUS, NULL, &bus);
	fault_handlers_install();
	number = sigsetjmp(fault_return, 1);
	if (number == 0) {
		fault_expected = 1;
		if (write)
			*address = 1;
		else
			(void)*address;
	}
	fault_expected = 0;
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGBUS, &bus, NULL);
	if (number == SIGBUS)
		check(false, "SIGBUS at %p", (void *)address);
	return number == SIGSEGV;
}

bool memory_read_faults(const volatile void *address)
{
	return access_faults((volatile char *)address, false);
}

bool memory_write_faults(volatile void *address)
{
	return access_faults(address, true);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* O_DIRECT: the disk reads and writes the frames themselves. */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_PAGES	256

/* An unnamed file for direct I/O; -1 after a skip where there is none. */
static int direct_open(void)
{
	char *path;
	int fd, direct;

	must(asprintf(&path, "%s/stress.XXXXXX", settings.dir) >= 0, "asprintf");
	fd = mkstemp(path);
	must(fd >= 0, "cannot make a file in %s: %s", settings.dir, strerror(errno));
	direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (direct < 0)
		skip("no O_DIRECT in %s: %s", settings.dir, strerror(errno));
	unlink(path);
	free(path);
	close(fd);
	return direct;
}

static void write_all(int fd, const void *memory, size_t length, off_t offset)
{
	ssize_t n = pwrite(fd, memory, length, offset);

	must(n == (ssize_t)length, "pwrite of %zu bytes from %p: %s", length, memory,
	     n < 0 ? strerror(errno) : "short");
}

static void read_all(int fd, void *memory, size_t length, off_t offset)
{
	ssize_t n = pread(fd, memory, length, offset);

	must(n == (ssize_t)length, "pread of %zu bytes to %p: %s", length, memory,
	     n < 0 ? strerror(errno) : "short");
}

static void file_fill(int fd, uint64_t tag)
{
	char *area = memory_map(FILE_PAGES * PAGE);

	pattern_fill(area, FILE_PAGES * PAGE, tag, 0, 0);
	write_all(fd, area, FILE_PAGES * PAGE, 0);
	memory_unmap(area, FILE_PAGES * PAGE);
}

/* --------------------------------------------------------------------- threads */

#define LANE_PAGES	48

static void rw_worker(struct worker *worker)
{
	int fd = *(int *)worker->context;
	off_t offset = (off_t)worker->index * LANE_PAGES * PAGE;
	char *out = memory_map(LANE_PAGES * PAGE);

	for (uint32_t i = 0; i < 12; i++) {
		char *in = memory_map(LANE_PAGES * PAGE);
		size_t cut = PAGE * (1 + rng_below(&worker->rng, LANE_PAGES - 1));
		struct iovec parts[2] = {
			{ in, cut },
			{ in + cut, LANE_PAGES * PAGE - cut },
		};

		pattern_fill(out, LANE_PAGES * PAGE, worker->index, 0, i);
		write_all(fd, out, LANE_PAGES * PAGE, offset);
		/* Into memory that was never touched, some of it only half. */
		in[cut] = 1;
		must(preadv(fd, parts, 2, offset) == (ssize_t)(LANE_PAGES * PAGE),
		     "preadv: %s", strerror(errno));
		pattern_verify(in, LANE_PAGES * PAGE, worker->index, 0, i,
			       "direct read into fresh memory");
		check_call(madvise(in, cut, MADV_DONTNEED));
		read_all(fd, in, cut, offset);
		pattern_verify(in, LANE_PAGES * PAGE, worker->index, 0, i,
			       "direct read into discarded memory");
		pattern_verify(out, LANE_PAGES * PAGE, worker->index, 0, i,
			       "source of a direct write");
		memory_unmap(in, LANE_PAGES * PAGE);
	}
	memory_unmap(out, LANE_PAGES * PAGE);
}

static void rw_run(void)
{
	int fd = direct_open();

	if (fd >= 0)
		crew_run(settings.threads, rw_worker, &fd);
}

/* ----------------------------------------------------------------------- holes */

/* The kernel asks for pages that nobody has touched: they are zeros on disk. */
static void holes_run(void)
{
	int fd = direct_open();
	char *area, *back;

	if (fd < 0)
		return;
	file_fill(fd, 1);
	area = memory_map(FILE_PAGES * PAGE);
	back = memory_map(FILE_PAGES * PAGE);
	for (size_t i = 0; i < FILE_PAGES; i += 5)
		pattern_fill(area + i * PAGE, PAGE, 2, i * PAGE_WORDS, 0);
	write_all(fd, area, FILE_PAGES * PAGE, 0);
	read_all(fd, back, FILE_PAGES * PAGE, 0);
	for (size_t i = 0; i < FILE_PAGES; i++)
		if (i % 5)
			zero_verify(back + i * PAGE, PAGE, "hole written to disk");
		else
			pattern_verify(back + i * PAGE, PAGE, 2, i * PAGE_WORDS, 0,
				       "page written to disk between holes");
	memory_unmap(area, FILE_PAGES * PAGE);
	area = memory_map_flags(4 * PAGE, PROT_READ, 0);
	write_all(fd, area, 4 * PAGE, 0);
	check_fails(pread(fd, area, PAGE, 0), EFAULT);
	check_call(mprotect(area, PAGE, PROT_NONE));
	check_fails(pwrite(fd, area, PAGE, 0), EFAULT);
	memory_unmap(area, 4 * PAGE);
	memory_unmap(back, FILE_PAGES * PAGE);
}

/* ------------------------------------------------------------- asynchronous I/O */

#define AIO_REQUESTS	32
#define AIO_PAGES	(FILE_PAGES / AIO_REQUESTS)

struct aio {
	aio_context_t context;
	struct iocb requests[AIO_REQUESTS];
};

/* False after a skip: io_submit is not in every kernel and sandbox. */
static bool aio_start(struct aio *aio, int fd, char *memory, int operation)
{
	struct iocb *list[AIO_REQUESTS];

	memset(aio, 0, sizeof(*aio));
	if (syscall(SYS_io_setup, AIO_REQUESTS, &aio->context) < 0) {
		skip("io_setup: %s", strerror(errno));
		return false;
	}
	for (unsigned int i = 0; i < AIO_REQUESTS; i++) {
		size_t offset = (size_t)i * AIO_PAGES * PAGE;

		aio->requests[i] = (struct iocb){
			.aio_fildes = fd,
			.aio_lio_opcode = operation,
			.aio_buf = (uintptr_t)(memory + offset),
			.aio_nbytes = AIO_PAGES * PAGE,
			.aio_offset = offset,
		};
		list[i] = &aio->requests[i];
	}
	must(syscall(SYS_io_submit, aio->context, AIO_REQUESTS, list) == AIO_REQUESTS,
	     "io_submit: %s", strerror(errno));
	return true;
}

static void aio_finish(struct aio *aio)
{
	struct io_event events[AIO_REQUESTS];
	long n = syscall(SYS_io_getevents, aio->context, AIO_REQUESTS, AIO_REQUESTS, events,
			 NULL);

	must(n == AIO_REQUESTS, "io_getevents: %ld, %s", n, strerror(errno));
	for (unsigned int i = 0; i < AIO_REQUESTS; i++)
		check(events[i].res == (long long)(AIO_PAGES * PAGE),
		      "asynchronous request: %lld", (long long)events[i].res);
	syscall(SYS_io_destroy, aio->context);
}

static void aio_child(void *context)
{
	int fd = *(int *)context;
	char *area = memory_map(FILE_PAGES * PAGE);
	struct aio aio;

	/* Half of the frames exist already, half are made for the transfer. */
	memset(area, 0x77, FILE_PAGES / 2 * PAGE);
	aio_start(&aio, fd, area, IOCB_CMD_PREAD);
	_exit(0);
}

/*
 * Whoever gets the frames next must not find what the disk still writes to them:
 * neither the next process nor this one.
 */
static void aio_exit_run(void)
{
	int fd = direct_open();

	if (fd < 0)
		return;
	file_fill(fd, 1);
	for (uint32_t i = 1; i <= stress_times(12); i++) {
		pid_t child = child_start(aio_child, &fd);
		char *area = memory_map(2 * FILE_PAGES * PAGE);

		pattern_fill(area, 2 * FILE_PAGES * PAGE, 2, 0, i);
		child_join(child);
		pattern_verify(area, 2 * FILE_PAGES * PAGE, 2, 0, i,
			       "memory beside a process that ended with I/O in flight");
		memory_unmap(area, 2 * FILE_PAGES * PAGE);
	}
}

enum lost { LOST_UNMAPPED, LOST_DISCARDED, LOST_MAPPED_OVER, LOST_CHOICES };

/* The memory goes while the disk works on it; the frames have to stay. */
static char *memory_lose(char *area, size_t length, enum lost how)
{
	switch (how) {
	case LOST_UNMAPPED:
		memory_unmap(area, length);
		return memory_map(length);
	case LOST_DISCARDED:
		check_call(madvise(area, length, MADV_DONTNEED));
		return area;
	default:
		must(mmap(area, length, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == area,
		     "mmap: %s", strerror(errno));
		return area;
	}
}

static void aio_lost_run(void)
{
	size_t length = FILE_PAGES * PAGE;
	int fd = direct_open();
	struct aio aio;

	if (fd < 0)
		return;
	for (unsigned int i = 0; i < stress_times(4 * LOST_CHOICES); i++) {
		char *area = memory_map(length), *next;

		/* A read: what comes must not appear in the memory of afterwards. */
		file_fill(fd, 3);
		memset(area, 0x11, length);
		if (!aio_start(&aio, fd, area, IOCB_CMD_PREAD))
			return;
		next = memory_lose(area, length, i % LOST_CHOICES);
		pattern_fill(next, length, 4, 0, i);
		aio_finish(&aio);
		pattern_verify(next, length, 4, 0, i,
			       "memory mapped while a direct read was in flight");

		/* A write: the disk gets what was there when it was asked for. */
		pattern_fill(next, length, 5, 0, i);
		if (!aio_start(&aio, fd, next, IOCB_CMD_PWRITE))
			return;
		next = memory_lose(next, length, i % LOST_CHOICES);
		memset(next, 0x22, length);
		aio_finish(&aio);
		read_all(fd, next, length, 0);
		pattern_verify(next, length, 5, 0, i,
			       "file written from memory that was lost meanwhile");
		memory_unmap(next, length);
	}
}

/* ------------------------------------------------------------------- and sharing */

struct shared_read {
	char *area;
	struct gate *done;
};

static void cow_child(void *context)
{
	struct shared_read *shared = context;

	gate_wait(shared->done);
	pattern_verify(shared->area, FILE_PAGES * PAGE, 6, 0, 1,
		       "child's page after a direct read in the parent");
}

static void fork_child(void *context)
{
	(void)context;
}

static void fork_run(void)
{
	size_t length = FILE_PAGES * PAGE;
	struct shared_read shared = { .area = memory_map(length) };
	int fd = direct_open();
	struct aio aio;

	if (fd < 0)
		return;
	file_fill(fd, 7);
	for (unsigned int i = 0; i < stress_times(8); i++) {
		pid_t child;

		/* The disk writes to pages that are shared copy-on-write. */
		pattern_fill(shared.area, length, 6, 0, 1);
		shared.done = gate_create();
		child = child_start(cow_child, &shared);
		read_all(fd, shared.area, length, 0);
		gate_open(shared.done);
		child_join(child);
		gate_destroy(shared.done);
		pattern_verify(shared.area, length, 7, 0, 0, "direct read into shared pages");

		/* A fork while the disk writes, and no CPU does. */
		memset(shared.area, 0x99, length);
		if (!aio_start(&aio, fd, shared.area, IOCB_CMD_PREAD))
			return;
		child_run(fork_child, NULL);
		aio_finish(&aio);
		pattern_verify(shared.area, length, 7, 0, 0, "direct read during a fork");
	}
	memory_unmap(shared.area, length);
}

const struct scenario direct_scenarios[] = {
	{ "direct", "threads read and write with O_DIRECT", rw_run },
	{ "direct-holes", "O_DIRECT from and to memory never touched", holes_run },
	{ "direct-exit", "a process ends with I/O in flight", aio_exit_run },
	{ "direct-lost", "memory is unmapped with I/O in flight", aio_lost_run },
	{ "direct-fork", "O_DIRECT and pages shared by a fork", fork_run },
	{ 0 }
};

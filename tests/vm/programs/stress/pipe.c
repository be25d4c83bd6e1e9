// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that the kernel touches on behalf of a program: read, write, vmsplice. */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK_PAGES	8	/* less than a pipe or socket holds */
#define CHUNK		(CHUNK_PAGES * PAGE)

static void write_all(int fd, const void *memory, size_t length)
{
	ssize_t n = write(fd, memory, length);

	must(n == (ssize_t)length, "write of %zu bytes from %p: %s", length, memory,
	     n < 0 ? strerror(errno) : "short");
}

static void read_all(int fd, char *memory, size_t length)
{
	while (length) {
		ssize_t n = read(fd, memory, length);

		must(n > 0, "read of %zu bytes to %p: %s", length, (void *)memory,
		     n < 0 ? strerror(errno) : "end of file");
		memory += n;
		length -= n;
	}
}

/* ---------------------------------------------------------------- fresh buffers */

static void fresh_once(int in, int out, uint32_t generation)
{
	char *source = memory_map(CHUNK), *target = memory_map(CHUNK);
	struct iovec parts[3];
	ssize_t n;

	/* From and to memory that was never touched. */
	write_all(in, source, CHUNK);
	read_all(out, target, CHUNK);
	zero_verify(target, CHUNK, "untouched memory through a pipe");
	memory_unmap(target, CHUNK);

	pattern_fill(source, CHUNK, 1, 0, generation);
	target = memory_map(CHUNK);
	write_all(in, source, CHUNK);
	/* In parts that start and end within pages. */
	parts[0] = (struct iovec){ target, PAGE / 2 };
	parts[1] = (struct iovec){ target + PAGE / 2, 3 * PAGE };
	parts[2] = (struct iovec){ target + 7 * (PAGE / 2), CHUNK - 7 * (PAGE / 2) };
	n = readv(out, parts, 3);
	must(n > 0, "readv: %s", strerror(errno));
	read_all(out, target + n, CHUNK - n);
	pattern_verify(target, CHUNK, 1, 0, generation, "fresh memory filled by readv");
	memory_unmap(source, CHUNK);
	memory_unmap(target, CHUNK);
}

static void fresh_run(void)
{
	int pipes[2], sockets[2];
	struct stat *status = memory_map(PAGE);

	must(pipe(pipes) == 0, "pipe: %s", strerror(errno));
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0, "socketpair: %s",
	     strerror(errno));
	for (uint32_t i = 0; i < 30; i++) {
		fresh_once(pipes[1], pipes[0], i);
		fresh_once(sockets[1], sockets[0], i);
	}
	/* A structure that the kernel copies out to a page never touched. */
	check_call(fstat(pipes[0], status));
	check(S_ISFIFO(status->st_mode), "fstat says mode %o", status->st_mode);
}

/* ---------------------------------------------------------------- no permission */

static void efault_run(void)
{
	char *area = memory_map(CHUNK);
	struct iovec parts[2];
	int pipes[2];
	ssize_t n;

	must(pipe(pipes) == 0, "pipe: %s", strerror(errno));
	/* Room to spare: a write that fails may leave an empty buffer behind. */
	must(fcntl(pipes[1], F_SETPIPE_SZ, 4 * CHUNK) >= 0, "F_SETPIPE_SZ: %s",
	     strerror(errno));
	pattern_fill(area, CHUNK, 2, 0, 1);
	write_all(pipes[1], area, CHUNK);
	check_call(mprotect(area, PAGE, PROT_NONE));
	check_call(mprotect(area + PAGE, PAGE, PROT_READ));
	check_fails(read(pipes[0], area, PAGE), EFAULT);
	check_fails(read(pipes[0], area + PAGE, PAGE), EFAULT);
	check_fails(write(pipes[1], area, PAGE), EFAULT);
	parts[0] = (struct iovec){ area, PAGE };
	parts[1] = (struct iovec){ area + 2 * PAGE, PAGE };
	check_fails(readv(pipes[0], parts, 2), EFAULT);

	/* Nothing was consumed, nothing was written where it may not be. */
	check_call(mprotect(area, 2 * PAGE, PROT_READ | PROT_WRITE));
	pattern_verify(area, CHUNK, 2, 0, 1, "memory after EFAULT");
	n = write(pipes[1], area, CHUNK);
	check(n == (ssize_t)CHUNK, "write: %zd", n);
	memset(area, 0, CHUNK);
	read_all(pipes[0], area, CHUNK);
	pattern_verify(area, CHUNK, 2, 0, 1, "content of the pipe after EFAULT");
	memory_unmap(area, CHUNK);
}

/* ---------------------------------------------------------------------- vmsplice */

static void splice_in(int fd, char *area, uint32_t generation)
{
	struct iovec part = { area, CHUNK };
	ssize_t n;

	pattern_fill(area, CHUNK, 3, 0, generation);
	n = vmsplice(fd, &part, 1, 0);
	must(n == (ssize_t)CHUNK, "vmsplice: %s", n < 0 ? strerror(errno) : "short");
}

static void splice_verify(int fd, uint32_t generation, const char *what)
{
	char *back = memory_map(CHUNK);

	read_all(fd, back, CHUNK);
	pattern_verify(back, CHUNK, 3, 0, generation, what);
	memory_unmap(back, CHUNK);
}

struct splice_child {
	int fd;
	uint32_t generation;
};

static void splice_child(void *context)
{
	struct splice_child *child = context;

	splice_in(child->fd, memory_map(CHUNK), child->generation);
}

/* The pipe refers to the frames after the mapping is gone. */
static void vmsplice_run(void)
{
	int pipes[2];

	must(pipe(pipes) == 0, "pipe: %s", strerror(errno));
	for (uint32_t i = 0; i < stress_times(20); i++) {
		struct splice_child context = { pipes[1], i };
		char *area = memory_map(CHUNK), *next;

		splice_in(pipes[1], area, i);
		check_call(madvise(area, CHUNK, MADV_DONTNEED));
		zero_verify(area, CHUNK, "discarded page that a pipe holds");
		memset(area, 0x44, CHUNK);
		splice_verify(pipes[0], i, "pipe after its pages were discarded");

		splice_in(pipes[1], area, i + 100);
		memory_unmap(area, CHUNK);
		next = memory_map(4 * CHUNK);
		memset(next, 0x55, 4 * CHUNK);
		splice_verify(pipes[0], i + 100, "pipe after its pages were unmapped");

		child_run(splice_child, &context);
		memory_unmap(next, 4 * CHUNK);
		next = memory_map(4 * CHUNK);
		memset(next, 0x66, 4 * CHUNK);
		splice_verify(pipes[0], i, "pipe after the process that filled it ended");
		memory_unmap(next, 4 * CHUNK);
	}
}

/* What fills a pipe stays there when the pipe goes, and must not be written to. */
static void splice_drop_run(void)
{
	for (uint32_t i = 0; i < 20; i++) {
		char *area = memory_map(CHUNK);
		int pipes[2];

		must(pipe(pipes) == 0, "pipe: %s", strerror(errno));
		splice_in(pipes[1], area, i);
		close(pipes[0]);
		close(pipes[1]);
		pattern_verify(area, CHUNK, 3, 0, i, "page after its pipe was closed");
		memory_unmap(area, CHUNK);
	}
}

const struct scenario pipe_scenarios[] = {
	{ "pipe-fresh", "read and write with untouched buffers", fresh_run },
	{ "pipe-efault", "buffers without permission", efault_run },
	{ "vmsplice", "pages in a pipe outlive their mapping", vmsplice_run },
	{ "vmsplice-drop", "a pipe with pages of ours is closed", splice_drop_run },
	{ 0 }
};

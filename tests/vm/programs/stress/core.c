// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Core dumps: they hold anonymous memory, leave out what MADV_DONTDUMP says, and
 * do not fill holes.
 */
#include "stress.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CORE_PAGES	64
#define CORE_LENGTH	(CORE_PAGES * PAGE)
#define HOLE_LENGTH	(64 * MIB)
/* What a process of this size writes apart from the hole. */
#define CORE_SIZE_MAX	(40 * MIB)

struct victim {
	char *kept;
	char *hidden;		/* MADV_DONTDUMP */
	char *shown;		/* MADV_DONTDUMP and MADV_DODUMP */
	char *read_only;
	char *shared;		/* never written by the child: the parent's pages */
	char *hole;		/* one page in the middle of it is there */
	const char *directory;
	unsigned int threads;
};

struct core {
	char *data;
	size_t size;
	off_t allocated;
};

/* The memory in the dump that was at @address, or NULL. */
static const char *core_find(const struct core *core, const char *address, size_t length)
{
	const ElfW(Ehdr) *header = (const void *)core->data;
	const ElfW(Phdr) *segments = (const void *)(core->data + header->e_phoff);
	uintptr_t from = (uintptr_t)address;

	for (unsigned int i = 0; i < header->e_phnum; i++) {
		const ElfW(Phdr) *s = &segments[i];

		if (s->p_type == PT_LOAD && from >= s->p_vaddr &&
		    from + length <= s->p_vaddr + s->p_filesz &&
		    s->p_offset + s->p_filesz <= core->size)
			return core->data + s->p_offset + (from - s->p_vaddr);
	}
	return NULL;
}

static void core_expect(const struct core *core, const char *address, uint64_t tag,
			const char *what)
{
	const char *dumped = core_find(core, address, CORE_LENGTH);

	if (check(dumped != NULL, "%s at %p is not in the dump", what, (void *)address))
		pattern_verify(dumped, CORE_LENGTH, tag, 0, 0, what);
}

static bool core_valid(const struct core *core)
{
	const ElfW(Ehdr) *header = (const void *)core->data;

	return check(core->size > sizeof(*header) &&
		     memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
		     header->e_type == ET_CORE &&
		     header->e_phoff + header->e_phnum * sizeof(ElfW(Phdr)) <= core->size,
		     "the dump is no ELF core of %zu bytes", core->size);
}

/* ------------------------------------------------------------------- the crash */

static void victim_idle(struct worker *worker)
{
	char *area = memory_map(64 * PAGE);

	/* Faulting while the dump stops all threads. */
	for (;;) {
		pattern_fill(area, 64 * PAGE, worker->index, 0, 0);
		madvise(area, 64 * PAGE, MADV_DONTNEED);
	}
}

static void victim_crash(void *context)
{
	struct victim *victim = context;
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_CORE, &limit) < 0) {
		getrlimit(RLIMIT_CORE, &limit);
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_CORE, &limit);
	}
	must(chdir(victim->directory) == 0, "chdir: %s", strerror(errno));
	pattern_fill(victim->kept, CORE_LENGTH, 11, 0, 0);
	pattern_fill(victim->hidden, CORE_LENGTH, 12, 0, 0);
	pattern_fill(victim->shown, CORE_LENGTH, 13, 0, 0);
	pattern_fill(victim->read_only, CORE_LENGTH, 14, 0, 0);
	pattern_fill(victim->hole + HOLE_LENGTH / 2, PAGE, 16, 0, 0);
	check_call(madvise(victim->hidden, CORE_LENGTH, MADV_DONTDUMP));
	check_call(madvise(victim->shown, CORE_LENGTH, MADV_DONTDUMP));
	check_call(madvise(victim->shown, CORE_LENGTH, MADV_DODUMP));
	check_call(mprotect(victim->read_only, CORE_LENGTH, PROT_READ));
	if (victim->threads)
		crew_start(victim->threads, victim_idle, NULL);
	signal(SIGABRT, SIG_DFL);
	abort();
}

/* --------------------------------------------------------------------- the file */

/* Dumps go to a file below the working directory, or this cannot look at them. */
static bool core_pattern_usable(void)
{
	char pattern[256] = "";
	FILE *file = fopen("/proc/sys/kernel/core_pattern", "re");
	bool usable;

	usable = file && fgets(pattern, sizeof(pattern), file) && pattern[0] != '|' &&
		 !strchr(pattern, '/');
	if (file)
		fclose(file);
	pattern[strcspn(pattern, "\n")] = '\0';
	if (!usable)
		skip("core dumps go to '%s'", pattern);
	return usable;
}

static bool core_read(struct core *core, const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	struct stat status;
	int fd = -1;

	must(dir != NULL, "opendir: %s", strerror(errno));
	while ((entry = readdir(dir)) && fd < 0)
		if (entry->d_name[0] != '.') {
			fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
			unlinkat(dirfd(dir), entry->d_name, 0);
		}
	closedir(dir);
	if (!check(fd >= 0, "there is no core file in %s", directory))
		return false;
	must(fstat(fd, &status) == 0, "fstat: %s", strerror(errno));
	core->size = status.st_size;
	core->allocated = (off_t)status.st_blocks * 512;
	core->data = mmap(NULL, core->size, PROT_READ, MAP_PRIVATE, fd, 0);
	must(core->data != MAP_FAILED, "mmap of a core of %zu bytes: %s", core->size,
	     strerror(errno));
	close(fd);
	return true;
}

static void victim_verify(const struct victim *victim, const struct core *core)
{
	const char *page = core_find(core, victim->hole + HOLE_LENGTH / 2, PAGE);
	const char *empty = core_find(core, victim->hole + HOLE_LENGTH / 4, PAGE);

	core_expect(core, victim->kept, 11, "memory");
	core_expect(core, victim->shown, 13, "memory with MADV_DODUMP");
	core_expect(core, victim->read_only, 14, "read-only memory");
	core_expect(core, victim->shared, 15, "memory shared with the parent");
	check(!core_find(core, victim->hidden, PAGE),
	      "memory with MADV_DONTDUMP is in the dump");
	if (check(page != NULL, "the page in the hole is not in the dump"))
		pattern_verify(page, PAGE, 16, 0, 0, "page in a hole");
	if (empty)
		zero_verify(empty, PAGE, "hole");
	check(core->allocated < (off_t)CORE_SIZE_MAX,
	      "the dump has %lld KiB on disk: holes were filled",
	      (long long)core->allocated / 1024);
}

static void core_once(unsigned int threads)
{
	struct victim victim = {
		.kept = memory_map(CORE_LENGTH),
		.hidden = memory_map(CORE_LENGTH),
		.shown = memory_map(CORE_LENGTH),
		.read_only = memory_map(CORE_LENGTH),
		.shared = memory_map(CORE_LENGTH),
		.hole = memory_map_flags(HOLE_LENGTH, PROT_READ | PROT_WRITE, MAP_NORESERVE),
		.threads = threads,
	};
	struct core core;
	char *directory;
	int status;
	pid_t child;

	must(asprintf(&directory, "%s/stress-core.XXXXXX", settings.dir) >= 0 &&
	     mkdtemp(directory), "cannot make a directory in %s: %s", settings.dir,
	     strerror(errno));
	victim.directory = directory;
	pattern_fill(victim.shared, CORE_LENGTH, 15, 0, 0);
	child = child_start(victim_crash, &victim);
	must(waitpid(child, &status, 0) == child, "waitpid: %s", strerror(errno));
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
	      "the crashing child ended with status 0x%x", status);

	if (!WCOREDUMP(status)) {
		skip("no core was dumped");
	} else if (core_read(&core, directory)) {
		if (core_valid(&core))
			victim_verify(&victim, &core);
		munmap(core.data, core.size);
	}
	rmdir(directory);
	free(directory);
	/* The dump read the parent's pages too. */
	pattern_verify(victim.shared, CORE_LENGTH, 15, 0, 0, "parent's page after the dump");
	zero_verify(victim.kept, CORE_LENGTH, "parent's untouched memory after the dump");
}

static void core_run(void)
{
	if (core_pattern_usable())
		core_once(0);
}

static void core_threads_run(void)
{
	if (core_pattern_usable())
		core_once(settings.threads);
}

const struct scenario core_scenarios[] = {
	{ "core", "what a core dump holds and leaves out", core_run },
	{ "core-threads", "a threaded process dumps while its threads fault",
	  core_threads_run },
	{ 0 }
};

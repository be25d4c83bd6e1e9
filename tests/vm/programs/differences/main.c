// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * differences STOCK ADOPTED - do everything twice and print what came of it:
 * WHAT, on stock memory and on adopted memory, separated by tabs.
 *
 * STOCK and ADOPTED are cgroups, each with a child `leaf` for the processes. The
 * second is bound to a domain, and this program is in neither when it starts.
 */
#include "differences.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOLD	128

static bool adopted;		/* what this run is about */
static char *told;		/* shared with the process of the probe */
static const char *probe_what;
const char *probe_cgroup;
char *area_early;

void tell(const char *fmt, ...)
{
	va_list ap;

	must(!*told);
	va_start(ap, fmt);
	vsnprintf(told, TOLD, fmt, ap);
	va_end(ap);
}

void tell_call(long result)
{
	tell("%s", result == -1 ? strerrorname_np(errno) : "succeeds");
}

void must_at(bool ok, const char *what, const char *file, int line)
{
	if (ok)
		return;
	/* Not exit(): buffers of the parent are in here too. */
	warn("%s, %s: %s:%d: %s", probe_what, adopted ? "adopted" : "stock", file, line, what);
	_exit(1);
}

/* ----------------------------------------------------------------------- memory */

char *area_map_flags(size_t length, int prot, int flags, int fd)
{
	char *area = mmap(NULL, length, prot, flags, fd, 0);

	must(area != MAP_FAILED);
	return area;
}

char *area_map(size_t length)
{
	char *area = area_map_flags(length, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char flags[5], name[128];

	/* A probe of stock memory would tell that nothing differs. */
	maps_read(area, flags, name);
	must((flags[3] == 's') == adopted);
	return area;
}

char *area_touched(size_t length)
{
	char *area = area_map(length);

	for (size_t at = 0; at < length; at += PAGE)
		area[at] = (char)(at / PAGE + 1);
	return area;
}

/* ------------------------------------------------------------------------ files */

static FILE *file_open(const char *path)
{
	FILE *file = fopen(path, "re");

	must(file != NULL);
	return file;
}

/* "FROM-TO FLAGS ..." that the address lies in? */
static bool line_maps(const char *line, const void *address)
{
	unsigned long from, to;

	return sscanf(line, "%lx-%lx ", &from, &to) == 2 && (uintptr_t)address >= from &&
	       (uintptr_t)address < to;
}

void maps_read(const void *address, char flags[5], char name[128])
{
	FILE *file = file_open("/proc/self/maps");
	char line[512];

	*flags = *name = '\0';
	while (!*flags && fgets(line, sizeof(line), file))
		if (line_maps(line, address))
			sscanf(line, "%*s %4s %*s %*s %*s %127[^\n]", flags, name);
	fclose(file);
	must(*flags);
}

/* The rest of the line `field` of the mapping's part in smaps. */
static void smaps_field(const void *address, const char *field, char *rest, size_t size)
{
	FILE *file = file_open("/proc/self/smaps");
	size_t length = strlen(field);
	bool inside = false;
	char line[512];

	*rest = '\0';
	while (!*rest && fgets(line, sizeof(line), file)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = line_maps(line, address);
		else if (inside && !strncmp(line, field, length) && line[length] == ':')
			snprintf(rest, size, "%s", line + length + 1);
	}
	fclose(file);
	must(*rest);
}

long smaps_kib(const void *address, const char *field)
{
	char rest[256];

	smaps_field(address, field, rest, sizeof(rest));
	return atol(rest);
}

bool smaps_flag(const void *address, const char *flag)
{
	char rest[256], *word, *save = NULL;

	smaps_field(address, "VmFlags", rest, sizeof(rest));
	for (word = strtok_r(rest, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
		if (!strcmp(word, flag))
			return true;
	return false;
}

long long file_value(const char *path, const char *name)
{
	FILE *file = file_open(path);
	size_t length = strlen(name);
	long long value = -1;
	char line[256];

	while (value < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, length) && (line[length] == ' ' || line[length] == ':'))
			value = atoll(line + length + 1);
	fclose(file);
	return value;
}

uint64_t pagemap_read(const void *address)
{
	FILE *file = file_open("/proc/self/pagemap");
	uint64_t entry = 0;

	setbuf(file, NULL);
	must(!fseeko(file, (off_t)((uintptr_t)address / PAGE * sizeof(entry)), SEEK_SET));
	must(fread(&entry, sizeof(entry), 1, file) == 1);
	fclose(file);
	return entry;
}

void file_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	must(file != NULL);
	must(fputs(text, file) >= 0);
	must(!fclose(file));
}

/* ---------------------------------------------------------------------- running */

static void probe_enter(const char *cgroup)
{
	char *procs;

	probe_cgroup = cgroup;
	must(asprintf(&procs, "%s/leaf/cgroup.procs", cgroup) > 0);
	file_write(procs, "0");
	free(procs);
}

/* False: it could not be tried. */
static bool probe_run(const struct probe *probe, const char *cgroup)
{
	int status;
	pid_t pid;

	probe_what = probe->what;
	*told = '\0';
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		probe_enter(cgroup);
		probe->run(probe->argument);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		must(errno == EINTR);
	if (WIFSIGNALED(status))
		snprintf(told, TOLD, "SIG%s", sigabbrev_np(WTERMSIG(status)));
	if (!*told)
		warnx("%s, %s: nothing was told", probe->what, adopted ? "adopted" : "stock");
	return *told && (WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

static bool probe_both(const struct probe *probe, char **cgroups)
{
	char stock[TOLD];

	adopted = false;
	if (!probe_run(probe, cgroups[0]))
		return false;
	memcpy(stock, told, TOLD);
	adopted = true;
	if (!probe_run(probe, cgroups[1]))
		return false;
	printf("%s\t%s\t%s\n", probe->what, stock, told);
	return true;
}

int main(int argc, char **argv)
{
	static const struct probe *const lists[] = {
		shown_probes, kind_probes, advice_probes, node_probes, limit_probes,
		reach_probes,
	};
	bool ok = true;

	if (argc != 3)
		errx(2, "usage: differences STOCK ADOPTED");
	told = area_map_flags(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	area_early = area_map_flags(AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		for (const struct probe *probe = lists[i]; probe->what; probe++)
			ok &= probe_both(probe, argv + 1);
	return ok ? 0 : 1;
}

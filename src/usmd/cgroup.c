// SPDX-License-Identifier: GPL-2.0-or-later
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <libcgroup.h>
#include <linux/magic.h>

#include "cgpath.h"
#include "cleanup.h"
#include "read.h"

#define CONTROLLER	"memory"

/*
 * libcgroup copies mount point, path and file name into buffers of FILENAME_MAX
 * bytes without asking whether they fit. How deep a delegated tree is nested is
 * up to its owner, so longer paths never get there.
 */
#define PATH_LIMIT	(FILENAME_MAX / 2)

/*
 * /proc/PID/status of more processes than this is not read for one answer: how
 * many there are is up to the container, and the loop waits meanwhile.
 */
#define RSS_PROCESSES	4096

/* cgroup.procs of one cgroup and /proc/PID/{cgroup,status} are far smaller. */
#define PROC_FILE_MAX	(64u << 10)

int usm_cgroup_init(char **root, struct usm_error *err)
{
	cleanup_free char *mount = NULL;
	struct statfs fs;
	int r;

	r = cgroup_init();
	if (!r)
		r = cgroup_get_subsys_mount_point(CONTROLLER, &mount);
	if (r || statfs(mount, &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
		return usm_error_set(err, EOPNOTSUPP,
				     "USM needs the unified cgroup hierarchy with the memory "
				     "controller in it; this host has cgroup v1 or a hybrid of "
				     "both (see systemd.unified_cgroup_hierarchy in systemd(1))");
	*root = usm_steal_ptr(mount);
	return 0;
}

char *usm_cgroup_of_pid(pid_t pid)
{
	char name[sizeof("/proc//cgroup") + 3 * sizeof(pid)];
	cleanup_free char *text = NULL;
	size_t length;
	int r;

	snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	r = usm_read_file(AT_FDCWD, name, PROC_FILE_MAX, &text, &length);
	if (r < 0) {
		errno = -r;
		return NULL;
	}
	return usm_cgpath_from_proc(text);
}

int usm_cgroup_open(const char *root, const char *path)
{
	cleanup_free char *full = NULL;
	int fd;

	if (asprintf(&full, "%s%s", root, path) < 0)
		return -ENOMEM;
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

uint64_t usm_cgroup_id(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

/* First line of one of the controller's files, without its newline. */
static bool value_read(const char *path, const char *file, char *line, int size)
{
	void *handle = NULL;
	bool ok;

	if (strlen(path) > PATH_LIMIT)
		return false;
	ok = !cgroup_read_value_begin(CONTROLLER, path, (char *)file, &handle, line, size);
	if (handle)
		cgroup_read_value_end(&handle);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

static uint64_t number_read(const char *path, const char *file)
{
	char line[32];

	return value_read(path, file, line, sizeof(line)) ? strtoull(line, NULL, 10) : 0;
}

int usm_cgroup_choose(const char *root, const char *path, const char *container_id,
		      char **chosen, struct usm_error *err)
{
	cleanup_free char *at = strdup(path);
	size_t own = usm_cgpath_own_length(path, container_id);

	if (!at)
		return usm_error_oom(err);
	/* Not named after the container: nothing says that more than this is its own. */
	if (!own)
		own = strlen(path);

	do {
		cleanup_free char *file = NULL;

		if (asprintf(&file, "%s%s/memory.max", root, at) < 0)
			return usm_error_oom(err);
		if (!access(file, F_OK)) {
			*chosen = usm_steal_ptr(at);
			return 0;
		}
	} while (usm_cgpath_up(at) && strlen(at) >= own);

	return usm_error_set(err, EOPNOTSUPP,
			     "the memory controller is not enabled for cgroup %s, nor for one "
			     "above it that is the container's alone", path);
}

int usm_cgroup_limit(const char *path, uint64_t *bytes, struct usm_error *err)
{
	cleanup_free char *at = strdup(path);
	uint64_t lowest = UINT64_MAX;
	char line[32];

	if (!at)
		return usm_error_oom(err);
	if (!value_read(at, "memory.max", line, sizeof(line)))
		return usm_error_set(err, ENOENT, "memory.max of cgroup %s cannot be read", path);
	do {
		/* The root has none, and one above may lack the controller's file. */
		if (value_read(at, "memory.max", line, sizeof(line)) && strcmp(line, "max")) {
			uint64_t limit = strtoull(line, NULL, 10);

			if (limit < lowest)
				lowest = limit;
		}
	} while (usm_cgpath_up(at));
	*bytes = lowest;
	return 0;
}

/* RssAnon of a process in KiB; 0 if it is gone or has none. */
static uint64_t rss_anon(pid_t pid)
{
	char name[sizeof("/proc//status") + 3 * sizeof(pid)];
	cleanup_free char *text = NULL;
	const char *line;
	size_t length;

	snprintf(name, sizeof(name), "/proc/%d/status", pid);
	if (usm_read_file(AT_FDCWD, name, PROC_FILE_MAX, &text, &length) < 0)
		return 0;
	line = strstr(text, "\nRssAnon:");
	return line ? strtoull(line + strlen("\nRssAnon:"), NULL, 10) : 0;
}

/*
 * Line by line: cgroup_get_procs() doubles its buffer for ever when reading
 * fails, as it does once the cgroup is removed, and cgroup_get_task_begin() looks
 * for the "tasks" of v1 (both in 2.0.2).
 */
static void processes_count(const char *path, struct usm_cgroup_usage *usage)
{
	void *handle = NULL;
	char line[32];
	int r;

	if (strlen(path) > PATH_LIMIT)
		return;
	for (r = cgroup_read_value_begin(CONTROLLER, path, (char *)"cgroup.procs", &handle, line,
					 sizeof(line));
	     !r; r = cgroup_read_value_next(&handle, line, sizeof(line))) {
		usage->processes++;
		if (usage->counted < RSS_PROCESSES) {
			usage->counted++;
			usage->rss_anon_kib += rss_anon(atoi(line));
		}
	}
	if (handle)
		cgroup_read_value_end(&handle);
}

static void stat_read(const char *path, struct usm_cgroup_usage *usage)
{
	struct cgroup_stat line;
	void *handle = NULL;
	int r;

	for (r = cgroup_read_stats_begin(CONTROLLER, path, &handle, &line); !r;
	     r = cgroup_read_stats_next(&handle, &line)) {
		if (!strcmp(line.name, "anon"))
			usage->anon = strtoull(line.value, NULL, 10);
		else if (!strcmp(line.name, "file"))
			usage->file = strtoull(line.value, NULL, 10);
		else if (!strcmp(line.name, "kernel"))
			usage->kernel = strtoull(line.value, NULL, 10);
	}
	if (handle)
		cgroup_read_stats_end(&handle);
}

void usm_cgroup_usage(const char *root, const char *path, struct usm_cgroup_usage *usage)
{
	struct usm_cgroup_usage got = {};
	struct cgroup_file_info info;
	void *handle = NULL;
	int level, r;

	if (strlen(path) <= PATH_LIMIT) {
		got.current = number_read(path, "memory.current");
		stat_read(path, &got);
		for (r = cgroup_walk_tree_begin(CONTROLLER, path, 0, &handle, &info, &level); !r;
		     r = cgroup_walk_tree_next(0, &handle, &info, level)) {
			const char *below = info.full_path + strlen(root);

			if (info.type == CGROUP_FILE_TYPE_DIR)
				processes_count(below + strspn(below, "/"), &got);
		}
		if (handle)
			cgroup_walk_tree_end(&handle);
	}
	*usage = got;
}

uint64_t usm_cgroup_oom_kills(const char *path)
{
	uint64_t kills = 0;
	void *handle = NULL;
	char line[64];
	int r;

	if (strlen(path) > PATH_LIMIT)
		return 0;
	for (r = cgroup_read_value_begin(CONTROLLER, path, (char *)"memory.events", &handle, line,
					 sizeof(line));
	     !r; r = cgroup_read_value_next(&handle, line, sizeof(line)))
		if (!strncmp(line, "oom_kill ", strlen("oom_kill ")))
			kills = strtoull(line + strlen("oom_kill "), NULL, 10);
	if (handle)
		cgroup_read_value_end(&handle);
	return kills;
}

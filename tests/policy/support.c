// SPDX-License-Identifier: GPL-2.0-or-later
#include "support.h"

#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

/* Not in a test yet, so what fails here ends the program. */
static void copy(int from, int to, const char *name)
{
	cleanup_close int in = openat(from, name, O_RDONLY | O_CLOEXEC);
	cleanup_close int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	struct stat st;

	if (in < 0 || out < 0 || fstat(in, &st) < 0 || fchmod(out, 0644) < 0 ||
	    sendfile(out, in, NULL, (size_t)st.st_size) != st.st_size)
		err(EXIT_FAILURE, "cannot copy %s", name);
}

char *support_policy_dir(const char *from)
{
	char self[PATH_MAX], template[] = "/tmp/usm-policies.XXXXXX";
	cleanup_free char *source = NULL;
	cleanup_close int to = -1;
	cleanup_dir DIR *dir = NULL;
	struct dirent *entry;
	ssize_t n;

	if (geteuid() != 0)
		return NULL;

	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		err(EXIT_FAILURE, "/proc/self/exe");
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	if (asprintf(&source, "%s/%s", self, from) < 0)
		err(EXIT_FAILURE, "asprintf");

	if (!mkdtemp(template) || chmod(template, 0755) < 0)
		err(EXIT_FAILURE, "%s", template);
	to = open(template, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = opendir(source);
	if (to < 0 || !dir)
		err(EXIT_FAILURE, "%s", source);
	while ((entry = readdir(dir))) {
		size_t length = strlen(entry->d_name);

		if (length > 3 && !strcmp(entry->d_name + length - 3, ".so"))
			copy(dirfd(dir), to, entry->d_name);
	}
	return strdup(template);
}

void support_policy_dir_remove(char *directory)
{
	cleanup_free char *owned = directory;
	cleanup_dir DIR *dir = directory ? opendir(directory) : NULL;
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	rmdir(directory);
}

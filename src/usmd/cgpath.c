// SPDX-License-Identifier: GPL-2.0-or-later
#include "cgpath.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cleanup.h"

/* More dashes than any runtime's naming has; keeps a hostile name cheap. */
#define MAX_CANDIDATES	8

static bool ends_with(const char *text, size_t length, const char *suffix)
{
	size_t n = strlen(suffix);

	return length >= n && !memcmp(text + length - n, suffix, n);
}

/* A ".." is what the kernel prints for a cgroup outside of the reader's namespace. */
static bool leaves_namespace(const char *path, size_t length)
{
	return (length >= 3 && !memcmp(path, "/..", 3) && (length == 3 || path[3] == '/')) ||
	       memmem(path, length, "/../", 4);
}

char *usm_cgpath_from_proc(const char *text)
{
	while (text && *text) {
		size_t length = strcspn(text, "\n");

		if (length > 3 && !memcmp(text, "0::/", 4)) {
			const char *path = text + 3;

			length -= 3;
			if (ends_with(path, length, " (deleted)") ||
			    leaves_namespace(path, length)) {
				errno = EINVAL;
				return NULL;
			}
			return strndup(path, length);
		}
		text += length;
		text += *text == '\n';
	}
	errno = ENOENT;
	return NULL;
}

bool usm_cgpath_is_within(const char *path, const char *ancestor)
{
	size_t n = strlen(ancestor);

	if (n == 1)	/* the root */
		return true;
	return !strncmp(path, ancestor, n) && (path[n] == '\0' || path[n] == '/');
}

bool usm_cgpath_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || !slash[1])
		return false;
	if (slash == path)
		slash++;
	*slash = '\0';
	return true;
}

const char *usm_cgpath_last(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/*
 * The ID must stand as a word of its own, bounded by the separators that
 * runtimes use: with container "c1", "app-c1.scope" is its own and "c10" is not.
 */
static bool component_has_id(const char *component, size_t length, const char *id)
{
	size_t n = strlen(id);

	for (size_t at = 0; n && at + n <= length; at++) {
		bool starts = !at || component[at - 1] == '-' || component[at - 1] == ':';

		if (starts && !memcmp(component + at, id, n) &&
		    (at + n == length || component[at + n] == '.'))
			return true;
	}
	return false;
}

size_t usm_cgpath_own_length(const char *path, const char *container_id)
{
	const char *at = path;

	while (*at) {
		size_t length;

		at += *at == '/';
		length = strcspn(at, "/");
		if (component_has_id(at, length, container_id))
			return at + length - path;
		at += length;
	}
	return 0;
}

int usm_cgpath_candidates(const char *name, int (*try)(const char *id, void *userdata),
			  void *userdata)
{
	char id[NAME_MAX + 1];
	size_t length = strlen(name);
	int r;

	if (!length || length > NAME_MAX)
		return 0;
	/* cgroupfs managers use the ID as it is, and it may well end in ".scope". */
	r = try(name, userdata);
	if (r)
		return r;

	if (ends_with(name, length, ".scope"))
		length -= strlen(".scope");
	memcpy(id, name, length);
	id[length] = '\0';
	if (length && name[length]) {
		r = try(id, userdata);
		if (r)
			return r;
	}

	/* "cri-containerd-ID" before "containerd-ID": the dashes from the left. */
	for (size_t i = 0, tries = 0; id[i] && tries < MAX_CANDIDATES; i++) {
		if ((id[i] != '-' && id[i] != ':') || !id[i + 1])
			continue;
		tries++;
		r = try(id + i + 1, userdata);
		if (r)
			return r;
	}
	return 0;
}

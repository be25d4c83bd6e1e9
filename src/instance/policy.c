// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Up to here every policy must reach, whatever header it was built with. */
#define POLICY_SIZE_MIN	(offsetof(struct usm_policy, supply) + \
			 sizeof(((struct usm_policy *)0)->supply))

static bool name_valid(const char *name)
{
	size_t length = strlen(name);

	return length >= 1 && length <= USM_POLICY_NAME_MAX && *name >= 'a' && *name <= 'z' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static int owner_check(int fd, mode_t type, const char *path, struct usm_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return usm_error_errno(err, errno, "cannot look at %s", path);
	if ((st.st_mode & S_IFMT) != type)
		return usm_error_set(err, EPERM, "%s is not a %s", path,
				     type == S_IFDIR ? "directory" : "regular file");
	if (st.st_uid != 0)
		return usm_error_set(err, EPERM, "%s does not belong to root", path);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return usm_error_set(err, EPERM, "%s may be written by others than root", path);
	return 0;
}

/*
 * What is checked here stays so until dlopen() below: only root can change it,
 * and root may run what it likes.
 */
static int file_check(const char *directory, const char *file, const char *path,
		      struct usm_error *err)
{
	cleanup_close int dir = -1, fd = -1;
	int r;

	dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return usm_error_errno(err, errno, "cannot open the policy directory %s",
				       directory);
	r = owner_check(dir, S_IFDIR, directory, err);
	if (r < 0)
		return r;

	fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ?
		       usm_error_set(err, ENOENT, "there is no policy %s in %s", file, directory) :
		       usm_error_errno(err, errno, "cannot open %s", path);
	return owner_check(fd, S_IFREG, path, err);
}

static int symbol_check(const struct usm_policy *symbol, const char *name, const char *path,
			struct usm_error *err)
{
	if (!symbol)
		return usm_error_set(err, ENOEXEC, "%s has no symbol usm_policy", path);
	if (symbol->abi != USM_POLICY_ABI)
		return usm_error_set(err, ENOEXEC, "%s was built for policy ABI %u, this is %u", path,
				     symbol->abi, USM_POLICY_ABI);
	if (symbol->size < POLICY_SIZE_MIN)
		return usm_error_set(err, ENOEXEC, "%s says that its struct usm_policy has %u bytes, "
				     "fewer than the %zu that every policy has", path,
				     symbol->size, POLICY_SIZE_MIN);
	if (!symbol->name || strcmp(symbol->name, name))
		return usm_error_set(err, ENOEXEC, "%s says that its name is \"%.*s\"", path,
				     USM_POLICY_NAME_MAX, symbol->name ?: "");
	if (!symbol->supply)
		return usm_error_set(err, ENOEXEC, "%s has no supply()", path);
	return 0;
}

int usm_policy_load(struct usm_policy_object *object, const char *directory, const char *name,
		    struct usm_error *err)
{
	struct usm_policy_object o = {};
	cleanup_free char *file = NULL, *path = NULL;
	const struct usm_policy *symbol;
	int r;

	if (!name_valid(name))
		return usm_error_set(err, EINVAL, "\"%.*s\" is not a name of a policy: a small letter, "
				     "then up to %d small letters, digits and dashes",
				     USM_POLICY_NAME_MAX, name, USM_POLICY_NAME_MAX - 1);
	if (asprintf(&file, "%s.so", name) < 0 || asprintf(&path, "%s/%s", directory, file) < 0)
		return usm_error_oom(err);

	r = file_check(directory, file, path, err);
	if (r < 0)
		return r;

	o.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!o.handle)
		return usm_error_set(err, ENOEXEC, "cannot load the policy: %s", dlerror());

	symbol = dlsym(o.handle, "usm_policy");
	r = symbol_check(symbol, name, path, err);
	if (r < 0) {
		dlclose(o.handle);
		return r;
	}
	memcpy(&o.policy, symbol, symbol->size < sizeof(o.policy) ? symbol->size : sizeof(o.policy));
	*object = o;
	return 0;
}

void usm_policy_unload(struct usm_policy_object *object)
{
	if (object && object->handle)
		dlclose(object->handle);
	if (object)
		*object = (struct usm_policy_object){};
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding, checking and loading the shared object of a policy. */
#ifndef USM_INSTANCE_POLICY_H
#define USM_INSTANCE_POLICY_H

#include <usm/policy.h>

#include "cleanup.h"
#include "error.h"

#define USM_POLICY_NAME_MAX	32	/* characters */

struct usm_policy_object {
	void *handle;			/* of dlopen() */
	struct usm_policy policy;	/* a copy; what it is too old to have is NULL */
};

/*
 * Load DIRECTORY/NAME.so. Its code runs before this returns (constructors). The
 * directory and the file must belong to root and be writable by nobody else, so
 * that only an administrator decides what runs here; `name` is a name and never
 * a path, since the author of a container chooses it. -EINVAL: not a name of a
 * policy; -ENOENT: no such policy; -EPERM: somebody else could have written it;
 * -ENOEXEC: not a policy that this host can run.
 */
int usm_policy_load(struct usm_policy_object *object, const char *directory, const char *name,
		    struct usm_error *err);
void usm_policy_unload(struct usm_policy_object *object);
#define cleanup_policy	usm_cleanup(usm_policy_unload)

#endif /* USM_INSTANCE_POLICY_H */

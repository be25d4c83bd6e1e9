/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The domain of a container: the module's side of it. */
#ifndef USMD_DOMAIN_H
#define USMD_DOMAIN_H

#include "container.h"
#include "error.h"

/* Bind the cgroup to a new domain as container->budget and ->annotation say. */
int usm_domain_bind(int device_fd, int cgroup_fd, struct usm_container *container,
		    struct usm_error *err);

/* Take up a domain that is there already; container->domain says which. */
int usm_domain_attach(int device_fd, struct usm_container *container, struct usm_error *err);

/* Stop adopting. A domain that is gone already is no error. */
int usm_domain_release(int device_fd, struct usm_container *container, struct usm_error *err);

/* Read container->stat anew. -ENODEV: the domain is no more. */
int usm_domain_refresh(struct usm_container *container);

#endif /* USMD_DOMAIN_H */

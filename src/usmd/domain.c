// SPDX-License-Identifier: GPL-2.0-or-later
#include "domain.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* Where mappings differ by their size. A module that cannot do it refuses what it does not know. */
static int set_orders(const struct usm_container *c, int domain_fd)
{
	struct usm_tune tune = { .flags = USM_TUNE_ORDERS };

	if (!c->annotation.size_orders)
		return 0;
	for (unsigned int n = 0; n < USM_ORDER_SIZES; n++)
		tune.orders[n] = (unsigned char)usm_annotation_order(&c->annotation, n);
	return usm_device_tune(domain_fd, &tune);
}

int usm_domain_bind(int device_fd, int cgroup_fd, struct usm_container *c,
		    struct usm_error *err)
{
	struct usm_bind bind = {
		.cgroup_fd = cgroup_fd,
		.mode = c->annotation.upcall ? USM_MODE_UPCALL : USM_MODE_SUPPLY,
		.ceiling = c->budget.ceiling / USM_BUDGET_PAGE,
		.reserve = c->budget.reserve,
		.fault_order = c->annotation.fault_order,
		.deadline_ms = c->annotation.deadline_ms,
	};
	int r;

	/* Container IDs of 64 hex digits lose the last one: a label is for listings. */
	snprintf(bind.label, sizeof(bind.label), "%s", c->id);
	r = usm_device_bind(device_fd, &bind);
	if (r < 0)
		return usm_error_set(err, -r, "cgroup %s cannot be bound: %s", c->cgroup,
				     usm_device_reason(r));
	r = set_orders(c, bind.domain_fd);
	if (r < 0) {
		usm_device_release(device_fd, bind.id);
		close(bind.domain_fd);
		return usm_error_set(err, -r, "the orders of cgroup %s cannot be set: %s",
				     c->cgroup, usm_device_reason(r));
	}
	usm_container_set_domain(c, bind.id);
	c->domain_fd = bind.domain_fd;
	usm_container_step(c, USM_CONTAINER_BIND);
	return 0;
}

int usm_domain_attach(int device_fd, struct usm_container *c, struct usm_error *err)
{
	int fd = usm_device_attach(device_fd, c->domain);

	if (fd < 0)
		return usm_error_set(err, -fd, "domain %s cannot be attached to: %s",
				     c->domain_text, usm_device_reason(fd));
	c->domain_fd = fd;
	usm_container_step(c, USM_CONTAINER_BIND);
	return 0;
}

int usm_domain_release(int device_fd, struct usm_container *c, struct usm_error *err)
{
	int r = usm_device_release(device_fd, c->domain);

	if (r < 0 && r != -ENOENT)
		return usm_error_set(err, -r, "domain %s cannot be released: %s", c->domain_text,
				     usm_device_reason(r));
	return 0;
}

int usm_domain_refresh(struct usm_container *c)
{
	return c->domain_fd < 0 ? -ENODEV : usm_device_stat(c->domain_fd, &c->stat);
}

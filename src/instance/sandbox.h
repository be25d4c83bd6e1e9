/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the process may still do once it serves. The unit's own sandbox holds from
 * the start; this one is tighter because it comes after set-up: no file is opened,
 * no process made and no code mapped any more.
 */
#ifndef USM_INSTANCE_SANDBOX_H
#define USM_INSTANCE_SANDBOX_H

#include "error.h"

/*
 * Keep everything that is mapped now in memory, and what will be from its first
 * use on: an instance that pages waits for the memory that it is to provide.
 * -EPERM, -ENOMEM: the unit's LimitMEMLOCK= is too low.
 */
int usm_sandbox_lock_memory(struct usm_error *err);

/*
 * Enter the system call filter. What it does not allow fails with EPERM, which a
 * policy may handle; the container is better served by one that goes on.
 */
int usm_sandbox_enter(struct usm_error *err);

#endif /* USM_INSTANCE_SANDBOX_H */

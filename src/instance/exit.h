/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exit statuses, for the unit: RestartPreventExitStatus= takes those that another
 * start would end with as well (USAGE, POLICY_MISSING, POLICY_INVALID, GONE), and
 * SuccessExitStatus= GONE.
 */
#ifndef USM_INSTANCE_EXIT_H
#define USM_INSTANCE_EXIT_H

enum usm_instance_exit {
	USM_EXIT_OK = 0,		/* asked to stop */
	USM_EXIT_FAILURE = 1,
	USM_EXIT_USAGE = 2,
	USM_EXIT_LINK = 3,		/* usmd cannot be reached, or makes no sense */
	USM_EXIT_POLICY_MISSING = 4,	/* no such policy, or not one that root has put there */
	USM_EXIT_POLICY_INVALID = 5,	/* does not load, or failed its rehearsal */
	USM_EXIT_DEVICE = 6,		/* the domain cannot be mapped or armed */
	USM_EXIT_SANDBOX = 7,		/* memory cannot be locked, or no system call filter */
	USM_EXIT_GONE = 8,		/* the domain is gone: a success, but nothing to restart */
};

#endif /* USM_INSTANCE_EXIT_H */

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exit statuses, of sysexits.h where one fits. Those of RestartPreventExitStatus=
 * in usmd.service stay until somebody changes something on the host.
 */
#ifndef USMD_EXIT_H
#define USMD_EXIT_H

enum usm_exit {
	USM_EXIT_OK = 0,
	USM_EXIT_FAILURE = 1,
	USM_EXIT_USAGE = 64,	/* wrong command line */
	USM_EXIT_DEVICE = 69,	/* /dev/usm is not there or closed to us */
	USM_EXIT_HOST = 71,	/* the host has no unified cgroup hierarchy */
	USM_EXIT_ABI = 76,	/* the module has another ABI */
	USM_EXIT_CONFIG = 78,	/* usmd.conf is wrong */
};

#endif /* USMD_EXIT_H */

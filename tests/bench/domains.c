// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench-domains DIRECTORY N - bind N new cgroups in DIRECTORY, each the domain of nobody.
 * They live until their cgroups are removed.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../uapi/domain.h"

#define CEILING		4096	/* frames */

int main(int argc, char **argv)
{
	int device, n, r;

	if (argc != 3)
		errx(EXIT_FAILURE, "usage: bench-domains DIRECTORY N");
	device = domain_device_open_or_die();
	n = atoi(argv[2]);
	for (int i = 0; i < n; i++) {
		struct usm_bind bind;
		char path[4096];
		int cgroup;

		snprintf(path, sizeof(path), "%s/domain-%d", argv[1], i);
		if (mkdir(path, 0755) < 0)
			err(EXIT_FAILURE, "%s", path);
		cgroup = domain_cgroup_open_or_die(path);
		domain_bind_init(&bind, cgroup, CEILING);
		r = domain_ioctl(device, USM_IOC_BIND, &bind);
		if (r < 0)
			errx(EXIT_FAILURE, "cannot bind %s: %s", path, strerror(-r));
		close(bind.domain_fd);
		close(cgroup);
	}
	printf("%d domains\n", n);
	return EXIT_SUCCESS;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * End QEMU at once through its isa-debug-exit device. The code that QEMU exits
 * with is odd, (0x10 + argument) * 2 + 1: QEMU's own failure, 1, cannot be
 * taken for a guest that was content.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>
#include <unistd.h>

#define DEBUG_EXIT_PORT	0x501
#define DEBUG_EXIT_BASE	0x10

int main(int argc, char **argv)
{
	int code = argc > 1 ? atoi(argv[1]) : 0;

	sync();
	if (ioperm(DEBUG_EXIT_PORT, 1, 1) < 0) {
		perror("vm-exit: ioperm");
		return EXIT_FAILURE;
	}
	outb(DEBUG_EXIT_BASE + code, DEBUG_EXIT_PORT);
	return EXIT_FAILURE;
}

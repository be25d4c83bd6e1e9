// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What usmd does for one instance, and no more, so that an instance can be tried
 * by itself on the real module:
 *
 *	usher serve CGROUP SOCKET CONFIG COMMAND...
 *		bind CGROUP, run COMMAND (the instance) with the domain's number
 *		as last argument, give it CONFIG and a descriptor; print what it
 *		says, a line each; end when it does, with its status
 *	usher stat ID	print the numbers of a domain, NAME VALUE
 *	usher release ID
 *
 * CONFIG is the message to the instance without "domain", e.g.
 * {"container":"c","policy":"firstfit","memory":67108864,"fault_order":4}.
 */
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "device.h"
#include "fdpass.h"
#include "json.h"

#define MESSAGE_MAX	4096

static int device_open(void)
{
	int device = usm_device_open(USM_DEVICE_PATH, NULL);

	if (device < 0)
		errx(EXIT_FAILURE, "%s: %s", USM_DEVICE_PATH, usm_device_reason(device));
	return device;
}

static uint64_t cgroup_bind(int device, const char *path, uint64_t bytes, uint32_t order)
{
	cleanup_close int cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct usm_bind bind = {
		.cgroup_fd = cgroup,
		.ceiling = bytes / 4096,
		.fault_order = order,
		.label = "usher",
	};
	int r;

	if (cgroup < 0)
		err(EXIT_FAILURE, "%s", path);
	r = usm_device_bind(device, &bind);
	if (r < 0)
		errx(EXIT_FAILURE, "%s cannot be bound: %s", path, usm_device_reason(r));
	close(bind.domain_fd);
	return bind.id;
}

static int socket_listen(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 4) < 0)
		err(EXIT_FAILURE, "%s", path);
	return fd;
}

static pid_t instance_start(char **command, int count, uint64_t domain)
{
	cleanup_free char **argv = calloc((size_t)count + 2, sizeof(*argv));
	char number[24];
	pid_t pid;

	if (!argv)
		err(EXIT_FAILURE, "calloc");
	snprintf(number, sizeof(number), "%" PRIu64, domain);
	memcpy(argv, command, (size_t)count * sizeof(*argv));
	argv[count] = number;

	pid = fork();
	if (pid < 0)
		err(EXIT_FAILURE, "fork");
	if (!pid) {
		execv(argv[0], argv);
		err(127, "%s", argv[0]);
	}
	return pid;
}

/* One message of the instance; false: it has closed the connection. */
static bool peer_hear(int peer, int device, uint64_t domain, const char *setup)
{
	char text[MESSAGE_MAX + 1];
	ssize_t n = recv(peer, text, MESSAGE_MAX, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	puts(text);
	fflush(stdout);
	if (strstr(text, "\"hello\"") && strstr(text, "\"armed\":false")) {
		cleanup_close int fd = usm_device_attach(device, domain);
		int r;

		if (fd < 0)
			errx(EXIT_FAILURE, "attach: %s", usm_device_reason(fd));
		r = usm_fd_send(peer, setup, fd);
		if (r < 0)
			warnx("cannot send the domain: %s", strerror(-r));
	}
	return true;
}

static char *setup_make(const char *config, uint64_t domain, uint64_t *memory, uint64_t *order)
{
	cleanup_json cJSON *root = cJSON_Parse(config);
	char number[24];

	snprintf(number, sizeof(number), "%" PRIu64, domain);
	if (!root || usm_json_get_u64(root, "memory", memory, NULL) < 0 ||
	    usm_json_get_u64(root, "fault_order", order, NULL) < 0 ||
	    usm_json_add_string(root, "domain", number) < 0)
		errx(EXIT_FAILURE, "CONFIG is no configuration");
	return usm_json_print(root);
}

static int status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int serve(int argc, char **argv)
{
	cleanup_close int device = device_open();
	cleanup_free char *setup = NULL;
	struct pollfd polled[2] = { { .events = POLLIN }, { .fd = -1, .events = POLLIN } };
	uint64_t memory, order, domain;
	int status;
	pid_t pid;

	free(setup_make(argv[2], 0, &memory, &order));
	domain = cgroup_bind(device, argv[0], memory, (uint32_t)order);
	setup = setup_make(argv[2], domain, &memory, &order);
	polled[0].fd = socket_listen(argv[1]);
	pid = instance_start(argv + 3, argc - 3, domain);
	printf("domain %" PRIu64 "\npid %d\n", domain, pid);
	fflush(stdout);

	while (waitpid(pid, &status, WNOHANG) != pid) {
		/* The end of the instance is also the end of its connection. */
		if (poll(polled, 2, 1000) < 0 && errno != EINTR)
			err(EXIT_FAILURE, "poll");
		if (polled[0].revents) {
			usm_close(&polled[1].fd);
			polled[1].fd = accept4(polled[0].fd, NULL, NULL, SOCK_CLOEXEC);
		}
		if (polled[1].fd >= 0 && polled[1].revents &&
		    !peer_hear(polled[1].fd, device, domain, setup))
			usm_close(&polled[1].fd);
	}
	printf("status %d\n", status_of(status));
	return status_of(status);
}

static int stat_print(uint64_t domain)
{
	cleanup_close int device = device_open();
	cleanup_close int fd = usm_device_attach(device, domain);
	struct usm_stat stat;
	int r = fd < 0 ? fd : usm_device_stat(fd, &stat);

	if (r < 0)
		errx(EXIT_FAILURE, "%s", usm_device_reason(r));
	for (const struct usm_stat_field *field = usm_stat_fields; field->name; field++) {
		printf("%s", field->name);
		for (unsigned int i = 0; i < field->count; i++)
			printf(" %" PRIu64, usm_stat_value(&stat, field, i));
		printf("\n");
	}
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc >= 6 && !strcmp(argv[1], "serve"))
		return serve(argc - 2, argv + 2);
	if (argc == 3 && !strcmp(argv[1], "stat"))
		return stat_print(strtoull(argv[2], NULL, 10));
	if (argc == 3 && !strcmp(argv[1], "release"))
		return -usm_device_release(device_open(), strtoull(argv[2], NULL, 10));
	errx(EXIT_FAILURE, "usher serve CGROUP SOCKET CONFIG COMMAND... | stat ID | release ID");
}

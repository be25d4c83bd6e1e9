// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "frame.h"

/* So slow that a deadline must end it, so fast that each wait sees a byte. */
#define DRIP_MS		20

/* ------------------------------------------------------------------- peer */

static void send_all(int fd, const char *bytes, size_t length)
{
	while (length) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		bytes += sent;
		length -= (size_t)sent;
	}
}

/* Takes one call and writes it to `calls`. */
static void take_call(int fd, int calls)
{
	cleanup_inbox struct usm_inbox inbox = {};
	const char *message;
	size_t length;

	while (usm_inbox_next(&inbox, &message, &length, NULL) == 0) {
		struct pollfd pollfd = { .fd = fd, .events = POLLIN };

		poll(&pollfd, 1, -1);
		if (usm_inbox_read(&inbox, fd, NULL) == USM_INBOX_EOF)
			return;
	}
	dprintf(calls, "%s\n", message);
}

static void serve(int listener, int calls, enum peer_manner manner, const char *reply)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (manner != PEER_HANGS_UP)
		take_call(fd, calls);
	switch (manner) {
	case PEER_ANSWERS:
		send_all(fd, reply, strlen(reply) + 1);
		break;
	case PEER_SENDS_RAW:
		send_all(fd, reply, strlen(reply));
		break;
	case PEER_IS_SILENT:
		pause();
		break;
	case PEER_DRIPS:
		while (send(fd, "x", 1, MSG_NOSIGNAL) == 1)
			poll(NULL, 0, DRIP_MS);
		break;
	case PEER_FLOODS:
		/* A byte that is no NUL, so that the message never ends. */
		for (char block[4096];;) {
			memset(block, 'x', sizeof(block));
			if (send(fd, block, sizeof(block), MSG_NOSIGNAL) <= 0)
				break;
		}
		break;
	default:
		break;
	}
	close(fd);
}

/* Connections that nobody takes, until there is room for no other. */
static void fill_backlog(const struct sockaddr_un *address)
{
	for (;;) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
			break;
	}
}

void peer_start(struct peer *peer, enum peer_manner manner, const char *reply)
{
	char directory[] = "/tmp/usm-peer-XXXXXX";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener, calls[2];

	ck_assert_ptr_nonnull(mkdtemp(directory));
	peer->directory = strdup(directory);
	ck_assert_int_ge(asprintf(&peer->socket, "%s/control", directory), 0);
	ck_assert_uint_lt(strlen(peer->socket), sizeof(address.sun_path));
	memcpy(address.sun_path, peer->socket, strlen(peer->socket) + 1);

	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(pipe2(calls, O_CLOEXEC), 0);
	if (manner != PEER_IS_DEAD)
		ck_assert_int_eq(listen(listener, manner == PEER_NEVER_ACCEPTS ? 0 : 8), 0);

	peer->pid = fork();
	if (!peer->pid) {
		/* A test that fails in the middle must not leave us behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (manner == PEER_NEVER_ACCEPTS)
			fill_backlog(&address);
		if (manner == PEER_NEVER_ACCEPTS || manner == PEER_IS_DEAD) {
			close(calls[1]);
			if (manner == PEER_IS_DEAD)
				_exit(0);
			pause();
		}
		for (;;)
			serve(listener, calls[1], manner, reply);
	}
	close(listener);
	close(calls[1]);
	peer->calls = calls[0];
	if (manner == PEER_NEVER_ACCEPTS || manner == PEER_IS_DEAD) {
		/* Ready when the end of file comes. */
		char byte;

		ck_assert_int_eq(read(peer->calls, &byte, 1), 0);
	}
}

static char *read_all(int fd)
{
	char *text = NULL, block[4096];
	size_t size;
	ssize_t got;
	FILE *out = open_memstream(&text, &size);

	while ((got = read(fd, block, sizeof(block))) > 0)
		fwrite(block, 1, (size_t)got, out);
	fclose(out);
	return text;
}

char *peer_stop(struct peer *peer)
{
	char *calls;

	kill(peer->pid, SIGKILL);
	waitpid(peer->pid, NULL, 0);
	calls = read_all(peer->calls);
	if (*calls)
		calls[strlen(calls) - 1] = '\0';
	close(peer->calls);
	unlink(peer->socket);
	rmdir(peer->directory);
	free(peer->socket);
	free(peer->directory);
	return calls;
}

/* ----------------------------------------------------------------- runner */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static char *read_back(FILE *file)
{
	rewind(file);
	return read_all(fileno(file));
}

void run_program(struct run *run, const char *input, size_t length, const char *const *argv)
{
	FILE *out = tmpfile(), *err = tmpfile(), *in = tmpfile();
	cleanup_free char *path = NULL;
	int64_t started = now_ms();
	int open_pipe[2], status;
	pid_t pid;

	/* The programs are beside build/tests, where this one is. */
	ck_assert_int_ge(asprintf(&path, "%.*s/../san/%s",
				  (int)(strrchr(program_invocation_name, '/') - program_invocation_name),
				  program_invocation_name, argv[0]), 0);
	ck_assert_int_eq(pipe2(open_pipe, O_CLOEXEC), 0);
	if (input) {
		ck_assert_uint_eq(fwrite(input, 1, length, in), length);
		rewind(in);
	}

	pid = fork();
	if (!pid) {
		dup2(input ? fileno(in) : open_pipe[0], STDIN_FILENO);
		dup2(fileno(out), STDOUT_FILENO);
		dup2(fileno(err), STDERR_FILENO);
		execv(path, (char *const *)argv);
		_exit(126);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	run->elapsed_ms = now_ms() - started;
	run->status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	run->out = read_back(out);
	run->err = read_back(err);
	close(open_pipe[0]);
	close(open_pipe[1]);
	fclose(in);
	fclose(out);
	fclose(err);
}

void run_clear(struct run *run)
{
	free(run->out);
	free(run->err);
	*run = (struct run){};
}

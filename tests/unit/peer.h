/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests of the real programs: a peer that listens where usmd would and
 * behaves as it is told, and a runner that gives back what a program said.
 */
#ifndef USM_TESTS_PEER_H
#define USM_TESTS_PEER_H

#include <stdint.h>
#include <sys/types.h>

enum peer_manner {
	PEER_ANSWERS,		/* with `reply`, as a good peer does */
	PEER_SENDS_RAW,		/* `reply` without a NUL behind it, then closes */
	PEER_CLOSES,		/* after the call, without a word */
	PEER_HANGS_UP,		/* at once */
	PEER_IS_SILENT,		/* takes the call and never answers */
	PEER_DRIPS,		/* a byte now and then, without end */
	PEER_FLOODS,		/* bytes without end */
	PEER_NEVER_ACCEPTS,	/* and its backlog is full */
	PEER_IS_DEAD,		/* the socket is there, nobody listens */
};

struct peer {
	char *directory;
	char *socket;
	pid_t pid;
	int calls;		/* read end: the calls that came, one a line */
};

void peer_start(struct peer *peer, enum peer_manner manner, const char *reply);

/* What was called, without the last newline; "" for nothing. Ends the peer. */
char *peer_stop(struct peer *peer);

struct run {
	int status;		/* exit status, or -signal */
	char *out;
	char *err;
	int64_t elapsed_ms;
};

/*
 * Run a program from build/san, with `input` of `length` bytes on its standard
 * input, or a pipe that stays open if `input` is NULL.
 */
void run_program(struct run *run, const char *input, size_t length, const char *const *argv);

#define run_text(run, input, ...)					\
	run_program(run, input, strlen(input), (const char *[]){ __VA_ARGS__, NULL })

void run_clear(struct run *run);
#define cleanup_run	__attribute__((cleanup(run_clear)))

#endif /* USM_TESTS_PEER_H */

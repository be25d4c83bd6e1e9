// SPDX-License-Identifier: GPL-2.0-or-later
#include "stress.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct crew_member {
	struct crew *crew;
	struct worker worker;
	pthread_t thread;
};

struct crew {
	void (*function)(struct worker *worker);
	unsigned int count;
	struct crew_member members[];
};

static void *member_run(void *argument)
{
	struct crew_member *member = argument;

	member->crew->function(&member->worker);
	return NULL;
}

struct crew *crew_start(unsigned int count, void (*function)(struct worker *worker),
			void *context)
{
	struct crew *crew = calloc(1, sizeof(*crew) + count * sizeof(crew->members[0]));

	must(crew != NULL, "calloc: %s", strerror(errno));
	crew->function = function;
	crew->count = count;
	for (unsigned int i = 0; i < count; i++) {
		struct crew_member *member = &crew->members[i];
		int r;

		member->crew = crew;
		member->worker.index = i;
		member->worker.context = context;
		rng_seed(&member->worker.rng, i);
		r = pthread_create(&member->thread, NULL, member_run, member);
		must(r == 0, "pthread_create: %s", strerror(r));
	}
	return crew;
}

void crew_join(struct crew *crew)
{
	for (unsigned int i = 0; i < crew->count; i++) {
		int r = pthread_join(crew->members[i].thread, NULL);

		check(r == 0, "pthread_join: %s", strerror(r));
	}
	free(crew);
}

pid_t child_start(void (*function)(void *context), void *context)
{
	pid_t pid = fork();

	must(pid >= 0, "fork: %s", strerror(errno));
	if (pid == 0) {
		function(context);
		_exit(0);
	}
	return pid;
}

void child_join(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		must(errno == EINTR, "waitpid(%d): %s", (int)pid, strerror(errno));
	check(status == 0, "child %d ended with %s %d", (int)pid,
	      WIFSIGNALED(status) ? "signal" : "status",
	      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* A futex in MAP_SHARED memory, which is never adopted. */
struct gate {
	uint32_t open;
};

struct gate *gate_create(void)
{
	struct gate *gate = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	must(gate != MAP_FAILED, "mmap: %s", strerror(errno));
	return gate;
}

void gate_open(struct gate *gate)
{
	__atomic_store_n(&gate->open, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &gate->open, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void gate_wait(struct gate *gate)
{
	while (!__atomic_load_n(&gate->open, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &gate->open, FUTEX_WAIT, 0, NULL, NULL, 0);
}

void gate_destroy(struct gate *gate)
{
	munmap(gate, PAGE);
}

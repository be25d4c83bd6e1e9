// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Futexes. One in private memory belongs to its process, also where the call does
 * not say FUTEX_PRIVATE_FLAG, also while its page is shared copy-on-write, and
 * also after it was copied.
 */
#include "stress.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long futex(uint32_t *word, int operation, uint32_t value,
		  const struct timespec *timeout)
{
	return syscall(SYS_futex, word, operation, value, timeout, NULL, 0);
}

/* ---------------------------------------------------------------- over a fork */

struct waiter {
	uint32_t word;
	uint32_t tid;
	uint32_t other;		/* in the same page */
};

static void *waiter_thread(void *argument)
{
	struct waiter *waiter = argument;

	__atomic_store_n(&waiter->tid, (uint32_t)gettid(), __ATOMIC_RELEASE);
	while (__atomic_load_n(&waiter->word, __ATOMIC_ACQUIRE) == 0)
		futex(&waiter->word, FUTEX_WAIT, 0, NULL);
	return NULL;
}

/* Until the kernel says that the thread sleeps: there is no call that tells it. */
static void thread_asleep(const struct waiter *waiter)
{
	char path[64], line[256], state = 0;
	uint32_t tid;

	while ((tid = __atomic_load_n(&waiter->tid, __ATOMIC_ACQUIRE)) == 0)
		sched_yield();
	snprintf(path, sizeof(path), "/proc/self/task/%u/stat", tid);
	while (state != 'S') {
		FILE *file = fopen(path, "re");

		must(file != NULL, "cannot open %s: %s", path, strerror(errno));
		if (fgets(line, sizeof(line), file))
			sscanf(line, "%*d (%*[^)]) %c", &state);
		fclose(file);
		sched_yield();
	}
}

static void wake_in_child(void *argument)
{
	struct waiter *waiter = argument;
	long woken = futex(&waiter->word, FUTEX_WAKE, 1, NULL);

	check(woken == 0, "the child woke %ld of its parent's threads", woken);
	/* Now on a page of its own. */
	waiter->other = 1;
	woken = futex(&waiter->word, FUTEX_WAKE, 1, NULL);
	check(woken == 0, "the child woke %ld of its parent's threads from its copy", woken);
}

static void fork_futex_once(bool parent_writes_first, bool remapped)
{
	struct waiter *waiter = memory_map(PAGE);
	pthread_t thread;
	pid_t child;
	long woken;
	int r;

	memset(waiter, 0, sizeof(*waiter));
	if (remapped) {
		/* The page is not at the address where it was first mapped. */
		void *target = memory_reserve(PAGE);

		waiter = mremap(waiter, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
		must(waiter != MAP_FAILED, "mremap: %s", strerror(errno));
	}
	r = pthread_create(&thread, NULL, waiter_thread, waiter);
	must(r == 0, "pthread_create: %s", strerror(r));
	thread_asleep(waiter);

	child = child_start(wake_in_child, waiter);
	if (parent_writes_first)
		waiter->other = 2;
	child_join(child);
	waiter->other = 3;

	/* The waiter queued before the page was copied; it must be found after. */
	__atomic_store_n(&waiter->word, 1, __ATOMIC_RELEASE);
	woken = futex(&waiter->word, FUTEX_WAKE, 1, NULL);
	check(woken == 1, "a wake in the parent after a fork woke %ld threads", woken);
	if (woken != 1)
		stress_abandon();
	pthread_join(thread, NULL);
	memory_unmap(waiter, PAGE);
}

static void futex_fork_run(void)
{
	for (unsigned int i = 0; i < 20; i++)
		fork_futex_once(i & 1, i & 2);
}

/* ------------------------------------------------------- two places, one offset */

static void *timed_waiter(void *argument)
{
	struct timespec timeout = { .tv_nsec = 100 * 1000 * 1000 };
	uint32_t *word = argument;
	long r = futex(word, FUTEX_WAIT, 0, &timeout);

	return (void *)(intptr_t)(r == 0 ? 1 : 0);
}

/* A wake at one page must not reach a waiter at another: keys are unique. */
static void futex_keys_run(void)
{
	unsigned int pages = 32;
	char *area = memory_map(pages * PAGE);
	char *target = memory_reserve(pages * PAGE);
	pthread_t thread;
	void *woken;
	int r;

	memset(area, 0, pages * PAGE);
	/* Half of it elsewhere, so that offsets and addresses no longer agree. */
	must(mremap(area, pages / 2 * PAGE, pages / 2 * PAGE,
		    MREMAP_MAYMOVE | MREMAP_FIXED, target) != MAP_FAILED,
	     "mremap: %s", strerror(errno));
	must(mmap(area, pages / 2 * PAGE, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == area,
	     "mmap: %s", strerror(errno));
	memset(area, 0, pages / 2 * PAGE);

	r = pthread_create(&thread, NULL, timed_waiter, target);
	must(r == 0, "pthread_create: %s", strerror(r));
	for (unsigned int i = 0; i < 5; i++)
		for (unsigned int page = 0; page < pages; page++) {
			long n = futex((uint32_t *)(area + page * PAGE), FUTEX_WAKE, 1, NULL);

			check(n == 0, "a wake at %p woke the waiter at %p",
			      (void *)(area + page * PAGE), (void *)target);
		}
	pthread_join(thread, &woken);
	memory_unmap(area, pages * PAGE);
	memory_unmap(target, pages * PAGE);
}

/* -------------------------------------------------------------------- mutexes */

#define MUTEX_STEPS	2000

struct counter {
	pthread_mutex_t mutex;
	uint64_t value;
	unsigned int steps;
};

static void mutex_worker(struct worker *worker)
{
	struct counter *counter = worker->context;

	for (unsigned int i = 0; i < counter->steps; i++) {
		pthread_mutex_lock(&counter->mutex);
		counter->value++;
		pthread_mutex_unlock(&counter->mutex);
	}
}

static void counter_init(struct counter *counter, int protocol, int shared, int robust)
{
	pthread_mutexattr_t attr;
	int r;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, protocol);
	pthread_mutexattr_setpshared(&attr, shared);
	pthread_mutexattr_setrobust(&attr, robust);
	r = pthread_mutex_init(&counter->mutex, &attr);
	must(r == 0, "pthread_mutex_init: %s", strerror(r));
	pthread_mutexattr_destroy(&attr);
	counter->value = 0;
}

static void mutexes_run(void)
{
	static const int protocols[] = { PTHREAD_PRIO_NONE, PTHREAD_PRIO_INHERIT };
	static const int shares[] = { PTHREAD_PROCESS_PRIVATE, PTHREAD_PROCESS_SHARED };
	struct counter *counter = memory_map(PAGE);

	for (size_t p = 0; p < ARRAY_SIZE(protocols); p++)
		for (size_t s = 0; s < ARRAY_SIZE(shares); s++) {
			uint64_t expected = (uint64_t)settings.threads * MUTEX_STEPS;

			counter->steps = MUTEX_STEPS;
			counter_init(counter, protocols[p], shares[s], PTHREAD_MUTEX_STALLED);
			crew_run(settings.threads, mutex_worker, counter);
			check(counter->value == expected,
			      "protocol %zu, sharing %zu: counted %llu of %llu", p, s,
			      (unsigned long long)counter->value,
			      (unsigned long long)expected);
			pthread_mutex_destroy(&counter->mutex);
		}
	memory_unmap(counter, PAGE);
}

static void robust_worker(struct worker *worker)
{
	struct counter *counter = worker->context;

	/* Ends with the mutex held: the kernel writes to it while the thread exits. */
	pthread_mutex_lock(&counter->mutex);
	counter->value = 7;
}

static void robust_run(void)
{
	struct counter *counter = memory_map(PAGE);

	for (unsigned int i = 0; i < 20; i++) {
		int r;

		counter_init(counter, PTHREAD_PRIO_NONE,
			     i & 1 ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE,
			     PTHREAD_MUTEX_ROBUST);
		crew_run(1, robust_worker, counter);
		r = pthread_mutex_lock(&counter->mutex);
		check(r == EOWNERDEAD, "lock of a dead owner's mutex: %s", strerror(r));
		word_verify(&counter->value, 7, "value under a robust mutex");
		check(pthread_mutex_consistent(&counter->mutex) == 0,
		      "pthread_mutex_consistent failed");
		pthread_mutex_unlock(&counter->mutex);
		pthread_mutex_destroy(&counter->mutex);
	}
	memory_unmap(counter, PAGE);
}

const struct scenario futex_scenarios[] = {
	{ "futex-fork", "wakes stay in their process, over fork and copy", futex_fork_run },
	{ "futex-keys", "a wake at one page reaches no other page", futex_keys_run },
	{ "mutexes", "private, shared and priority-inheriting mutexes", mutexes_run },
	{ "robust", "mutexes whose owner died", robust_run },
	{ 0 }
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An instance that means harm, or does not know better: threads that do to a domain what
 * its descriptor lets them do, at random, while one of them serves it more or less well, so
 * that there is something to disturb.
 */
#ifndef USM_TESTS_UAPI_ATTACK_H
#define USM_TESTS_UAPI_ATTACK_H

#include "domain.h"

#define ATTACK_PAGE		4096
#define ATTACK_CEILING		4096	/* frames of the domain */
#define ATTACK_NUMBERS		(ATTACK_CEILING * USM_EVICTED_PER_FRAME)
#define ATTACK_OPS		(USM_CMD_SAMPLE + 2)	/* the last: all that are none */
#define ATTACK_RECENT		64

enum attack_kind {
	ATTACK_SUBMIT,
	ATTACK_READ,
	ATTACK_WAIT,
	ATTACK_SCRIBBLE,
	ATTACK_CONTROL,
	ATTACK_GARBAGE,
	ATTACK_MAP,
	ATTACK_BIND,
	ATTACK_KINDS,
};

/* Of a ring, from before anybody wrote to it. */
struct attack_ring {
	uint32_t entries, entry_size, offset;
};

/* What all attackers know, and what is left of them. In memory that they share. */
struct attack_shared {
	uint64_t seed;
	uint64_t domain_id;
	char cgroup[512];
	char spare[512];	/* another one, that is bound now and then */
	struct attack_ring events, supply;
	uint64_t done[ATTACK_KINDS], ok[ATTACK_KINDS];
	uint64_t commands[ATTACK_OPS], commands_ok[ATTACK_OPS];
	uint64_t restored_wrong;	/* that the module said were wrong */
	uint64_t signals;		/* SIGBUS and SIGSEGV of attackers */
	uint64_t forbidden;		/* what should have been refused and was not */
	uint64_t recent[ATTACK_RECENT];	/* keys of events */
	uint32_t generations[ATTACK_NUMBERS];
	char store[ATTACK_NUMBERS][ATTACK_PAGE];
};

struct attack_rng {
	uint64_t state;
};

static inline uint64_t attack_random(struct attack_rng *rng)
{
	/* xorshift64*: Vigna 2016, doi:10.1145/2845077 */
	rng->state ^= rng->state >> 12;
	rng->state ^= rng->state << 25;
	rng->state ^= rng->state >> 27;
	return (rng->state * 0x2545f4914f6cdd1dull) >> 8;
}

static inline uint64_t attack_below(struct attack_rng *rng, uint64_t limit)
{
	return attack_random(rng) % limit;
}

static inline bool attack_chance(struct attack_rng *rng, uint64_t one_in)
{
	return attack_random(rng) % one_in == 0;
}

/* One thread's view. */
struct attack {
	struct attack_shared *shared;
	struct domain domain;
	struct usm_staged *staged;
	const struct usm_evicted *evicted;
	int device;
	int fds[3];		/* of the domain, one more than it can use */
	struct attack_rng rng;
	unsigned int honesty;	/* 0: none */
	uint32_t grown;		/* server: to ask for more only now and then */
};

static inline void attack_count(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* One thing out of many, each; they may be interrupted anywhere by a signal. */
void attack_submit(struct attack *a);
void attack_scribble(struct attack *a);
void attack_control(struct attack *a);
void attack_garbage(struct attack *a);
void attack_map(struct attack *a);
void attack_bind(struct attack *a);
/* A turn of who serves. */
void attack_serve(struct attack *a);

/* Become an attacker of the domain until the process is killed, or for a while. */
void attack_run(struct attack_shared *shared, uint64_t seed) __attribute__((noreturn));

#endif

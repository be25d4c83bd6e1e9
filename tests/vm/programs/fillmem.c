// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fillmem - have a known amount of memory in use.
 *
 * Fills N MiB in the given order, verifies, says "fillmem: ready, N pages" and
 * waits. SIGUSR1 verifies again ("fillmem: verified N pages"); SIGTERM or SIGINT
 * verifies and ends it. Exit status 1 when a byte was wrong.
 */
#include "util.h"

#include <err.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum order { ORDER_SEQ, ORDER_RANDOM, ORDER_THREADS };

struct fill {
	char *area;
	size_t pages;
	enum order order;
	unsigned int threads;
	unsigned int seed;
};

struct lane {
	const struct fill *fill;
	unsigned int index;
	pthread_t thread;
};

/* Every @threads-th page: the threads fault side by side all the way. */
static void *lane_fill(void *argument)
{
	const struct lane *lane = argument;

	for (size_t page = lane->index; page < lane->fill->pages; page += lane->fill->threads)
		util_page_fill(lane->fill->area, page, lane->fill->seed);
	return NULL;
}

static void fill_threads(const struct fill *fill)
{
	struct lane *lanes = calloc(fill->threads, sizeof(*lanes));

	if (!lanes)
		err(1, "calloc");
	for (unsigned int i = 0; i < fill->threads; i++) {
		lanes[i] = (struct lane){ .fill = fill, .index = i };
		if (pthread_create(&lanes[i].thread, NULL, lane_fill, &lanes[i]))
			errx(1, "cannot start a thread");
	}
	for (unsigned int i = 0; i < fill->threads; i++)
		pthread_join(lanes[i].thread, NULL);
	free(lanes);
}

static void fill_random(const struct fill *fill)
{
	size_t *order = calloc(fill->pages, sizeof(*order));

	if (!order)
		err(1, "calloc");
	srandom(fill->seed);
	/* Fisher and Yates, from the inside out. */
	for (size_t i = 0; i < fill->pages; i++) {
		size_t j = (size_t)random() % (i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	for (size_t i = 0; i < fill->pages; i++)
		util_page_fill(fill->area, order[i], fill->seed);
	free(order);
}

static void fill_run(const struct fill *fill)
{
	switch (fill->order) {
	case ORDER_SEQ:
		for (size_t page = 0; page < fill->pages; page++)
			util_page_fill(fill->area, page, fill->seed);
		break;
	case ORDER_RANDOM:
		fill_random(fill);
		break;
	case ORDER_THREADS:
		fill_threads(fill);
		break;
	}
}

static enum order order_parse(const char *text)
{
	if (strcmp(text, "seq") == 0)
		return ORDER_SEQ;
	if (strcmp(text, "random") == 0)
		return ORDER_RANDOM;
	if (strcmp(text, "threads") == 0)
		return ORDER_THREADS;
	errx(2, "--order: '%s' is not seq, random or threads", text);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "mib", required_argument, NULL, 'm' },
		{ "order", required_argument, NULL, 'o' },
		{ "threads", required_argument, NULL, 't' },
		{ "seed", required_argument, NULL, 's' },
		{ "no-wait", no_argument, NULL, 'n' },
		{ 0 }
	};
	struct fill fill = { .pages = 16 * UTIL_MIB / UTIL_PAGE, .threads = 4, .seed = 1 };
	sigset_t signals;
	bool wait = true;
	size_t wrong;
	int c, number = 0;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'm': fill.pages = util_number("--mib", optarg, 1, 1 << 20) *
				       (UTIL_MIB / UTIL_PAGE); break;
		case 'o': fill.order = order_parse(optarg); break;
		case 't': fill.threads = util_number("--threads", optarg, 1, 256); break;
		case 's': fill.seed = util_number("--seed", optarg, 0, 1 << 30); break;
		case 'n': wait = false; break;
		default: return 2;
		}
	}

	/* Blocked before anything is said, so that no signal comes too early. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);

	fill.area = util_map(fill.pages * UTIL_PAGE);
	fill_run(&fill);
	wrong = util_pages_verify(fill.area, fill.pages, fill.seed);
	util_say("fillmem: ready, %zu pages", fill.pages - wrong);
	while (wait && number != SIGTERM && number != SIGINT) {
		sigwait(&signals, &number);
		wrong += util_pages_verify(fill.area, fill.pages, fill.seed);
		util_say("fillmem: verified %zu pages, %zu wrong", fill.pages, wrong);
	}
	return wrong ? 1 : 0;
}

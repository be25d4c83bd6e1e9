// SPDX-License-Identifier: GPL-2.0-or-later
#include "stress.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A scenario that takes this long hangs; emulated machines are slow. */
#define DEFAULT_TIMEOUT_S	180

struct settings settings = {
	.threads = 4,
	.mib = 16,
	.seed = 1,
	.dir = ".",
};

static const struct scenario *const lists[] = {
	thread_scenarios,
	stack_scenarios,
	futex_scenarios,
	fork_scenarios,
	spawn_scenarios,
	discard_scenarios,
	held_scenarios,
	map_scenarios,
	protect_scenarios,
	remap_scenarios,
	direct_scenarios,
	pipe_scenarios,
	peek_scenarios,
	core_scenarios,
	lock_scenarios,
	advice_scenarios,
	guard_scenarios,
	special_scenarios,
};

struct plan {
	const char *only;	/* comma separated; NULL: all */
	const char *except;
	unsigned long seconds;	/* 0: one round */
	unsigned long timeout;
	uint64_t seed;
};

static void usage(FILE *file)
{
	fputs("usage: stress [options]\n"
	      "  --list          what there is\n"
	      "  --only A,B      only these scenarios\n"
	      "  --except A,B    not these\n"
	      "  --seconds N     repeat with new seeds until N seconds are over (default: once)\n"
	      "  --quick         fewer repetitions in the scenarios that take longest\n"
	      "  --threads N     in scenarios with threads (default 4)\n"
	      "  --mib N         memory that a scenario may use, roughly (default 16)\n"
	      "  --seed N        (default 1)\n"
	      "  --dir DIR       for files, on a disk that allows O_DIRECT (default: .)\n"
	      "  --timeout N     seconds until a scenario counts as hung (default 180)\n"
	      "  --verbose       say what runs and how long it took\n"
	      "SIGTERM ends it after the current scenario.\n"
	      "Exit status 1 if anything was wrong. The last line is the verdict:\n"
	      "stress: N checks, M errors\n",
	      file);
}

static bool name_listed(const char *list, const char *name)
{
	size_t length = strlen(name);

	while (list) {
		if (strncmp(list, name, length) == 0 &&
		    (list[length] == ',' || list[length] == '\0'))
			return true;
		list = strchr(list, ',');
		if (list)
			list++;
	}
	return false;
}

static bool name_exists(const char *name, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (const struct scenario *s = lists[i]; s->name; s++)
			if (strlen(s->name) == length && !strncmp(s->name, name, length))
				return true;
	return false;
}

/* A scenario that was renamed must not silently become "nothing ran". */
static void names_check(const char *list)
{
	while (list && *list) {
		size_t length = strcspn(list, ",");

		if (!name_exists(list, length))
			errx(2, "no scenario '%.*s'", (int)length, list);
		list += length;
		list += *list == ',';
	}
}

static void scenarios_list(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (const struct scenario *s = lists[i]; s->name; s++)
			printf("%-18s %s\n", s->name, s->what);
}

static unsigned long long number_or_die(const char *text, unsigned long long min,
					unsigned long long max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || value < min || value > max)
		errx(2, "'%s' is not a number from %llu to %llu", text, min, max);
	return value;
}

static void options_parse(struct plan *plan, int argc, char **argv)
{
	enum { LIST = 256, ONLY, EXCEPT, SECONDS, QUICK, THREADS, MEMORY, SEED, DIR, TIMEOUT,
	       VERBOSE, HELPER, HELP };
	static const struct option table[] = {
		{ "list", no_argument, NULL, LIST },
		{ "only", required_argument, NULL, ONLY },
		{ "except", required_argument, NULL, EXCEPT },
		{ "seconds", required_argument, NULL, SECONDS },
		{ "quick", no_argument, NULL, QUICK },
		{ "threads", required_argument, NULL, THREADS },
		{ "mib", required_argument, NULL, MEMORY },
		{ "seed", required_argument, NULL, SEED },
		{ "dir", required_argument, NULL, DIR },
		{ "timeout", required_argument, NULL, TIMEOUT },
		{ "verbose", no_argument, NULL, VERBOSE },
		{ "helper", required_argument, NULL, HELPER },
		{ "help", no_argument, NULL, HELP },
		{ 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", table, NULL)) >= 0) {
		switch (c) {
		case LIST:	scenarios_list(); exit(0);
		case ONLY:	plan->only = optarg; break;
		case EXCEPT:	plan->except = optarg; break;
		case SECONDS:	plan->seconds = number_or_die(optarg, 0, 1000000); break;
		case QUICK:	settings.quick = true; break;
		case THREADS:	settings.threads = number_or_die(optarg, 1, 256); break;
		case MEMORY:	settings.mib = number_or_die(optarg, 1, 1 << 20); break;
		case SEED:	plan->seed = number_or_die(optarg, 0, UINT64_MAX); break;
		case DIR:	settings.dir = optarg; break;
		case TIMEOUT:	plan->timeout = number_or_die(optarg, 1, 1000000); break;
		case VERBOSE:	settings.verbose = true; break;
		case HELPER:	exit(spawn_helper(optarg));
		case HELP:	usage(stdout); exit(0);
		default:	usage(stderr); exit(2);
		}
	}
	if (optind != argc) {
		usage(stderr);
		exit(2);
	}
	names_check(plan->only);
	names_check(plan->except);
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static volatile sig_atomic_t running, stop;

static void timeout_handler(int number)
{
	/* The whole group: a scenario may hang because of its children. */
	if (running)
		kill(-running, SIGKILL);
	(void)number;
}

static void stop_handler(int number)
{
	stop = 1;
	(void)number;
}

static void scenario_run(const struct scenario *scenario, const struct plan *plan)
{
	double start = seconds_now();
	uint64_t checks = tally->checks, skips = tally->skips, notes = tally->notes;
	uint64_t errors = tally->errors;
	int status;
	pid_t pid;

	scenario_name = scenario->name;
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		setpgid(0, 0);
		signal(SIGTERM, SIG_DFL);
		scenario->run();
		/* Through exit handlers, as programs end. */
		exit(0);
	}
	setpgid(pid, pid);
	running = pid;
	alarm(plan->timeout);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			err(1, "waitpid");
	if (alarm(0) == 0)
		check_at(false, NULL, "hung for %lu seconds", plan->timeout);
	running = 0;
	/* What it left behind must not disturb the next one. */
	kill(-pid, SIGKILL);

	if (WIFSIGNALED(status))
		check_at(false, NULL, "killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else if (status != 0 && tally->errors == errors)
		check_at(false, NULL, "ended with status %d", WEXITSTATUS(status));
	else if (tally->checks == checks && tally->skips == skips && tally->notes == notes)
		check_at(false, NULL, "verified nothing");
	if (settings.verbose)
		printf("ran  %-18s %6" PRIu64 " checks %5.2f s\n", scenario->name,
		       tally->checks - checks, seconds_now() - start);
}

static void round_run(const struct plan *plan)
{
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		for (const struct scenario *s = lists[i]; s->name && !stop; s++) {
			if (plan->only && !name_listed(plan->only, s->name))
				continue;
			if (plan->except && name_listed(plan->except, s->name))
				continue;
			scenario_run(s, plan);
		}
	}
}

int main(int argc, char **argv)
{
	struct plan plan = { .timeout = DEFAULT_TIMEOUT_S, .seed = settings.seed };
	static char self[4096];
	double end;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		err(1, "cannot read /proc/self/exe");
	settings.self = self;
	setvbuf(stdout, NULL, _IOLBF, 0);
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED)
		err(1, "mmap");
	options_parse(&plan, argc, argv);
	/* Without SA_RESTART: waitpid is to see that the time is over. */
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = timeout_handler }, NULL);
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = stop_handler }, NULL);

	end = seconds_now() + plan.seconds;
	do {
		settings.seed = plan.seed + settings.round;
		round_run(&plan);
		settings.round++;
	} while (!stop && seconds_now() < end);

	scenario_name = "stress";
	if (tally->checks == 0)
		check_at(false, NULL, "nothing was verified");
	printf("rounds %u, skipped %" PRIu64 ", notes %" PRIu64 "\n", settings.round,
	       tally->skips, tally->notes);
	printf("stress: %" PRIu64 " checks, %" PRIu64 " errors\n", tally->checks,
	       tally->errors);
	return tally->errors ? 1 : 0;
}

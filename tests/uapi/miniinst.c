// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * miniinst - a raw instance in a few hundred lines: binds a cgroup, runs a
 * program in it, supplies free frames in order until the program is done, and
 * prints what the module counted. It is the module's test companion and works
 * without the daemon.
 *
 * Exit status: that of the program (128 + N after signal N); 125 when miniinst
 * itself failed; 126 when --leakcheck found frames that did not come back.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "domain.h"
#include "evictor.h"
#include "feeder.h"

#define EXIT_LEAK		126
#define PAGES_PER_MIB		256
/* Exit of the last process to the last frame back: I/O may hold one that long. */
#define LEAK_TIMEOUT_MS		10000

struct options {
	const char *cgroup;
	uint64_t ceiling_mib;
	uint64_t reserve_mib;
	unsigned long grow_mib;
	int node;		/* -1: any */
	unsigned int order;
	unsigned int small_order;
	unsigned long small_pages;
	unsigned int deadline_ms;
	unsigned int run;
	unsigned int evict;	/* pages a second */
	long stall_ms;		/* -1: never */
	long resume_ms;		/* -1: never */
	bool arm;
	bool supply;
	bool rearm;
	bool zero;
	bool keep;
	bool leakcheck;
	bool move_self;
	bool verbose;
	char **command;
};

enum source { SOURCE_DOMAIN, SOURCE_CHILD, SOURCE_SIGNAL, SOURCE_TIMER, SOURCE_EVICT };

#define EVICT_INTERVAL_MS	10

struct run {
	const struct options *options;
	struct domain domain;
	struct feeder feeder;
	struct evictor evictor;
	int device;
	int epoll;
	int signals;
	int timer;
	int evict;
	pid_t child;
	int child_fd;
	bool stalled;
};

static void usage(FILE *file)
{
	fputs("usage: miniinst --cgroup PATH --ceiling-mib N [options] -- PROGRAM ARGS...\n"
	      "  --order K              pages mapped by one fault, log2 (default 4)\n"
	      "  --small-order K        the same in mappings smaller than\n"
	      "  --small-pages N        so many pages (default 0)\n"
	      "  --reserve-mib N        leave this much below memory.max (default 0)\n"
	      "  --grow-mib N           grow in steps of N (default 16; 0: never)\n"
	      "  --node N               grow from this NUMA node\n"
	      "  --deadline-ms N        (default: the module's)\n"
	      "  --run N                frames in one supply entry at most (default 512)\n"
	      "  --zero                 zero frames before they are supplied\n"
	      "  --no-arm               bind only: the domain stays in fallback\n"
	      "  --no-supply            arm, but never supply\n"
	      "  --no-rearm             stay in fallback after a missed deadline\n"
	      "  --stall MS             stop serving MS after the start, as if stopped\n"
	      "  --resume MS            go on MS after the stall (default: never)\n"
	      "  --unmanaged-move-self  start PROGRAM outside; it finds the cgroup's path\n"
	      "                         in USM_CGROUP and moves itself\n"
	      "  --evict N              evict N pages a second, at random (default 0)\n"
	      "  --leakcheck            afterwards nothing may be mapped, shared or held\n"
	      "  --keep                 leave the domain bound\n"
	      "  --verbose              tell what happens on stderr\n",
	      file);
}

static unsigned long number_or_die(const char *text, unsigned long max)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 0);
	if (errno || end == text || *end || value > max)
		errx(DOMAIN_EXIT_FAILURE, "'%s' is not a number up to %lu", text, max);
	return value;
}

static void options_parse(struct options *o, int argc, char **argv)
{
	enum { CGROUP = 256, CEILING, ORDER, RESERVE, GROW, NODE, DEADLINE, RUN, ZERO,
	       NO_ARM, NO_SUPPLY, NO_REARM, SMALL_ORDER, SMALL_PAGES, STALL, RESUME, MOVE_SELF, LEAKCHECK,
	       EVICT, KEEP, VERBOSE, HELP };
	static const struct option table[] = {
		{ "cgroup", required_argument, NULL, CGROUP },
		{ "ceiling-mib", required_argument, NULL, CEILING },
		{ "order", required_argument, NULL, ORDER },
		{ "small-order", required_argument, NULL, SMALL_ORDER },
		{ "small-pages", required_argument, NULL, SMALL_PAGES },
		{ "reserve-mib", required_argument, NULL, RESERVE },
		{ "grow-mib", required_argument, NULL, GROW },
		{ "node", required_argument, NULL, NODE },
		{ "deadline-ms", required_argument, NULL, DEADLINE },
		{ "run", required_argument, NULL, RUN },
		{ "zero", no_argument, NULL, ZERO },
		{ "no-arm", no_argument, NULL, NO_ARM },
		{ "no-supply", no_argument, NULL, NO_SUPPLY },
		{ "no-rearm", no_argument, NULL, NO_REARM },
		{ "stall", required_argument, NULL, STALL },
		{ "resume", required_argument, NULL, RESUME },
		{ "unmanaged-move-self", no_argument, NULL, MOVE_SELF },
		{ "evict", required_argument, NULL, EVICT },
		{ "leakcheck", no_argument, NULL, LEAKCHECK },
		{ "keep", no_argument, NULL, KEEP },
		{ "verbose", no_argument, NULL, VERBOSE },
		{ "help", no_argument, NULL, HELP },
		{ 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "+", table, NULL)) >= 0) {
		switch (c) {
		case CGROUP:	o->cgroup = optarg; break;
		case CEILING:	o->ceiling_mib = number_or_die(optarg, 1 << 22); break;
		case ORDER:	o->order = number_or_die(optarg, USM_MAX_ORDER); break;
		case SMALL_ORDER: o->small_order = number_or_die(optarg, USM_MAX_ORDER); break;
		case SMALL_PAGES: o->small_pages = number_or_die(optarg, 1u << 31); break;
		case RESERVE:	o->reserve_mib = number_or_die(optarg, 1 << 22); break;
		case GROW:	o->grow_mib = number_or_die(optarg, 1 << 20); break;
		case NODE:	o->node = (int)number_or_die(optarg, 1023); break;
		case DEADLINE:	o->deadline_ms = number_or_die(optarg, USM_MAX_DEADLINE_MS); break;
		case RUN:	o->run = number_or_die(optarg, USM_MAX_RUN); break;
		case ZERO:	o->zero = true; break;
		case NO_ARM:	o->arm = false; break;
		case NO_SUPPLY:	o->supply = false; break;
		case NO_REARM:	o->rearm = false; break;
		case STALL:	o->stall_ms = number_or_die(optarg, 3600000); break;
		case RESUME:	o->resume_ms = number_or_die(optarg, 3600000); break;
		case MOVE_SELF:	o->move_self = true; break;
		case EVICT:	o->evict = number_or_die(optarg, 1 << 20); break;
		case LEAKCHECK:	o->leakcheck = true; break;
		case KEEP:	o->keep = true; break;
		case VERBOSE:	o->verbose = true; break;
		case HELP:	usage(stdout); exit(0);
		default:	usage(stderr); exit(DOMAIN_EXIT_FAILURE);
		}
	}
	o->command = argv + optind;
	if (!o->cgroup || !o->ceiling_mib || !o->run || !*o->command) {
		usage(stderr);
		exit(DOMAIN_EXIT_FAILURE);
	}
}

static void watch_or_die(struct run *run, int fd, uint32_t events, enum source source)
{
	struct epoll_event event = { .events = events, .data.u32 = source };

	if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		err(DOMAIN_EXIT_FAILURE, "epoll_ctl");
}

static void small_order_or_die(const struct options *o, int domain_fd)
{
	struct usm_tune tune = { .size = sizeof(tune), .flags = USM_TUNE_ORDERS };
	int r;

	for (unsigned int n = 0; n < USM_ORDER_SIZES; n++)
		tune.orders[n] = 1ul << n < o->small_pages ? o->small_order : o->order;
	r = domain_ioctl(domain_fd, USM_IOC_TUNE, &tune);
	if (r < 0)
		errx(DOMAIN_EXIT_FAILURE, "cannot set orders: %s", strerror(-r));
}

static void domain_bind_or_die(struct run *run)
{
	const struct options *o = run->options;
	int cgroup_fd = domain_cgroup_open_or_die(o->cgroup);
	struct usm_bind bind;
	int r;

	run->device = domain_device_open_or_die();
	domain_bind_init(&bind, cgroup_fd, o->ceiling_mib * PAGES_PER_MIB);
	bind.reserve = o->reserve_mib << 20;
	bind.fault_order = o->order;
	bind.deadline_ms = o->deadline_ms;
	strcpy(bind.label, "miniinst");
	r = domain_ioctl(run->device, USM_IOC_BIND, &bind);
	if (r < 0)
		errx(DOMAIN_EXIT_FAILURE, "cannot bind %s: %s", o->cgroup,
		     strerror(-r));
	close(cgroup_fd);
	if (o->small_pages)
		small_order_or_die(o, bind.domain_fd);
	domain_map_or_die(&run->domain, bind.domain_fd);
}

static void serve_arm(struct run *run)
{
	uint64_t epoch;
	int r = domain_arm(&run->domain, &epoch);

	if (r < 0) {
		warnx("cannot arm: %s", strerror(-r));
		return;
	}
	if (run->options->verbose)
		warnx("armed, epoch %" PRIu64, epoch);
	feeder_reset(&run->feeder);
}

static void serve(struct run *run)
{
	bool fell_back;

	if (run->stalled || !run->options->arm)
		return;
	fell_back = feeder_events(&run->feeder);
	if (run->options->evict)
		evictor_catch_up(&run->evictor);
	if (fell_back && run->options->rearm) {
		struct usm_stat stat;

		/* The event may be an old one, or a guess after lost ones. */
		if (domain_stat(&run->domain, &stat) == 0 &&
		    stat.state != USM_FALLBACK_NONE) {
			if (run->options->verbose)
				warnx("fell back (%s)", domain_state_name(stat.state));
			serve_arm(run);
		}
	}
	if (run->options->supply)
		feeder_supply(&run->feeder);
	else
		feeder_grow(&run->feeder);
}

/* Returns the write end of a pipe: closing it lets the program start. */
static int child_spawn_or_die(struct run *run)
{
	const struct options *o = run->options;
	sigset_t none;
	int go[2];

	if (pipe2(go, O_CLOEXEC) < 0)
		err(DOMAIN_EXIT_FAILURE, "pipe2");
	run->child = fork();
	if (run->child < 0)
		err(DOMAIN_EXIT_FAILURE, "fork");
	if (run->child == 0) {
		char c;

		close(go[1]);
		while (read(go[0], &c, 1) < 0 && errno == EINTR)
			;
		if (o->move_self) {
			setenv("USM_CGROUP", o->cgroup, 1);
		} else {
			int dir = domain_cgroup_open_or_die(o->cgroup);
			int procs = openat(dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);

			if (procs < 0 || write(procs, "0", 1) != 1)
				err(DOMAIN_EXIT_FAILURE, "cannot enter %s", o->cgroup);
		}
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execvp(o->command[0], o->command);
		err(DOMAIN_EXIT_FAILURE, "cannot run %s", o->command[0]);
	}
	close(go[0]);
	run->child_fd = (int)syscall(SYS_pidfd_open, run->child, 0);
	if (run->child_fd < 0)
		err(DOMAIN_EXIT_FAILURE, "pidfd_open");
	return go[1];
}

static void timer_set(struct run *run, long ms)
{
	/* 0 would disarm the timer. */
	struct itimerspec when = {
		.it_value = { ms / 1000, ms % 1000 * 1000000 + 1 },
	};

	timerfd_settime(run->timer, 0, &when, NULL);
}

static void timer_fired(struct run *run)
{
	uint64_t ticks;

	if (read(run->timer, &ticks, sizeof(ticks)) < 0)
		return;
	run->stalled = !run->stalled;
	if (run->options->verbose)
		warnx(run->stalled ? "stalling" : "resuming");
	if (run->stalled && run->options->resume_ms >= 0)
		timer_set(run, run->options->resume_ms);
	serve(run);
}

static void evict_event(void *context, const struct usm_event *event)
{
	evictor_event(context, event);
}

static void evict_some(struct run *run)
{
	uint64_t ticks;

	if (read(run->evict, &ticks, sizeof(ticks)) < 0 || run->stalled)
		return;
	/* What was late is not made up for: faults come first. */
	evictor_evict(&run->evictor, run->options->evict * EVICT_INTERVAL_MS / 1000 + 1);
	serve(run);
}

static void evict_begin(struct run *run)
{
	static const struct itimerspec every = {
		{ 0, EVICT_INTERVAL_MS * 1000000 }, { 0, EVICT_INTERVAL_MS * 1000000 },
	};

	evictor_init_or_die(&run->evictor, &run->domain);
	run->feeder.other = evict_event;
	run->feeder.context = &run->evictor;
	run->evict = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (run->evict < 0)
		err(DOMAIN_EXIT_FAILURE, "timerfd_create");
	timerfd_settime(run->evict, 0, &every, NULL);
	watch_or_die(run, run->evict, EPOLLIN, SOURCE_EVICT);
}

static void signal_forward(struct run *run)
{
	struct signalfd_siginfo info;

	if (read(run->signals, &info, sizeof(info)) == sizeof(info))
		kill(run->child, (int)info.ssi_signo);
}

/* Serve until the program is gone; its wait status. */
static int loop_run(struct run *run)
{
	for (;;) {
		struct epoll_event events[4];
		int n = epoll_wait(run->epoll, events, 4, -1);
		int status;

		if (n < 0 && errno != EINTR)
			err(DOMAIN_EXIT_FAILURE, "epoll_wait");
		for (int i = 0; i < n; i++) {
			switch ((enum source)events[i].data.u32) {
			case SOURCE_DOMAIN:
				serve(run);
				break;
			case SOURCE_TIMER:
				timer_fired(run);
				break;
			case SOURCE_SIGNAL:
				signal_forward(run);
				break;
			case SOURCE_EVICT:
				evict_some(run);
				break;
			case SOURCE_CHILD:
				if (waitpid(run->child, &status, 0) != run->child)
					break;
				/* It stays readable, and would keep a later wait short. */
				close(run->child_fd);
				return status;
			}
		}
	}
}

/* Who it is that still lives there, if anybody does. */
static void procs_print(const char *cgroup)
{
	int dir = domain_cgroup_open_or_die(cgroup);
	int procs = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char pids[256];
	ssize_t n = procs < 0 ? 0 : read(procs, pids, sizeof(pids) - 1);

	pids[n < 0 ? 0 : n] = '\0';
	for (char *p = pids; *p; p++)
		if (*p == '\n')
			*p = ' ';
	warnx("processes in the cgroup: %s", *pids ? pids : "none");
	close(procs);
	close(dir);
}

static long long ms_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/*
 * Nothing of the program may be left: go on serving until the last space and
 * frame are back, or the time is over.
 */
static bool leak_check(struct run *run, struct usm_stat *stat)
{
	long long end = ms_now() + LEAK_TIMEOUT_MS;

	timerfd_settime(run->timer, 0, &(struct itimerspec){ 0 }, NULL);
	run->stalled = false;
	for (;;) {
		struct epoll_event event;

		if (domain_stat(&run->domain, stat) < 0)
			return false;
		if (!stat->spaces && !stat->frames_mapped && !stat->frames_held &&
		    !stat->evicted && (!run->options->evict || !evictor_kept(&run->evictor)))
			return true;
		if (ms_now() >= end)
			break;
		/* The last put of a page that a pipe or disk held makes no event. */
		if (epoll_wait(run->epoll, &event, 1, 10) > 0)
			serve(run);
	}
	warnx("leak: %u spaces, %" PRIu64 " frames mapped, %" PRIu64 " shared, %" PRIu64 " held, %"
	      PRIu64 " evicted after the last process is gone", stat->spaces,
	      (uint64_t)stat->frames_mapped, (uint64_t)stat->frames_shared,
	      (uint64_t)stat->frames_held, (uint64_t)stat->evicted);
	procs_print(run->options->cgroup);
	return false;
}

int main(int argc, char **argv)
{
	struct options options = {
		.grow_mib = 16, .order = 4, .run = USM_MAX_RUN,
		.node = -1, .stall_ms = -1, .resume_ms = -1,
		.arm = true, .supply = true, .rearm = true,
	};
	struct run run = { .options = &options };
	struct usm_stat stat = { 0 };
	sigset_t forwarded;
	int status, go;
	bool clean = true;

	options_parse(&options, argc, argv);
	domain_bind_or_die(&run);
	feeder_init(&run.feeder, &run.domain, options.grow_mib * PAGES_PER_MIB,
		    options.run, options.zero);
	run.feeder.node = options.node;

	sigemptyset(&forwarded);
	sigaddset(&forwarded, SIGINT);
	sigaddset(&forwarded, SIGTERM);
	sigprocmask(SIG_BLOCK, &forwarded, NULL);
	run.signals = signalfd(-1, &forwarded, SFD_CLOEXEC);
	run.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	run.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (run.signals < 0 || run.timer < 0 || run.epoll < 0)
		err(DOMAIN_EXIT_FAILURE, "cannot set up the event loop");

	go = child_spawn_or_die(&run);
	watch_or_die(&run, run.child_fd, EPOLLIN, SOURCE_CHILD);
	watch_or_die(&run, run.signals, EPOLLIN, SOURCE_SIGNAL);
	watch_or_die(&run, run.timer, EPOLLIN, SOURCE_TIMER);
	/*
	 * Edge triggered: while stalled, events stay in the ring, and a level
	 * would then spin.
	 */
	watch_or_die(&run, run.domain.fd, EPOLLIN | EPOLLET, SOURCE_DOMAIN);

	if (options.evict)
		evict_begin(&run);
	if (options.arm) {
		serve_arm(&run);
		serve(&run);
	}
	if (options.stall_ms >= 0)
		timer_set(&run, options.stall_ms);
	close(go);
	status = loop_run(&run);

	if (options.leakcheck)
		clean = leak_check(&run, &stat);
	if (domain_stat(&run.domain, &stat) < 0)
		warnx("the domain is gone");
	else
		domain_stat_print(stderr, &stat);
	if (!options.keep && domain_release(run.device, run.domain.id) < 0)
		warnx("cannot release the domain");
	if (options.evict) {
		warnx("evicted %" PRIu64 " pages, brought back %" PRIu64 ", %" PRIu64
		      " late, %" PRIu64 " refused", run.evictor.stored, run.evictor.restored,
		      run.evictor.late, run.evictor.refused);
		evictor_done(&run.evictor);
	}
	feeder_done(&run.feeder);
	domain_unmap(&run.domain);

	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	if (WEXITSTATUS(status))
		return WEXITSTATUS(status);
	return clean ? 0 : EXIT_LEAK;
}

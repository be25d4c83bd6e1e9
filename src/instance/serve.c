// SPDX-License-Identifier: GPL-2.0-or-later
#include "serve.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "cleanup.h"
#include "device.h"
#include "journal.h"
#include "link.h"
#include "stores.h"

#define TICK_USEC	1000000ull

static int serve_submit(void *context, struct usm_command *commands, uint32_t count)
{
	return usm_device_submit(*(const int *)context, commands, count);
}

static int serve_kick(void *context)
{
	return usm_device_kick(*(const int *)context);
}

static int serve_exchange(void *context, struct usm_command *commands, uint32_t count,
			  uint32_t timeout_ms)
{
	return usm_device_exchange(*(const int *)context, commands, count, timeout_ms);
}

const struct usm_engine_ops usm_serve_ops = {
	.submit = serve_submit,
	.kick = serve_kick,
	.exchange = serve_exchange,
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t now_usec(void)
{
	return now_ns() / 1000;
}

/* End the loop: r is enum usm_serve_end, or negative with serve->err set. */
static int finish(struct usm_serve *serve, int r)
{
	return sd_event_exit(serve->event, r);
}

/* A failed request on the domain: that it is gone is the ordinary end. */
static int domain_failed(struct usm_serve *serve, int r)
{
	if (r == -ENODEV) {
		usm_journal_write(LOG_INFO, NULL, "the domain is gone, as is its container");
		return finish(serve, USM_SERVE_GONE);
	}
	return finish(serve, usm_error_set(&serve->err, -r, "the domain fails: %s",
					   usm_device_reason(r)));
}

/* --------------------------------------------------------------------- usmd */

static void link_lost(struct usm_serve *serve)
{
	serve->on_link = sd_event_source_disable_unref(serve->on_link);
	usm_close(&serve->link);
}

static void link_report(struct usm_serve *serve)
{
	cleanup_error struct usm_error err = {};

	if (serve->link >= 0 && usm_link_say_armed(serve->link, serve->epoch, &err) < 0) {
		usm_journal_write(LOG_NOTICE, NULL, "%s; connecting anew", usm_error_message(&err));
		link_lost(serve);
	}
}

static int on_link(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct usm_serve *serve = userdata;
	cleanup_error struct usm_error err = {};
	cleanup_close int extra = -1;
	int r;

	r = usm_link_receive(fd, serve->text, &extra, &err);
	if (r == -EAGAIN || r == -EINTR)
		return 0;
	/* Nothing that usmd says after its first message changes how we serve; a
	 * second descriptor of the domain is closed again. */
	if (r > 0)
		return 0;

	usm_journal_write(LOG_NOTICE, USM_MSG_DAEMON_LOST,
			  "usmd has gone away (%s); the container is served as before",
			  r < 0 ? usm_error_message(&err) : "end of the connection");
	link_lost(serve);
	return 0;
}

static int link_watch(struct usm_serve *serve)
{
	return sd_event_add_io(serve->event, &serve->on_link, serve->link, EPOLLIN, on_link, serve);
}

static void link_retry(struct usm_serve *serve)
{
	/* That usmd is still away is no news. "armed" says that we have our descriptor. */
	serve->link = usm_link_open(serve->socket, serve->domain, true, NULL);
	if (serve->link < 0) {
		serve->link = -1;
		return;
	}
	if (link_watch(serve) < 0) {
		link_lost(serve);
		return;
	}
	usm_journal_write(LOG_INFO, NULL, "usmd is back");
	serve->told = (struct usm_store_usage){};
	if (serve->engine->armed)
		link_report(serve);
}

/* -------------------------------------------------------------------- domain */

/* Where pages are away and cannot be had now, the next instance may have more luck. */
static int stores_open(struct usm_serve *serve)
{
	cleanup_error struct usm_error err = {};
	struct usm_engine *engine = serve->engine;
	uint64_t damaged;
	int r;

	r = usm_stores_open(serve->domain_fd, engine->setup.mapping, engine->setup.policy->evict,
			    serve->store_quota, &serve->vault, &err);
	if (r < 0) {
		usm_journal_write(LOG_ERR, USM_MSG_STORE_DAMAGED, "%s", usm_error_message(&err));
		return r;
	}
	serve->opened = true;
	if (!r)
		return 0;
	usm_eviction_attach(engine, &serve->vault);
	damaged = usm_vault_recover(&serve->vault);
	if (damaged)
		usm_journal_write(LOG_ERR, USM_MSG_STORE_DAMAGED, "%" PRIu64 " evicted pages were "
				  "found damaged", damaged);
	return 0;
}

/* usmd has bound it so; but an older one may have, for another annotation. */
static int mode_set(struct usm_serve *serve)
{
	uint32_t mode = serve->engine->setup.upcall ? USM_MODE_UPCALL : USM_MODE_SUPPLY;
	struct usm_tune tune = { .flags = USM_TUNE_MODE, .mode = mode };
	struct usm_stat stat;
	int r = usm_device_stat(serve->domain_fd, &stat);

	return r < 0 || stat.mode == mode ? r : usm_device_tune(serve->domain_fd, &tune);
}

static int arm(struct usm_serve *serve)
{
	int r = usm_device_arm(serve->domain_fd, &serve->epoch);

	if (!r)
		r = mode_set(serve);
	if (r < 0)
		return r;
	/* An earlier instance may have written to them until now. */
	if (!serve->opened)
		r = stores_open(serve);
	if (r < 0)
		return r;
	usm_engine_reset(serve->engine, now_ns());
	sd_event_source_set_enabled(serve->on_domain, SD_EVENT_ON);
	usm_journal_write(LOG_INFO, USM_MSG_ARMED, "armed for the %" PRIu64 "%s time: policy %s "
			  "serves the container", serve->epoch,
			  serve->epoch == 1 ? "st" : serve->epoch == 2 ? "nd" :
			  serve->epoch == 3 ? "rd" : "th", serve->engine->setup.policy->name);
	link_report(serve);
	return 0;
}

static int rearm_schedule(struct usm_serve *serve)
{
	uint32_t why = serve->engine->fallback;
	uint64_t now = now_usec();
	bool calm = !serve->fallback_at || now - serve->fallback_at > USM_SERVE_REARM_CALM_USEC;

	serve->engine->fallback = 0;
	if (why != USM_FALLBACK_DEADLINE) {
		usm_journal_write(LOG_NOTICE, USM_MSG_FALLBACK, "the module serves the container by "
				  "itself: %s", usm_device_state_name(why));
		return 0;
	}

	if (calm)
		serve->rearm_delay = 0;
	else if (!serve->rearm_delay)
		serve->rearm_delay = USM_SERVE_REARM_MIN_USEC;
	else if (serve->rearm_delay < USM_SERVE_REARM_MAX_USEC)
		serve->rearm_delay *= 2;
	if (serve->rearm_delay > USM_SERVE_REARM_MAX_USEC)
		serve->rearm_delay = USM_SERVE_REARM_MAX_USEC;
	serve->fallback_at = now;

	usm_journal_write(LOG_WARNING, USM_MSG_FALLBACK, "a deadline was missed: the module serves "
			  "the container by itself, policy %s again in %" PRIu64 " ms",
			  serve->engine->setup.policy->name, serve->rearm_delay / 1000);
	sd_event_source_set_time(serve->on_rearm, now + serve->rearm_delay);
	return sd_event_source_set_enabled(serve->on_rearm, SD_EVENT_ONESHOT);
}

/* Once: a policy that errs in one answer does so in thousands. STATUS= counts. */
static void complain(struct usm_serve *serve)
{
	const struct usm_engine *engine = serve->engine;
	char text[USM_ANSWER_TEXT];

	if (serve->complained || !engine->wrong)
		return;
	serve->complained = true;
	usm_answer_print(&engine->first_wrong, text);
	usm_journal_write(LOG_WARNING, USM_MSG_POLICY_WRONG, "policy %s gave a wrong answer, which "
			  "was dropped, as further ones will be: %s", engine->setup.policy->name, text);
}

/* Once, since at its quota a store is now full and now not. */
static void complain_full(struct usm_serve *serve)
{
	struct usm_store_usage usage;

	if (serve->complained_full || !serve->engine->vault || !serve->vault.unsaved)
		return;
	serve->complained_full = true;
	usm_vault_usage(&serve->vault, &usage);
	usm_journal_write(LOG_WARNING, USM_MSG_STORE_FULL, "%" PRIu64 " evicted pages take %" PRIu64
			  " MiB of the %" PRIu64 " MiB that they may: no more can be evicted",
			  usage.pages, usage.used >> 20, usage.quota >> 20);
}

static int work(struct usm_serve *serve)
{
	int r = usm_engine_turn(serve->engine, now_ns());

	if (r < 0)
		return domain_failed(serve, r);
	complain(serve);
	complain_full(serve);
	if (serve->engine->fallback) {
		int s = rearm_schedule(serve);

		if (s < 0)
			return s;
	}
	return sd_event_source_set_enabled(serve->on_more, r == USM_ENGINE_MORE ?
					   SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/*
 * The descriptor is not the armed one any more: it fell back, the domain is gone,
 * or somebody else has armed it. It stays so until it is armed again, so do not
 * look at it until then; what happens meanwhile is seen at each tick.
 */
static int hung_up(struct usm_serve *serve)
{
	struct usm_stat stat;
	int r = usm_device_stat(serve->domain_fd, &stat);

	if (r < 0)
		return domain_failed(serve, r);
	if (stat.state == USM_FALLBACK_NONE)
		return domain_failed(serve, -EBUSY);
	sd_event_source_set_enabled(serve->on_domain, SD_EVENT_OFF);
	usm_engine_fell(serve->engine, stat.state);
	return work(serve);
}

/*
 * Upcall mode: faults come in a row, each with one system call, and the loop has its turn
 * between two rows or when one is long.
 */
static int rounds(struct usm_serve *serve)
{
	int left = USM_SERVE_ROUNDS, r, s;

	do {
		r = work(serve);
		while (r >= 0 && left-- > 0) {
			s = usm_upcall_round(serve->engine, clock_ns(CLOCK_MONOTONIC_COARSE));
			if (s < 0)
				return domain_failed(serve, s);
			if (s != USM_UPCALL_ROUND)
				break;
		}
	} while (r >= 0 && left > 0 && s == USM_UPCALL_TURN);
	/* What the last rounds have left to do. */
	return r < 0 ? r : work(serve);
}

static int on_domain(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct usm_serve *serve = userdata;

	if (revents & (EPOLLHUP | EPOLLERR))
		return hung_up(serve);
	return serve->engine->setup.upcall ? rounds(serve) : work(serve);
}

static int on_more(sd_event_source *source, void *userdata)
{
	return work(userdata);
}

static int on_rearm(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct usm_serve *serve = userdata;
	int r = arm(serve);

	return r < 0 ? domain_failed(serve, r) : work(serve);
}

/* --------------------------------------------------------------------- clock */

static void status(const struct usm_serve *serve)
{
	const struct usm_engine *engine = serve->engine;

	sd_notifyf(false, "STATUS=%s, epoch %" PRIu64 ": %u of %u frames free, %" PRIu64
		   " wrong answers of the policy",
		   engine->armed ? "Armed" : "Fallback", serve->epoch,
		   usm_index_free(&engine->index), engine->index.present.count, engine->wrong);
}

/* To usmd, for whoever asks it; only what is another than it was told. */
static void store_report(struct usm_serve *serve)
{
	struct usm_store_usage usage;

	if (serve->link < 0 || !serve->engine->vault)
		return;
	usm_vault_usage(&serve->vault, &usage);
	if (!memcmp(&usage, &serve->told, sizeof(usage)))
		return;
	/* Where it fails, the loop sees the end of the connection. */
	if (usm_link_say_store(serve->link, &usage, NULL) >= 0)
		serve->told = usage;
}

/* The event that tells of a fallback may have been among those that were lost. */
static int state_check(struct usm_serve *serve)
{
	struct usm_stat stat;
	int r = usm_device_stat(serve->domain_fd, &stat);

	if (r)
		return r;
	if (stat.state != USM_FALLBACK_NONE)
		usm_engine_fell(serve->engine, stat.state);
	return 0;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct usm_serve *serve = userdata;
	int r;

	if (serve->link < 0)
		link_retry(serve);
	if (serve->ticks++ % USM_SERVE_STATUS_TICKS == 0)
		status(serve);
	store_report(serve);

	r = usm_engine_tick(serve->engine, now_ns());
	if (!r)
		r = state_check(serve);
	if (r < 0)
		return domain_failed(serve, r);
	/* From now and not from then: after a stop there is nothing to catch up on. */
	sd_event_source_set_time(source, now_usec() + TICK_USEC);
	return work(serve);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct usm_serve *serve = userdata;

	sd_notify(false, "STOPPING=1\nSTATUS=Stopping.");
	return finish(serve, USM_SERVE_STOPPED);
}

/* ----------------------------------------------------------------- the frame */

static int sources_add(struct usm_serve *serve)
{
	static const int stop[] = { SIGTERM, SIGINT };
	sigset_t mask;
	int r;

	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof(stop) / sizeof(*stop); i++)
		sigaddset(&mask, stop[i]);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	for (size_t i = 0; i < sizeof(stop) / sizeof(*stop); i++) {
		r = sd_event_add_signal(serve->event, NULL, stop[i], on_signal, serve);
		if (r < 0)
			return r;
	}

	r = sd_event_add_io(serve->event, &serve->on_domain, serve->domain_fd, EPOLLIN, on_domain,
			    serve);
	if (r < 0)
		return r;
	/* Its events come before everything else, what is left of a turn comes last. Where
	 * they never end, the rest has its turn between rows of them. */
	sd_event_source_set_priority(serve->on_domain, serve->engine->setup.upcall ?
				     SD_EVENT_PRIORITY_NORMAL : SD_EVENT_PRIORITY_IMPORTANT);

	r = sd_event_add_defer(serve->event, &serve->on_more, on_more, serve);
	if (r < 0)
		return r;
	sd_event_source_set_priority(serve->on_more, SD_EVENT_PRIORITY_IDLE);

	r = sd_event_add_time(serve->event, &serve->on_tick, CLOCK_MONOTONIC,
			      now_usec() + TICK_USEC, TICK_USEC / 10, on_tick, serve);
	if (r < 0)
		return r;
	sd_event_source_set_enabled(serve->on_tick, SD_EVENT_ON);

	r = sd_event_add_time(serve->event, &serve->on_rearm, CLOCK_MONOTONIC, UINT64_MAX, 1000,
			      on_rearm, serve);
	if (r < 0)
		return r;
	sd_event_source_set_enabled(serve->on_rearm, SD_EVENT_OFF);
	return link_watch(serve);
}

int usm_serve_open(struct usm_serve *serve, struct usm_error *err)
{
	int r;

	serve->text = malloc(USM_LINK_MESSAGE_MAX + 1);
	if (!serve->text)
		return usm_error_oom(err);
	r = sd_event_new(&serve->event);
	if (r >= 0)
		r = sources_add(serve);
	/* Sent from this loop and from nowhere else: a policy that hangs stops it. */
	if (r >= 0)
		r = sd_event_set_watchdog(serve->event, true);
	if (r < 0)
		return usm_error_errno(err, -r, "cannot set up the event loop");
	return 0;
}

void usm_serve_close(struct usm_serve *serve)
{
	sd_event_source_disable_unref(serve->on_domain);
	sd_event_source_disable_unref(serve->on_link);
	sd_event_source_disable_unref(serve->on_tick);
	sd_event_source_disable_unref(serve->on_more);
	sd_event_source_disable_unref(serve->on_rearm);
	sd_event_unref(serve->event);
	if (serve->engine)
		usm_eviction_attach(serve->engine, NULL);
	usm_stores_close(&serve->vault);
	usm_close(&serve->link);
	free(serve->text);
	usm_error_clear(&serve->err);
}

int usm_serve_run(struct usm_serve *serve, struct usm_error *err)
{
	int r = arm(serve);

	if (r < 0)
		return usm_error_set(err, -r, "cannot arm the domain: %s", usm_device_reason(r));

	/* Ready means that a fault finds something: fill the rings first. */
	r = usm_engine_turn(serve->engine, now_ns());
	if (r < 0)
		return usm_error_set(err, -r, "the domain fails: %s", usm_device_reason(r));
	sd_notify(false, "READY=1");

	r = sd_event_loop(serve->event);
	if (usm_error_is_set(&serve->err)) {
		usm_error_move(err, &serve->err);
		return r;
	}
	if (r < 0)
		return usm_error_errno(err, -r, "the event loop fails");

	/* Told apart from a crash by whoever looks at the domain. */
	if (r == USM_SERVE_STOPPED)
		usm_device_disarm(serve->domain_fd);
	return r;
}

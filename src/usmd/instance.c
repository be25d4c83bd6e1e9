// SPDX-License-Identifier: GPL-2.0-or-later
#include "instance.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <systemd/sd-login.h>

#include "cleanup.h"
#include "container.h"
#include "fdpass.h"
#include "json.h"
#include "listen.h"
#include "log.h"
#include "unit.h"

/* An instance says two numbers and a sentence. */
#define MESSAGE_MAX	4096

/* It says hello first thing; whoever does not is no instance of ours. */
#define HELLO_USEC	(10 * UINT64_C(1000000))

/* The socket is open to every user: strangers are turned away, and told of once
 * in this time. */
#define STRANGER_USEC	(60 * UINT64_C(1000000))

struct peer {
	LIST_ENTRY(peer) link;
	struct usm_instances *instances;
	sd_event_source *io, *patience;
	uint64_t domain;
	int fd;
	bool greeted;
};

struct usm_instances {
	LIST_HEAD(, peer) peers;
	sd_event *event;
	sd_event_source *io;
	usm_instance_identify_fn *identify;
	const struct usm_instance_callbacks *callbacks;
	void *userdata;
	uint64_t told_stranger;
	int fd;
};

int usm_instance_identify(pid_t pid, uint64_t *domain)
{
	cleanup_free char *unit = NULL;
	int r = sd_pid_get_unit(pid, &unit);

	if (r < 0)
		return r;
	return usm_unit_domain(unit, domain) ? 0 : -EPERM;
}

static void peer_free(struct peer *p)
{
	LIST_REMOVE(p, link);
	sd_event_source_disable_unref(p->io);
	sd_event_source_disable_unref(p->patience);
	usm_close(&p->fd);
	free(p);
}

static int greet(struct peer *p, const cJSON *root, struct usm_error *err)
{
	struct usm_instances *s = p->instances;
	cleanup_close int domain_fd = -1;
	cleanup_json cJSON *setup = NULL;
	cleanup_free char *text = NULL;
	struct peer *other, *next;
	char expected[21];
	const char *domain;
	bool hello, armed;
	int r;

	r = usm_json_get_bool(root, "hello", &hello, err);
	r = r ?: usm_json_get_string(root, "domain", &domain, err);
	r = r ?: usm_json_get_bool(root, "armed", &armed, err);
	if (r < 0)
		return r;
	snprintf(expected, sizeof(expected), "%" PRIu64, p->domain);
	if (!hello || strcmp(domain, expected))
		return usm_error_set(err, EPERM, "it speaks for domain %s", domain);

	/* One that was started again takes the place of one that hangs. */
	for (other = LIST_FIRST(&s->peers); other; other = next) {
		next = LIST_NEXT(other, link);
		if (other != p && other->domain == p->domain)
			peer_free(other);
	}

	r = s->callbacks->hello(p->domain, armed, &domain_fd, &setup, s->userdata);
	if (r < 0)
		return usm_error_errno(err, -r, "it cannot be given its domain");
	if (setup) {
		text = usm_json_print(setup);
		if (!text)
			return usm_error_oom(err);
		r = usm_fd_send(p->fd, text, domain_fd);
		if (r < 0)
			return usm_error_errno(err, -r, "its domain cannot be sent to it");
	}
	p->greeted = true;
	p->patience = sd_event_source_disable_unref(p->patience);
	return 0;
}

static int report_store(struct peer *p, const cJSON *root, struct usm_error *err)
{
	struct usm_instances *s = p->instances;
	struct usm_store_report report;
	int r;

	r = usm_json_get_u64(root, "quota", &report.quota, err);
	r = r ?: usm_json_get_u64(root, "used", &report.used, err);
	r = r ?: usm_json_get_u64(root, "data", &report.data, err);
	r = r ?: usm_json_get_u64(root, "pages", &report.pages, err);
	if (!r)
		s->callbacks->store(p->domain, &report, s->userdata);
	return r;
}

static int report(struct peer *p, const cJSON *root, struct usm_error *err)
{
	struct usm_instances *s = p->instances;
	const char *state, *message;
	uint64_t epoch;
	int r;

	r = usm_json_get_string(root, "state", &state, err);
	if (r < 0)
		return r;
	if (!strcmp(state, "armed")) {
		r = usm_json_get_u64(root, "epoch", &epoch, err);
		if (!r)
			s->callbacks->armed(p->domain, epoch, s->userdata);
		return r;
	}
	if (!strcmp(state, "failed")) {
		r = usm_json_get_string(root, "message", &message, err);
		if (!r)
			s->callbacks->failed(p->domain, message, s->userdata);
		return r;
	}
	if (!strcmp(state, "store"))
		return report_store(p, root, err);
	/* A newer instance may have more to say than we know. */
	return 0;
}

static int on_peer(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	const struct usm_json_limits limits = { .bytes = MESSAGE_MAX, .depth = 4 };
	cleanup_error struct usm_error err = {};
	cleanup_json cJSON *root = NULL;
	struct peer *p = userdata;
	char text[MESSAGE_MAX];
	ssize_t n;
	int r;

	n = recv(fd, text, sizeof(text), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		/* What that means is told by its unit and the module's state. */
		peer_free(p);
		return 0;
	}
	if ((size_t)n > sizeof(text))
		r = usm_error_set(&err, EMSGSIZE, "a message of %zd bytes", n);
	else
		r = usm_json_parse(text, n, &limits, &root, &err);
	if (!r && !cJSON_IsObject(root))
		r = usm_error_set(&err, EBADMSG, "a message is not an object");
	if (!r)
		r = p->greeted ? report(p, root, &err) : greet(p, root, &err);
	if (r < 0) {
		usm_log_line(LOG_WARNING, "The instance of domain %" PRIu64
			     " was turned away: %s", p->domain, usm_error_message(&err));
		peer_free(p);
	}
	return 0;
}

static int on_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct peer *p = userdata;

	usm_log_line(LOG_WARNING, "The instance of domain %" PRIu64
		     " connected and said nothing; the connection is closed", p->domain);
	peer_free(p);
	return 0;
}

static int peer_new(struct usm_instances *s, int *fd, uint64_t domain)
{
	struct peer *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->instances = s;
	p->domain = domain;
	p->fd = usm_steal_fd(fd);
	LIST_INSERT_HEAD(&s->peers, p, link);
	r = sd_event_add_io(s->event, &p->io, p->fd, EPOLLIN, on_peer, p);
	if (r >= 0)
		r = sd_event_add_time_relative(s->event, &p->patience, CLOCK_MONOTONIC,
					       HELLO_USEC, 0, on_patience, p);
	if (r < 0)
		peer_free(p);
	return r;
}

static void tell_stranger(struct usm_instances *s, pid_t pid, uid_t uid)
{
	uint64_t now;

	if (sd_event_now(s->event, CLOCK_MONOTONIC, &now) < 0 ||
	    (s->told_stranger && now - s->told_stranger < STRANGER_USEC))
		return;
	s->told_stranger = now;
	usm_log_line(LOG_WARNING, "PID %d of user %u is no instance and was turned away", pid, uid);
}

static int on_listen(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct usm_instances *s = userdata;
	uint64_t domain;
	pid_t pid;
	uid_t uid;
	cleanup_close int peer = usm_accept(fd, &pid, &uid);
	int r;

	/* Whatever goes wrong is this one peer's, who will try again. */
	if (peer < 0)
		return 0;
	if (s->identify(pid, &domain) < 0) {
		tell_stranger(s, pid, uid);
		return 0;
	}
	r = peer_new(s, &peer, domain);
	if (r < 0)
		usm_log_line(LOG_ERR, "The instance of domain %" PRIu64 " cannot be taken: %s",
			     domain, strerror(-r));
	return 0;
}

int usm_instances_new(struct usm_instances **instances, sd_event *event, const char *path,
		      usm_instance_identify_fn *identify,
		      const struct usm_instance_callbacks *callbacks, void *userdata,
		      struct usm_error *err)
{
	struct usm_instances *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return usm_error_oom(err);
	LIST_INIT(&s->peers);
	s->event = sd_event_ref(event);
	s->identify = identify;
	s->callbacks = callbacks;
	s->userdata = userdata;
	/* Each instance has a user of its own (DynamicUser=), so anybody may try. */
	r = usm_listen_at(event, path, SOCK_SEQPACKET, 0666, on_listen, s, &s->fd, &s->io, err);
	if (r < 0) {
		usm_instances_free(s);
		return r;
	}
	*instances = s;
	return 0;
}

void usm_instances_free(struct usm_instances *s)
{
	if (!s)
		return;
	while (!LIST_EMPTY(&s->peers))
		peer_free(LIST_FIRST(&s->peers));
	sd_event_source_disable_unref(s->io);
	usm_close(&s->fd);
	sd_event_unref(s->event);
	free(s);
}

bool usm_instance_is_connected(const struct usm_instances *s, uint64_t domain)
{
	struct peer *p;

	LIST_FOREACH(p, &s->peers, link)
		if (p->greeted && p->domain == domain)
			return true;
	return false;
}

void usm_instance_disconnect(struct usm_instances *s, uint64_t domain)
{
	struct peer *p, *next;

	for (p = LIST_FIRST(&s->peers); p; p = next) {
		next = LIST_NEXT(p, link);
		if (p->domain == domain)
			peer_free(p);
	}
}

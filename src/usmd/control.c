// SPDX-License-Identifier: GPL-2.0-or-later
#include "control.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "frame.h"
#include "listen.h"
#include "log.h"
#include "varlink.h"

/*
 * A hook for each container that starts, a few people, a few collectors. The
 * kernel queues what comes beyond until one of these has ended.
 */
#define CLIENTS_MAX	256

/*
 * How long a client may leave a message half sent or a reply half read, or sit
 * there without a word. Longer than any of our own takes.
 */
#define PATIENCE_USEC	(30 * UINT64_C(1000000))

struct client {
	LIST_ENTRY(client) link;
	struct usm_control *control;
	sd_event_source *io, *patience;
	struct usm_inbox inbox;
	struct usm_outbox outbox;
	struct usm_control_call *call;	/* not answered yet: one at a time, as in varlink */
	uid_t uid;
	int fd;
	bool ended;		/* it will say nothing more: answer, then close */
	bool broken;		/* it cannot be answered: close */
	bool dispatching;	/* its call is being handled, further down the stack */
};

struct usm_control_call {
	struct client *client;	/* NULL: gone */
	struct usm_call call;
	uid_t uid;
};

struct usm_control {
	LIST_HEAD(, client) clients;
	sd_event *event;
	sd_event_source *io;
	usm_control_handler *handler;
	void *userdata;
	unsigned int count;
	int fd;
};

static void client_free(struct client *c)
{
	struct usm_control *s = c->control;

	if (c->call)
		c->call->client = NULL;
	LIST_REMOVE(c, link);
	s->count--;
	if (s->io)
		sd_event_source_set_enabled(s->io, SD_EVENT_ON);
	sd_event_source_disable_unref(c->io);
	sd_event_source_disable_unref(c->patience);
	usm_inbox_clear(&c->inbox);
	usm_outbox_clear(&c->outbox);
	usm_close(&c->fd);
	free(c);
}

/* Send what can be sent and wait for what is next; or it was the end: free it. */
static void client_update(struct client *c)
{
	uint32_t events = 0;
	int left = c->broken ? -EPIPE : usm_outbox_write(&c->outbox, c->fd, NULL);

	if (left < 0 || (!left && c->ended && !c->call)) {
		client_free(c);
		return;
	}
	if (left)
		events |= EPOLLOUT;
	/* The next call is not even read before this one is answered and sent. */
	if (!left && !c->call && !c->ended)
		events |= EPOLLIN;
	sd_event_source_set_io_events(c->io, events);

	/* While we are at it, it is not the client that has to be waited for. */
	sd_event_source_set_time_relative(c->patience, PATIENCE_USEC);
	sd_event_source_set_enabled(c->patience, c->call ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* A message that is none: say so, and that is the end of the connection. */
static void client_reject(struct client *c, const struct usm_error *err)
{
	cleanup_free char *text = usm_reply_encode_error(USM_VARLINK_FAILED,
							 usm_error_message(err));

	/* There is no telling where its next message begins. */
	c->ended = true;
	usm_inbox_clear(&c->inbox);
	if (!text || usm_outbox_put(&c->outbox, text, strlen(text), NULL) < 0)
		c->broken = true;
}

static int call_new(struct client *c, const char *message, size_t length,
		    struct usm_control_call **out, struct usm_error *err)
{
	struct usm_control_call *call = calloc(1, sizeof(*call));
	int r;

	if (!call)
		return usm_error_oom(err);
	r = usm_call_decode(&call->call, message, length, err);
	if (r < 0) {
		free(call);
		return r;
	}
	call->client = c;
	call->uid = c->uid;
	*out = call;
	return 0;
}

/*
 * Hand out what came in, one message after the other, until one is not answered
 * at once. The client may be freed when this returns.
 */
static void client_dispatch(struct client *c)
{
	while (!c->call && !c->broken) {
		cleanup_error struct usm_error err = {};
		struct usm_control_call *call = NULL;
		const char *message;
		size_t length;
		int r;

		r = usm_inbox_next(&c->inbox, &message, &length, &err);
		if (!r)
			break;
		if (r > 0)
			r = call_new(c, message, length, &call, &err);
		if (r < 0) {
			client_reject(c, &err);
			break;
		}
		c->call = call;
		c->dispatching = true;
		c->control->handler(call, c->control->userdata);
		c->dispatching = false;
	}
	client_update(c);
}

static int on_client(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct client *c = userdata;

	if (revents & EPOLLIN) {
		int r = usm_inbox_read(&c->inbox, c->fd, NULL);

		if (r < 0) {
			client_free(c);
			return 0;
		}
		/* It may shut down its side and still wait for its answer. */
		if (r == USM_INBOX_EOF)
			c->ended = true;
		client_dispatch(c);
	} else if (revents & (EPOLLHUP | EPOLLERR)) {
		client_free(c);
	} else {
		client_update(c);
	}
	return 0;
}

static int on_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
	client_free(userdata);
	return 0;
}

static int client_new(struct usm_control *s, int *fd, uid_t uid)
{
	struct client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->control = s;
	c->uid = uid;
	c->fd = usm_steal_fd(fd);
	LIST_INSERT_HEAD(&s->clients, c, link);
	s->count++;
	r = sd_event_add_io(s->event, &c->io, c->fd, EPOLLIN, on_client, c);
	if (r >= 0)
		r = sd_event_add_time_relative(s->event, &c->patience, CLOCK_MONOTONIC,
					       PATIENCE_USEC, 0, on_patience, c);
	if (r < 0)
		client_free(c);
	return r;
}

static int on_listen(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct usm_control *s = userdata;
	pid_t pid;
	uid_t uid;
	cleanup_close int peer = usm_accept(fd, &pid, &uid);
	int r;

	if (peer < 0)
		return 0;
	r = client_new(s, &peer, uid);
	if (r < 0)
		usm_log_line(LOG_ERR, "A client of the control socket cannot be served: %s",
			     strerror(-r));
	if (s->count >= CLIENTS_MAX)
		sd_event_source_set_enabled(s->io, SD_EVENT_OFF);
	return 0;
}

int usm_control_new(struct usm_control **control, sd_event *event, const char *path,
		    usm_control_handler *handler, void *userdata, struct usm_error *err)
{
	struct usm_control *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return usm_error_oom(err);
	LIST_INIT(&s->clients);
	s->event = sd_event_ref(event);
	s->handler = handler;
	s->userdata = userdata;
	r = usm_listen_at(event, path, SOCK_STREAM, 0660, on_listen, s, &s->fd, &s->io, err);
	if (r < 0) {
		usm_control_free(s);
		return r;
	}
	*control = s;
	return 0;
}

void usm_control_free(struct usm_control *s)
{
	if (!s)
		return;
	s->io = sd_event_source_disable_unref(s->io);
	while (!LIST_EMPTY(&s->clients))
		client_free(LIST_FIRST(&s->clients));
	usm_close(&s->fd);
	sd_event_unref(s->event);
	free(s);
}

/* ----------------------------------------------------------------- answers */

const char *usm_control_call_method(const struct usm_control_call *call)
{
	return call->call.method;
}

const cJSON *usm_control_call_parameters(const struct usm_control_call *call)
{
	return call->call.parameters;
}

uid_t usm_control_call_uid(const struct usm_control_call *call)
{
	return call->uid;
}

/* Takes `text` over; NULL: there was no memory for it. */
static void answer(struct usm_control_call *call, char *text)
{
	cleanup_free char *owned = text;
	struct client *c = call->client;

	usm_call_clear(&call->call);
	free(call);
	if (!c)
		return;
	c->call = NULL;
	if (!owned || usm_outbox_put(&c->outbox, owned, strlen(owned), NULL) < 0)
		c->broken = true;
	/* It may have sent its next call already. */
	if (!c->dispatching)
		client_dispatch(c);
}

void usm_control_reply(struct usm_control_call *call, cJSON *parameters)
{
	cleanup_json cJSON *owned = parameters;

	answer(call, owned ? usm_reply_encode(owned) :
			     usm_reply_encode_error(USM_VARLINK_FAILED, "out of memory"));
}

void usm_control_reply_error(struct usm_control_call *call, const char *error,
			     const char *fmt, ...)
{
	cleanup_free char *message = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&message, fmt, ap) < 0)
		message = NULL;
	va_end(ap);
	answer(call, usm_reply_encode_error(error, message ?: "out of memory"));
}

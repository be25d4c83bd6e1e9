// SPDX-License-Identifier: GPL-2.0-or-later
#include "unit.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>

#include <systemd/sd-bus.h>

#include "cleanup.h"
#include "log.h"

#define PREFIX		"usm-instance@"
#define SUFFIX		".service"

#define SYSTEMD		"org.freedesktop.systemd1"
#define MANAGER_PATH	"/org/freedesktop/systemd1"
#define MANAGER		"org.freedesktop.systemd1.Manager"
#define UNIT_PREFIX	"/org/freedesktop/systemd1/unit"
#define PROPERTIES	"org.freedesktop.DBus.Properties"

#define DEFAULT_BUS	"unix:path=/run/dbus/system_bus_socket"

/* A bus that goes away is being restarted, which takes about this long. */
#define RECONNECT_USEC	(500 * UINT64_C(1000))

struct watch {
	LIST_ENTRY(watch) link;
	struct usm_units *units;
	uint64_t domain;
	char *name, *path;
	struct usm_unit_state state;
	sd_bus_slot *signal, *start, *get;
	bool start_wanted;	/* not answered yet: to be repeated on another bus */
};

struct usm_units {
	sd_event *event;
	sd_event_source *reconnect;
	sd_bus *bus;
	const struct usm_unit_callbacks *callbacks;
	void *userdata;
	LIST_HEAD(, watch) watches;
	bool list_wanted;
};

bool usm_unit_domain(const char *name, uint64_t *domain)
{
	const char *digits;
	char *end;
	uint64_t id;

	if (strncmp(name, PREFIX, strlen(PREFIX)))
		return false;
	digits = name + strlen(PREFIX);
	/* One spelling only, or two units could speak for one domain. */
	if (!isdigit((unsigned char)*digits) || *digits == '0')
		return false;
	errno = 0;
	id = strtoull(digits, &end, 10);
	if (errno || strcmp(end, SUFFIX))
		return false;
	*domain = id;
	return true;
}

static char *unit_name(uint64_t domain)
{
	char *name;

	return asprintf(&name, PREFIX "%" PRIu64 SUFFIX, domain) < 0 ? NULL : name;
}

/* -------------------------------------------------------- what systemd says */

static int property_read(sd_bus_message *m, const char *name, struct usm_unit_state *state)
{
	const char *text;
	int r;

	if (!strcmp(name, "ActiveState")) {
		r = sd_bus_message_read(m, "v", "s", &text);
		if (r >= 0) {
			state->active = !strcmp(text, "active");
			state->failed = !strcmp(text, "failed");
		}
		return r;
	}
	if (!strcmp(name, "MainPID"))
		return sd_bus_message_read(m, "v", "u", &state->pid);
	if (!strcmp(name, "NRestarts"))
		return sd_bus_message_read(m, "v", "u", &state->restarts);
	return sd_bus_message_skip(m, "v");
}

/* a{sv}, as GetAll and PropertiesChanged both have it. */
static int properties_read(sd_bus_message *m, struct usm_unit_state *state)
{
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");

	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		const char *name;

		r = sd_bus_message_read(m, "s", &name);
		if (r >= 0)
			r = property_read(m, name, state);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static void state_tell(struct watch *w, const struct usm_unit_state *state)
{
	w->state = *state;
	w->units->callbacks->changed(w->domain, state, w->units->userdata);
}

static int on_get(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct usm_unit_state state;
	struct watch *w = userdata;

	w->get = sd_bus_slot_unref(w->get);
	state = w->state;
	/* Not loaded: nothing to know, and it will tell when it is. */
	if (!sd_bus_message_is_method_error(m, NULL) && properties_read(m, &state) >= 0)
		state_tell(w, &state);
	return 0;
}

static int state_get(struct watch *w)
{
	w->get = sd_bus_slot_unref(w->get);
	return sd_bus_call_method_async(w->units->bus, &w->get, SYSTEMD, w->path, PROPERTIES,
					"GetAll", on_get, w, "s", "");
}

static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct usm_unit_state state;
	struct watch *w = userdata;

	state = w->state;
	if (sd_bus_message_skip(m, "s") < 0 || properties_read(m, &state) < 0)
		return 0;
	/*
	 * On its way to being started again a unit is "failed" for a moment, and
	 * systemd (252) may say so. Asked, it tells what came of it.
	 */
	if (state.failed && !w->state.failed) {
		state.failed = false;
		state_get(w);
	}
	state_tell(w, &state);
	return 0;
}

static int on_start(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct watch *w = userdata;
	const sd_bus_error *e = sd_bus_message_get_error(m);

	w->start = sd_bus_slot_unref(w->start);
	/* The bus went away with our call; it is made again on the next one. */
	if (e && sd_bus_error_has_names(e, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_DISCONNECTED))
		return 0;
	w->start_wanted = false;
	if (e)
		w->units->callbacks->failed(w->domain, e->message ?: e->name,
					    w->units->userdata);
	else
		state_get(w);
	return 0;
}

/* -------------------------------------------------------------- connection */

static int watch_connect(struct watch *w)
{
	struct usm_units *u = w->units;
	int r;

	r = sd_bus_match_signal_async(u->bus, &w->signal, SYSTEMD, w->path, PROPERTIES,
				      "PropertiesChanged", on_properties, NULL, w);
	if (r >= 0 && w->start_wanted)
		r = sd_bus_call_method_async(u->bus, &w->start, SYSTEMD, MANAGER_PATH, MANAGER,
					     "StartUnit", on_start, w, "ss", w->name, "replace");
	else if (r >= 0)
		r = state_get(w);
	return r;
}

static void watch_disconnect(struct watch *w)
{
	w->signal = sd_bus_slot_unref(w->signal);
	w->start = sd_bus_slot_unref(w->start);
	w->get = sd_bus_slot_unref(w->get);
}

static int units_connect(struct usm_units *u);

static int on_reconnect(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct usm_units *u = userdata;
	int r;

	u->reconnect = sd_event_source_disable_unref(u->reconnect);
	u->bus = sd_bus_close_unref(u->bus);
	r = units_connect(u);
	if (r < 0)
		usm_log_line(LOG_ERR, "The system bus is gone and cannot be connected to again: %s",
			     strerror(-r));
	return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct usm_units *u = userdata;
	struct watch *w;

	usm_log_line(LOG_WARNING, "The connection to the system bus is lost; connecting again");
	LIST_FOREACH(w, &u->watches, link)
		watch_disconnect(w);
	/* Not from inside of the bus's own callback. */
	return sd_event_add_time_relative(u->event, &u->reconnect, CLOCK_MONOTONIC,
					  RECONNECT_USEC, 0, on_reconnect, u);
}

static int list_call(struct usm_units *u);

static int units_connect(struct usm_units *u)
{
	const char *address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
	struct watch *w;
	int r;

	r = sd_bus_new(&u->bus);
	if (r < 0)
		return r;
	r = sd_bus_set_address(u->bus, address ?: DEFAULT_BUS);
	r = r < 0 ? r : sd_bus_set_description(u->bus, "systemd");
	r = r < 0 ? r : sd_bus_set_bus_client(u->bus, true);
	/* At boot we may be there before it. */
	r = r < 0 ? r : sd_bus_set_watch_bind(u->bus, true);
	r = r < 0 ? r : sd_bus_start(u->bus);
	r = r < 0 ? r : sd_bus_attach_event(u->bus, u->event, SD_EVENT_PRIORITY_NORMAL);
	r = r < 0 ? r : sd_bus_match_signal(u->bus, NULL, "org.freedesktop.DBus.Local",
					    "/org/freedesktop/DBus/Local",
					    "org.freedesktop.DBus.Local", "Disconnected",
					    on_disconnected, u);
	/* Without it systemd sends no signals. */
	r = r < 0 ? r : sd_bus_call_method_async(u->bus, NULL, SYSTEMD, MANAGER_PATH, MANAGER,
						 "Subscribe", NULL, NULL, NULL);
	LIST_FOREACH(w, &u->watches, link)
		r = r < 0 ? r : watch_connect(w);
	if (r >= 0 && u->list_wanted)
		r = list_call(u);
	return r < 0 ? r : 0;
}

int usm_units_new(struct usm_units **units, sd_event *event,
		  const struct usm_unit_callbacks *callbacks, void *userdata,
		  struct usm_error *err)
{
	struct usm_units *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return usm_error_oom(err);
	u->event = sd_event_ref(event);
	u->callbacks = callbacks;
	u->userdata = userdata;
	LIST_INIT(&u->watches);
	r = units_connect(u);
	if (r < 0) {
		usm_units_free(u);
		return usm_error_errno(err, -r, "the system bus cannot be connected to");
	}
	*units = u;
	return 0;
}

static void watch_free(struct watch *w)
{
	if (!w)
		return;
	watch_disconnect(w);
	free(w->name);
	free(w->path);
	free(w);
}
USM_DEFINE_CLEANUP(struct watch *, watch_free)

void usm_units_free(struct usm_units *u)
{
	if (!u)
		return;
	while (!LIST_EMPTY(&u->watches)) {
		struct watch *w = LIST_FIRST(&u->watches);

		LIST_REMOVE(w, link);
		watch_free(w);
	}
	sd_event_source_disable_unref(u->reconnect);
	/* What was asked for last, such as to stop a unit, still has to go out. */
	sd_bus_flush_close_unref(u->bus);
	sd_event_unref(u->event);
	free(u);
}

/* ---------------------------------------------------------------- requests */

static struct watch *watch_find(struct usm_units *u, uint64_t domain)
{
	struct watch *w;

	LIST_FOREACH(w, &u->watches, link)
		if (w->domain == domain)
			return w;
	return NULL;
}

int usm_unit_start(struct usm_units *u, uint64_t domain, struct usm_error *err)
{
	usm_cleanup(watch_free_cleanup) struct watch *fresh = NULL;
	struct watch *w = watch_find(u, domain);
	int r;

	if (w) {
		watch_disconnect(w);
	} else {
		fresh = calloc(1, sizeof(*fresh));
		if (!fresh)
			return usm_error_oom(err);
		fresh->units = u;
		fresh->domain = domain;
		fresh->name = unit_name(domain);
		if (!fresh->name || sd_bus_path_encode(UNIT_PREFIX, fresh->name, &fresh->path) < 0)
			return usm_error_oom(err);
		w = usm_steal_ptr(fresh);
		LIST_INSERT_HEAD(&u->watches, w, link);
	}
	w->start_wanted = true;
	/* Between two buses: it is done when the next one is there. */
	if (u->reconnect)
		return 0;
	r = watch_connect(w);
	if (r < 0)
		return usm_error_errno(err, -r, "%s cannot be started", w->name);
	return 0;
}

static int on_stop(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);

	/* It is not loaded: it has stopped already. */
	if (e && !sd_bus_error_has_names(e, SYSTEMD ".NoSuchUnit", SD_BUS_ERROR_NO_REPLY,
					 SD_BUS_ERROR_DISCONNECTED))
		usm_log_line(LOG_WARNING, "An instance cannot be stopped: %s",
			     e->message ?: e->name);
	return 0;
}

void usm_unit_stop(struct usm_units *u, uint64_t domain)
{
	cleanup_free char *name = unit_name(domain);
	struct watch *w = watch_find(u, domain);
	int r = -ENOMEM;

	if (w) {
		LIST_REMOVE(w, link);
		watch_free(w);
	}
	/* Between two buses it is left to the next start of usmd, which lists them. */
	if (u->reconnect)
		return;
	if (name)
		r = sd_bus_call_method_async(u->bus, NULL, SYSTEMD, MANAGER_PATH, MANAGER,
					     "StopUnit", on_stop, NULL, "ss", name, "replace");
	if (r < 0)
		usm_log_line(LOG_WARNING, "The instance of domain %" PRIu64
			     " cannot be stopped: %s", domain, strerror(-r));
}

static int on_list(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct usm_units *u = userdata;
	const sd_bus_error *e = sd_bus_message_get_error(m);
	const char *name, *active;
	uint64_t domain;
	int r;

	if (e && sd_bus_error_has_names(e, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_DISCONNECTED))
		return 0;
	u->list_wanted = false;
	if (e) {
		usm_log_line(LOG_WARNING, "Instances cannot be listed: %s", e->message ?: e->name);
		return 0;
	}
	r = sd_bus_message_enter_container(m, 'a', "(ssssssouso)");
	while (r >= 0 && (r = sd_bus_message_read(m, "(ssssssouso)", &name, NULL, NULL, &active,
						  NULL, NULL, NULL, NULL, NULL, NULL)) > 0)
		if (strcmp(active, "inactive") && usm_unit_domain(name, &domain))
			u->callbacks->listed(domain, u->userdata);
	return 0;
}

static int list_call(struct usm_units *u)
{
	return sd_bus_call_method_async(u->bus, NULL, SYSTEMD, MANAGER_PATH, MANAGER,
					"ListUnitsByPatterns", on_list, u, "asas", 0, 1,
					PREFIX "*" SUFFIX);
}

void usm_units_list(struct usm_units *u)
{
	int r = 0;

	u->list_wanted = true;
	if (!u->reconnect)
		r = list_call(u);
	if (r < 0)
		usm_log_line(LOG_WARNING, "Instances cannot be listed: %s", strerror(-r));
}

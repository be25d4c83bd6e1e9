/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket: connections, framing and limits. What the methods do is
 * in methods.c. Nobody who connects can hold anybody else up.
 */
#ifndef USMD_CONTROL_H
#define USMD_CONTROL_H

#include <stdbool.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

#include <cjson/cJSON.h>

#include "error.h"

struct usm_control;

/*
 * A call that was received and must be answered exactly once, now or later, with
 * one of the two functions below; both free it. The peer may be gone by then.
 */
struct usm_control_call;

const char *usm_control_call_method(const struct usm_control_call *call);
const cJSON *usm_control_call_parameters(const struct usm_control_call *call);
uid_t usm_control_call_uid(const struct usm_control_call *call);

/* Takes `parameters` over; NULL (out of memory) is answered as a failure. */
void usm_control_reply(struct usm_control_call *call, cJSON *parameters);
void usm_control_reply_error(struct usm_control_call *call, const char *error,
			     const char *fmt, ...) __attribute__((format(printf, 3, 4)));

typedef void usm_control_handler(struct usm_control_call *call, void *userdata);

int usm_control_new(struct usm_control **control, sd_event *event, const char *path,
		    usm_control_handler *handler, void *userdata, struct usm_error *err);
void usm_control_free(struct usm_control *control);

#endif /* USMD_CONTROL_H */

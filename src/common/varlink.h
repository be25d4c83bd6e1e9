/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is inside a frame of the control socket: calls and replies of varlink
 * (https://varlink.org), of which we speak the plain form, one reply a call.
 */
#ifndef USM_COMMON_VARLINK_H
#define USM_COMMON_VARLINK_H

#include "json.h"

/* Errors of our own interface and of varlink's, as they go over the wire. */
#define USM_VARLINK_REFUSED		"org.usm.Refused"
#define USM_VARLINK_NOT_FOUND		"org.usm.NotFound"
#define USM_VARLINK_DENIED		"org.usm.PermissionDenied"
#define USM_VARLINK_FAILED		"org.usm.Failed"
#define USM_VARLINK_NO_METHOD		"org.varlink.service.MethodNotFound"
#define USM_VARLINK_BAD_PARAMETER	"org.varlink.service.InvalidParameter"

struct usm_call {
	char *method;
	cJSON *parameters;	/* always an object */
};

/*
 * -EBADMSG: not a call. "oneway", "more" and "upgrade" are refused with
 * -EOPNOTSUPP if they are true.
 */
int usm_call_decode(struct usm_call *call, const char *message, size_t length,
		    struct usm_error *err);
/* Text of a call; `parameters` may be NULL for {}. NULL: out of memory. */
char *usm_call_encode(const char *method, const cJSON *parameters);
void usm_call_clear(struct usm_call *call);
#define cleanup_call	usm_cleanup(usm_call_clear)

/* Status grows with the number of containers; still no peer may fill memory. */
#define USM_REPLY_LIMIT		(4u << 20)

struct usm_reply {
	char *error;		/* NULL: success */
	char *message;		/* of the error; NULL: it came without */
	cJSON *parameters;	/* always an object */
};

int usm_reply_decode(struct usm_reply *reply, const char *message, size_t length,
		     struct usm_error *err);
char *usm_reply_encode(const cJSON *parameters);
char *usm_reply_encode_error(const char *error, const char *message);
void usm_reply_clear(struct usm_reply *reply);
#define cleanup_reply	usm_cleanup(usm_reply_clear)

/*
 * The whole of a client: connect to the socket at `path`, call, wait for the
 * reply, close. All of it within `timeout_ms` (> 0), whatever the peer does. 0
 * means that a reply came, which may be an error reply. Otherwise -ENOENT or
 * -ECONNREFUSED: nobody listens; -ETIMEDOUT; -ECONNRESET: closed without an
 * answer; -EBADMSG: an answer that is none; or another -errno.
 */
int usm_varlink_call(const char *path, const char *method, const cJSON *parameters,
		     unsigned int timeout_ms, struct usm_reply *reply,
		     struct usm_error *err);

#endif /* USM_COMMON_VARLINK_H */

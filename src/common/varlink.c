// SPDX-License-Identifier: GPL-2.0-or-later
#include "varlink.h"

#include <string.h>

#include "frame.h"

/* Deeper than anything that we say, far from what the stack could not take. */
#define MESSAGE_DEPTH	16

static int decode_object(const char *message, size_t length, size_t limit, cJSON **root,
			 struct usm_error *err)
{
	const struct usm_json_limits limits = { .bytes = limit, .depth = MESSAGE_DEPTH };
	cleanup_json cJSON *parsed = NULL;
	int r;

	r = usm_json_parse(message, length, &limits, &parsed, err);
	if (r < 0)
		return r;
	if (!cJSON_IsObject(parsed))
		return usm_error_set(err, EBADMSG, "a message must be a JSON object");
	*root = usm_steal_ptr(parsed);
	return 0;
}

/* "parameters" may be left out. Detached, since it outlives the message. */
static int take_parameters(cJSON *root, cJSON **parameters, struct usm_error *err)
{
	cleanup_json cJSON *taken = cJSON_DetachItemFromObjectCaseSensitive(root, "parameters");

	if (!taken)
		taken = cJSON_CreateObject();
	if (!taken)
		return usm_error_oom(err);
	if (!cJSON_IsObject(taken))
		return usm_error_set(err, EBADMSG, "\"parameters\" must be an object");
	*parameters = usm_steal_ptr(taken);
	return 0;
}

int usm_call_decode(struct usm_call *call, const char *message, size_t length,
		    struct usm_error *err)
{
	static const char *const kinds[] = { "oneway", "more", "upgrade" };
	cleanup_call struct usm_call decoded = {};
	cleanup_json cJSON *root = NULL;
	const char *method;
	int r;

	r = decode_object(message, length, USM_INBOX_LIMIT, &root, err);
	if (r < 0)
		return r;
	r = usm_json_get_string(root, "method", &method, err);
	if (r < 0)
		return usm_error_set(err, EBADMSG, "\"method\" must be there and be a string");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, kinds[i])))
			return usm_error_set(err, EOPNOTSUPP, "\"%s\" calls are not supported", kinds[i]);
	decoded.method = strdup(method);
	if (!decoded.method)
		return usm_error_oom(err);
	r = take_parameters(root, &decoded.parameters, err);
	if (r < 0)
		return r;

	*call = decoded;
	decoded = (struct usm_call){};
	return 0;
}

void usm_call_clear(struct usm_call *call)
{
	free(call->method);
	cJSON_Delete(call->parameters);
	*call = (struct usm_call){};
}

/* {NAME: VALUE, "parameters": PARAMETERS}; a NAME of NULL leaves that member out. */
static char *encode(const char *name, const char *value, const cJSON *parameters)
{
	cleanup_json cJSON *root = cJSON_CreateObject();
	cJSON *copy;

	if (!root || (name && usm_json_add_string(root, name, value) < 0))
		return NULL;
	copy = parameters ? cJSON_Duplicate(parameters, true) : cJSON_CreateObject();
	if (usm_json_add_item(root, "parameters", copy) < 0)
		return NULL;
	return usm_json_print(root);
}

char *usm_call_encode(const char *method, const cJSON *parameters)
{
	return encode("method", method, parameters);
}

char *usm_reply_encode(const cJSON *parameters)
{
	return encode(NULL, NULL, parameters);
}

char *usm_reply_encode_error(const char *error, const char *message)
{
	cleanup_json cJSON *parameters = cJSON_CreateObject();

	if (!parameters || (message && usm_json_add_string(parameters, "message", message) < 0))
		return NULL;
	return encode("error", error, parameters);
}

int usm_reply_decode(struct usm_reply *reply, const char *message, size_t length,
		     struct usm_error *err)
{
	cleanup_reply struct usm_reply decoded = {};
	cleanup_json cJSON *root = NULL;
	const char *text;
	int r;

	r = decode_object(message, length, USM_REPLY_LIMIT, &root, err);
	if (r < 0)
		return r;
	r = take_parameters(root, &decoded.parameters, err);
	if (r < 0)
		return r;
	if (cJSON_GetObjectItemCaseSensitive(root, "error")) {
		r = usm_json_get_string(root, "error", &text, err);
		if (r < 0)
			return r;
		decoded.error = strdup(text);
		if (!decoded.error)
			return usm_error_oom(err);
		if (usm_json_get_string(decoded.parameters, "message", &text, NULL) == 0) {
			decoded.message = strdup(text);
			if (!decoded.message)
				return usm_error_oom(err);
		}
	}

	*reply = decoded;
	decoded = (struct usm_reply){};
	return 0;
}

void usm_reply_clear(struct usm_reply *reply)
{
	free(reply->error);
	free(reply->message);
	cJSON_Delete(reply->parameters);
	*reply = (struct usm_reply){};
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Talking to usmd, and reading what it says. */
#include <string.h>

#include "size.h"
#include "usmctl.h"

#define PAGE_BYTES	4096

static int code_of(const char *name)
{
	if (!strcmp(name, USM_VARLINK_NOT_FOUND))
		return ENOENT;
	if (!strcmp(name, USM_VARLINK_DENIED))
		return EPERM;
	return EREMOTEIO;
}

int usmctl_call(const struct usmctl *ctl, const char *method, const cJSON *parameters,
		struct usm_reply *reply, struct usm_error *err)
{
	cleanup_reply struct usm_reply received = {};
	cleanup_free char *text = NULL;
	int r;

	r = usm_varlink_call(ctl->socket, method, parameters, ctl->timeout_ms, &received, err);
	switch (r) {
	case 0:
		break;
	case -ENOENT:
	case -ECONNREFUSED:
		return usm_error_set(err, -r, "usmd is not running: nobody listens on %s "
				     "(start it with: systemctl start usmd)", ctl->socket);
	case -EACCES:
		return usm_error_set(err, -r, "not allowed to talk to usmd on %s: try as root",
				     ctl->socket);
	default:
		return r;
	}

	if (received.error) {
		text = usm_json_escape(received.message ?: received.error);
		if (!text)
			return usm_error_oom(err);
		return usm_error_set(err, code_of(received.error), "%s", text);
	}
	*reply = received;
	received = (struct usm_reply){};
	return 0;
}

double usmctl_number(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsNumber(item) ? item->valuedouble : -1;
}

char *usmctl_text(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return usm_json_escape(cJSON_IsString(item) && *item->valuestring ? item->valuestring : "-");
}

char *usmctl_count(const cJSON *object, const char *key)
{
	double number = usmctl_number(object, key);
	char *text;

	if (number < 0)
		return strdup("-");
	return asprintf(&text, "%.0f", number) < 0 ? NULL : text;
}

char *usmctl_size(double bytes)
{
	char text[USM_SIZE_TEXT];

	if (!(bytes >= 0 && bytes < 0x1p64))
		return strdup("-");
	return strdup(usm_size_human((uint64_t)bytes, text));
}

char *usmctl_pages(const cJSON *object, const char *key)
{
	return usmctl_size(usmctl_number(object, key) * PAGE_BYTES);
}

int usmctl_print_json(const cJSON *item, struct usm_error *err)
{
	cleanup_free char *text = usm_json_print(item);

	if (!text)
		return usm_error_oom(err);
	puts(text);
	return 0;
}

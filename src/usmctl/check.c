// SPDX-License-Identifier: GPL-2.0-or-later
/* usmctl check: what usmd would make of an annotation, without usmd. */
#include <fcntl.h>
#include <string.h>

#include "annotation.h"
#include "usmctl.h"

/* One byte more than the limit is enough to be told that it is too long. */
#define READ_BYTES	(USM_ANNOTATION_MAX_BYTES + 1)

static int read_text(const char *path, char **text, size_t *length, struct usm_error *err)
{
	cleanup_free char *buffer = malloc(READ_BYTES);
	cleanup_close int opened = -1;
	int fd = STDIN_FILENO;
	size_t used = 0;

	if (!buffer)
		return usm_error_oom(err);
	if (path) {
		fd = opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			return usm_error_errno(err, errno, "cannot open %s", path);
	}
	while (used < READ_BYTES) {
		ssize_t got = read(fd, buffer + used, READ_BYTES - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return usm_error_errno(err, errno, "cannot read %s", path ?: "standard input");
		if (!got)
			break;
		used += (size_t)got;
	}
	*text = usm_steal_ptr(buffer);
	*length = used;
	return 0;
}

/* {"valid":true,"annotation":{...}} or {"valid":false,"pointer":...}. */
static int print_verdict(const struct usm_annotation *annotation,
			 const struct usm_json_place *place, const struct usm_error *verdict,
			 struct usm_error *err)
{
	cleanup_json cJSON *object = cJSON_CreateObject();
	int r = 0;

	if (!object)
		return usm_error_oom(err);
	r |= usm_json_add_bool(object, "valid", annotation != NULL);
	if (annotation) {
		r |= usm_json_add_item(object, "annotation", usm_annotation_to_json(annotation));
	} else {
		r |= usm_json_add_string(object, "pointer", place->pointer);
		r |= usm_json_add_u64(object, "offset", place->offset);
		r |= usm_json_add_string(object, "message", usm_error_message(verdict));
	}
	return r < 0 ? usm_error_oom(err) : usmctl_print_json(object, err);
}

int usmctl_check(const struct usmctl *ctl, char **operands, struct usm_error *err)
{
	cleanup_annotation struct usm_annotation annotation = {};
	cleanup_json_place struct usm_json_place place = {};
	cleanup_error struct usm_error verdict = {};
	cleanup_json cJSON *normal = NULL;
	const char *operand = operands[0];
	cleanup_free char *text = NULL;
	size_t length = 0;
	int r;

	if (!strcmp(operand, "-") || *operand == '@') {
		r = read_text(*operand == '@' ? operand + 1 : NULL, &text, &length, err);
		if (r < 0)
			return r;
		r = usm_annotation_parse(&annotation, text, length, &place, &verdict);
	} else {
		r = usm_annotation_parse(&annotation, operand, strlen(operand), &place, &verdict);
	}

	if (ctl->json && r != -ENOMEM) {
		int printed = print_verdict(r < 0 ? NULL : &annotation, &place, &verdict, err);

		if (printed < 0)
			return printed;
	}
	if (r < 0) {
		usm_error_move(err, &verdict);
		return r;
	}
	if (ctl->json)
		return 0;
	normal = usm_annotation_to_json(&annotation);
	return normal ? usmctl_print_json(normal, err) : usm_error_oom(err);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A stream of bytes, cut into pieces in any way, gives the same messages; what
 * is accepted as a call or a reply survives being encoded again.
 */
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "varlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

static void try_call(const char *message, size_t length)
{
	cleanup_call struct usm_call call = {}, again = {};
	cleanup_free char *text = NULL;

	if (usm_call_decode(&call, message, length, NULL) < 0)
		return;
	text = usm_call_encode(call.method, call.parameters);
	must(text);
	/* Escapes can make a text longer than the one that was sent. */
	if (strlen(text) > USM_INBOX_LIMIT)
		return;
	must(usm_call_decode(&again, text, strlen(text), NULL) == 0);
	must(!strcmp(call.method, again.method));
	must(cJSON_Compare(call.parameters, again.parameters, true));
}

static void try_reply(const char *message, size_t length)
{
	cleanup_reply struct usm_reply reply = {};

	if (usm_reply_decode(&reply, message, length, NULL) == 0)
		must(cJSON_IsObject(reply.parameters) && (reply.error || !reply.message));
}

/* Number of messages, and a sum over them. `piece` 0: all at once. */
static int messages_of(const uint8_t *data, size_t size, size_t piece, uint64_t *sum)
{
	cleanup_inbox struct usm_inbox inbox = { .limit = 4096 };
	const char *message;
	size_t length;
	int count = 0, r;

	for (size_t at = 0; at < size;) {
		size_t step = piece && piece < size - at ? piece : size - at;

		must(usm_inbox_push(&inbox, data + at, step, NULL) == 0);
		at += step;
		while ((r = usm_inbox_next(&inbox, &message, &length, NULL)) > 0) {
			must(strlen(message) == length);
			for (size_t i = 0; i < length; i++)
				*sum = *sum * 31 + (uint8_t)message[i];
			count++;
		}
		if (r < 0)
			break;
	}
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t sum = 0, sum_of_pieces = 0;
	cleanup_inbox struct usm_inbox inbox = {};
	const char *message;
	size_t length;

	if (!size)
		return 0;
	must(messages_of(data + 1, size - 1, 0, &sum) ==
	     messages_of(data + 1, size - 1, 1 + data[0] % 32, &sum_of_pieces));
	must(sum == sum_of_pieces);

	must(usm_inbox_push(&inbox, data + 1, size - 1, NULL) == 0);
	must(usm_inbox_push(&inbox, "", 1, NULL) == 0);
	while (usm_inbox_next(&inbox, &message, &length, NULL) > 0) {
		try_call(message, length);
		try_reply(message, length);
	}
	return 0;
}

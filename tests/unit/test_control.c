// SPDX-License-Identifier: GPL-2.0-or-later
/* The control protocol: JSON of messages, frames, calls and replies. */
#include <string.h>
#include <sys/socket.h>

#include "frame.h"
#include "json.h"
#include "suite.h"
#include "varlink.h"

/* ------------------------------------------------------------------- JSON */

static cJSON *parsed(const char *text)
{
	const struct usm_json_limits limits = { .bytes = 4096, .depth = 8 };
	cleanup_error struct usm_error err = {};
	cJSON *root = NULL;

	ck_assert_msg(usm_json_parse(text, strlen(text), &limits, &root, &err) == 0, "%s: %s", text,
		      err.message);
	return root;
}

START_TEST(json_values)
{
	cleanup_json cJSON *root = parsed("{\"s\":\"x\",\"t\":true,\"n\":7,\"f\":1.5,\"neg\":-1,"
					  "\"big\":1e300,\"top\":9007199254740992,\"o\":{},\"z\":null}");
	cleanup_error struct usm_error err = {};
	const char *text = NULL;
	const cJSON *object;
	uint64_t number = 5;
	bool truth = false;

	ck_assert_int_eq(usm_json_get_string(root, "s", &text, &err), 0);
	ck_assert_str_eq(text, "x");
	ck_assert_int_eq(usm_json_get_bool(root, "t", &truth, &err), 0);
	ck_assert(truth);
	ck_assert_int_eq(usm_json_get_u64(root, "top", &number, &err), 0);
	ck_assert_uint_eq(number, UINT64_C(1) << 53);
	ck_assert_int_eq(usm_json_get_object(root, "o", &object, &err), 0);

	/* Keys are case-sensitive, unlike cJSON's shorter names. */
	ck_assert_int_eq(usm_json_get_string(root, "S", &text, &err), -ENOENT);
	ck_assert_str_eq(err.message, "\"S\" is missing");
	ck_assert_int_eq(usm_json_get_string(root, "n", &text, &err), -EBADMSG);
	ck_assert_str_eq(err.message, "\"n\" must be a string");
	ck_assert_int_eq(usm_json_get_string(root, "z", &text, NULL), -EBADMSG);
	ck_assert_int_eq(usm_json_get_bool(root, "n", &truth, NULL), -EBADMSG);
	ck_assert_int_eq(usm_json_get_object(root, "s", &object, NULL), -EBADMSG);
	ck_assert_int_eq(usm_json_get_u64(root, "f", &number, NULL), -EBADMSG);
	ck_assert_int_eq(usm_json_get_u64(root, "neg", &number, NULL), -EBADMSG);
	ck_assert_int_eq(usm_json_get_u64(root, "big", &number, NULL), -EBADMSG);
	ck_assert_int_eq(usm_json_get_u64(root, "s", &number, NULL), -EBADMSG);
	ck_assert_uint_eq(number, UINT64_C(1) << 53);
	ck_assert_str_eq(text, "x");
}
END_TEST

START_TEST(json_writing)
{
	cleanup_json cJSON *root = cJSON_CreateObject();
	cleanup_free char *text = NULL;
	int r = 0;

	r |= usm_json_add_string(root, "s", "x\"\n");
	r |= usm_json_add_string(root, "none", NULL);
	r |= usm_json_add_bool(root, "b", false);
	r |= usm_json_add_u64(root, "k", 1000);
	r |= usm_json_add_u64(root, "p", UINT64_C(1000000000000000));
	r |= usm_json_add_u64(root, "max", UINT64_MAX);
	ck_assert_int_eq(r, 0);
	ck_assert_int_lt(usm_json_add_item(root, "oom", NULL), 0);
	text = usm_json_print(root);
	ck_assert_str_eq(text, "{\"s\":\"x\\\"\\n\",\"none\":null,\"b\":false,\"k\":1000,"
			 "\"p\":1000000000000000,\"max\":9007199254740992}");
}
END_TEST

/* Fractions are no matter for messages, but duplicates and NULs are. */
static const struct {
	const char *text;
	const char *message;
} strict[] = {
	{ "{\"a\":1.5e3,\"b\":[0.1,-0,1E-2]}", NULL },
	{ "{\"a\":{\"b\":1},\"b\":1}", NULL },
	{ "\"\\ud83d\\ude00\"", NULL },
	{ "{\"a\":[{\"x\":1},{\"x\":1,\"x\":2}]}",
	  "/a/1/x at byte 21 is a duplicate key, first given at byte 15" },
	{ "{\"b\":1,\"a\":1,\"a\":2,\"b\":2}", "/a at byte 13 is a duplicate key, first given at byte 7" },
	{ "[1,2.]", "/1 at byte 3 has a malformed number" },
	{ "[1 2]", "/0 at byte 3 is not valid JSON: unexpected 2" },
	{ "[,]", "/0 at byte 1 is not valid JSON: unexpected ," },
	{ ":", "the document at byte 0 is not valid JSON: unexpected :" },
	{ "\"\\ud83d\"", "the document at byte 0 is not valid JSON: unexpected \"\\ud83d\"" },
	{ "\"\\", "the document at byte 2 ends inside a string" },
	{ "\"\\\\\\\"\"", NULL },
	{ "[[[[[[[[[", "/0/0/0/0/0/0/0/0 at byte 8 is nested deeper than 8 levels" },
	{ "\xef\xbb\xbf{}", "the document at byte 0 has something that is no JSON value" },
};

START_TEST(json_strict)
{
	const struct usm_json_limits limits = { .bytes = 4096, .depth = 8 };
	cleanup_error struct usm_error err = {};
	cleanup_json cJSON *root = NULL;
	int r;

	r = usm_json_parse(strict[_i].text, strlen(strict[_i].text), &limits, &root, &err);
	ck_assert_int_eq(r, strict[_i].message ? -EBADMSG : 0);
	if (strict[_i].message)
		ck_assert_str_eq(err.message, strict[_i].message);
}
END_TEST

/* Every value of a text is found where it stands. */
START_TEST(json_places)
{
	static const char text[] = " {\"a\" : [10, {\"b~/\":11}, []], \"c\":{ \"d\": 12 }}";
	const struct usm_json_limits limits = { .bytes = 4096, .depth = 8 };
	cleanup_json_place struct usm_json_place place = {};
	cleanup_json_doc struct usm_json_doc doc = {};
	const cJSON *a, *c;

	ck_assert_int_eq(usm_json_doc_parse(&doc, text, strlen(text), &limits, NULL, NULL), 0);
	a = doc.root->child;
	c = a->next;
	ck_assert_int_eq(usm_json_doc_locate(&doc, doc.root, &place, NULL), 0);
	ck_assert_str_eq(place.pointer, "");
	ck_assert_uint_eq(place.offset, 1);
	ck_assert_int_eq(usm_json_doc_locate(&doc, a, &place, NULL), 0);
	ck_assert_str_eq(place.pointer, "/a");
	ck_assert_uint_eq(place.offset, 2);
	ck_assert_int_eq(usm_json_doc_locate(&doc, a->child, &place, NULL), 0);
	ck_assert_str_eq(place.pointer, "/a/0");
	ck_assert_str_eq(text + place.offset, strstr(text, "10"));
	ck_assert_int_eq(usm_json_doc_locate(&doc, a->child->next->child, &place, NULL), 0);
	ck_assert_str_eq(place.pointer, "/a/1/b~0~1");
	ck_assert_str_eq(text + place.offset, strstr(text, "\"b~/\""));
	ck_assert_int_eq(usm_json_doc_locate(&doc, a->child->next->next, &place, NULL), 0);
	ck_assert_str_eq(place.pointer, "/a/2");
	ck_assert_str_eq(text + place.offset, strstr(text, "[]"));
	ck_assert_int_eq(usm_json_doc_locate(&doc, c->child, &place, NULL), 0);
	ck_assert_str_eq(place.pointer, "/c/d");
	ck_assert_str_eq(text + place.offset, strstr(text, "\"d\""));
}
END_TEST

/* ----------------------------------------------------------------- frames */

static void assert_next(struct usm_inbox *inbox, const char *expected)
{
	const char *message = NULL;
	size_t length = 0;

	ck_assert_int_eq(usm_inbox_next(inbox, &message, &length, NULL), expected ? 1 : 0);
	if (expected) {
		ck_assert_str_eq(message, expected);
		ck_assert_uint_eq(length, strlen(expected));
	}
}

START_TEST(inbox_splits)
{
	static const char stream[] = "one\0two\0\x74hree";
	cleanup_inbox struct usm_inbox inbox = {};

	/* Whatever the pieces, the messages are the same. */
	for (size_t piece = 1; piece <= sizeof(stream); piece++) {
		cleanup_inbox struct usm_inbox pieces = {};
		cleanup_free char *seen = strdup("");

		for (size_t at = 0; at < sizeof(stream); at += piece) {
			size_t size = sizeof(stream) - at < piece ? sizeof(stream) - at : piece;
			const char *message;
			size_t length;

			ck_assert_int_eq(usm_inbox_push(&pieces, stream + at, size, NULL), 0);
			while (usm_inbox_next(&pieces, &message, &length, NULL) == 1) {
				char *longer;

				ck_assert_int_ge(asprintf(&longer, "%s<%s>", seen, message), 0);
				free(seen);
				seen = longer;
			}
		}
		ck_assert_str_eq(seen, "<one><two><three>");
		ck_assert_uint_eq(usm_inbox_pending(&pieces), 0);
	}

	ck_assert_int_eq(usm_inbox_push(&inbox, "a\0b", 3, NULL), 0);
	assert_next(&inbox, "a");
	assert_next(&inbox, NULL);
	ck_assert_uint_eq(usm_inbox_pending(&inbox), 1);
	ck_assert_int_eq(usm_inbox_push(&inbox, "", 1, NULL), 0);
	assert_next(&inbox, "b");
}
END_TEST

START_TEST(inbox_limits)
{
	cleanup_inbox struct usm_inbox inbox = { .limit = 4 };
	cleanup_error struct usm_error err = {};
	const char *message;
	size_t length;

	ck_assert_int_eq(usm_inbox_push(&inbox, "1234\0", 5, NULL), 0);
	assert_next(&inbox, "1234");
	/* Too long before its end is there: nobody waits for that. */
	ck_assert_int_eq(usm_inbox_push(&inbox, "12345", 5, NULL), 0);
	ck_assert_int_eq(usm_inbox_next(&inbox, &message, &length, &err), -EMSGSIZE);
	ck_assert_str_eq(err.message, "a message is longer than 4 bytes");

	usm_inbox_clear(&inbox);
	ck_assert_int_eq(usm_inbox_push(&inbox, "12345\0", 6, NULL), 0);
	ck_assert_int_eq(usm_inbox_next(&inbox, &message, &length, &err), -EMSGSIZE);

	usm_inbox_clear(&inbox);
	ck_assert_int_eq(usm_inbox_push(&inbox, "\0", 1, NULL), 0);
	ck_assert_int_eq(usm_inbox_next(&inbox, &message, &length, &err), -EBADMSG);
}
END_TEST

START_TEST(boxes_over_a_socket)
{
	cleanup_outbox struct usm_outbox outbox = { .limit = 2 << 20 };
	cleanup_inbox struct usm_inbox inbox = { .limit = 2 << 20 };
	cleanup_free char *large = malloc(1 << 20);
	const char *message;
	size_t length;
	int pair[2], r, more;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	memset(large, 'x', 1 << 20);
	ck_assert_int_eq(usm_inbox_read(&inbox, pair[1], NULL), USM_INBOX_AGAIN);
	ck_assert_int_eq(usm_outbox_put(&outbox, large, 1 << 20, NULL), 0);
	ck_assert_int_eq(usm_outbox_put(&outbox, "end", 3, NULL), 0);
	/* More than the socket takes: neither side ever blocks. */
	more = usm_outbox_write(&outbox, pair[0], NULL);
	ck_assert_int_eq(more, 1);
	while (usm_inbox_next(&inbox, &message, &length, NULL) == 0) {
		if (usm_inbox_read(&inbox, pair[1], NULL) != USM_INBOX_DATA)
			ck_assert_int_ge(more = usm_outbox_write(&outbox, pair[0], NULL), 0);
	}
	ck_assert_uint_eq(length, 1 << 20);
	ck_assert_int_eq(memcmp(message, large, length), 0);
	ck_assert_int_eq(usm_outbox_write(&outbox, pair[0], NULL), 0);
	ck_assert(usm_outbox_is_empty(&outbox));
	while (usm_inbox_read(&inbox, pair[1], NULL) == USM_INBOX_DATA)
		;
	assert_next(&inbox, "end");

	/* The peer goes: an end for the reader, an error without a signal for the writer. */
	close(pair[0]);
	ck_assert_int_eq(usm_inbox_read(&inbox, pair[1], NULL), USM_INBOX_EOF);
	ck_assert_int_eq(usm_outbox_put(&outbox, "late", 4, NULL), 0);
	r = usm_outbox_write(&outbox, pair[1], NULL);
	ck_assert_int_eq(r, -EPIPE);
	close(pair[1]);
}
END_TEST

START_TEST(outbox_limits)
{
	cleanup_outbox struct usm_outbox outbox = { .limit = 8 };
	cleanup_error struct usm_error err = {};

	ck_assert_int_eq(usm_outbox_put(&outbox, "1234", 4, NULL), 0);
	ck_assert_int_eq(usm_outbox_put(&outbox, "123", 3, &err), -ENOBUFS);
	ck_assert_int_eq(usm_outbox_put(&outbox, "12", 2, NULL), 0);
	ck_assert_int_eq(usm_outbox_put(&outbox, "", 0, NULL), -ENOBUFS);
	ck_assert_int_eq(usm_outbox_put(&outbox, "a\0b", 3, &err), -EBADMSG);
}
END_TEST

/* --------------------------------------------------------- calls and replies */

START_TEST(call_round_trip)
{
	cleanup_json cJSON *parameters = parsed("{\"container\":\"web\"}");
	cleanup_free char *text = usm_call_encode("org.usm.Show", parameters);
	cleanup_free char *bare = usm_call_encode("org.usm.Status", NULL);
	cleanup_call struct usm_call call = {};
	const char *container;

	ck_assert_str_eq(text, "{\"method\":\"org.usm.Show\",\"parameters\":{\"container\":\"web\"}}");
	ck_assert_str_eq(bare, "{\"method\":\"org.usm.Status\",\"parameters\":{}}");
	ck_assert_int_eq(usm_call_decode(&call, text, strlen(text), NULL), 0);
	ck_assert_str_eq(call.method, "org.usm.Show");
	ck_assert_int_eq(usm_json_get_string(call.parameters, "container", &container, NULL), 0);
	ck_assert_str_eq(container, "web");
}
END_TEST

static const struct {
	const char *text;
	int result;
} calls[] = {
	{ "{\"method\":\"m\"}", 0 },
	{ "{\"method\":\"m\",\"more\":false,\"oneway\":false}", 0 },
	{ "{\"method\":\"m\",\"more\":true}", -EOPNOTSUPP },
	{ "{\"method\":\"m\",\"oneway\":true}", -EOPNOTSUPP },
	{ "{\"method\":\"m\",\"upgrade\":true}", -EOPNOTSUPP },
	{ "{\"method\":\"m\",\"method\":\"n\"}", -EBADMSG },
	{ "{\"method\":1}", -EBADMSG },
	{ "{\"Method\":\"m\"}", -EBADMSG },
	{ "{}", -EBADMSG },
	{ "[]", -EBADMSG },
	{ "\"m\"", -EBADMSG },
	{ "{\"method\":\"m\",\"parameters\":[]}", -EBADMSG },
	{ "{\"method\":\"m\",\"parameters\":null}", -EBADMSG },
	{ "garbage", -EBADMSG },
};

START_TEST(call_decoding)
{
	struct usm_call call = {};
	int r = usm_call_decode(&call, calls[_i].text, strlen(calls[_i].text), NULL);

	ck_assert_int_eq(r, calls[_i].result);
	if (r < 0) {
		ck_assert_ptr_null(call.method);
		ck_assert_ptr_null(call.parameters);
	} else {
		ck_assert(cJSON_IsObject(call.parameters));
	}
	usm_call_clear(&call);
}
END_TEST

START_TEST(reply_round_trip)
{
	cleanup_json cJSON *parameters = parsed("{\"managed\":true}");
	cleanup_free char *good = usm_reply_encode(parameters);
	cleanup_free char *bad = usm_reply_encode_error(USM_VARLINK_REFUSED, "no room");
	cleanup_free char *bare = usm_reply_encode_error(USM_VARLINK_FAILED, NULL);
	cleanup_reply struct usm_reply reply = {};

	ck_assert_str_eq(good, "{\"parameters\":{\"managed\":true}}");
	ck_assert_int_eq(usm_reply_decode(&reply, good, strlen(good), NULL), 0);
	ck_assert_ptr_null(reply.error);
	usm_reply_clear(&reply);

	ck_assert_str_eq(bad, "{\"error\":\"org.usm.Refused\",\"parameters\":{\"message\":\"no room\"}}");
	ck_assert_int_eq(usm_reply_decode(&reply, bad, strlen(bad), NULL), 0);
	ck_assert_str_eq(reply.error, USM_VARLINK_REFUSED);
	ck_assert_str_eq(reply.message, "no room");
	usm_reply_clear(&reply);

	ck_assert_int_eq(usm_reply_decode(&reply, bare, strlen(bare), NULL), 0);
	ck_assert_str_eq(reply.error, USM_VARLINK_FAILED);
	ck_assert_ptr_null(reply.message);
	usm_reply_clear(&reply);

	ck_assert_int_eq(usm_reply_decode(&reply, "{\"error\":5}", 11, NULL), -EBADMSG);
	ck_assert_int_eq(usm_reply_decode(&reply, "[]", 2, NULL), -EBADMSG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control");

	suite_add(suite, "json-values", json_values);
	suite_add(suite, "json-writing", json_writing);
	suite_add_rows(suite, "json-strict", json_strict, strict);
	suite_add(suite, "json-places", json_places);
	suite_add(suite, "inbox-splits", inbox_splits);
	suite_add(suite, "inbox-limits", inbox_limits);
	suite_add(suite, "boxes-over-a-socket", boxes_over_a_socket);
	suite_add(suite, "outbox-limits", outbox_limits);
	suite_add(suite, "call-round-trip", call_round_trip);
	suite_add_rows(suite, "call-decoding", call_decoding, calls);
	suite_add(suite, "reply-round-trip", reply_round_trip);
	return suite_run(suite);
}

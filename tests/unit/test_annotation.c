// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every rule of usm.policy(5), with the sentence, the pointer and the byte that
 * a refusal names. Where the byte is, a row says by the text that stands there.
 */
#include <string.h>

#include "annotation.h"
#include "suite.h"

#define NAME32		"abcdefghijklmnopqrstuvwxyz012345"
#define MODE_RULE	"must be \"supply\" or \"upcall\", not "
#define KEYS		"is not a known key here, where there is: " \
			"policy, memory, reserve, fault, orders, deadline, store, parameters"
#define NAME_RULE	"must be the name of a policy, [a-z][a-z0-9-]{0,31}, not "
#define SIZE_RULE	"must be a size such as \"256M\" or a number of bytes, not "
#define PAGE_RULE	"must be a multiple of 4K, the size of a page, not "
#define SIZES_RULE	"is not a size of mappings: a power of two from 8K to 8T, such as \"2M\""
#define ORDER_RULE	"must be an integer from 0 to 9, not "
#define DEADLINE_RULE	"must be an integer from 1 to 60000, in milliseconds, not "
#define VALUE_RULE	"must be a string, an integer, true or false, not "
#define PARAMETER_RULE	"is not the name of a parameter, [A-Za-z0-9._-]{1,64}"
#define BEYOND_RULE	"is beyond 2^53, the largest exact integer"
#define INTEGER_RULE	"must be an integer, without fraction or exponent"

struct refused {
	const char *text;
	const char *at;		/* the fault is where this stands first; "": at the end */
	const char *pointer;
	const char *predicate;
};

static const struct refused refused[] = {
	/* empty */
	{ "", "", "", "is empty" },
	{ " \t\r\n", " ", "", "is empty" },
	{ "{}", "{", "", "lacks the key \"policy\"" },
	{ " {\"memory\":\"1M\"}", "{", "", "lacks the key \"policy\"" },

	/* unknown keys, at each level */
	{ "{\"policy\":\"a\",\"polcy\":\"b\"}", "\"polcy\"", "/polcy", KEYS },
	{ "{\"Policy\":\"a\"}", "\"Policy\"", "/Policy", KEYS },
	{ "{\"\":1}", "\"\"", "/", KEYS },
	{ "{\"a/b~c\":1}", "\"a/b", "/a~1b~0c", KEYS },
	{ "{\"policy\":\"a\",\"fault\":{\"ordr\":1}}", "\"ordr\"", "/fault/ordr",
	  "is not a known key here, where there is: order, mode" },

	/* wrong type, of each key */
	{ "[]", "[", "", "must be an object, not []" },
	{ "\"firstfit\"", "\"", "", "must be an object, not \"firstfit\"" },
	{ "{\"policy\":1}", "\"policy\"", "/policy", NAME_RULE "1" },
	{ "{\"policy\":null}", "\"policy\"", "/policy", NAME_RULE "null" },
	{ "{\"policy\":true}", "\"policy\"", "/policy", NAME_RULE "true" },
	{ "{\"policy\":[\"a\"]}", "\"policy\"", "/policy", NAME_RULE "[\"a\"]" },
	{ "{\"policy\":{}}", "\"policy\"", "/policy", NAME_RULE "{}" },
	{ "{\"policy\":\"a\",\"memory\":true}", "\"memory\"", "/memory", SIZE_RULE "true" },
	{ "{\"policy\":\"a\",\"memory\":null}", "\"memory\"", "/memory", SIZE_RULE "null" },
	{ "{\"policy\":\"a\",\"memory\":[1]}", "\"memory\"", "/memory", SIZE_RULE "[1]" },
	{ "{\"policy\":\"a\",\"memory\":{}}", "\"memory\"", "/memory", SIZE_RULE "{}" },
	{ "{\"policy\":\"a\",\"reserve\":false}", "\"reserve\"", "/reserve", SIZE_RULE "false" },
	{ "{\"policy\":\"a\",\"reserve\":null}", "\"reserve\"", "/reserve", SIZE_RULE "null" },
	{ "{\"policy\":\"a\",\"reserve\":[]}", "\"reserve\"", "/reserve", SIZE_RULE "[]" },
	{ "{\"policy\":\"a\",\"fault\":4}", "\"fault\"", "/fault", "must be an object, not 4" },
	{ "{\"policy\":\"a\",\"fault\":\"4\"}", "\"fault\"", "/fault",
	  "must be an object, not \"4\"" },
	{ "{\"policy\":\"a\",\"fault\":null}", "\"fault\"", "/fault", "must be an object, not null" },
	{ "{\"policy\":\"a\",\"fault\":[4]}", "\"fault\"", "/fault", "must be an object, not [4]" },
	{ "{\"policy\":\"a\",\"fault\":{\"order\":\"4\"}}", "\"order\"", "/fault/order",
	  ORDER_RULE "\"4\"" },
	{ "{\"policy\":\"a\",\"fault\":{\"order\":true}}", "\"order\"", "/fault/order",
	  ORDER_RULE "true" },
	{ "{\"policy\":\"a\",\"fault\":{\"order\":null}}", "\"order\"", "/fault/order",
	  ORDER_RULE "null" },
	{ "{\"policy\":\"a\",\"fault\":{\"order\":{}}}", "\"order\"", "/fault/order", ORDER_RULE "{}" },
	{ "{\"policy\":\"a\",\"deadline\":\"200\"}", "\"deadline\"", "/deadline",
	  DEADLINE_RULE "\"200\"" },
	{ "{\"policy\":\"a\",\"deadline\":true}", "\"deadline\"", "/deadline", DEADLINE_RULE "true" },
	{ "{\"policy\":\"a\",\"deadline\":null}", "\"deadline\"", "/deadline", DEADLINE_RULE "null" },
	{ "{\"policy\":\"a\",\"deadline\":[200]}", "\"deadline\"", "/deadline",
	  DEADLINE_RULE "[200]" },
	{ "{\"policy\":\"a\",\"store\":true}", "\"store\"", "/store", "must be an object, not true" },
	{ "{\"policy\":\"a\",\"store\":\"64M\"}", "\"store\"", "/store",
	  "must be an object, not \"64M\"" },
	{ "{\"policy\":\"a\",\"store\":{\"size\":1}}", "\"size\"", "/store/size",
	  "is not a known key here, where there is: quota" },
	{ "{\"policy\":\"a\",\"store\":{\"quota\":true}}", "\"quota\"", "/store/quota",
	  SIZE_RULE "true" },
	{ "{\"policy\":\"a\",\"store\":{\"quota\":-4096}}", "\"quota\"", "/store/quota",
	  "must be from 0 to 16T, not -4096" },
	{ "{\"policy\":\"a\",\"parameters\":[]}", "\"parameters\"", "/parameters",
	  "must be an object, not []" },
	{ "{\"policy\":\"a\",\"parameters\":\"x=1\"}", "\"parameters\"", "/parameters",
	  "must be an object, not \"x=1\"" },
	{ "{\"policy\":\"a\",\"parameters\":null}", "\"parameters\"", "/parameters",
	  "must be an object, not null" },
	{ "{\"policy\":\"a\",\"parameters\":{\"x\":null}}", "\"x\"", "/parameters/x",
	  VALUE_RULE "null" },
	{ "{\"policy\":\"a\",\"parameters\":{\"y\":1,\"x\":[1,2]}}", "\"x\"", "/parameters/x",
	  VALUE_RULE "[1,2]" },
	{ "{\"policy\":\"a\",\"parameters\":{\"x\":{\"y\":1}}}", "\"x\"", "/parameters/x",
	  VALUE_RULE "{\"y\":1}" },

	/* out of range, or not of the form */
	{ "{\"policy\":\"\"}", "\"policy\"", "/policy", NAME_RULE "\"\"" },
	{ "{\"policy\":\"Firstfit\"}", "\"policy\"", "/policy", NAME_RULE "\"Firstfit\"" },
	{ "{\"policy\":\"1st\"}", "\"policy\"", "/policy", NAME_RULE "\"1st\"" },
	{ "{\"policy\":\"first_fit\"}", "\"policy\"", "/policy", NAME_RULE "\"first_fit\"" },
	{ "{\"policy\":\"../evil\"}", "\"policy\"", "/policy", NAME_RULE "\"../evil\"" },
	{ "{\"policy\":\"first\\nfit\"}", "\"policy\"", "/policy", NAME_RULE "\"first\\nfit\"" },
	{ "{\"policy\":\"" NAME32 "x\"}", "\"policy\"", "/policy", NAME_RULE "\"" NAME32 "x\"" },
	{ "{\"policy\":\"a\",\"memory\":\"\"}", "\"memory\"", "/memory", SIZE_RULE "\"\"" },
	{ "{\"policy\":\"a\",\"memory\":\"256m\"}", "\"memory\"", "/memory", SIZE_RULE "\"256m\"" },
	{ "{\"policy\":\"a\",\"memory\":\"256MB\"}", "\"memory\"", "/memory", SIZE_RULE "\"256MB\"" },
	{ "{\"policy\":\"a\",\"memory\":\"1.5G\"}", "\"memory\"", "/memory", SIZE_RULE "\"1.5G\"" },
	{ "{\"policy\":\"a\",\"memory\":\" 1G\"}", "\"memory\"", "/memory", SIZE_RULE "\" 1G\"" },
	{ "{\"policy\":\"a\",\"memory\":\"-1G\"}", "\"memory\"", "/memory", SIZE_RULE "\"-1G\"" },
	{ "{\"policy\":\"a\",\"memory\":\"M\"}", "\"memory\"", "/memory", SIZE_RULE "\"M\"" },
	{ "{\"policy\":\"a\",\"memory\":0}", "\"memory\"", "/memory", "must be from 1M to 16T, not 0" },
	{ "{\"policy\":\"a\",\"memory\":-4096}", "\"memory\"", "/memory",
	  "must be from 1M to 16T, not -4096" },
	{ "{\"policy\":\"a\",\"memory\":\"1020K\"}", "\"memory\"", "/memory",
	  "must be from 1M to 16T, not \"1020K\"" },
	{ "{\"policy\":\"a\",\"memory\":\"17T\"}", "\"memory\"", "/memory",
	  "must be from 1M to 16T, not \"17T\"" },
	{ "{\"policy\":\"a\",\"memory\":17592186048512}", "\"memory\"", "/memory",
	  "must be from 1M to 16T, not 17592186048512" },
	{ "{\"policy\":\"a\",\"memory\":\"99999999999999999999\"}", "\"memory\"", "/memory",
	  "must be from 1M to 16T, not \"99999999999999999999\"" },
	{ "{\"policy\":\"a\",\"memory\":\"18014398509481984T\"}", "\"memory\"", "/memory",
	  "must be from 1M to 16T, not \"18014398509481984T\"" },
	{ "{\"policy\":\"a\",\"memory\":1048577}", "\"memory\"", "/memory", PAGE_RULE "1048577" },
	{ "{\"policy\":\"a\",\"memory\":\"1025K\"}", "\"memory\"", "/memory", PAGE_RULE "\"1025K\"" },
	{ "{\"policy\":\"a\",\"reserve\":-4096}", "\"reserve\"", "/reserve",
	  "must be from 0 to 16T, not -4096" },
	{ "{\"policy\":\"a\",\"reserve\":\"17T\"}", "\"reserve\"", "/reserve",
	  "must be from 0 to 16T, not \"17T\"" },
	{ "{\"policy\":\"a\",\"reserve\":5}", "\"reserve\"", "/reserve", PAGE_RULE "5" },
	{ "{\"policy\":\"a\",\"fault\":{\"order\":-1}}", "\"order\"", "/fault/order", ORDER_RULE "-1" },
	{ "{\"policy\":\"a\",\"fault\":{\"order\":10}}", "\"order\"", "/fault/order", ORDER_RULE "10" },
	{ "{\"policy\":\"a\",\"deadline\":0}", "\"deadline\"", "/deadline", DEADLINE_RULE "0" },
	{ "{\"policy\":\"a\",\"deadline\":60001}", "\"deadline\"", "/deadline", DEADLINE_RULE "60001" },
	{ "{\"policy\":\"a\",\"parameters\":{\"\":1}}", "\"\"", "/parameters/", PARAMETER_RULE },
	{ "{\"policy\":\"a\",\"parameters\":{\"a b\":1}}", "\"a b\"", "/parameters/a b",
	  PARAMETER_RULE },
	{ "{\"policy\":\"a\",\"parameters\":{\"" NAME32 NAME32 "x\":1}}", "\"" NAME32,
	  "/parameters/" NAME32 NAME32 "x", PARAMETER_RULE },

	/* numbers that are not exact integers, wherever they stand */
	{ "{\"policy\":\"a\",\"deadline\":9007199254740993}", "9007", "/deadline", BEYOND_RULE },
	{ "{\"policy\":\"a\",\"memory\":18446744073709551616}", "1844", "/memory", BEYOND_RULE },
	{ "{\"policy\":\"a\",\"parameters\":{\"x\":-9007199254740993}}", "-9007", "/parameters/x",
	  BEYOND_RULE },
	{ "{\"policy\":\"a\",\"x\":[1,2,99999999999999999999]}", "9999", "/x/2", BEYOND_RULE },
	{ "{\"policy\":\"a\",\"fault\":{\"order\":1.5}}", "1.5", "/fault/order", INTEGER_RULE },
	{ "{\"policy\":\"a\",\"fault\":{\"order\":4.0}}", "4.0", "/fault/order", INTEGER_RULE },
	{ "{\"policy\":\"a\",\"memory\":1e9}", "1e9", "/memory", INTEGER_RULE },
	{ "{\"policy\":\"a\",\"memory\":1e999}", "1e999", "/memory", INTEGER_RULE },
	{ "{\"policy\":\"a\",\"deadline\":0200}", "0200", "/deadline", "has a malformed number" },
	{ "{\"policy\":\"a\",\"deadline\":+200}", "+200", "/deadline",
	  "has something that is no JSON value" },
	{ "{\"policy\":\"a\",\"deadline\":0x20}", "0x20", "/deadline", "has a malformed number" },
	{ "{\"policy\":\"a\",\"deadline\":1.}", "1.", "/deadline", "has a malformed number" },
	{ "{\"policy\":\"a\",\"deadline\":-}", "-", "/deadline", "has a malformed number" },
	{ "{\"policy\":\"a\",\"deadline\":NaN}", "NaN", "/deadline",
	  "has something that is no JSON value" },

	/* duplicates */
	{ "{\"policy\":\"a\",\"memory\":\"1M\", \"memory\":\"2M\"}", "\"memory\":\"2M\"", "/memory",
	  "is a duplicate key, first given at byte 14" },
	{ "{\"policy\":\"a\",\"p\\u006flicy\":\"b\"}", "\"p\\u006f", "/policy",
	  "is a duplicate key, first given at byte 1" },
	{ "{\"policy\":\"a\",\"fault\":{\"order\":1,\"order\":2}}", "\"order\":2", "/fault/order",
	  "is a duplicate key, first given at byte 23" },
	{ "{\"policy\":\"a\",\"parameters\":{\"x\":1,\"y\":2,\"x\":3}}", "\"x\":3", "/parameters/x",
	  "is a duplicate key, first given at byte 28" },

	/* nesting */
	{ "{\"policy\":\"a\",\"x\":{\"x\":{\"x\":{\"x\":{}}}}}", "{}", "/x/x/x/x",
	  "is nested deeper than 4 levels" },
	{ "{\"policy\":\"a\",\"x\":[[[[[]]]]]}", "[[]", "/x/0/0/0", "is nested deeper than 4 levels" },

	/* trailing bytes, and text that ends early */
	{ "{\"policy\":\"a\"} {}", "{}", "", "goes on after its end" },
	{ "{\"policy\":\"a\"}x", "x", "", "goes on after its end" },
	{ "{\"policy\":\"a\"},", ",", "", "goes on after its end" },
	{ "{\"policy\":\"a\"", "", "/policy", "ends before a closing bracket" },
	{ "{\"policy\":\"a", "", "/policy", "ends inside a string" },
	{ "{\"policy\":", "", "/policy", "ends before a closing bracket" },
	{ "{", "", "", "ends before a closing bracket" },

	/* what is no JSON at all */
	{ "{\"policy\":\"a\",}", "}", "", "is not valid JSON: unexpected }" },
	{ "{\"policy\" \"a\"}", "\"a\"", "/policy", "is not valid JSON: unexpected \"a\"" },
	{ "{policy:\"a\"}", "policy", "", "has something that is no JSON value" },
	{ "{'policy':'a'}", "'policy'", "", "has something that is no JSON value" },
	{ "{\"policy\":\"a\"]", "]", "/policy", "has a closing bracket that fits no opening one" },
	{ "{\"policy\":\"\\x61\"}", "\"\\x61\"", "/policy",
	  "is not valid JSON: unexpected \"\\x61\"" },
	{ "{\"policy\":\"a\tb\"}", "\t", "/policy",
	  "has a control character, which must be escaped" },
	{ "{\"policy\":\"a\\u0000\"}", "\\u0000", "/policy", "has an escaped NUL" },
	{ "{\"policy\":True}", "True", "/policy", "has something that is no JSON value" },

	/* invalid UTF-8: stray, overlong, surrogate, beyond U+10FFFF, cut short */
	{ "{\"policy\":\"a\xff\"}", "\xff", "/policy", "has invalid UTF-8" },
	{ "{\"policy\":\"\xc0\xaf\"}", "\xc0", "/policy", "has invalid UTF-8" },
	{ "{\"policy\":\"\xed\xa0\x80\"}", "\xed", "/policy", "has invalid UTF-8" },
	{ "{\"policy\":\"\xf4\x90\x80\x80\"}", "\xf4", "/policy", "has invalid UTF-8" },
	{ "{\"\xe2\x82\":1}", "\xe2", "", "has invalid UTF-8" },
	{ "{\"policy\":\xfe}", "\xfe", "/policy", "has invalid UTF-8" },

	/* the compact form */
	{ "firstfit extra", "extra", "", "must have key=value here, not \"extra\"" },
	{ "firstfit =1", "=1", "", "must have key=value here, not \"=1\"" },
	{ "memory=256M firstfit", "memory", "",
	  "must begin with the name of a policy, not \"memory=256M\"" },
	{ "First", "First", "/policy", NAME_RULE "\"First\"" },
	{ "42", "42", "/policy", NAME_RULE "\"42\"" },
	{ "firstfit size=1", "size", "/size", KEYS },
	{ "firstfit fault.ordr=1", "fault", "/fault/ordr",
	  "is not a known key here, where there is: order, mode" },
	{ "firstfit memory=", "memory", "/memory", SIZE_RULE "\"\"" },
	{ "firstfit  memory=1X", "memory", "/memory", SIZE_RULE "\"1X\"" },
	{ "firstfit memory=true", "memory", "/memory", SIZE_RULE "true" },
	{ "firstfit memory=4K", "memory", "/memory", "must be from 1M to 16T, not \"4K\"" },
	{ "firstfit fault.order=10", "fault", "/fault/order", ORDER_RULE "10" },
	{ "firstfit fault.order=x", "fault", "/fault/order", ORDER_RULE "\"x\"" },
	{ "firstfit orders.3M=4", "orders", "/orders/3M", SIZES_RULE },
	{ "firstfit orders.4K=0", "orders", "/orders/4K", SIZES_RULE },
	{ "firstfit orders.16T=0", "orders", "/orders/16T", SIZES_RULE },
	{ "firstfit orders.big=0", "orders", "/orders/big", SIZES_RULE },
	{ "firstfit orders.2M=10", "orders", "/orders/2M", ORDER_RULE "10" },
	{ "firstfit orders.2M=x", "orders", "/orders/2M", ORDER_RULE "\"x\"" },
	{ "{\"policy\":\"a\",\"orders\":4}", "\"orders\"", "/orders",
	  "must be an object, not 4" },
	{ "{\"policy\":\"a\",\"orders\":{\"2M\":1,\"2048K\":2}}", "\"2048K\"",
	  "/orders/2048K", "names a size that was named before" },
	{ "firstfit fault.mode=later", "fault", "/fault/mode", MODE_RULE "\"later\"" },
	{ "firstfit fault.mode=1", "fault", "/fault/mode", MODE_RULE "1" },
	{ "{\"policy\":\"a\",\"fault\":{\"mode\":null}}", "\"mode\"", "/fault/mode",
	  MODE_RULE "null" },
	{ "firstfit fault=4", "fault", "/fault", "must be an object, not 4" },
	{ "firstfit deadline=0", "deadline", "/deadline", DEADLINE_RULE "0" },
	{ "firstfit deadline=010", "deadline", "/deadline", DEADLINE_RULE "\"010\"" },
	{ "firstfit parameters=1", "parameters", "/parameters", "must be an object, not 1" },
	{ "firstfit parameters.=1", "parameters", "/parameters/", PARAMETER_RULE },
	{ "firstfit parameters.x=9007199254740993", "parameters", "/parameters/x", BEYOND_RULE },
	{ "firstfit policy=b", "policy", "/policy", "is a duplicate key, first given at byte 0" },
	{ "firstfit memory=1M memory=2M", "memory=2M", "/memory",
	  "is a duplicate key, first given at byte 9" },
	{ "firstfit memory=1M memory.x=2M", "memory.x", "/memory",
	  "is a duplicate key, first given at byte 9" },
	{ "firstfit memory=1M,deadline=5", ",", "",
	  "has a quote or a comma, which the compact form does not know" },
	{ "firstfit parameters.x='a b'", "'", "",
	  "has a quote or a comma, which the compact form does not know" },
	{ "firstfit memory=1\xff", "\xff", "", "has invalid UTF-8" },
	{ "firstfit \x1b[31m", "\x1b", "", "has a control character" },
};

/* What a sentence says of a place: the pointer, or that it is all of it. */
static char *sentence(const char *pointer, size_t offset, const char *predicate)
{
	char *text;

	ck_assert_int_ge(asprintf(&text, "%s at byte %zu %s", *pointer ? pointer : "the document",
				  offset, predicate), 0);
	return text;
}

static void assert_refused(const char *text, size_t length, const char *pointer, size_t offset,
			   const char *predicate)
{
	struct usm_annotation annotation = { .fault_order = 77 };
	cleanup_json_place struct usm_json_place place = {};
	cleanup_error struct usm_error err = {};
	cleanup_free char *expected = sentence(pointer, offset, predicate);
	int r;

	r = usm_annotation_parse(&annotation, text, length, &place, &err);
	ck_assert_msg(r < 0, "accepted: %s", text);
	ck_assert_int_eq(r, -err.code);
	ck_assert_str_eq(usm_error_message(&err), expected);
	ck_assert_str_eq(place.pointer, pointer);
	ck_assert_uint_eq(place.offset, offset);

	/* Output is untouched on failure, and nobody has to want the details. */
	ck_assert_uint_eq(annotation.fault_order, 77);
	ck_assert_ptr_null(annotation.policy);
	ck_assert_int_eq(usm_annotation_parse(&annotation, text, length, NULL, NULL), r);
}

START_TEST(refuses)
{
	const struct refused *row = &refused[_i];
	const char *at = *row->at ? strstr(row->text, row->at) : row->text + strlen(row->text);

	ck_assert_ptr_nonnull(at);
	assert_refused(row->text, strlen(row->text), row->pointer, (size_t)(at - row->text),
		       row->predicate);
}
END_TEST

START_TEST(refuses_overlong)
{
	cleanup_free char *text = malloc(USM_ANNOTATION_MAX_BYTES + 2);
	struct usm_annotation annotation;

	/* White space counts too, or the limit would be none. */
	memset(text, ' ', USM_ANNOTATION_MAX_BYTES + 2);
	memcpy(text, "{\"policy\":\"a\"}", 14);
	assert_refused(text, USM_ANNOTATION_MAX_BYTES + 1, "", USM_ANNOTATION_MAX_BYTES,
		       "goes on beyond the limit of 4096 bytes");
	ck_assert_int_eq(usm_annotation_parse(&annotation, text, USM_ANNOTATION_MAX_BYTES, NULL, NULL),
			 0);
	usm_annotation_clear(&annotation);

	memcpy(text, "firstfit      ", 14);
	assert_refused(text, USM_ANNOTATION_MAX_BYTES + 1, "", USM_ANNOTATION_MAX_BYTES,
		       "goes on beyond the limit of 4096 bytes");
	ck_assert_int_eq(usm_annotation_parse(&annotation, text, USM_ANNOTATION_MAX_BYTES, NULL, NULL),
			 0);
	usm_annotation_clear(&annotation);
}
END_TEST

START_TEST(refuses_nul)
{
	static const char inside[] = "{\"policy\":\"a\0b\"}";
	static const char between[] = "{\"policy\":\0\"a\"}";
	static const char behind[] = "{\"policy\":\"a\"}\0";
	static const char compact[] = "firstfit\0memory=1M";

	assert_refused(inside, sizeof(inside) - 1, "/policy", 12, "has a NUL byte");
	assert_refused(between, sizeof(between) - 1, "/policy", 10, "has a NUL byte");
	assert_refused(behind, sizeof(behind) - 1, "", 14, "has a NUL byte");
	assert_refused(compact, sizeof(compact) - 1, "", 8, "has a NUL byte");
	assert_refused("\0", 1, "", 0, "has a NUL byte");
}
END_TEST

/* {"policy":"a","parameters":{"p01":1,...}} with `count` parameters. */
static char *with_parameters(unsigned int count)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs("{\"policy\":\"a\",\"parameters\":{", out);
	for (unsigned int i = 1; i <= count; i++)
		fprintf(out, "%s\"p%02u\":%u", i > 1 ? "," : "", i, i);
	fputs("}}", out);
	fclose(out);
	return text;
}

START_TEST(limits_parameters)
{
	cleanup_annotation struct usm_annotation annotation = {};
	cleanup_free char *most = with_parameters(USM_ANNOTATION_MAX_PARAMETERS);
	cleanup_free char *more = with_parameters(USM_ANNOTATION_MAX_PARAMETERS + 1);

	ck_assert_int_eq(usm_annotation_parse(&annotation, most, strlen(most), NULL, NULL), 0);
	ck_assert_int_eq(cJSON_GetArraySize(annotation.parameters), USM_ANNOTATION_MAX_PARAMETERS);
	assert_refused(more, strlen(more), "/parameters/p33", (size_t)(strstr(more, "\"p33\"") - more),
		       "is one parameter too many: there may be 32");
}
END_TEST

/* A key of 100 bytes with an escape sequence must not get onto a terminal as it is. */
START_TEST(sentences_are_safe)
{
	cleanup_json_place struct usm_json_place place = {};
	cleanup_error struct usm_error err = {};
	struct usm_annotation annotation;
	char text[200];
	const char *message;

	snprintf(text, sizeof(text), "{\"\\u001b[31m\xc2\x9b%0100d\":1}", 0);
	ck_assert_int_eq(usm_annotation_parse(&annotation, text, strlen(text), &place, &err), -EINVAL);
	message = usm_error_message(&err);
	ck_assert_ptr_null(strchr(message, '\x1b'));
	ck_assert_ptr_null(strchr(message, '\xc2'));
	ck_assert_ptr_nonnull(strstr(message, "/\\x1b[31m\\x9b0000"));
	ck_assert_ptr_nonnull(strstr(message, "000... at byte 1 is not a known key"));
	/* The pointer itself is for programs, and whole. */
	ck_assert_uint_eq(strlen(place.pointer), 1 + 5 + 2 + 100);
}
END_TEST

struct accepted {
	const char *text;
	const char *normal;
};

#define REST	"\"fault\":{\"order\":4,\"mode\":\"supply\"},\"deadline\":200,\"parameters\":{}}"

static const struct accepted accepted[] = {
	{ "{\"policy\":\"firstfit\"}", "{\"policy\":\"firstfit\"," REST },
	{ "firstfit", "{\"policy\":\"firstfit\"," REST },
	{ " firstfit\n", "{\"policy\":\"firstfit\"," REST },
	{ "{\"policy\":\"" NAME32 "\"}", "{\"policy\":\"" NAME32 "\"," REST },
	{ "{\"policy\":\"p\\u002d1\"}", "{\"policy\":\"p-1\"," REST },
	/* Words of JSON are names like others in the compact form. */
	{ "null", "{\"policy\":\"null\"," REST },
	{ "{\"policy\":\"firstfit\",\"memory\":\"256M\",\"fault\":{\"order\":9}}",
	  "{\"policy\":\"firstfit\",\"memory\":\"256M\",\"fault\":{\"order\":9,"
	  "\"mode\":\"supply\"},\"deadline\":200,"
	  "\"parameters\":{}}" },
	{ "{\"policy\":\"a\",\"memory\":\"1M\",\"reserve\":\"0\"}",
	  "{\"policy\":\"a\",\"memory\":\"1M\",\"reserve\":\"0\"," REST },
	{ "{\"policy\":\"a\",\"memory\":\"16T\",\"reserve\":0}",
	  "{\"policy\":\"a\",\"memory\":\"16T\",\"reserve\":\"0\"," REST },
	{ "{\"policy\":\"a\",\"memory\":17592186044416,\"reserve\":\"16384G\"}",
	  "{\"policy\":\"a\",\"memory\":\"16T\",\"reserve\":\"16T\"," REST },
	{ "{\"policy\":\"a\",\"memory\":1052672}", "{\"policy\":\"a\",\"memory\":\"1028K\"," REST },
	{ "{\"policy\":\"a\",\"memory\":\"1048576\"}", "{\"policy\":\"a\",\"memory\":\"1M\"," REST },
	{ "{\"policy\":\"a\",\"fault\":{}}", "{\"policy\":\"a\"," REST },
	{ "{\"policy\":\"a\",\"fault\":{\"order\":0},\"deadline\":60000}",
	  "{\"policy\":\"a\",\"fault\":{\"order\":0,\"mode\":\"supply\"},\"deadline\":60000,"
	  "\"parameters\":{}}" },
	{ "{\"policy\":\"a\",\"parameters\":{\"s\":\"\xc3\xa9 \\\"x\\\"\",\"n\":-5,\"t\":true,\"f\":false,"
	  "\"big\":9007199254740992,\"e15\":1000000000000000}}",
	  "{\"policy\":\"a\",\"fault\":{\"order\":4,\"mode\":\"supply\"},\"deadline\":200,\"parameters\":{"
	  "\"s\":\"\xc3\xa9 \\\"x\\\"\",\"n\":-5,\"t\":true,\"f\":false,\"big\":9007199254740992,"
	  "\"e15\":1000000000000000}}" },
	{ "firstfit memory=256M reserve=8M fault.order=2 deadline=50 parameters.a=1 "
	  "parameters.b.c=x=y parameters.d=false parameters.e=-0 parameters.f=",
	  "{\"policy\":\"firstfit\",\"memory\":\"256M\",\"reserve\":\"8M\",\"fault\":{\"order\":2,"
	  "\"mode\":\"supply\"},\"deadline\":50,"
	  "\"parameters\":{\"a\":1,\"b.c\":\"x=y\",\"d\":false,\"e\":0,\"f\":\"\"}}" },
	{ "firstfit fault.order=9 orders.2M=4 orders.64K=0",
	  "{\"policy\":\"firstfit\",\"fault\":{\"order\":9,\"mode\":\"supply\"},"
	  "\"orders\":{\"64K\":0,\"2M\":4},\"deadline\":200,\"parameters\":{}}" },
	{ "{\"policy\":\"a\",\"orders\":{}}", "{\"policy\":\"a\"," REST },
	{ "{\"policy\":\"a\",\"orders\":{\"8K\":0,\"8T\":9}}",
	  "{\"policy\":\"a\",\"fault\":{\"order\":4,\"mode\":\"supply\"},"
	  "\"orders\":{\"8K\":0,\"8T\":9},\"deadline\":200,\"parameters\":{}}" },
	{ "firstfit fault.mode=supply", "{\"policy\":\"firstfit\"," REST },
	{ "firstfit fault.mode=upcall fault.order=0",
	  "{\"policy\":\"firstfit\",\"fault\":{\"order\":0,\"mode\":\"upcall\"},"
	  "\"deadline\":200,\"parameters\":{}}" },
	{ "firstfit\tmemory=268435456", "{\"policy\":\"firstfit\",\"memory\":\"256M\"," REST },
};

/* What a mapping of 2^n pages gets: that of the smallest size it is below. */
START_TEST(orders_by_size)
{
	static const char text[] = "firstfit fault.order=6 orders.2M=9 orders.64K=0 orders.1M=4";
	struct usm_annotation annotation = {};

	ck_assert_int_eq(usm_annotation_parse(&annotation, text, strlen(text), NULL, NULL), 0);
	for (unsigned int n = 0; n < 32; n++)
		ck_assert_uint_eq(usm_annotation_order(&annotation, n), n < 4 ? 0 : n < 8 ? 4 : 6);
	usm_annotation_clear(&annotation);
}
END_TEST

/* The normal form is itself an annotation, and its own normal form. */
START_TEST(accepts)
{
	const struct accepted *row = &accepted[_i];
	const char *text = row->text;

	for (int round = 0; round < 2; round++, text = row->normal) {
		cleanup_annotation struct usm_annotation annotation = {};
		cleanup_error struct usm_error err = {};
		cleanup_json cJSON *json = NULL;
		cleanup_free char *normal = NULL;
		int r;

		r = usm_annotation_parse(&annotation, text, strlen(text), NULL, &err);
		ck_assert_msg(r == 0, "%s: %s", text, err.message);
		json = usm_annotation_to_json(&annotation);
		normal = usm_json_print(json);
		ck_assert_str_eq(normal, row->normal);
	}
}
END_TEST

START_TEST(says_what_was_given)
{
	static const char text[] = "{\"policy\":\"a\"}", full[] = "a memory=2M reserve=1M";
	cleanup_annotation struct usm_annotation annotation = {};

	ck_assert_int_eq(usm_annotation_parse(&annotation, text, strlen(text), NULL, NULL), 0);
	ck_assert(!annotation.has_memory && !annotation.has_reserve);
	usm_annotation_clear(&annotation);
	ck_assert_int_eq(usm_annotation_parse(&annotation, full, strlen(full), NULL, NULL), 0);
	ck_assert(annotation.has_memory && annotation.has_reserve);
	ck_assert_uint_eq(annotation.memory, 2 << 20);
	ck_assert_uint_eq(annotation.reserve, 1 << 20);
}
END_TEST

START_TEST(reads_required)
{
	cleanup_error struct usm_error err = {};
	bool required = false;

	ck_assert_int_eq(usm_annotation_parse_required("true", 4, &required, NULL), 0);
	ck_assert(required);
	ck_assert_int_eq(usm_annotation_parse_required("false", 5, &required, NULL), 0);
	ck_assert(!required);
	ck_assert_int_eq(usm_annotation_parse_required("True", 4, &required, &err), -EINVAL);
	ck_assert_str_eq(usm_error_message(&err),
			 "usm.policy.required must be \"true\" or \"false\", not \"True\"");
	ck_assert_int_eq(usm_annotation_parse_required("", 0, &required, NULL), -EINVAL);
	ck_assert_int_eq(usm_annotation_parse_required("true\0", 5, &required, NULL), -EINVAL);
}
END_TEST

/* cJSON asks through these, so its allocations can be made to fail one by one. */
static unsigned int allocations_left;

static void *failing_malloc(size_t size)
{
	return allocations_left && allocations_left-- ? malloc(size) : NULL;
}

START_TEST(survives_want_of_memory)
{
	static const char *const texts[] = {
		"{\"policy\":\"a\",\"memory\":\"1M\",\"fault\":{\"order\":1},\"parameters\":{\"x\":\"y\"}}",
		"firstfit memory=1M fault.order=1 parameters.x=y parameters.z=true",
		"{\"policy\":\"a\",\"x\":1}",
		"firstfit memory=4K",
	};
	cJSON_Hooks hooks = { failing_malloc, free };

	cJSON_InitHooks(&hooks);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		for (unsigned int most = 0; most < 100; most++) {
			cleanup_annotation struct usm_annotation annotation = {};
			cleanup_json cJSON *json = NULL;

			allocations_left = most;
			if (usm_annotation_parse(&annotation, texts[i], strlen(texts[i]), NULL, NULL))
				continue;
			json = usm_annotation_to_json(&annotation);
			ck_assert_uint_lt(i, 2);
		}
	}
	cJSON_InitHooks(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("annotation");

	suite_add_rows(suite, "refuses", refuses, refused);
	suite_add(suite, "refuses-overlong", refuses_overlong);
	suite_add(suite, "refuses-nul", refuses_nul);
	suite_add(suite, "limits-parameters", limits_parameters);
	suite_add(suite, "sentences-are-safe", sentences_are_safe);
	suite_add_rows(suite, "accepts", accepts, accepted);
	suite_add(suite, "orders-by-size", orders_by_size);
	suite_add(suite, "says-what-was-given", says_what_was_given);
	suite_add(suite, "reads-required", reads_required);
	suite_add(suite, "survives-want-of-memory", survives_want_of_memory);
	return suite_run(suite);
}

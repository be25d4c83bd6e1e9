// SPDX-License-Identifier: GPL-2.0-or-later
/* Errors, sizes, UTF-8 and the journal's lines. */
#include <string.h>
#include <sys/wait.h>

#include "error.h"
#include "log.h"
#include "size.h"
#include "suite.h"
#include "utf8.h"

START_TEST(error_life)
{
	cleanup_error struct usm_error err = {}, other = {};

	ck_assert(!usm_error_is_set(&err));
	ck_assert_int_eq(usm_error_set(&err, ENOENT, "no %s", "cake"), -ENOENT);
	ck_assert(usm_error_is_set(&err));
	ck_assert_str_eq(usm_error_message(&err), "no cake");
	ck_assert_int_eq(usm_error_prefix(&err, "table %d", 5), -ENOENT);
	ck_assert_str_eq(usm_error_message(&err), "table 5: no cake");

	/* The sentence that is replaced may be quoted in the new one. */
	usm_error_set(&err, EIO, "again: %s", err.message);
	ck_assert_str_eq(usm_error_message(&err), "again: table 5: no cake");
	ck_assert_int_eq(err.code, EIO);

	usm_error_set(&other, EPERM, "old");
	usm_error_move(&other, &err);
	ck_assert(!usm_error_is_set(&err));
	ck_assert_int_eq(other.code, EIO);
	usm_error_move(NULL, &other);
	ck_assert(!usm_error_is_set(&other));

	ck_assert_int_eq(usm_error_errno(&err, EACCES, "cannot open %s", "x"), -EACCES);
	ck_assert_str_eq(usm_error_message(&err), "cannot open x: Permission denied");
	usm_error_clear(&err);
	usm_error_clear(NULL);

	/* Nobody wants the sentence; nobody had memory for it. */
	ck_assert_int_eq(usm_error_set(NULL, EBUSY, "busy"), -EBUSY);
	ck_assert_int_eq(usm_error_errno(NULL, EBUSY, "busy"), -EBUSY);
	ck_assert_int_eq(usm_error_oom(NULL), -ENOMEM);
	ck_assert_str_eq(usm_error_message(&(struct usm_error){ .code = ENOSPC }),
			 "No space left on device");
}
END_TEST

static const struct {
	const char *text;
	int result;
	uint64_t bytes;
} sizes[] = {
	{ "0", 0, 0 },
	{ "4096", 0, 4096 },
	{ "1K", 0, 1024 },
	{ "256M", 0, UINT64_C(256) << 20 },
	{ "3G", 0, UINT64_C(3) << 30 },
	{ "16T", 0, UINT64_C(16) << 40 },
	{ "007K", 0, 7168 },
	{ "18446744073709551615", 0, UINT64_MAX },
	{ "18446744073709551616", -ERANGE, 0 },
	{ "16777216T", -ERANGE, 0 },
	{ "", -EINVAL, 0 },
	{ "K", -EINVAL, 0 },
	{ "1k", -EINVAL, 0 },
	{ "1KB", -EINVAL, 0 },
	{ "1 K", -EINVAL, 0 },
	{ "-1", -EINVAL, 0 },
	{ "+1", -EINVAL, 0 },
	{ "1.5G", -EINVAL, 0 },
	{ "1P", -EINVAL, 0 },
};

START_TEST(parses_size)
{
	uint64_t bytes = 77;

	ck_assert_int_eq(usm_size_parse(sizes[_i].text, &bytes, NULL), sizes[_i].result);
	ck_assert_uint_eq(bytes, sizes[_i].result ? 77 : sizes[_i].bytes);
}
END_TEST

static const struct {
	uint64_t bytes;
	const char *exact;
	const char *human;
} written[] = {
	{ 0, "0", "0" },
	{ 1, "1", "1" },
	{ 999, "999", "999" },
	{ 1000, "1000", "0.98K" },
	{ 1024, "1K", "1K" },
	{ 1536, "1536", "1.5K" },
	{ 12 * 1024 + 52, "12340", "12.1K" },
	{ 64 * 1024, "64K", "64K" },
	{ 100 * 1024 + 1, "102401", "100K" },
	{ UINT64_C(268435456), "256M", "256M" },
	{ UINT64_C(1567621120), "1495M", "1.46G" },
	{ UINT64_C(17592186044416), "16T", "16T" },
	{ UINT64_MAX, "18446744073709551615", "16777216T" },
};

START_TEST(writes_size)
{
	char text[USM_SIZE_TEXT];
	uint64_t back;

	ck_assert_str_eq(usm_size_human(written[_i].bytes, text), written[_i].human);
	ck_assert_str_eq(usm_size_exact(written[_i].bytes, text), written[_i].exact);
	ck_assert_int_eq(usm_size_parse(text, &back, NULL), 0);
	ck_assert_uint_eq(back, written[_i].bytes);
}
END_TEST

static const struct {
	const char *text;
	size_t valid;
} utf8[] = {
	{ "", 0 },
	{ "abc\x7f", 4 },
	{ "\xc2\x80\xdf\xbf", 4 },
	{ "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", 12 },
	{ "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8 },
	{ "a\x80", 1 },		/* continuation without a start */
	{ "a\xc1\xbf", 1 },	/* overlong, two bytes */
	{ "a\xe0\x9f\xbf", 1 },	/* overlong, three */
	{ "a\xf0\x8f\xbf\xbf", 1 },	/* overlong, four */
	{ "a\xed\xa0\x80", 1 },	/* surrogate */
	{ "a\xf4\x90\x80\x80", 1 },	/* U+110000 */
	{ "a\xf5\x80\x80\x80", 1 },
	{ "a\xe2\x82", 1 },	/* cut */
	{ "a\xe2\x28\xa1", 1 },
	{ "a\xf0\x9f\x98", 1 },
	{ "a\xff", 1 },
};

START_TEST(validates_utf8)
{
	ck_assert_uint_eq(usm_utf8_valid_prefix(utf8[_i].text, strlen(utf8[_i].text)),
			  utf8[_i].valid);
}
END_TEST

/* What usm_log() writes on stderr; the journal's side is seen in the VM. */
static char *logged(const char *stream, int limit, int level, const char *container)
{
	char *text = calloc(1, 512);
	FILE *out = tmpfile();
	pid_t pid = fork();

	ck_assert_ptr_nonnull(out);
	if (!pid) {
		if (stream)
			setenv("JOURNAL_STREAM", stream, 1);
		else
			unsetenv("JOURNAL_STREAM");
		dup2(fileno(out), STDERR_FILENO);
		usm_log_open("tester", USM_LOG_STDERR);
		usm_log_limit(limit);
		errno = EXDEV;
		usm_log(level, "0123456789abcdef0123456789abcdef", container, "p", "1", "a %d", 5);
		_exit(errno == EXDEV ? 0 : 1);
	}
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	rewind(out);
	ck_assert(fread(text, 1, 511, out) < 511);
	fclose(out);
	return text;
}

START_TEST(logs_to_stderr)
{
	cleanup_free char *plain = logged(NULL, LOG_INFO, LOG_ERR, NULL);
	cleanup_free char *stream = logged("8:1", LOG_INFO, LOG_WARNING, "web");
	cleanup_free char *dropped = logged(NULL, LOG_INFO, LOG_DEBUG, NULL);

	ck_assert_str_eq(plain, "tester: a 5\n");
	ck_assert_str_eq(stream, "<4>container web: a 5\n");
	ck_assert_str_eq(dropped, "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("common");

	suite_add(suite, "error-life", error_life);
	suite_add_rows(suite, "parses-size", parses_size, sizes);
	suite_add_rows(suite, "writes-size", writes_size, written);
	suite_add_rows(suite, "validates-utf8", validates_utf8, utf8);
	suite_add(suite, "logs-to-stderr", logs_to_stderr);
	return suite_run(suite);
}

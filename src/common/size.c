// SPDX-License-Identifier: GPL-2.0-or-later
#include "size.h"

#include <inttypes.h>
#include <string.h>

static const char units[] = "KMGT";

int usm_size_parse(const char *text, uint64_t *bytes, struct usm_error *err)
{
	const char *at = text;
	uint64_t value = 0;
	const char *unit;

	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *at - '0', &value))
			return usm_error_set(err, ERANGE, "is beyond 2^64 bytes");
	if (at == text)
		return usm_error_set(err, EINVAL, "is not a size such as 256M");

	if (*at) {
		unit = strchr(units, *at);
		if (!unit || at[1])
			return usm_error_set(err, EINVAL, "is not a size such as 256M");
		for (; unit >= units; unit--)
			if (__builtin_mul_overflow(value, 1024, &value))
				return usm_error_set(err, ERANGE, "is beyond 2^64 bytes");
	}
	*bytes = value;
	return 0;
}

char *usm_size_exact(uint64_t bytes, char text[static USM_SIZE_TEXT])
{
	unsigned int unit = 0;

	while (unit < sizeof(units) - 1 && bytes && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, USM_SIZE_TEXT, "%" PRIu64 "%.1s", bytes, unit ? &units[unit - 1] : "");
	return text;
}

char *usm_size_human(uint64_t bytes, char text[static USM_SIZE_TEXT])
{
	double value = bytes;
	unsigned int unit = 0;
	int digits;

	/* 999.5 would be rounded to four digits. */
	while (unit < sizeof(units) - 1 && value >= 999.5) {
		value /= 1024;
		unit++;
	}
	digits = !unit || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
	snprintf(text, USM_SIZE_TEXT, "%.*f%.1s", digits, value, unit ? &units[unit - 1] : "");

	/* "64.0K" says no more than "64K". */
	if (digits) {
		char *end = text + strlen(text) - 1;
		char last = *end;

		while (end[-1] == '0')
			end--;
		if (end[-1] == '.')
			end--;
		end[0] = last;
		end[1] = '\0';
	}
	return text;
}

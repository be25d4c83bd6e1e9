// SPDX-License-Identifier: GPL-2.0-or-later
#include "utf8.h"

size_t usm_utf8_character(const char *text, size_t length)
{
	/* Bounds of the second byte; table 3-7 of the Unicode standard. */
	unsigned char low = 0x80, high = 0xbf;
	const unsigned char *byte = (const unsigned char *)text;
	size_t size;

	if (!length)
		return 0;
	if (byte[0] < 0x80)
		return 1;
	if (byte[0] >= 0xc2 && byte[0] <= 0xdf) {
		size = 2;
	} else if (byte[0] >= 0xe0 && byte[0] <= 0xef) {
		size = 3;
		if (byte[0] == 0xe0)
			low = 0xa0;
		if (byte[0] == 0xed)
			high = 0x9f;
	} else if (byte[0] >= 0xf0 && byte[0] <= 0xf4) {
		size = 4;
		if (byte[0] == 0xf0)
			low = 0x90;
		if (byte[0] == 0xf4)
			high = 0x8f;
	} else {
		return 0;
	}

	if (length < size || byte[1] < low || byte[1] > high)
		return 0;
	for (size_t i = 2; i < size; i++)
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
	return size;
}

size_t usm_utf8_valid_prefix(const char *text, size_t length)
{
	size_t at = 0;

	while (at < length) {
		size_t size = usm_utf8_character(text + at, length - at);

		if (!size)
			break;
		at += size;
	}
	return at;
}

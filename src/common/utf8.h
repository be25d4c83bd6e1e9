/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef USM_COMMON_UTF8_H
#define USM_COMMON_UTF8_H

#include <stddef.h>

/*
 * Length in bytes (1 to 4) of the well-formed character at `text`, of which
 * `length` bytes may be read, or 0: overlong forms, surrogates, code points
 * beyond U+10FFFF and truncated characters are not well-formed (RFC 3629).
 */
size_t usm_utf8_character(const char *text, size_t length);

/* Bytes from the start that are well-formed; `length` if all of it is. */
size_t usm_utf8_valid_prefix(const char *text, size_t length);

#endif /* USM_COMMON_UTF8_H */

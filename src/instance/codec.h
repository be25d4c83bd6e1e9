/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a memory store makes pages smaller. */
#ifndef USM_INSTANCE_CODEC_H
#define USM_INSTANCE_CODEC_H

#include <stddef.h>

struct usm_codec {
	const char *name;	/* at most 15 characters: it stands in the store */
	/* A page into at most `capacity` bytes; 0: it does not fit. The more haste, 1 or
	 * more, the less closely it looks for what is there twice. */
	size_t (*compress)(const void *page, void *to, size_t capacity, unsigned int haste);
	/* Back into a page; 0, or -EBADMSG: these bytes are not one. */
	int (*decompress)(const void *from, size_t length, void *page);
};

extern const struct usm_codec usm_codec_lz4;

#endif /* USM_INSTANCE_CODEC_H */

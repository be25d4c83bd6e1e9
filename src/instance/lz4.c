// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <lz4.h>

#include "codec.h"
#include "store.h"

static size_t lz4_compress(const void *page, void *to, size_t capacity, unsigned int haste)
{
	int r = LZ4_compress_fast(page, to, USM_STORE_PAGE, (int)capacity, (int)haste);

	return r > 0 ? (size_t)r : 0;
}

static int lz4_decompress(const void *from, size_t length, void *page)
{
	return LZ4_decompress_safe(from, page, (int)length, USM_STORE_PAGE) == USM_STORE_PAGE ?
	       0 : -EBADMSG;
}

const struct usm_codec usm_codec_lz4 = {
	.name = "lz4",
	.compress = lz4_compress,
	.decompress = lz4_decompress,
};

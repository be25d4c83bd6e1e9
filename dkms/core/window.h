/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which pages one fault maps. Pure: no kernel headers, so that tests/unit
 * compiles it too.
 */
#ifndef USM_CORE_WINDOW_H
#define USM_CORE_WINDOW_H

/* Pages that one page table maps, and that one bucket describes. */
#define USM_WINDOW_SHIFT	9
#define USM_WINDOW_PAGES	(1u << USM_WINDOW_SHIFT)

/* Half-open range of page numbers. */
struct usm_window {
	unsigned long first;
	unsigned long end;
};

/*
 * The aligned run of 2^order pages around `page`, cut to [start, end) of its
 * mapping. order <= USM_WINDOW_SHIFT, so it never leaves one page table.
 */
static inline struct usm_window usm_window_around(unsigned long page,
						  unsigned int order,
						  unsigned long start,
						  unsigned long end)
{
	unsigned long size = 1ul << order;
	struct usm_window w = { page & ~(size - 1), (page & ~(size - 1)) + size };

	if (w.first < start)
		w.first = start;
	if (w.end > end)
		w.end = end;
	return w;
}

#endif /* USM_CORE_WINDOW_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arithmetic of rings whose indices run freely. Pure: no kernel headers, so that
 * tests/unit compiles it too.
 */
#ifndef USM_CORE_RING_H
#define USM_CORE_RING_H

/*
 * Entries between tail and head. A head that a hostile producer has set out of
 * range reads as `bad`.
 */
static inline unsigned int usm_ring_used(unsigned int head, unsigned int tail,
					 unsigned int entries, unsigned int bad)
{
	unsigned int used = head - tail;

	return used > entries ? bad : used;
}

static inline unsigned int usm_ring_slot(unsigned int index, unsigned int entries)
{
	return index & (entries - 1);
}

#endif /* USM_CORE_RING_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers that are given in turn, from 1 to a largest one, and then again.
 * Pure: no kernel headers, so that tests/unit compiles it too.
 */
#ifndef USM_CORE_NUMBER_H
#define USM_CORE_NUMBER_H

/* The number whose turn it is; turns are counted from 0 on. */
static inline unsigned int usm_number_of(unsigned long long turn, unsigned int largest)
{
	return (unsigned int)(turn % largest) + 1;
}

/* Could it be in use yet, since all have been given once? */
static inline int usm_number_again(unsigned long long turn, unsigned int largest)
{
	return turn >= largest;
}

#endif /* USM_CORE_NUMBER_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NH, a universal hash (Black, Halevi, Krawczyk, Krovetz, Rogaway: UMAC, 1999), on words of
 * 64 bits as in VMAC: for a secret key that is as long as the message two different messages
 * have the same sum with a probability of 2^-64 at the most, whoever chose them. The sum says
 * a lot about the key and is to be told to nobody. One multiplication for 16 bytes.
 * Pure: no kernel headers, so that tests/unit compiles it too.
 */
#ifndef USM_CORE_NH_H
#define USM_CORE_NH_H

#define USM_NH_UNROLL	32	/* words */

struct usm_nh_sum {
	unsigned long long low;
	unsigned long long high;
};

static inline unsigned __int128 usm_nh_pair(const unsigned long long *words,
					    const unsigned long long *key)
{
	return (unsigned __int128)(words[0] + key[0]) * (words[1] + key[1]);
}

/* Of `count` words, a multiple of USM_NH_UNROLL; the key has as many. */
static inline struct usm_nh_sum usm_nh(const unsigned long long *words,
				       const unsigned long long *key, unsigned int count)
{
	const unsigned long long *end = words + count;
	unsigned __int128 sum = 0;

	for (; words != end; words += USM_NH_UNROLL, key += USM_NH_UNROLL) {
#pragma GCC unroll 16
		for (int i = 0; i < USM_NH_UNROLL; i += 2)
			sum += usm_nh_pair(words + i, key + i);
	}
	return (struct usm_nh_sum){
		.low = (unsigned long long)sum,
		.high = (unsigned long long)(sum >> 64),
	};
}

#endif /* USM_CORE_NH_H */

/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_SAMPLE_H
#define USM_SAMPLE_H

#include <linux/types.h>

struct usm_domain;

/* USM_CMD_SAMPLE for `count` frames below the capacity: how many can be told. */
int usm_sample(struct usm_domain *domain, u32 frame, u32 count);

#endif /* USM_SAMPLE_H */

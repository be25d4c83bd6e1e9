/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_DEV_H
#define USM_DEV_H

int usm_dev_init(void);
void usm_dev_uninit(void);

#endif /* USM_DEV_H */

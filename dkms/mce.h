/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef USM_MCE_H
#define USM_MCE_H

/* Memory errors. Without the kernel's machine check code nobody reports any. */
#if defined(CONFIG_X86_MCE) && defined(CONFIG_MEMORY_FAILURE)
void usm_mce_init(void);
void usm_mce_uninit(void);
#else
static inline void usm_mce_init(void)
{
}

static inline void usm_mce_uninit(void)
{
}
#endif

#endif /* USM_MCE_H */

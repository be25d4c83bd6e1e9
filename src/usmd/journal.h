/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What usmd tells of containers in the journal: every text in one place, each
 * with the MESSAGE_ID under which systemd/usm.catalog explains it, and with
 * USM_CONTAINER=, USM_POLICY= and USM_DOMAIN=.
 */
#ifndef USMD_JOURNAL_H
#define USMD_JOURNAL_H

#include <stdint.h>

#include "container.h"

#define USM_MSG_BOUND		"0b993407bed14d949d3a1b52be9eb306"
#define USM_MSG_UNMANAGED	"014b872e926d469c9f7721793201b2db"
#define USM_MSG_REFUSED		"ebae9578ad234be9829a2e15055c219e"
#define USM_MSG_STARTED		"3cf00ad6757e483980c85f4aa04e3db7"
#define USM_MSG_ARMED		"adf16c11830b4453bd72bd4ea2f21b59"
#define USM_MSG_LOST		"bad0ca284ced4c8b8c1f25c0d0a8d2a8"
#define USM_MSG_GAVE_UP		"5654bcb1ae964f6eafd6f2a084a5d84e"
#define USM_MSG_FALLBACK	"e3dfd29e6f4242b3b272115548ee8b01"
#define USM_MSG_DEADLINE	"cc281df0d8ca410a8cf41ac9f87ad457"
#define USM_MSG_LIMIT		"dba2e73e9a924112af45a3cd0f8a86ea"
#define USM_MSG_OOM		"e76f1d8014284a23bd8af3c04b70ac1d"
#define USM_MSG_BROKEN		"fb9ed29781344f64ac313d8cbd74652c"
#define USM_MSG_RELEASED	"ab1d097e059d441384011e0edf6afcc1"
#define USM_MSG_ENDED		"97da43c8dcb64daf94e74eee0b664cd2"
#define USM_MSG_UNKNOWN		"e6f72fb375e44158bd5b5c00b3194df3"

/* Under a policy from now on. */
void usm_journal_bound(const struct usm_container *c);

/* It asked for a policy, runs without one, and why. `policy` may be NULL. */
void usm_journal_unmanaged(const char *id, const char *policy, const char *why);

/* It insists on its policy and was not let start. */
void usm_journal_refused(const char *id, const char *policy, const char *why);

/* A process of the instance is there; restarts > 0: again. */
void usm_journal_started(const struct usm_container *c);
void usm_journal_lost(const struct usm_container *c, int32_t pid);

/* systemd will not start the instance again. */
void usm_journal_gave_up(const struct usm_container *c);

void usm_journal_armed(const struct usm_container *c);
void usm_journal_fallback(const struct usm_container *c);

void usm_journal_deadline(const struct usm_container *c);

/* `hits` more limits since it was last told. */
void usm_journal_limit(const struct usm_container *c, uint64_t hits);

void usm_journal_oom(const struct usm_container *c, uint64_t kills);
void usm_journal_broken(const struct usm_container *c, uint64_t spaces);
void usm_journal_released(const struct usm_container *c);
void usm_journal_ended(const struct usm_container *c);

/* A domain without a record: nobody knows what it was to be served with. */
void usm_journal_unknown(const struct usm_container *c);

#endif /* USMD_JOURNAL_H */

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The journal as one instance writes it: a process serves one container, so its
 * fields are set once. The message ids are those of systemd/usm-instance.catalog.
 */
#ifndef USM_INSTANCE_JOURNAL_H
#define USM_INSTANCE_JOURNAL_H

#include <syslog.h>

#define USM_MSG_ARMED		"47aae993f86c4da6856f8ea690bad346"
#define USM_MSG_FALLBACK	"680257a91ac84554aadd350e2719dc86"
#define USM_MSG_POLICY_FAILED	"cdfa8ada112c4d76ace0650808114666"
#define USM_MSG_POLICY_WRONG	"f011f7dfcd3541cfaaef82df4224a7eb"
#define USM_MSG_PAGE_LOST	"7243730860104c19ba990de117bccf58"
#define USM_MSG_STORE_DAMAGED	"8ae104f3d7f142e29dcfd5b58af77a57"
#define USM_MSG_STORE_FULL	"b81c6a16c42c425898d2fe4e76a3fe65"
#define USM_MSG_DAEMON_LOST	"20134090336f4424af2d81aee3d8374b"

/* The strings are kept by reference; each may be NULL. */
void usm_journal_identify(const char *container, const char *policy, const char *domain);

/* `message_id` may be NULL. */
void usm_journal_write(int level, const char *message_id, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif /* USM_INSTANCE_JOURNAL_H */

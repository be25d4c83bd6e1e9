/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the tests of policies find them. */
#ifndef USM_TESTS_SUPPORT_H
#define USM_TESTS_SUPPORT_H

#define TEST_SKIP	77

/*
 * A fresh directory that usm_policy_load() accepts, with copies of the policies
 * that were built: those below `from`, a directory relative to that of the test
 * program. NULL: not root, so that no directory would be accepted.
 */
char *support_policy_dir(const char *from);

/* Remove it and what is in it. Takes NULL. */
void support_policy_dir_remove(char *directory);

#endif /* USM_TESTS_SUPPORT_H */

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory of the test's own, for fake trees. Fails the test if it cannot. */
#ifndef USM_TESTS_SCRATCH_H
#define USM_TESTS_SCRATCH_H

/* The directory, made on the first call. */
const char *scratch(void);

/* PATH below it, made with its parents, and a file in it with this content. */
void scratch_mkdir(const char *path);
void scratch_rmdir(const char *path);
void scratch_write(const char *path, const char *content);

/* Its full name; valid until the next call. */
const char *scratch_path(const char *path);

/* Remove it with all that is in it. */
void scratch_remove(void);

#endif /* USM_TESTS_SCRATCH_H */

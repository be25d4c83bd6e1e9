/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scoped ownership: a variable declared with one of these macros is released
 * when it goes out of scope, unless it was given away with usm_steal_*().
 * Every destructor of the code base has its macro beside it; here are those of
 * libc and cJSON. All of them take NULL (or -1) and leave errno alone.
 */
#ifndef USM_COMMON_CLEANUP_H
#define USM_COMMON_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define usm_cleanup(function)	__attribute__((cleanup(function)))

/*
 * Defines FUNCTION_cleanup(), which calls function(*p) for a pointer type. Put
 * it below the declaration of the destructor, then #define the cleanup_* macro.
 */
#define USM_DEFINE_CLEANUP(type, function)				\
	static inline void function##_cleanup(type *p)			\
	{								\
		int saved = errno;					\
									\
		if (*p)							\
			function(*p);					\
		errno = saved;						\
	}

static inline void usm_free_cleanup(void *p)
{
	int saved = errno;

	free(*(void **)p);
	errno = saved;
}

/* Closes *fd and sets it to -1. The result of close() says nothing useful here. */
static inline void usm_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

USM_DEFINE_CLEANUP(FILE *, fclose)
USM_DEFINE_CLEANUP(DIR *, closedir)

#define cleanup_free	usm_cleanup(usm_free_cleanup)
#define cleanup_close	usm_cleanup(usm_close)
#define cleanup_file	usm_cleanup(fclose_cleanup)
#define cleanup_dir	usm_cleanup(closedir_cleanup)

/* Take the value out of a variable that would be cleaned up. */
static inline int usm_steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

#define usm_steal_ptr(p)						\
	({								\
		__typeof__(p) *from_ = &(p);				\
		__typeof__(p) stolen_ = *from_;				\
		*from_ = NULL;						\
		stolen_;						\
	})

#endif /* USM_COMMON_CLEANUP_H */

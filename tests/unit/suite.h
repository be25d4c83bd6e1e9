/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every Check program here ends with. */
#ifndef USM_TESTS_SUITE_H
#define USM_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

/* 0 if all tests of the suite passed. The runner reads the TAP log for details. */
static inline int suite_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define suite_add(suite, name, function)				\
	do {								\
		TCase *tcase_ = tcase_create(name);			\
									\
		tcase_add_test(tcase_, function);			\
		suite_add_tcase(suite, tcase_);				\
	} while (0)

#define suite_add_rows(suite, name, function, rows)			\
	do {								\
		TCase *tcase_ = tcase_create(name);			\
									\
		tcase_add_loop_test(tcase_, function, 0,		\
				    sizeof(rows) / sizeof(*(rows)));	\
		suite_add_tcase(suite, tcase_);				\
	} while (0)

#endif /* USM_TESTS_SUITE_H */

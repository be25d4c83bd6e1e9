// SPDX-License-Identifier: GPL-2.0-or-later
/* A shared object that is no policy at all. */
int empty_is_not_a_policy(void);

int empty_is_not_a_policy(void)
{
	return 1;
}

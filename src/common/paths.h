/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where things are on an installed system. These are defaults: whoever uses one
 * takes another from an option or a parameter, since tests run without root.
 */
#ifndef USM_COMMON_PATHS_H
#define USM_COMMON_PATHS_H

#ifndef USM_RUN_DIR
#define USM_RUN_DIR		"/run/usm"
#endif
#ifndef USM_LIB_DIR
#define USM_LIB_DIR		"/usr/lib/usm"
#endif
#ifndef USM_CONFIG_DIR
#define USM_CONFIG_DIR		"/etc/usm"
#endif

#define USM_CONTROL_SOCKET	USM_RUN_DIR "/control"
#define USM_INSTANCE_SOCKET	USM_RUN_DIR "/instance"
#define USM_POLICY_DIR		USM_LIB_DIR "/policies"
#define USM_CONFIG_FILE		USM_CONFIG_DIR "/usmd.conf"

#endif /* USM_COMMON_PATHS_H */

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Containers as the control protocol shows them. */
#ifndef USMD_DESCRIBE_H
#define USMD_DESCRIBE_H

#include <cjson/cJSON.h>

#include "manager.h"

/* Each returns NULL without memory. */
cJSON *usm_describe_status(const struct usm_manager *m);
cJSON *usm_describe_container(const struct usm_manager *m, const struct usm_container *c);

#endif /* USMD_DESCRIBE_H */

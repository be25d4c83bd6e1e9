// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "domain.h"
#include "journal.h"
#include "log.h"
#include "manager.h"
#include "record.h"

bool usm_release(struct usm_manager *m, struct usm_container *c)
{
	cleanup_error struct usm_error err = {};

	if (usm_domain_release(m->device_fd, c, &err) < 0)
		usm_log(LOG_ERR, NULL, c->id, c->annotation.policy, c->domain_text, "%s",
			usm_error_message(&err));
	if (usm_container_step(c, USM_CONTAINER_RELEASE))
		usm_journal_released(c);
	usm_methods_settle(m, c);
	/* Nearly always its last space was gone before the cgroup. */
	return usm_observe(m, c);
}

void usm_end(struct usm_manager *m, struct usm_container *c)
{
	usm_container_step(c, USM_CONTAINER_END);
	usm_journal_ended(c);
	usm_methods_settle(m, c);
	usm_instance_disconnect(m->instances, c->domain);
	usm_unit_stop(m->units, c->domain);
	usm_record_remove(m->records_fd, c->domain);
	usm_container_table_remove(&m->containers, c);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The uapi in words: for log lines, replies and tables. */
#include <errno.h>
#include <string.h>

#include "device.h"

const char *usm_device_reason(int error)
{
	switch (error < 0 ? -error : error) {
	case ENOENT:
		return "no such device or domain; is the module usm loaded?";
	case EPERM:
	case EACCES:
		return "the device is open only to root of the initial user namespace";
	case EPROTO:
		return "the module speaks another version of the interface";
	case EBADF:
		return "not a cgroup of the v2 hierarchy";
	case EBUSY:
		return "already bound, or another instance is armed";
	case EOPNOTSUPP:
		return "kernel memory is not accounted (cgroup.memory=nokmem), "
		       "or the memory controller is not enabled for the cgroup";
	case ENOMEM:
		return "not even the first frames could be charged to the cgroup";
	case ENODEV:
		return "the domain is gone";
	case E2BIG:
		return "the module is older than this program and does not know the request";
	default:
		return strerror(error < 0 ? -error : error);
	}
}

const char *usm_device_state_name(uint32_t why)
{
	switch (why) {
	case USM_FALLBACK_NONE:
		return "armed";
	case USM_FALLBACK_NEVER_ARMED:
		return "never armed";
	case USM_FALLBACK_CLOSED:
		return "instance gone";
	case USM_FALLBACK_DEADLINE:
		return "deadline missed";
	case USM_FALLBACK_DISARMED:
		return "disarmed";
	default:
		return "unknown";
	}
}

#define FIELD(member) {							\
	.name = #member,						\
	.offset = offsetof(struct usm_stat, member),			\
	.width = sizeof(((struct usm_stat *)0)->member),		\
	.count = 1,							\
}

#define FIELD_ARRAY(member) {						\
	.name = #member,						\
	.offset = offsetof(struct usm_stat, member),			\
	.width = sizeof(((struct usm_stat *)0)->member[0]),		\
	.count = sizeof(((struct usm_stat *)0)->member) /		\
		 sizeof(((struct usm_stat *)0)->member[0]),		\
}

/* In the order of the struct; `size` and `flags` tell a reader nothing. */
const struct usm_stat_field usm_stat_fields[] = {
	FIELD(state),
	FIELD(spaces),
	FIELD(ceiling),
	FIELD(reserve),
	FIELD(fault_order),
	FIELD(deadline_ms),
	FIELD(frames),
	FIELD(frames_free),
	FIELD(frames_zeroed),
	FIELD(frames_mapped),
	FIELD(frames_shared),
	FIELD(frames_held),
	FIELD(mappings),
	FIELD(faults),
	FIELD(fault_pages),
	FIELD_ARRAY(faults_by_order),
	FIELD(supplied),
	FIELD(stolen),
	FIELD(refused),
	FIELD(waits),
	FIELD(deadlines),
	FIELD(fallbacks),
	FIELD(fallback_pages),
	FIELD(picked_pages),
	FIELD(zeroed_in_fault),
	FIELD(zeroed_ahead),
	FIELD(forks),
	FIELD(cow_copied),
	FIELD(cow_reused),
	FIELD(broken),
	FIELD(sigbus),
	FIELD(grown),
	FIELD(shrunk),
	FIELD(limits),
	FIELD(oom_kills),
	FIELD(events),
	FIELD(events_lost),
	FIELD(arms),
	FIELD(brk_refused),
	FIELD(evicted),
	FIELD(evictions),
	FIELD(refaults),
	FIELD(corrupt),
	FIELD(refaults_ahead),
	FIELD(sampled),
	FIELD(sampled_young),
	FIELD(unshared),
	FIELD(mode),
	FIELD(upcalls),
	FIELD(resolved),
	FIELD(declined),
	FIELD(frames_bad),
	{ .name = NULL },
};

uint64_t usm_stat_value(const struct usm_stat *stat, const struct usm_stat_field *field,
			unsigned int i)
{
	const char *at = (const char *)stat + field->offset + (size_t)i * field->width;
	uint64_t wide;
	uint32_t narrow;

	if (field->width == sizeof(narrow)) {
		memcpy(&narrow, at, sizeof(narrow));
		return narrow;
	}
	memcpy(&wide, at, sizeof(wide));
	return wide;
}

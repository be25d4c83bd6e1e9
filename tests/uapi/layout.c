// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT
/*
 * The binary layout of ABI 1, as released. Built for 64 and for 32 bits: it has to
 * be the same. A line that no longer holds is a broken ABI, not a broken test.
 */
#include <stddef.h>

#include <linux/usm.h>

#define SIZE(type, bytes) \
	_Static_assert(sizeof(struct type) == (bytes), "size of struct " #type)
#define AT(type, field, offset) \
	_Static_assert(offsetof(struct type, field) == (offset), #type "." #field)

/* The frame table: a word and an owner. struct usm_frame never is in memory that is shared. */
_Static_assert(USM_WORD_STATE == 0xf && USM_FRAME_STATE_MASK + USM_FRAME_ZEROED == 0xf, "state");
_Static_assert(USM_WORD_PAGE_SHIFT == 4 && USM_PAGE_BITS == 48, "page");
_Static_assert(USM_WORD_GENERATION == 0xffffull << 48, "generation");
_Static_assert(USM_MAX_SPACE == 0xffffff && USM_OWNER_AGE_SHIFT == 24, "owner");

SIZE(usm_frame_block, 4);
AT(usm_frame_block, run, 0);
AT(usm_frame_block, node, 1);

SIZE(usm_ring, 256);
AT(usm_ring, entries, 0);
AT(usm_ring, entry_size, 4);
AT(usm_ring, offset, 8);
/* What the two sides write lies in cache lines of their own. */
AT(usm_ring, head, 64);
AT(usm_ring, top, 68);
AT(usm_ring, evicted_top, 72);
AT(usm_ring, low, 76);
AT(usm_ring, tail, 128);
AT(usm_ring, want, 132);
AT(usm_ring, lost, 192);

SIZE(usm_event, 32);
AT(usm_event, type, 0);
AT(usm_event, flags, 2);
AT(usm_event, space, 4);
AT(usm_event, page, 8);
AT(usm_event, frame, 16);
AT(usm_event, count, 20);
AT(usm_event, arg, 24);

SIZE(usm_query, 72);
AT(usm_query, abi, 8);
AT(usm_query, page_size, 12);
AT(usm_query, features, 16);
AT(usm_query, modes, 24);
AT(usm_query, cpus, 32);
AT(usm_query, max_order, 36);
AT(usm_query, version, 40);

SIZE(usm_bind, 120);
AT(usm_bind, cgroup_fd, 8);
AT(usm_bind, mode, 12);
AT(usm_bind, ceiling, 16);
AT(usm_bind, reserve, 24);
AT(usm_bind, fault_order, 32);
AT(usm_bind, deadline_ms, 36);
AT(usm_bind, label, 40);
AT(usm_bind, id, 104);
AT(usm_bind, domain_fd, 112);
AT(usm_bind, pad, 116);

SIZE(usm_list_entry, 88);
AT(usm_list_entry, id, 0);
AT(usm_list_entry, spaces, 8);
AT(usm_list_entry, state, 12);
AT(usm_list_entry, released, 16);
AT(usm_list_entry, label, 24);

SIZE(usm_list, 24);
AT(usm_list, entries, 8);
AT(usm_list, capacity, 16);
AT(usm_list, count, 20);

SIZE(usm_attach, 24);
AT(usm_attach, id, 8);
AT(usm_attach, domain_fd, 16);

SIZE(usm_release, 16);
AT(usm_release, id, 8);

SIZE(usm_info, 144);
AT(usm_info, id, 8);
AT(usm_info, table_size, 16);
AT(usm_info, frame_size, 24);
AT(usm_info, event_size, 28);
AT(usm_info, supply_size, 32);
AT(usm_info, supply_rings, 36);
AT(usm_info, label, 40);
AT(usm_info, owners_offset, 120);
AT(usm_info, blocks_offset, 128);
AT(usm_info, frames, 136);

SIZE(usm_arm, 16);
AT(usm_arm, epoch, 8);

SIZE(usm_tune, 72);
AT(usm_tune, ceiling, 8);
AT(usm_tune, reserve, 16);
AT(usm_tune, fault_order, 24);
AT(usm_tune, deadline_ms, 28);
AT(usm_tune, mode, 32);
AT(usm_tune, orders, 40);

SIZE(usm_command, 32);
AT(usm_command, op, 0);
AT(usm_command, flags, 2);
AT(usm_command, result, 4);
AT(usm_command, frame, 8);
AT(usm_command, count, 12);
AT(usm_command, generation, 16);
AT(usm_command, node, 20);
AT(usm_command, arg, 24);

SIZE(usm_submit, 32);
AT(usm_submit, commands, 8);
AT(usm_submit, count, 16);
AT(usm_submit, done, 20);
AT(usm_submit, timeout_ms, 24);

/* Grows at its end; what is there stays where it is. */
AT(usm_stat, state, 8);
AT(usm_stat, ceiling, 16);
AT(usm_stat, fault_order, 32);
AT(usm_stat, frames, 40);
AT(usm_stat, mappings, 88);
AT(usm_stat, faults_by_order, 112);
AT(usm_stat, supplied, 192);
AT(usm_stat, fallback_pages, 240);
AT(usm_stat, forks, 272);
AT(usm_stat, brk_refused, 368);
AT(usm_stat, evicted, 376);
AT(usm_stat, corrupt, 400);
AT(usm_stat, refaults_ahead, 408);
AT(usm_stat, sampled, 416);
AT(usm_stat, sampled_young, 424);
AT(usm_stat, unshared, 432);
AT(usm_stat, mode, 440);
AT(usm_stat, upcalls, 448);
AT(usm_stat, declined, 464);
AT(usm_stat, frames_bad, 472);
SIZE(usm_staged, 32);
SIZE(usm_evicted, 8);

SIZE(usm_store_fd, 56);
AT(usm_store_fd, fd, 8);
AT(usm_store_fd, index, 12);
AT(usm_store_fd, data, 16);
AT(usm_store_fd, name, 24);

_Static_assert(_IOC_NR(USM_IOC_QUERY) == 0x00 && _IOC_NR(USM_IOC_BIND) == 0x01 &&
	       _IOC_NR(USM_IOC_LIST) == 0x02 && _IOC_NR(USM_IOC_ATTACH) == 0x03 &&
	       _IOC_NR(USM_IOC_RELEASE) == 0x04 && _IOC_NR(USM_IOC_INFO) == 0x20 &&
	       _IOC_NR(USM_IOC_ARM) == 0x21 && _IOC_NR(USM_IOC_DISARM) == 0x22 &&
	       _IOC_NR(USM_IOC_TUNE) == 0x23 && _IOC_NR(USM_IOC_SUBMIT) == 0x24 &&
	       _IOC_NR(USM_IOC_STAT) == 0x25 && _IOC_NR(USM_IOC_KICK) == 0x26 &&
	       _IOC_NR(USM_IOC_STORE_PUT) == 0x27 && _IOC_NR(USM_IOC_STORE_GET) == 0x28 &&
	       _IOC_NR(USM_IOC_STORE_DROP) == 0x29,
	       "numbers of the ioctls");

int layout_checked(void);

/* Something to link to, so that the assertions belong to the test program. */
int layout_checked(void)
{
	return 1;
}

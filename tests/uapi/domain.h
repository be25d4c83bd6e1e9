/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The least that a program needs to talk to /dev/usm, straight on the uapi
 * header. src/device is deliberately not used: these programs judge the module
 * and must not share a misunderstanding of the contract with the daemon.
 *
 * The functions whose name ends in _or_die print what went wrong and exit with
 * DOMAIN_EXIT_FAILURE; the others return 0 or a negative errno.
 */
#ifndef USM_TESTS_UAPI_DOMAIN_H
#define USM_TESTS_UAPI_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <linux/usm.h>

/* Not a status that the program under test uses. */
#define DOMAIN_EXIT_FAILURE	125

struct domain {
	uint64_t id;
	int fd;
	struct usm_info info;
	uint32_t frames;		/* that the table has room for: the ceiling at bind */
	/* Its parts. */
	const uint64_t *words;
	const uint32_t *owners;
	const struct usm_frame_block *blocks;
	struct usm_ring *events;
	struct usm_ring **supply;	/* info.supply_rings of them */
};

const char *domain_device_path(void);
int domain_device_open(void);
int domain_device_open_or_die(void);

/* One ioctl, with errno turned into the return value. */
int domain_ioctl(int fd, unsigned long request, void *argument);

/* Values that every caller fills the same way; *bind is zeroed first. */
void domain_bind_init(struct usm_bind *bind, int cgroup_fd, uint64_t ceiling);
int domain_cgroup_open_or_die(const char *path);
/* The id that the module gives a domain: the 64 bit id of the cgroup. */
uint64_t domain_cgroup_id(int cgroup_fd);

/* Takes over @fd, asks for the sizes and maps table and rings. */
void domain_map_or_die(struct domain *domain, int fd);
void domain_unmap(struct domain *domain);

int domain_arm(struct domain *domain, uint64_t *ret_epoch);
int domain_release(int device, uint64_t id);
int domain_stat(const struct domain *domain, struct usm_stat *ret);
/* Submit one command; its result, or the error of the call. */
int domain_command(const struct domain *domain, struct usm_command *command);

/* All of @stat as "name value" lines. */
void domain_stat_print(FILE *file, const struct usm_stat *stat);
const char *domain_state_name(uint32_t state);

/* Next event into *ret; false when the ring is empty. */
bool domain_event_take(struct domain *domain, struct usm_event *ret);

static inline struct usm_frame domain_frame_read(const struct domain *domain,
						 uint32_t frame)
{
	uint64_t word;
	uint32_t owner;

	/* Each is written as one; the word last read decides agreement. */
	do {
		word = __atomic_load_n(&domain->words[frame], __ATOMIC_ACQUIRE);
		owner = __atomic_load_n(&domain->owners[frame], __ATOMIC_ACQUIRE);
	} while (word != __atomic_load_n(&domain->words[frame], __ATOMIC_ACQUIRE));

	return usm_frame_of(word, owner, &domain->blocks[frame / USM_BLOCK_SIZE]);
}

/* Its state with the flags. */
static inline uint8_t domain_frame_state(const struct domain *domain, uint32_t frame)
{
	return __atomic_load_n(&domain->words[frame], __ATOMIC_RELAXED) & USM_WORD_STATE;
}

static inline uint64_t *domain_ring_slot(struct usm_ring *ring, uint32_t index)
{
	char *base = (char *)ring + ring->offset;

	return (uint64_t *)(base + (size_t)(index & (ring->entries - 1)) *
			    ring->entry_size);
}

#endif

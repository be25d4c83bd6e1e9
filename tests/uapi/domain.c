// SPDX-License-Identifier: GPL-2.0-or-later
#include "domain.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char *domain_device_path(void)
{
	const char *path = getenv("USM_DEVICE");

	return path ? path : "/dev/usm";
}

int domain_device_open(void)
{
	int fd = open(domain_device_path(), O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int domain_device_open_or_die(void)
{
	struct usm_query query = { .size = sizeof(query) };
	int fd = domain_device_open();
	int r;

	if (fd < 0)
		errx(DOMAIN_EXIT_FAILURE, "cannot open %s: %s",
		     domain_device_path(), strerror(-fd));
	r = domain_ioctl(fd, USM_IOC_QUERY, &query);
	if (r < 0)
		errx(DOMAIN_EXIT_FAILURE, "%s does not answer USM_IOC_QUERY: %s",
		     domain_device_path(), strerror(-r));
	if (query.abi != USM_ABI)
		errx(DOMAIN_EXIT_FAILURE, "the module speaks ABI %u, this program %u",
		     query.abi, USM_ABI);
	return fd;
}

int domain_ioctl(int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument) < 0 ? -errno : 0;
}

void domain_bind_init(struct usm_bind *bind, int cgroup_fd, uint64_t ceiling)
{
	memset(bind, 0, sizeof(*bind));
	bind->size = sizeof(*bind);
	bind->cgroup_fd = cgroup_fd;
	bind->mode = USM_MODE_SUPPLY;
	bind->ceiling = ceiling;
	strcpy(bind->label, "test");
}

int domain_cgroup_open_or_die(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		err(DOMAIN_EXIT_FAILURE, "cannot open cgroup %s", path);
	return fd;
}

uint64_t domain_cgroup_id(int cgroup_fd)
{
	struct stat st;

	/* kernfs uses its 64 bit id as inode number where ino_t is that wide. */
	if (fstat(cgroup_fd, &st) < 0)
		err(DOMAIN_EXIT_FAILURE, "cannot stat the cgroup");
	return st.st_ino;
}

static void *map_or_die(int fd, uint64_t size, int prot, uint64_t offset,
			const char *what)
{
	void *p = mmap(NULL, size, prot, MAP_SHARED, fd, (off_t)offset);

	if (p == MAP_FAILED)
		err(DOMAIN_EXIT_FAILURE, "cannot map the %s (%" PRIu64 " bytes)",
		    what, size);
	return p;
}

void domain_map_or_die(struct domain *domain, int fd)
{
	struct usm_info info = { .size = sizeof(info) };
	int r = domain_ioctl(fd, USM_IOC_INFO, &info);
	const char *table;

	if (r < 0)
		errx(DOMAIN_EXIT_FAILURE, "USM_IOC_INFO: %s", strerror(-r));
	if (info.frame_size != sizeof(*domain->words))
		errx(DOMAIN_EXIT_FAILURE, "a word of the frame table has %u bytes, not %zu",
		     info.frame_size, sizeof(*domain->words));

	domain->fd = fd;
	domain->id = info.id;
	domain->info = info;
	domain->frames = info.frames;
	table = map_or_die(fd, info.table_size, PROT_READ, USM_MMAP_TABLE, "frame table");
	domain->words = (const void *)table;
	domain->owners = (const void *)(table + info.owners_offset);
	domain->blocks = (const void *)(table + info.blocks_offset);
	domain->events = map_or_die(fd, info.event_size, PROT_READ | PROT_WRITE,
				    USM_MMAP_EVENTS, "event ring");
	domain->supply = calloc(info.supply_rings, sizeof(*domain->supply));
	if (!domain->supply)
		err(DOMAIN_EXIT_FAILURE, "calloc");
	for (uint32_t i = 0; i < info.supply_rings; i++)
		domain->supply[i] = map_or_die(fd, info.supply_size,
					       PROT_READ | PROT_WRITE,
					       USM_MMAP_SUPPLY +
					       (uint64_t)i * info.supply_size,
					       "supply ring");
}

void domain_unmap(struct domain *domain)
{
	munmap((void *)domain->words, domain->info.table_size);
	munmap(domain->events, domain->info.event_size);
	for (uint32_t i = 0; i < domain->info.supply_rings; i++)
		munmap(domain->supply[i], domain->info.supply_size);
	free(domain->supply);
	close(domain->fd);
	*domain = (struct domain){ .fd = -1 };
}

int domain_arm(struct domain *domain, uint64_t *ret_epoch)
{
	struct usm_arm arm = { .size = sizeof(arm) };
	int r = domain_ioctl(domain->fd, USM_IOC_ARM, &arm);

	if (r == 0 && ret_epoch)
		*ret_epoch = arm.epoch;
	return r;
}

int domain_release(int device, uint64_t id)
{
	struct usm_release release = { .size = sizeof(release), .id = id };

	return domain_ioctl(device, USM_IOC_RELEASE, &release);
}

int domain_stat(const struct domain *domain, struct usm_stat *ret)
{
	struct usm_stat stat = { .size = sizeof(stat) };
	int r = domain_ioctl(domain->fd, USM_IOC_STAT, &stat);

	if (r == 0)
		*ret = stat;
	return r;
}

int domain_command(const struct domain *domain, struct usm_command *command)
{
	struct usm_submit submit = {
		.size = sizeof(submit),
		.commands = (uintptr_t)command,
		.count = 1,
	};
	int r = domain_ioctl(domain->fd, USM_IOC_SUBMIT, &submit);

	return r < 0 ? r : command->result;
}

const char *domain_state_name(uint32_t state)
{
	static const char *const names[] = {
		[USM_FALLBACK_NONE] = "armed",
		[USM_FALLBACK_NEVER_ARMED] = "never-armed",
		[USM_FALLBACK_CLOSED] = "closed",
		[USM_FALLBACK_DEADLINE] = "deadline",
		[USM_FALLBACK_DISARMED] = "disarmed",
	};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

#define STAT_FIELDS(F)							\
	F(spaces) F(ceiling) F(reserve) F(fault_order) F(deadline_ms)	\
	F(frames) F(frames_free) F(frames_zeroed) F(frames_mapped)	\
	F(frames_shared) F(frames_held) F(mappings) F(faults)		\
	F(fault_pages) F(supplied) F(stolen) F(refused) F(waits)	\
	F(deadlines) F(fallbacks) F(fallback_pages) F(picked_pages)	\
	F(zeroed_in_fault) F(zeroed_ahead) F(forks) F(cow_copied)	\
	F(cow_reused) F(broken) F(sigbus) F(grown) F(shrunk) F(limits)	\
	F(oom_kills) F(events) F(events_lost) F(arms) F(brk_refused)	\
	F(evicted) F(evictions) F(refaults) F(corrupt) F(refaults_ahead)	\
	F(sampled) F(sampled_young) F(unshared) F(mode) F(upcalls)	\
	F(resolved) F(declined) F(frames_bad)

void domain_stat_print(FILE *file, const struct usm_stat *stat)
{
	fprintf(file, "state %s\n", domain_state_name(stat->state));
#define PRINT(field) fprintf(file, #field " %" PRIu64 "\n", (uint64_t)stat->field);
	STAT_FIELDS(PRINT)
#undef PRINT
	for (unsigned int i = 0; i <= USM_MAX_ORDER; i++)
		fprintf(file, "faults_by_order_%u %" PRIu64 "\n", i,
			(uint64_t)stat->faults_by_order[i]);
}

bool domain_event_take(struct domain *domain, struct usm_event *ret)
{
	struct usm_ring *ring = domain->events;
	uint32_t tail = ring->tail;

	if (tail == __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE))
		return false;
	memcpy(ret, domain_ring_slot(ring, tail), sizeof(*ret));
	__atomic_store_n(&ring->tail, tail + 1, __ATOMIC_RELEASE);
	return true;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* USM_CMD_EVICT and USM_CMD_RESTORE, and what a dishonest instance makes of them. */
#include "uapitest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CEILING		2048
#define DEADLINE_MS	300
#define PAGES		200	/* that the guest writes */
#define SHARERS_MOST	32	/* that one eviction finds */

struct vault {
	struct usm_staged *staged;
	const struct usm_evicted *table;
	/* What was evicted, with its content. */
	uint32_t count;
	uint64_t keys[PAGES * 2];
	char content[PAGES * 2][PAGE];
};

static struct vault vault;

static char *staging(const struct bound *bound, uint32_t index)
{
	return (char *)vault.staged + bound->domain.info.staging_offset + (size_t)index * PAGE;
}

static void vault_map(const struct bound *bound)
{
	const struct usm_info *info = &bound->domain.info;
	int fd = bound->domain.fd;

	expect(info->staging_size >= info->staging_offset + USM_STAGING_PAGES * PAGE &&
	       info->staging_offset >= USM_STAGING_PAGES * sizeof(struct usm_staged),
	       "staging of %u bytes, content from %u", info->staging_size, info->staging_offset);
	vault.staged = mmap(NULL, info->staging_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			    (off_t)USM_MMAP_STAGING);
	vault.table = mmap(NULL, info->evicted_size, PROT_READ, MAP_SHARED, fd,
			   (off_t)USM_MMAP_EVICTED);
	expect(vault.staged != MAP_FAILED && vault.table != MAP_FAILED, "mmap: %s",
	       strerror(errno));
	expect(mmap(NULL, info->evicted_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    (off_t)USM_MMAP_EVICTED) == MAP_FAILED, "the table was mapped for writing");
	expect(mmap(NULL, info->staging_size + PAGE, PROT_READ, MAP_SHARED, fd,
		    (off_t)USM_MMAP_STAGING) == MAP_FAILED, "more than the staging was mapped");
	expect(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd,
		    (off_t)USM_MMAP_STAGING + PAGE) == MAP_FAILED, "a part of it was mapped");
}

static int command(const struct bound *bound, uint16_t op, uint32_t frame, uint32_t count,
		   uint32_t generation, uint64_t arg)
{
	struct usm_command c = {
		.op = op, .frame = frame, .count = count, .generation = generation, .arg = arg,
	};

	return domain_command(&bound->domain, &c);
}

static int restore(const struct bound *bound, uint64_t key, const char *content)
{
	memcpy(staging(bound, 3), content, PAGE);
	return command(bound, USM_CMD_RESTORE, 3, 1, 0, key);
}

static uint32_t generation(const struct bound *bound, uint32_t frame)
{
	struct usm_frame value = domain_frame_read(&bound->domain, frame);

	return USM_FRAME_GENERATION(&value);
}

/* What is READY and was never touched is not with us any more. */
static void vault_forget(const struct bound *bound)
{
	vault.count = bound_stat(bound).evicted;
	memset(vault.keys, 0, sizeof(vault.keys));
}

static bool may_go(const struct bound *bound, uint32_t frame)
{
	uint8_t state = domain_frame_state(&bound->domain, frame);

	return state == USM_FRAME_MAPPED || state == USM_FRAME_SHARED;
}

/* Everything that may be evicted; remembered in the vault. */
static void evict_all(const struct bound *bound)
{
	uint32_t before = vault.count;

	for (uint32_t frame = 0; frame < CEILING; frame++) {
		uint32_t count = 0;
		int r;

		while (count < 16 && frame + count < CEILING && may_go(bound, frame + count))
			count++;
		if (!count)
			continue;
		r = command(bound, USM_CMD_EVICT, frame, count, generation(bound, frame), 8);
		expect(r >= 0 && r <= (int)count, "evict of %u: %d", count, r);
		for (uint32_t i = 8; i < 8 + count && vault.count < PAGES * 2; i++) {
			if (!vault.staged[i].key)
				continue;
			expect_number(vault.staged[i].frame, frame + i - 8);
			vault.keys[vault.count] = vault.staged[i].key;
			memcpy(vault.content[vault.count++], staging(bound, i), PAGE);
		}
		frame += count - 1;
	}
	expect(vault.count > before, "nothing was evicted");
	expect_number(bound_stat(bound).evicted, vault.count);
}

static void arguments_tests(struct bound *bound, uint32_t frame)
{
	uint32_t good = generation(bound, frame);

	expect_error(command(bound, USM_CMD_EVICT, frame, 0, good, 0), -EINVAL);
	expect_error(command(bound, USM_CMD_EVICT, frame, USM_STAGING_PAGES + 1, good, 0), -EINVAL);
	expect_error(command(bound, USM_CMD_EVICT, frame, 1, good, USM_STAGING_PAGES), -EINVAL);
	expect_error(command(bound, USM_CMD_EVICT, frame, 2, good, USM_STAGING_PAGES - 1), -EINVAL);
	expect_error(command(bound, USM_CMD_EVICT, frame, 1, good, UINT64_MAX), -EINVAL);
	expect_error(command(bound, USM_CMD_EVICT, CEILING, 1, good, 0), -EINVAL);
	expect_error(command(bound, USM_CMD_EVICT, frame, 1, good + 1, 0), -ESTALE);
	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_DISARM, NULL));
	expect_error(command(bound, USM_CMD_EVICT, frame, 1, good, 0), -EPERM);
	expect_error(command(bound, USM_CMD_LOSE, 0, 1, 0, 0), -EPERM);
	expect_ok(domain_arm(&bound->domain, NULL));
	expect_error(command(bound, USM_CMD_RESTORE, 0, 1, 0, 0), -ESTALE);
	expect_error(command(bound, USM_CMD_RESTORE, 0, 1, 0, UINT64_MAX), -ESTALE);
	expect_error(command(bound, USM_CMD_RESTORE, 0, 1, 0,
			     USM_EVICTED_KEY(USM_MAX_EVICTED, 1)), -ESTALE);
	expect_error(command(bound, USM_CMD_RESTORE, USM_STAGING_PAGES, 1, 0, 0), -EINVAL);
	expect_error(command(bound, USM_CMD_RESTORE, 0, 2, 0, 0), -EINVAL);
	expect_error(command(bound, USM_CMD_RESTORE, 0, 1, 1, 0), -EINVAL);
	expect_error(command(bound, USM_CMD_LOSE, 0, 1, 0, 0), -ESTALE);
	expect_error(command(bound, USM_CMD_LOSE, 0, 1, 0, UINT64_MAX), -ESTALE);
	expect_error(command(bound, USM_CMD_LOSE, 1, 1, 0, 0), -EINVAL);
	expect_error(command(bound, USM_CMD_LOSE, 0, 2, 0, 0), -EINVAL);
	expect_error(command(bound, USM_CMD_LOSE, 0, 1, 1, 0), -EINVAL);
}

/* Ahead of any fault, with wrong keys and content first. */
static void ahead_tests(struct bound *bound, struct guest *guest)
{
	struct usm_stat before = bound_stat(bound), after;
	struct usm_event event;
	uint64_t key;

	evict_all(bound);
	key = vault.keys[0];
	expect_number(vault.table[USM_EVICTED_NUMBER(key)].state, USM_EVICTED_AWAY);
	expect_number(vault.table[USM_EVICTED_NUMBER(key)].generation, USM_EVICTED_GENERATION(key));
	expect_error(restore(bound, key + (1ull << 32), vault.content[0]), -ESTALE);
	/* The content of another page, and a bit that flipped. */
	vault.content[0][100] ^= 1;
	expect_error(restore(bound, key, vault.content[0]), -EBADMSG);
	vault.content[0][100] ^= 1;
	for (uint32_t i = 1; i < vault.count; i++) {
		if (memcmp(vault.content[0], vault.content[i], PAGE) == 0)
			continue;
		expect_error(restore(bound, key, vault.content[i]), -EBADMSG);
		break;
	}
	expect_number(bound_stat(bound).corrupt, before.corrupt + 2);
	expect_number(vault.table[USM_EVICTED_NUMBER(key)].state, USM_EVICTED_AWAY);
	/* Once more, and it counts as lost; what is right is taken all the same. */
	memset(staging(bound, 3), 0x5a, PAGE);
	expect_error(command(bound, USM_CMD_RESTORE, 3, 1, 0, key), -EBADMSG);
	expect_number(vault.table[USM_EVICTED_NUMBER(key)].state, USM_EVICTED_LOST);
	expect(bound_event(bound, USM_EV_LOST, 5000, &event) && event.arg == key, "no EV_LOST");
	expect_ok(restore(bound, key, vault.content[0]));
	expect_number(vault.table[USM_EVICTED_NUMBER(key)].state, USM_EVICTED_READY);
	expect_error(restore(bound, key, vault.content[0]), -ESTALE);
	/* The same for one that is said to be lost, once. */
	key = vault.keys[1];
	expect_error(command(bound, USM_CMD_LOSE, 0, 1, 0, key + (1ull << 32)), -ESTALE);
	expect_ok(command(bound, USM_CMD_LOSE, 0, 1, 0, key));
	expect_number(vault.table[USM_EVICTED_NUMBER(key)].state, USM_EVICTED_LOST);
	expect(bound_event(bound, USM_EV_LOST, 5000, &event) && event.arg == key, "no EV_LOST");
	for (uint32_t i = 1; i < vault.count; i++)
		expect_ok(restore(bound, vault.keys[i], vault.content[i]));
	expect_error(command(bound, USM_CMD_LOSE, 0, 1, 0, key), -ESTALE);
	expect(guest_verify(guest), "memory that was evicted and brought back");
	after = bound_stat(bound);
	expect(after.refaults >= before.refaults + PAGES, "%llu pages came back",
	       (unsigned long long)(after.refaults - before.refaults));
}

/* What the guest waits for; a wrong content first for each. */
static void asked_tests(struct bound *bound, struct guest *guest)
{
	struct usm_event event;
	uint32_t asked = 0;

	vault_forget(bound);
	evict_all(bound);
	guest_touch_begin(guest, 0);
	while (guest_event(guest, bound, USM_EV_REFAULT, &event)) {
		uint32_t i = 0;

		while (i < vault.count && vault.keys[i] != event.arg)
			i++;
		if (!expect(i < vault.count, "a key that was not given: %llx",
			    (unsigned long long)event.arg))
			break;
		/* After the wrong content it was asked for once more. */
		if (vault.table[USM_EVICTED_NUMBER(event.arg)].state != USM_EVICTED_WANTED)
			continue;
		memset(staging(bound, 5), 0x5a, PAGE);
		expect_error(command(bound, USM_CMD_RESTORE, 5, 1, 0, event.arg), -EBADMSG);
		expect_ok(restore(bound, event.arg, vault.content[i]));
		asked++;
	}
	expect(guest_touch_end(guest), "memory that came back one by one");
	expect(asked >= PAGES, "%u pages were asked for", asked);
}

/* What it asks for comes back until it is done; returns how often processes shared it. */
static uint32_t answer(struct bound *bound, struct guest *guest)
{
	struct usm_event event;
	uint32_t shared = 0;

	while (guest_event(guest, bound, USM_EV_REFAULT, &event)) {
		uint32_t i = 0;
		int r;

		while (i < vault.count && vault.keys[i] != event.arg)
			i++;
		if (!expect(i < vault.count, "a key that was not given: %llx",
			    (unsigned long long)event.arg))
			break;
		r = restore(bound, event.arg, vault.content[i]);
		expect(r == 0 || r == 1, "restore: %d", r);
		shared += r == 1;
	}
	return shared;
}

/* Touched in a row: most come with another one, and are mapped by its fault. */
static void row_tests(struct bound *bound, struct guest *guest)
{
	struct usm_tune tune = { .size = sizeof(tune), .flags = USM_TUNE_ORDER, .fault_order = 4 };
	struct usm_stat before, after;
	struct usm_event event;
	uint32_t asked = 0, ahead = 0;

	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_TUNE, &tune));
	vault_forget(bound);
	evict_all(bound);
	before = bound_stat(bound);
	guest_touch_begin(guest, 0);
	while (guest_event(guest, bound, UAPITEST_ANY_EVENT, &event)) {
		uint32_t i = 0;

		if (event.type != USM_EV_REFAULT && event.type != USM_EV_AHEAD)
			continue;
		while (i < vault.count && vault.keys[i] != event.arg)
			i++;
		if (!expect(i < vault.count, "a key that was not given: %llx",
			    (unsigned long long)event.arg))
			break;
		asked += event.type == USM_EV_REFAULT;
		ahead += event.type == USM_EV_AHEAD;
		/* One that nobody waits for may be wrong as well: who touches it asks. */
		if (event.type == USM_EV_AHEAD && ahead % 16 == 0) {
			expect_error(restore(bound, event.arg, vault.content[!i]), -EBADMSG);
			continue;
		}
		/* Or brought already, by the time that it is asked for. */
		if (vault.table[USM_EVICTED_NUMBER(event.arg)].state == USM_EVICTED_READY)
			continue;
		expect_ok(restore(bound, event.arg, vault.content[i]));
	}
	expect(guest_touch_end(guest), "memory that came back in rows");
	after = bound_stat(bound);
	expect(asked && asked <= PAGES / 2, "%u pages of %u were asked for", asked, PAGES);
	expect(after.refaults_ahead >= before.refaults_ahead + PAGES / 2, "%llu came ahead",
	       (unsigned long long)(after.refaults_ahead - before.refaults_ahead));
	expect(after.refaults >= before.refaults + PAGES, "%llu pages came back",
	       (unsigned long long)(after.refaults - before.refaults));
	tune.fault_order = 0;
	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_TUNE, &tune));
}

/* Two processes share the pages: gone from both, back in each, and each its own. */
static void shared_tests(struct bound *bound, struct guest *guest)
{
	struct usm_stat stat;

	vault_forget(bound);
	expect(guest_fork(guest), "fork");
	expect(bound_stat(bound).frames_shared >= PAGES, "the pages are not shared");
	evict_all(bound);
	stat = bound_stat(bound);
	expect_number(stat.frames_shared, 0);
	expect_number(stat.frames_mapped, 0);
	guest_touch_begin(guest, 0);
	expect(answer(bound, guest) >= PAGES, "the pages were not shared while they were away");
	expect(guest_touch_end(guest), "the parent's memory");
	guest_join_begin(guest);
	expect_number(answer(bound, guest), 0);
	expect(guest_touch_end(guest), "the child's memory");
	expect(guest_verify(guest), "the parent's memory after the child wrote to its own");
	/* Who shared them is gone: not shared any more, whatever the table says. */
	vault_forget(bound);
	evict_all(bound);
	guest_touch_begin(guest, 0);
	expect_number(answer(bound, guest), 0);
	expect(guest_touch_end(guest), "memory that was shared once");
}

/* More processes share the pages than an eviction looks for: they stay, unharmed. */
static void crowd_tests(struct bound *bound, struct guest *guest)
{
	struct usm_stat before, after;
	uint32_t tried = 0;

	for (int i = 0; i < SHARERS_MOST; i++)
		expect(guest_fork(guest), "fork %d", i);
	before = bound_stat(bound);
	expect(before.frames_shared >= PAGES, "the pages are not shared");
	for (uint32_t frame = 0; frame < CEILING; frame++) {
		if (domain_frame_state(&bound->domain, frame) != USM_FRAME_SHARED)
			continue;
		expect_number(command(bound, USM_CMD_EVICT, frame, 1, generation(bound, frame), 8), 0);
		expect_number(vault.staged[8].key, 0);
		tried++;
	}
	after = bound_stat(bound);
	expect(tried >= PAGES, "only %u were tried", tried);
	expect_number(after.frames_shared, before.frames_shared);
	expect_number(after.evicted, before.evicted);
	guest_join_begin(guest);
	expect(guest_touch_end(guest), "the children's memory");
	expect(guest_verify(guest), "memory that many have shared");
}

/* Nobody answers: the domain falls back, and the next instance is asked again. */
static void deadline_tests(struct bound *bound, struct guest *guest)
{
	struct usm_tune tune = {
		.size = sizeof(tune), .flags = USM_TUNE_DEADLINE, .deadline_ms = DEADLINE_MS / 10,
	};
	struct usm_event event;

	/* It has several of them for what it evicted. */
	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_TUNE, &tune));
	vault_forget(bound);
	evict_all(bound);
	guest_touch_begin(guest, 0);
	expect(bound_event(bound, USM_EV_REFAULT, 5000, &event), "nobody was asked");
	for (int i = 0; i < 400 && bound_stat(bound).state == USM_FALLBACK_NONE; i++)
		usleep(50000);
	expect_number(bound_stat(bound).state, USM_FALLBACK_DEADLINE);
	tune.deadline_ms = DEADLINE_MS;
	expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_TUNE, &tune));
	/* Out of the table, as one that has not seen the events. */
	expect_ok(domain_arm(&bound->domain, NULL));
	for (uint32_t i = 0; i < vault.count; i++)
		if (vault.keys[i] &&
		    vault.table[USM_EVICTED_NUMBER(vault.keys[i])].state != USM_EVICTED_READY)
			expect_ok(restore(bound, vault.keys[i], vault.content[i]));
	expect(guest_touch_end(guest), "memory after the instance was another");
}

/*
 * One that arms again and again and never answers: a program may wait for it, but not who
 * reads the memory of another and has its lock meanwhile.
 */
static void arming_tests(struct bound *bound, struct guest *guest)
{
	int status = 0, armings = 0, fd;
	struct usm_event event;
	char path[64], byte;
	pid_t pid;

	vault_forget(bound);
	evict_all(bound);
	/* Somebody wants a page: which one the event says. */
	guest_touch_begin(guest, 0);
	expect(bound_event(bound, USM_EV_REFAULT, 5000, &event), "nobody was asked");
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)guest->pid);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		_exit(fd < 0 ? 2 : pread(fd, &byte, 1, (off_t)(event.page * PAGE)) < 0 &&
			      (errno == EIO || errno == EFAULT));
	}
	while (waitpid(pid, &status, WNOHANG) == 0 && armings < 100) {
		expect_ok(domain_ioctl(bound->domain.fd, USM_IOC_DISARM, NULL));
		expect_ok(domain_arm(&bound->domain, NULL));
		armings++;
		usleep(50000);
	}
	expect(armings < 100, "who reads the memory of another waits for ever");
	expect_number(status, 1 << 8);
	for (uint32_t i = 0; i < vault.count; i++)
		if (vault.keys[i] &&
		    vault.table[USM_EVICTED_NUMBER(vault.keys[i])].state != USM_EVICTED_READY)
			expect_ok(restore(bound, vault.keys[i], vault.content[i]));
	expect(guest_touch_end(guest), "memory after all these instances");
}

void evict_tests(void)
{
	struct bound bound;
	struct guest guest;
	uint32_t frame = 0;

	bound_create(&bound, "evict", CEILING, 0, DEADLINE_MS);
	bound_grow(&bound, CEILING);
	vault_map(&bound);
	guest_start(&guest, &bound);
	expect(guest_touch(&guest, PAGES), "touch in fallback");
	expect_ok(domain_arm(&bound.domain, NULL));
	while (frame < CEILING - 1 && domain_frame_state(&bound.domain, frame) != USM_FRAME_MAPPED)
		frame++;
	arguments_tests(&bound, frame);
	ahead_tests(&bound, &guest);
	asked_tests(&bound, &guest);
	row_tests(&bound, &guest);
	shared_tests(&bound, &guest);
	crowd_tests(&bound, &guest);
	deadline_tests(&bound, &guest);
	arming_tests(&bound, &guest);
	guest_stop(&guest);
	munmap(vault.staged, bound.domain.info.staging_size);
	munmap((void *)vault.table, bound.domain.info.evicted_size);
	bound_destroy(&bound);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* USM_IOC_SUBMIT: grow, shrink, zero; each command has its own result. */
#include "uapitest.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define CEILING	2048

static int submit(const struct bound *bound, void *commands, uint32_t count, uint32_t flags,
		  uint32_t *ret_done)
{
	struct usm_submit request = {
		.size = sizeof(request), .flags = flags,
		.commands = (uintptr_t)commands, .count = count, .done = 4711,
	};
	int r = domain_ioctl(bound->domain.fd, USM_IOC_SUBMIT, &request);

	if (ret_done)
		*ret_done = request.done;
	return r;
}

/* The first run of @count free frames; its number. */
static uint32_t free_run(const struct bound *bound, uint32_t count)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < bound->domain.frames; i++) {
		uint8_t state = domain_frame_state(&bound->domain, i) & USM_FRAME_STATE_MASK;

		found = state == USM_FRAME_FREE ? found + 1 : 0;
		if (found == count)
			return i - count + 1;
	}
	expect(false, "there is no run of %u free frames", count);
	return 0;
}

static uint16_t generation(const struct bound *bound, uint32_t frame)
{
	struct usm_frame value = domain_frame_read(&bound->domain, frame);

	return USM_FRAME_GENERATION(&value);
}

static void submit_tests(struct bound *bound)
{
	struct usm_command commands[USM_MAX_COMMANDS + 1];
	uint32_t done;

	memset(commands, 0, sizeof(commands));
	expect_error(submit(bound, commands, 0, 0, NULL), -EINVAL);
	expect_error(submit(bound, commands, USM_MAX_COMMANDS + 1, 0, NULL), -EINVAL);
	expect_error(submit(bound, commands, 1, 2, &done), -EINVAL);
	expect_number(done, 4711);
	expect_error(submit(bound, (void *)8, 1, 0, NULL), -EFAULT);
	expect_error(submit(bound, NULL, 1, 0, NULL), -EFAULT);

	/* Unknown commands fail each for itself; the call does not. */
	for (uint32_t i = 0; i < USM_MAX_COMMANDS; i++)
		commands[i] = (struct usm_command){ .op = i & 1 ? 0 : 999, .count = 1 };
	expect_ok(submit(bound, commands, USM_MAX_COMMANDS, 0, &done));
	expect_number(done, USM_MAX_COMMANDS);
	for (uint32_t i = 0; i < USM_MAX_COMMANDS; i++)
		expect_error(commands[i].result, -EINVAL);
}

static void grow_tests(struct bound *bound)
{
	static const struct {
		struct usm_command command;
		int result;
	} cases[] = {
		{ { .op = USM_CMD_GROW, .count = 0, .node = -1 }, -EINVAL },
		{ { .op = USM_CMD_GROW, .count = 1, .node = -2 }, -EINVAL },
		{ { .op = USM_CMD_GROW, .count = 1, .node = 1 << 20 }, -EINVAL },
		{ { .op = USM_CMD_GROW, .count = 1, .node = -1, .frame = 1 }, -EINVAL },
		{ { .op = USM_CMD_GROW, .count = 1, .node = -1, .generation = 1 }, -EINVAL },
		{ { .op = USM_CMD_GROW, .count = 1, .node = -1, .flags = 1 }, -EINVAL },
		{ { .op = USM_CMD_GROW, .count = 1, .node = -1, .arg = 1 }, -EINVAL },
	};
	struct usm_command command, full = { .op = USM_CMD_GROW, .count = 1, .node = -1 };
	struct usm_event event;
	struct usm_stat stat;
	uint32_t top;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		command = cases[i].command;
		expect_error(domain_command(&bound->domain, &command), cases[i].result);
	}

	/* Unarmed: it works, and says nothing. */
	bound_grow(bound, 100);
	expect_ok(domain_arm(&bound->domain, NULL));
	stat = bound_stat(bound);
	top = bound->domain.events->top;
	expect(top >= stat.frames && top < CEILING, "the table ends at %u of %" PRIu64,
	       top, (uint64_t)stat.frames);
	for (uint32_t i = top; i < CEILING; i++)
		expect_number(domain_frame_state(&bound->domain, i), USM_FRAME_NONE);
	command = (struct usm_command){
		.op = USM_CMD_GROW, .count = CEILING - stat.frames, .node = 0,
	};
	expect_ok(domain_command(&bound->domain, &command));
	do
		event.arg = 0;
	while (expect(bound_event(bound, USM_EV_GROWN, 5000, &event), "no EV_GROWN") &&
	       event.arg);
	stat = bound_stat(bound);
	expect_number(stat.frames, CEILING);
	expect_number(stat.grown, CEILING);
	expect_number(bound->domain.events->top, CEILING);
	expect_error(domain_command(&bound->domain, &full), -ENOSPC);
}

static void run_tests(struct bound *bound, uint16_t op)
{
	uint32_t frame = free_run(bound, 64);
	struct usm_command good = {
		.op = op, .frame = frame, .count = 64, .generation = generation(bound, frame),
	}, bad;

#define REFUSED(field, value, wanted)						\
	do {									\
		bad = good;							\
		bad.field = (value);						\
		expect_error(domain_command(&bound->domain, &bad), (wanted));	\
	} while (0)
	REFUSED(count, 0, -EINVAL);
	REFUSED(count, USM_MAX_RUN + 1, -EINVAL);
	REFUSED(frame, bound->domain.frames, -EINVAL);
	REFUSED(frame, bound->domain.frames - 1, -EINVAL);
	REFUSED(frame, UINT32_MAX, -EINVAL);
	REFUSED(flags, 1, -EINVAL);
	REFUSED(arg, 1, -EINVAL);
	REFUSED(generation, good.generation + 1, -ESTALE);
#undef REFUSED
	expect_number(domain_command(&bound->domain, &good), 64);
}

static void zero_tests(struct bound *bound)
{
	struct usm_stat before = bound_stat(bound), after;
	struct usm_command command;
	uint32_t frame, zeroed = 0;

	run_tests(bound, USM_CMD_ZERO);
	frame = free_run(bound, 512);
	command = (struct usm_command){
		.op = USM_CMD_ZERO, .frame = frame, .count = 512,
		.generation = generation(bound, frame),
	};
	expect_number(domain_command(&bound->domain, &command), 512);
	for (uint32_t i = frame; i < frame + 512; i++)
		zeroed += !!(domain_frame_state(&bound->domain, i) & USM_FRAME_ZEROED);
	expect_number(zeroed, 512);
	after = bound_stat(bound);
	expect(after.frames_zeroed >= 512, "%llu frames are zeroed",
	       (unsigned long long)after.frames_zeroed);
	expect(after.zeroed_ahead >= before.zeroed_ahead, "zeroed_ahead went down");
	expect_number(after.frames_free, before.frames_free);
}

static void shrink_tests(struct bound *bound)
{
	struct usm_stat before = bound_stat(bound), after;
	struct usm_command again;
	uint32_t none = 0;

	run_tests(bound, USM_CMD_SHRINK);
	after = bound_stat(bound);
	expect_number(after.frames, before.frames - 64);
	expect_number(after.shrunk, before.shrunk + 64);
	expect_number(after.frames_free, before.frames_free - 64);
	for (uint32_t i = 0; i < CEILING; i++)
		none += (domain_frame_state(&bound->domain, i) & USM_FRAME_STATE_MASK) ==
			USM_FRAME_NONE;
	expect_number(none, 64);
	/* And they can come back. */
	again = (struct usm_command){ .op = USM_CMD_GROW, .count = 64, .node = -1 };
	expect_ok(domain_command(&bound->domain, &again));
	expect(bound_event(bound, USM_EV_GROWN, 5000, NULL), "no EV_GROWN after a shrink");
}

void command_tests(void)
{
	struct bound bound;

	bound_create(&bound, "command", CEILING, 0, 0);
	submit_tests(&bound);
	grow_tests(&bound);
	zero_tests(&bound);
	shrink_tests(&bound);
	bound_destroy(&bound);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Behaves while it begins and tries the sandbox once it serves; what it found is
 * told in one line of the journal.
 */
#include <usm/policy.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct nosy {
	const struct usm_host *host;
	bool tried;
};

static int nosy_init(const struct usm_host *host, void **state)
{
	struct nosy *nosy = calloc(1, sizeof(*nosy));

	nosy->host = host;
	*state = nosy;
	return 0;
}

static const char *outcome(bool worked)
{
	return worked ? "WORKED" : errno == EPERM ? "EPERM" : "failed";
}

/* In tick(), which the rehearsal calls too: in there there is no sandbox yet. */
static void nosy_tick(void *state, uint64_t now)
{
	struct nosy *nosy = state;
	const struct usm_host *host = nosy->host;
	const char *file, *inet, *code, *child;
	pid_t pid;

	if (nosy->tried)
		return;
	nosy->tried = true;
	file = outcome(open("/etc/passwd", O_RDONLY) >= 0);
	inet = outcome(socket(AF_INET, SOCK_STREAM, 0) >= 0);
	code = outcome(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	pid = fork();
	if (!pid)
		_exit(0);
	child = outcome(pid > 0);
	host->log(host, USM_POLICY_INFO, "file %s, inet %s, code %s, child %s", file, inet, code,
		  child);
}

static uint32_t nosy_supply(void *state, const struct usm_supply_request *request,
			    struct usm_run *runs, uint32_t capacity)
{
	const struct usm_host *host = ((struct nosy *)state)->host;
	uint32_t most = request->frames < USM_RUN_MAX ? request->frames : USM_RUN_MAX;

	runs[0].frame = host->find(host, 0, 0);
	if (runs[0].frame == USM_FRAME_NOWHERE)
		return 0;
	runs[0].count = host->length(host, runs[0].frame, most);
	return 1;
}

const struct usm_policy usm_policy = {
	.abi = USM_POLICY_ABI,
	.size = sizeof(struct usm_policy),
	.name = "nosy",
	.init = nosy_init,
	.fini = free,
	.supply = nosy_supply,
	.tick = nosy_tick,
};

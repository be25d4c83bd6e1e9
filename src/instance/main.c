// SPDX-License-Identifier: GPL-2.0-or-later
/* usm-instance: hosts the policy of one container. See usm-instance(8). */
#include <getopt.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "config.h"
#include "exit.h"
#include "journal.h"
#include "link.h"
#include "log.h"
#include "mapping.h"
#include "paths.h"
#include "policy.h"
#include "rehearsal.h"
#include "sandbox.h"
#include "serve.h"

/* Less than the time that systemd gives a unit to start. */
#define WAIT_SECONDS	60

struct options {
	const char *socket;
	const char *policies;
	const char *domain;
	unsigned int wait;	/* seconds */
};

/* What has been acquired so far; release() undoes it in the opposite order. */
struct instance {
	struct options options;
	struct usm_instance_config config;
	int link;
	int domain_fd;
	struct usm_mapping *mapping;
	struct usm_policy_object object;
	struct usm_parameters parameters;
	struct usm_engine engine;
	struct usm_serve serve;
};

static void usage(FILE *out)
{
	fprintf(out,
		"usm-instance [OPTION...] DOMAIN\n\n"
		"Host the policy of one container. Started by usmd as usm-instance@DOMAIN.service.\n\n"
		"      --socket=PATH      socket of usmd (" USM_INSTANCE_SOCKET ")\n"
		"      --policy-dir=PATH  where policies are (" USM_POLICY_DIR ")\n"
		"      --wait=SECONDS     for usmd to be there (60)\n"
		"  -h, --help             this text\n"
		"      --version          version and policy ABI\n");
}

static int wait_parse(const char *text, unsigned int *seconds)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value > 3600)
		return -EINVAL;
	*seconds = (unsigned int)value;
	return 0;
}

/* -1: go on; otherwise the exit status. */
static int options_parse(struct options *o, int argc, char **argv)
{
	enum { SOCKET = 256, POLICIES, WAIT, VERSION };
	static const struct option options[] = {
		{ "socket", required_argument, NULL, SOCKET },
		{ "policy-dir", required_argument, NULL, POLICIES },
		{ "wait", required_argument, NULL, WAIT },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, VERSION },
		{},
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		switch (c) {
		case SOCKET:
			o->socket = optarg;
			break;
		case POLICIES:
			o->policies = optarg;
			break;
		case WAIT:
			if (wait_parse(optarg, &o->wait) < 0) {
				fprintf(stderr, "usm-instance: --wait is 0 to 3600 seconds\n");
				return USM_EXIT_USAGE;
			}
			break;
		case 'h':
			usage(stdout);
			return USM_EXIT_OK;
		case VERSION:
			printf("usm-instance %s, policy ABI %d\n", USM_VERSION, USM_POLICY_ABI);
			return USM_EXIT_OK;
		default:
			return USM_EXIT_USAGE;
		}
	}

	if (optind != argc - 1 || !*argv[optind] ||
	    strspn(argv[optind], "0123456789") != strlen(argv[optind])) {
		fprintf(stderr, "usm-instance: one argument is needed, a domain's decimal number\n");
		return USM_EXIT_USAGE;
	}
	o->domain = argv[optind];
	return -1;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/*
 * usmd may be on its way: an instance that crashed while usmd was away starts
 * again without it. A socket that is not there cannot be waited for, so look
 * once a second.
 */
static int link_connect(struct instance *in, struct usm_error *err)
{
	int64_t end = now_ms() + in->options.wait * 1000LL;

	for (;;) {
		int64_t left = end - now_ms();

		in->link = usm_link_open(in->options.socket, in->options.domain, false, err);
		if (in->link >= 0) {
			usm_error_clear(err);
			return 0;
		}
		if (!usm_link_is_absent(in->link) || left <= 0)
			return in->link;
		poll(NULL, 0, left < 1000 ? (int)left : 1000);
	}
}

/* Hello, and the answer: configuration and descriptor. */
static int introduce(struct instance *in, struct usm_error *err)
{
	struct pollfd wait = { .events = POLLIN };
	cleanup_free char *text = malloc(USM_LINK_MESSAGE_MAX + 1);
	int r;

	if (!text)
		return usm_error_oom(err);
	r = link_connect(in, err);
	if (r < 0)
		return r;

	wait.fd = in->link;
	do
		r = poll(&wait, 1, (int)in->options.wait * 1000);
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return usm_error_set(err, ETIMEDOUT, "usmd did not answer within %u seconds",
				     in->options.wait);

	r = usm_link_receive(in->link, text, &in->domain_fd, err);
	if (r < 0)
		return r;
	if (!r)
		return usm_error_set(err, ECONNRESET, "usmd does not know an instance of domain %s",
				     in->options.domain);
	if (in->domain_fd < 0)
		return usm_error_set(err, EBADMSG, "usmd sent no descriptor of domain %s",
				     in->options.domain);
	r = usm_instance_config_parse(&in->config, in->options.domain, text, (size_t)r, err);
	if (r < 0)
		return usm_error_prefix(err, "the configuration from usmd");
	usm_journal_identify(in->config.container, in->config.policy, in->options.domain);
	return 0;
}

static uint32_t ceiling(const struct instance *in)
{
	uint64_t frames = in->config.memory / 4096;

	return frames < in->mapping->frames ? (uint32_t)frames : in->mapping->frames;
}

static int policy_rehearse(struct instance *in, struct usm_error *err)
{
	return usm_rehearsal_run(&(struct usm_rehearsal){
		.mapping = in->mapping,
		.directory = in->options.policies,
		.policy = in->config.policy,
		.parameters = in->config.parameters,
		.fault_order = in->config.fault_order,
		.ceiling = ceiling(in),
		.upcall = in->config.upcall,
	}, err);
}

static int policy_begin(struct instance *in, struct usm_error *err)
{
	struct timespec ts;
	int r;

	r = usm_policy_load(&in->object, in->options.policies, in->config.policy, err);
	if (r < 0)
		return r;
	r = usm_parameters_init(&in->parameters, in->config.parameters, err);
	if (r < 0)
		return r;
	r = usm_engine_init(&in->engine, &(struct usm_engine_setup){
		.mapping = in->mapping,
		.policy = &in->object.policy,
		.parameters = &in->parameters,
		.fault_order = in->config.fault_order,
		.ceiling = ceiling(in),
		.upcall = in->config.upcall,
		.ops = &usm_serve_ops,
		.context = &in->domain_fd,
	});
	if (r < 0)
		return usm_error_oom(err);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return usm_engine_begin(&in->engine, (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec,
				err);
}

static int policy_exit(int error)
{
	return error == -ENOENT || error == -EPERM || error == -EACCES ?
	       USM_EXIT_POLICY_MISSING : USM_EXIT_POLICY_INVALID;
}

/* One rung after the other; the status says on which one it failed. */
static int instance_run(struct instance *in, struct usm_error *err)
{
	int r;

	if (introduce(in, err) < 0)
		return USM_EXIT_LINK;

	r = usm_mapping_open(in->domain_fd, &in->mapping);
	if (r < 0) {
		usm_error_set(err, -r, "cannot map domain %s: %s", in->options.domain,
			      usm_device_reason(r));
		return USM_EXIT_DEVICE;
	}

	r = policy_rehearse(in, err);
	if (r < 0)
		return policy_exit(r);
	r = policy_begin(in, err);
	if (r < 0)
		return policy_exit(r);

	in->serve.engine = &in->engine;
	in->serve.socket = in->options.socket;
	in->serve.domain = in->options.domain;
	in->serve.domain_fd = in->domain_fd;
	in->serve.store_quota = in->config.store_quota;
	in->serve.link = in->link;
	in->link = -1;
	if (usm_serve_open(&in->serve, err) < 0)
		return USM_EXIT_FAILURE;
	if (usm_sandbox_lock_memory(err) < 0 || usm_sandbox_enter(err) < 0)
		return USM_EXIT_SANDBOX;

	r = usm_serve_run(&in->serve, err);
	if (r < 0)
		return USM_EXIT_DEVICE;
	return r == USM_SERVE_GONE ? USM_EXIT_GONE : USM_EXIT_OK;
}

static void release(struct instance *in)
{
	usm_serve_close(&in->serve);
	usm_engine_done(&in->engine);
	usm_parameters_done(&in->parameters);
	usm_policy_unload(&in->object);
	usm_mapping_close(in->mapping);
	usm_close(&in->domain_fd);
	usm_close(&in->link);
	usm_journal_identify(NULL, NULL, NULL);
	usm_instance_config_clear(&in->config);
}

/* To the journal, and to usmd, which shows it to whoever asks for the container. */
static void report(const struct instance *in, int status, const struct usm_error *err)
{
	bool policy = status == USM_EXIT_POLICY_MISSING || status == USM_EXIT_POLICY_INVALID;
	int link = in->link >= 0 ? in->link : in->serve.link;

	usm_journal_write(LOG_ERR, policy ? USM_MSG_POLICY_FAILED : NULL, "%s",
			  usm_error_message(err));
	if (link >= 0)
		usm_link_say_failed(link, usm_error_message(err), NULL);
}

int main(int argc, char **argv)
{
	cleanup_error struct usm_error err = {};
	struct instance in = {
		.options = {
			.socket = USM_INSTANCE_SOCKET,
			.policies = USM_POLICY_DIR,
			.wait = WAIT_SECONDS,
		},
		.link = -1,
		.domain_fd = -1,
		.serve = { .link = -1, .domain_fd = -1 },
	};
	int status;

	status = options_parse(&in.options, argc, argv);
	if (status >= 0)
		return status;
	usm_log_open("usm-instance", USM_LOG_AUTO);
	usm_journal_identify(NULL, NULL, in.options.domain);

	status = instance_run(&in, &err);
	if (usm_error_is_set(&err))
		report(&in, status, &err);
	release(&in);
	return status;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* usmd: puts containers under their policies. See usmd(8). */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "cgroup.h"
#include "device.h"
#include "exit.h"
#include "log.h"
#include "manager.h"
#include "paths.h"
#include "record.h"

/*
 * Cgroups that are watched at the most. Each costs about a kilobyte, half of it
 * in the kernel, and whoever has a delegated cgroup can make as many as he likes.
 */
#define CGROUPS_MAX	65536

static void usage(FILE *out)
{
	fputs("usage: usmd [OPTION...]\n\n"
	      "Puts containers under the memory policies that they ask for; see usmd(8).\n\n"
	      "      --config=FILE       configuration (" USM_CONFIG_FILE ")\n"
	      "      --device=FILE       of the kernel module (" USM_DEVICE_PATH ")\n"
	      "      --policy-dir=DIR    where policies are (" USM_POLICY_DIR ")\n"
	      "      --control=SOCKET    for usmctl and the hook (" USM_CONTROL_SOCKET ")\n"
	      "      --instances=SOCKET  for instances (" USM_INSTANCE_SOCKET ")\n"
	      "      --records=DIR       of containers (" USM_RUN_DIR "/containers)\n"
	      "      --debug             tell more\n"
	      "  -h, --help\n"
	      "      --version\n", out);
}

/* -1: go on; otherwise the exit status. */
static int options_parse(struct usm_options *o, int argc, char **argv)
{
	enum { CONFIG = 256, DEVICE, POLICIES, CONTROL, INSTANCES, RECORDS, DEBUG, VERSION };
	static const struct option options[] = {
		{ "config", required_argument, NULL, CONFIG },
		{ "device", required_argument, NULL, DEVICE },
		{ "policy-dir", required_argument, NULL, POLICIES },
		{ "control", required_argument, NULL, CONTROL },
		{ "instances", required_argument, NULL, INSTANCES },
		{ "records", required_argument, NULL, RECORDS },
		{ "debug", no_argument, NULL, DEBUG },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, VERSION },
		{}
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		switch (c) {
		case CONFIG:
			o->config = optarg;
			break;
		case DEVICE:
			o->device = optarg;
			break;
		case POLICIES:
			o->policies = optarg;
			break;
		case CONTROL:
			o->control = optarg;
			break;
		case INSTANCES:
			o->instances = optarg;
			break;
		case RECORDS:
			o->records = optarg;
			break;
		case DEBUG:
			usm_log_limit(LOG_DEBUG);
			break;
		case 'h':
			usage(stdout);
			return USM_EXIT_OK;
		case VERSION:
			puts("usmd " USM_VERSION);
			return USM_EXIT_OK;
		default:
			return USM_EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "usmd: no arguments are taken, such as %s\n", argv[optind]);
		return USM_EXIT_USAGE;
	}
	return -1;
}

/* 0, or the exit status with err set. */
static int device_open(struct usm_manager *m, struct usm_error *err)
{
	m->device_fd = usm_device_open(m->options.device, &m->query);
	if (m->device_fd >= 0)
		return 0;
	if (m->device_fd == -EPROTO) {
		usm_error_set(err, EPROTO,
			      "The module usm %s has ABI %u and usmd %s needs ABI %u: load the "
			      "module that belongs to this version", m->query.version,
			      m->query.abi, USM_VERSION, USM_ABI);
		return USM_EXIT_ABI;
	}
	usm_error_set(err, -m->device_fd, "%s cannot be opened: %s", m->options.device,
		      usm_device_reason(m->device_fd));
	return USM_EXIT_DEVICE;
}

static int event_open(struct usm_manager *m, struct usm_error *err)
{
	sigset_t stop;
	int r;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigprocmask(SIG_BLOCK, &stop, NULL);

	r = sd_event_default(&m->event);
	r = r < 0 ? r : sd_event_add_signal(m->event, NULL, SIGTERM, NULL, NULL);
	r = r < 0 ? r : sd_event_add_signal(m->event, NULL, SIGINT, NULL, NULL);
	r = r < 0 ? r : sd_event_set_watchdog(m->event, true);
	if (r < 0)
		return usm_error_errno(err, -r, "the event loop");
	return usm_manager_tick_start(m, err);
}

/* Whoever speaks to us, from the outermost to the innermost, then what is there. */
static int manager_open(struct usm_manager *m, struct usm_error *err)
{
	int r;

	r = event_open(m, err);
	if (r < 0)
		return r;
	m->records_fd = usm_record_directory(m->options.records, err);
	if (m->records_fd < 0)
		return m->records_fd;
	r = usm_units_new(&m->units, m->event, &usm_observe_unit, m, err);
	r = r ?: usm_instances_new(&m->instances, m->event, m->options.instances,
				   usm_instance_identify, &usm_observe_instance, m, err);
	r = r ?: usm_control_new(&m->control, m->event, m->options.control, usm_methods_handle, m,
				 err);
	r = r ?: usm_reconcile(m, err);
	r = r ?: usm_watcher_new(&m->watcher, m->event, m->cgroup_root, CGROUPS_MAX,
				 &usm_suspect_watcher, m, err);
	return r;
}

/* Domains, instances and records stay: the next usmd takes them up. */
static void manager_close(struct usm_manager *m)
{
	usm_watcher_free(m->watcher);
	usm_methods_finish(m);
	usm_control_free(m->control);
	usm_instances_free(m->instances);
	usm_units_free(m->units);
	usm_suspects_clear(m);
	usm_container_table_clear(&m->containers);
	sd_event_source_disable_unref(m->tick);
	sd_event_unref(m->event);
	usm_close(&m->records_fd);
	usm_close(&m->device_fd);
	usm_config_clear(&m->config);
	free(m->cgroup_root);
	free(m->status);
}

/* One rung after the other; the status says on which one it failed. */
static int run(struct usm_manager *m, struct usm_error *err)
{
	int r;

	if (usm_config_load(&m->config, m->options.config, err) < 0)
		return USM_EXIT_CONFIG;
	if (usm_cgroup_init(&m->cgroup_root, err) < 0)
		return USM_EXIT_HOST;
	r = device_open(m, err);
	if (r)
		return r;
	if (manager_open(m, err) < 0)
		return USM_EXIT_FAILURE;

	sd_notify(false, "READY=1");
	r = sd_event_loop(m->event);
	sd_notify(false, "STOPPING=1");
	if (r < 0) {
		usm_error_errno(err, -r, "the event loop");
		return USM_EXIT_FAILURE;
	}
	return USM_EXIT_OK;
}

int main(int argc, char **argv)
{
	cleanup_error struct usm_error err = {};
	struct usm_manager m = {
		.options = {
			.config = USM_CONFIG_FILE,
			.device = USM_DEVICE_PATH,
			.policies = USM_POLICY_DIR,
			.control = USM_CONTROL_SOCKET,
			.instances = USM_INSTANCE_SOCKET,
			.records = USM_RUN_DIR "/containers",
		},
		.device_fd = -1,
		.records_fd = -1,
	};
	int status;

	usm_log_open("usmd", USM_LOG_AUTO);
	usm_container_table_init(&m.containers);
	TAILQ_INIT(&m.suspects);
	LIST_INIT(&m.waiters);
	status = options_parse(&m.options, argc, argv);
	if (status >= 0)
		return status;

	status = run(&m, &err);
	if (status != USM_EXIT_OK) {
		/*
		 * The journal looks up which unit a message is of when it reads it, and
		 * by then we may be gone. Of standard error it knows.
		 */
		usm_log_open("usmd", USM_LOG_STDERR);
		usm_log_line(LOG_ERR, "%s", usm_error_message(&err));
	}
	manager_close(&m);
	return status;
}

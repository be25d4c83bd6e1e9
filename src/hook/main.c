// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * usm-oci-hook: asks usmd to bind a container between its creation and its
 * first instruction. It stands in the way of a container that somebody wants
 * to start, so it ends in bounded time and says no only where it was told to.
 */
#include <getopt.h>
#include <signal.h>
#include <string.h>

#include "input.h"
#include "json.h"
#include "log.h"
#include "paths.h"
#include "state.h"
#include "varlink.h"

#define KEY_POLICY	"usm.policy"
#define KEY_REQUIRED	"usm.policy.required"

/* Of the whole run. Less than the timeout in hooks.d, so that we can say why. */
#define DEFAULT_TIMEOUT_MS	10000
#define MAX_TIMEOUT_MS		600000

/* Of the journal's catalog, where usmd has them from too: what it would say. */
#define MESSAGE_UNMANAGED	"014b872e926d469c9f7721793201b2db"
#define MESSAGE_REFUSED		"ebae9578ad234be9829a2e15055c219e"

struct hook {
	const char *socket;
	int64_t deadline;
};

/*
 * Some runtimes (and older specifications) give the state without annotations;
 * the bundle has them all the same.
 */
static int complete(const struct hook *hook, struct usm_state *state, struct usm_error *err)
{
	cleanup_free char *text = NULL;
	size_t length = 0;
	int r;

	if (state->annotations)
		return 0;
	if (!state->bundle)
		return usm_error_set(err, EBADMSG, "the state has neither annotations nor a bundle");
	r = usm_input_read_config(state->bundle, USM_CONFIG_MAX_BYTES, hook->deadline, &text, &length,
				  err);
	if (r < 0)
		return r;
	r = usm_config_parse(text, length, &state->annotations, err);
	if (r < 0)
		return usm_error_prefix(err, "%s/config.json", state->bundle);
	return 0;
}

static int read_state(const struct hook *hook, struct usm_state *state, struct usm_error *err)
{
	cleanup_free char *text = NULL;
	size_t length = 0;
	int r;

	r = usm_input_read(STDIN_FILENO, USM_STATE_MAX_BYTES, hook->deadline, &text, &length, err);
	if (r == 0)
		r = usm_state_parse(state, text, length, err);
	if (r < 0)
		return usm_error_prefix(err, "standard input is not the state of a container");
	return 0;
}

/* The policy may be wanted urgently or not; a typo here is no reason to stay down. */
static bool is_required(const struct usm_state *state)
{
	const char *value;

	if (usm_json_get_string(state->annotations, KEY_REQUIRED, &value, NULL) < 0)
		return false;
	if (!strcmp(value, "true"))
		return true;
	if (strcmp(value, "false")) {
		cleanup_free char *quote = usm_json_quote(value, strlen(value));

		fprintf(stderr, "usm-oci-hook: ignoring " KEY_REQUIRED
			" of container %s: must be \"true\" or \"false\", not %s\n",
			state->id, quote ?: "that");
	}
	return false;
}

/* 1: managed, 0: usmd says that it is not, with its reason in err; or -errno. */
static int bind_container(const struct hook *hook, const struct usm_state *state,
			  struct usm_error *err)
{
	cleanup_json cJSON *parameters = cJSON_CreateObject();
	cleanup_reply struct usm_reply reply = {};
	int64_t left = hook->deadline - usm_now_ms();
	const char *message = "usmd did not say why";
	bool managed;
	int r = 0;

	if (state->pid <= 0)
		return usm_error_set(err, EINVAL, "it has no process yet: the hook belongs to "
				     "the stage createRuntime or prestart");
	if (left <= 0)
		return usm_error_set(err, ETIMEDOUT, "no time was left to ask usmd");
	if (!parameters)
		return usm_error_oom(err);
	r |= usm_json_add_string(parameters, "id", state->id);
	r |= usm_json_add_u64(parameters, "pid", (uint64_t)state->pid);
	r |= usm_json_add_string(parameters, "bundle", state->bundle ?: "");
	r |= usm_json_add_item(parameters, "annotations", cJSON_Duplicate(state->annotations, true));
	if (r < 0)
		return usm_error_oom(err);

	r = usm_varlink_call(hook->socket, "org.usm.Bind", parameters, (unsigned int)left, &reply, err);
	if (r == -ENOENT || r == -ECONNREFUSED)
		return usm_error_set(err, -r, "usmd is not running (nobody listens on %s)",
				     hook->socket);
	if (r < 0)
		return r;
	if (reply.error) {
		usm_error_set(err, EREMOTEIO, "%s", reply.message ?: reply.error);
		return 0;
	}
	r = usm_json_get_bool(reply.parameters, "managed", &managed, err);
	if (r < 0)
		return usm_error_prefix(err, "usmd gave a strange answer");
	if (managed)
		return 1;
	usm_json_get_string(reply.parameters, "message", &message, NULL);
	usm_error_set(err, EREMOTEIO, "%s", message);
	return 0;
}

static int report(const struct usm_state *state, bool told_by_usmd, bool required,
		  const struct usm_error *err)
{
	const char *outcome = required ? "it does not start, since " KEY_REQUIRED " is true" :
					 "it runs unmanaged";
	cleanup_free char *reason = usm_json_escape(usm_error_message(err));
	cleanup_free char *id = usm_json_escape(state->id);

	fprintf(stderr, "usm-oci-hook: container %s gets no policy: %s; %s\n", id ?: "?",
		reason ?: "out of memory", outcome);
	/* What usmd refuses it puts into the journal itself. */
	if (!told_by_usmd) {
		usm_log_open("usm-oci-hook", USM_LOG_JOURNAL);
		usm_log(required ? LOG_ERR : LOG_WARNING,
			required ? MESSAGE_REFUSED : MESSAGE_UNMANAGED, state->id, NULL, NULL,
			"Container %s gets no policy: %s; %s.", id ?: "?",
			reason ?: "out of memory", outcome);
	}
	return required ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(const struct hook *hook)
{
	cleanup_error struct usm_error err = {};
	cleanup_state struct usm_state state = {};
	bool required;
	int r;

	/* Whether a policy is required cannot be known: fail, as for any bad caller. */
	r = read_state(hook, &state, &err);
	if (r < 0) {
		fprintf(stderr, "usm-oci-hook: %s\n", usm_error_message(&err));
		return EXIT_FAILURE;
	}
	r = complete(hook, &state, &err);
	if (r < 0)
		return report(&state, false, false, &err);
	if (!cJSON_GetObjectItemCaseSensitive(state.annotations, KEY_POLICY))
		return EXIT_SUCCESS;

	required = is_required(&state);
	r = bind_container(hook, &state, &err);
	return r > 0 ? EXIT_SUCCESS : report(&state, r == 0, required, &err);
}

static void print_help(void)
{
	puts("usage: usm-oci-hook [OPTION...] < STATE\n\n"
	     "Called by an OCI runtime at the stage createRuntime; see usm-oci-hook(8).\n\n"
	     "options:\n"
	     "      --socket PATH   of usmd (default: " USM_CONTROL_SOCKET ")\n"
	     "      --timeout MS    of the whole run (default: 10000)\n"
	     "  -h, --help\n"
	     "      --version");
}

int main(int argc, char **argv)
{
	enum { OPTION_SOCKET = 256, OPTION_TIMEOUT, OPTION_VERSION };
	static const struct option options[] = {
		{ "socket", required_argument, NULL, OPTION_SOCKET },
		{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, OPTION_VERSION },
		{ }
	};
	struct hook hook = { .socket = USM_CONTROL_SOCKET };
	long timeout = DEFAULT_TIMEOUT_MS;
	char *end;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case OPTION_SOCKET:
			hook.socket = optarg;
			break;
		case OPTION_TIMEOUT:
			timeout = strtol(optarg, &end, 10);
			if (end == optarg || *end || timeout < 1 || timeout > MAX_TIMEOUT_MS) {
				fprintf(stderr, "usm-oci-hook: \"%s\" is not a number of "
					"milliseconds from 1 to %d\n", optarg, MAX_TIMEOUT_MS);
				return EXIT_FAILURE;
			}
			break;
		case 'h':
			print_help();
			return EXIT_SUCCESS;
		case OPTION_VERSION:
			puts("usm-oci-hook " USM_VERSION);
			return EXIT_SUCCESS;
		default:
			return EXIT_FAILURE;
		}
	}
	/* The runtime may be gone before we have said why. */
	signal(SIGPIPE, SIG_IGN);
	hook.deadline = usm_now_ms() + timeout;
	return run(&hook);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* usmctl: the table of commands, and what is the same for all of them. */
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "paths.h"
#include "usmctl.h"

/* Long enough for a loaded host; usmd answers from memory. */
#define DEFAULT_TIMEOUT_S	10
#define MAX_TIMEOUT_S		3600

#define EXIT_USAGE		2

struct command {
	const char *name;
	const char *operand;	/* the one that it takes, or NULL */
	const char *summary;
	const char *help;
	int (*run)(const struct usmctl *ctl, char **operands, struct usm_error *err);
};

static const struct command commands[] = {
	{
		"status", NULL, "list the containers that run under a policy",
		"Shows usmd, the module and a line for each container. With --quiet only\n"
		"the names of the containers, one a line.\n",
		usmctl_status,
	}, {
		"show", "CONTAINER", "show all that is known of one container",
		"CONTAINER is its ID, a prefix of the ID that fits no other, or its name.\n",
		usmctl_show,
	}, {
		"check", "ANNOTATION", "check an annotation without usmd",
		"ANNOTATION is the value of usm.policy, @FILE, or - for standard input. Prints\n"
		"its normal form, or says what is wrong and where; see usm.policy(5).\n",
		usmctl_check,
	},
};

#define COMMANDS	(sizeof(commands) / sizeof(*commands))

static const char options_help[] =
	"options:\n"
	"      --json            print JSON, one line\n"
	"  -q, --quiet           status: print names only\n"
	"      --socket PATH     of usmd (default: " USM_CONTROL_SOCKET ")\n"
	"      --timeout SECONDS wait for usmd no longer (default: 10)\n"
	"  -h, --help            help, also on a command\n"
	"      --version         print the version\n";

static void print_help(const struct command *command)
{
	if (command) {
		printf("usage: usmctl [OPTION...] %s%s%s\n\n%s\n", command->name,
		       command->operand ? " " : "", command->operand ?: "", command->help);
	} else {
		printf("usage: usmctl [OPTION...] COMMAND [ARGUMENT]\n\ncommands:\n");
		for (size_t i = 0; i < COMMANDS; i++) {
			int used = printf("  %s %s", commands[i].name, commands[i].operand ?: "");

			printf("%*s%s\n", 24 - used, "", commands[i].summary);
		}
		putchar('\n');
	}
	fputs(options_help, stdout);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int usage_error(const char *fmt, ...)
{
	va_list ap;

	fputs("usmctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("; see usmctl --help\n", stderr);
	return EXIT_USAGE;
}

static int parse_timeout(const char *text, unsigned int *timeout_ms)
{
	char *end;
	long seconds;

	errno = 0;
	seconds = strtol(text, &end, 10);
	if (errno || end == text || *end || seconds < 1 || seconds > MAX_TIMEOUT_S)
		return -EINVAL;
	*timeout_ms = (unsigned int)seconds * 1000;
	return 0;
}

static int run(const struct usmctl *ctl, const struct command *command, char **operands)
{
	cleanup_error struct usm_error err = {};
	int r;

	r = command->run(ctl, operands, &err);
	if (r < 0)
		fprintf(stderr, "usmctl: %s\n", usm_error_message(&err));
	/* A full disk must not look like a short list. */
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "usmctl: cannot write to standard output: %m\n");
		r = -EIO;
	}
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	enum { OPTION_JSON = 256, OPTION_SOCKET, OPTION_TIMEOUT, OPTION_VERSION };
	static const struct option options[] = {
		{ "json", no_argument, NULL, OPTION_JSON },
		{ "quiet", no_argument, NULL, 'q' },
		{ "socket", required_argument, NULL, OPTION_SOCKET },
		{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, OPTION_VERSION },
		{ }
	};
	struct usmctl ctl = {
		.socket = USM_CONTROL_SOCKET,
		.timeout_ms = DEFAULT_TIMEOUT_S * 1000,
	};
	const struct command *command = NULL;
	bool help = false;
	int option;

	while ((option = getopt_long(argc, argv, "hq", options, NULL)) != -1) {
		switch (option) {
		case OPTION_JSON:
			ctl.json = true;
			break;
		case 'q':
			ctl.quiet = true;
			break;
		case OPTION_SOCKET:
			ctl.socket = optarg;
			break;
		case OPTION_TIMEOUT:
			if (parse_timeout(optarg, &ctl.timeout_ms) < 0)
				return usage_error("\"%s\" is not a number of seconds from 1 to 3600",
						   optarg);
			break;
		case OPTION_VERSION:
			puts("usmctl " USM_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			help = true;
			break;
		default:
			return EXIT_USAGE;
		}
	}

	argv += optind;
	if (*argv) {
		command = find_command(*argv);
		if (!command)
			return usage_error("\"%s\" is not a command", *argv);
		argv++;
	}
	if (help) {
		print_help(command);
		return EXIT_SUCCESS;
	}
	if (!command)
		return usage_error("a command is missing");
	if (command->operand && !*argv)
		return usage_error("%s is missing", command->operand);
	if (argv[command->operand ? 1 : 0])
		return usage_error("\"%s\" is one argument too many", argv[command->operand ? 1 : 0]);
	return run(&ctl, command, argv);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "annotation.h"
#include "budget.h"
#include "cleanup.h"
#include "size.h"

#define DEFAULT_MAX_CONTAINERS	1024

/*
 * Each container costs usmd a descriptor, an inotify watch or two and a record;
 * the limit only has to be below what LimitNOFILE= in usmd.service grants.
 */
#define HIGHEST_MAX_CONTAINERS	65536

typedef int set_fn(struct usm_config *config, void *target, const char *value,
		   struct usm_error *err);

struct key {
	const char *section;
	const char *name;
	set_fn *set;
	size_t offset;		/* of the member that it sets */
};

static int set_reserve(struct usm_config *config, void *target, const char *value,
		       struct usm_error *err)
{
	int r = usm_size_parse(value, target, err);

	if (!r)
		config->has_reserve = true;
	return r;
}

static int set_size(struct usm_config *config, void *target, const char *value,
		    struct usm_error *err)
{
	uint64_t bytes;
	int r = usm_size_parse(value, &bytes, err);

	if (r)
		return r;
	if (bytes < USM_BUDGET_MIN)
		return usm_error_set(err, ERANGE, "is below 1M, the smallest domain");
	*(uint64_t *)target = bytes;
	return 0;
}

static int set_any_size(struct usm_config *config, void *target, const char *value,
			struct usm_error *err)
{
	return usm_size_parse(value, target, err);
}

static int set_count(struct usm_config *config, void *target, const char *value,
		     struct usm_error *err)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (errno || *end || !isdigit((unsigned char)*value) || n > HIGHEST_MAX_CONTAINERS)
		return usm_error_set(err, EINVAL, "is not a number from 0 to %d",
				     HIGHEST_MAX_CONTAINERS);
	*(uint32_t *)target = n;
	return 0;
}

static int set_bool(struct usm_config *config, void *target, const char *value,
		    struct usm_error *err)
{
	if (strcmp(value, "yes") && strcmp(value, "no"))
		return usm_error_set(err, EINVAL, "is neither yes nor no");
	*(bool *)target = !strcmp(value, "yes");
	return 0;
}

static void strv_free(char **list)
{
	for (char **p = list; list && *p; p++)
		free(*p);
	free(list);
}
USM_DEFINE_CLEANUP(char **, strv_free)

static int set_policies(struct usm_config *config, void *target, const char *value,
			struct usm_error *err)
{
	usm_cleanup(strv_free_cleanup) char **list = NULL;
	cleanup_free char *copy = strdup(value);
	char *at = NULL, *word;
	size_t n = 0;

	/* An empty list is a list: it allows none. */
	list = calloc(strlen(value) / 2 + 2, sizeof(*list));
	if (!copy || !list)
		return usm_error_oom(err);
	for (word = strtok_r(copy, " \t", &at); word; word = strtok_r(NULL, " \t", &at)) {
		if (!usm_annotation_name_valid(word))
			return usm_error_set(err, EINVAL, "holds '%s', which is no policy's name",
					     word);
		list[n] = strdup(word);
		if (!list[n++])
			return usm_error_oom(err);
	}
	strv_free(config->allowed_policies);
	*(char ***)target = usm_steal_ptr(list);
	return 0;
}

static int set_directory(struct usm_config *config, void *target, const char *value,
			 struct usm_error *err)
{
	char *copy;

	if (*value && *value != '/')
		return usm_error_set(err, EINVAL, "is not an absolute path");
	copy = strdup(value);
	if (!copy)
		return usm_error_oom(err);
	free(*(char **)target);
	*(char **)target = copy;
	return 0;
}

#define AT(member)	offsetof(struct usm_config, member)

static const struct key keys[] = {
	{ "limits", "reserve", set_reserve, AT(reserve) },
	{ "limits", "max_containers", set_count, AT(max_containers) },
	{ "limits", "max_memory_per_container", set_size, AT(max_memory) },
	{ "limits", "max_store_per_container", set_any_size, AT(max_store) },
	{ "limits", "allow_upcall", set_bool, AT(allow_upcall) },
	{ "limits", "allowed_policies", set_policies, AT(allowed_policies) },
	{ "runtimes", "crun", set_directory, AT(runtimes.crun) },
	{ "runtimes", "podman", set_directory, AT(runtimes.podman) },
	{ "runtimes", "podman_run", set_directory, AT(runtimes.podman_run) },
	{ "runtimes", "containerd", set_directory, AT(runtimes.containerd) },
	{ "runtimes", "docker", set_directory, AT(runtimes.docker) },
};

int usm_config_init(struct usm_config *config, struct usm_error *err)
{
	struct usm_config fresh = {
		.max_containers = DEFAULT_MAX_CONTAINERS,
		.max_memory = USM_BUDGET_UNLIMITED,
		.max_store = USM_BUDGET_UNLIMITED,
		.allow_upcall = true,
	};

	if (usm_runtime_paths_init(&fresh.runtimes) < 0) {
		usm_config_clear(&fresh);
		return usm_error_oom(err);
	}
	*config = fresh;
	return 0;
}

void usm_config_clear(struct usm_config *config)
{
	strv_free(config->allowed_policies);
	usm_runtime_paths_clear(&config->runtimes);
	*config = (struct usm_config){};
}

/* White space off both ends, in place. */
static char *trim(char *text)
{
	size_t n;

	while (isspace((unsigned char)*text))
		text++;
	n = strlen(text);
	while (n && isspace((unsigned char)text[n - 1]))
		text[--n] = '\0';
	return text;
}

static const struct key *key_find(const char *section, const char *name)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(keys[i].section, section) && !strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

static bool section_exists(const char *section)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(keys[i].section, section))
			return true;
	return false;
}

/* One line that is neither empty nor a comment; `section` is replaced by a header. */
static int read_line(struct usm_config *config, char *line, char **section,
		     struct usm_error *err)
{
	const struct key *key;
	size_t n = strlen(line);
	char *value;
	int r;

	if (*line == '[') {
		if (line[n - 1] != ']')
			return usm_error_set(err, EBADMSG, "the section has no closing bracket");
		line[n - 1] = '\0';
		if (!section_exists(line + 1))
			return usm_error_set(err, EBADMSG, "there is no section [%s]", line + 1);
		free(*section);
		*section = strdup(line + 1);
		return *section ? 0 : usm_error_oom(err);
	}

	value = strchr(line, '=');
	if (!value)
		return usm_error_set(err, EBADMSG, "neither KEY = VALUE nor [SECTION]");
	*value++ = '\0';
	line = trim(line);
	if (!*section)
		return usm_error_set(err, EBADMSG, "%s stands before any [SECTION]", line);
	key = key_find(*section, line);
	if (!key)
		return usm_error_set(err, EBADMSG, "there is no key %s in [%s]", line, *section);

	/* The setters' sentences are predicates: "is not a size ...". */
	r = key->set(config, (char *)config + key->offset, trim(value), err);
	if (r < 0 && r != -ENOMEM)
		return usm_error_set(err, EBADMSG, "%s %s", key->name, usm_error_message(err));
	return r;
}

int usm_config_read(struct usm_config *config, FILE *in, const char *name,
		    struct usm_error *err)
{
	cleanup_error struct usm_error why = {};
	struct usm_config fresh = {};
	cleanup_free char *section = NULL;
	cleanup_free char *buffer = NULL;
	unsigned int number = 0;
	size_t size = 0;
	int r;

	r = usm_config_init(&fresh, err);
	if (r < 0)
		return r;

	while (!r && getline(&buffer, &size, in) >= 0) {
		char *line = trim(buffer);

		number++;
		if (*line && *line != '#' && *line != ';')
			r = read_line(&fresh, line, &section, &why);
	}
	if (!r && ferror(in))
		r = usm_error_errno(&why, EIO, "cannot be read");
	if (r < 0) {
		usm_error_prefix(&why, "%s:%u", name, number);
		usm_error_move(err, &why);
		usm_config_clear(&fresh);
		return r;
	}
	*config = fresh;
	return 0;
}

int usm_config_load(struct usm_config *config, const char *path, struct usm_error *err)
{
	cleanup_file FILE *in = fopen(path, "re");

	if (!in && errno == ENOENT)
		return usm_config_init(config, err);
	if (!in)
		return usm_error_errno(err, errno, "%s cannot be opened", path);
	return usm_config_read(config, in, path, err);
}

bool usm_config_allows(const struct usm_config *config, const char *policy)
{
	if (!config->allowed_policies)
		return true;
	for (char **p = config->allowed_policies; *p; p++)
		if (!strcmp(*p, policy))
			return true;
	return false;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* usmctl status: usmd, the module, and a line for each container. */
#include <string.h>

#include "table.h"
#include "usmctl.h"

static const struct usm_column columns[] = {
	{ "CONTAINER", false },
	{ "NAME", false },
	{ "POLICY", false },
	{ "STATE", false },
	{ "ADOPTED", true },
	{ "OTHER", true },
	{ "FRAMES", true },
	{ "CEILING", true },
	{ "FAULTS", true },
	{ "SAVED", true },
	{ "FALLBACKS", true },
	{ "INSTANCE", true },
};

/* Runtimes name containers by 64 hex digits and print twelve; show takes these. */
static char *short_name(const cJSON *container)
{
	char *name = usmctl_text(container, "container");

	if (name && strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64)
		name[12] = '\0';
	return name;
}

static void add_container(struct usm_table *table, const cJSON *container)
{
	usm_table_add(table, short_name(container));
	usm_table_add(table, usmctl_text(container, "name"));
	usm_table_add(table, usmctl_text(container, "policy"));
	usm_table_add(table, usmctl_text(container, "state"));
	usm_table_add(table, usmctl_pages(container, "resident_adopted"));
	usm_table_add(table, usmctl_size(usmctl_number(container, "resident_other_kib") * 1024));
	usm_table_add(table, usmctl_pages(container, "frames"));
	usm_table_add(table, usmctl_pages(container, "ceiling"));
	usm_table_add(table, usmctl_count(container, "faults"));
	usm_table_add(table, usmctl_count(container, "faults_saved"));
	usm_table_add(table, usmctl_count(container, "fallbacks"));
	usm_table_add(table, usmctl_count(container, "instance_pid"));
}

static int print_versions(const cJSON *reply, struct usm_error *err)
{
	const cJSON *module = cJSON_GetObjectItemCaseSensitive(reply, "module");
	cleanup_free char *daemon = usmctl_text(reply, "version");
	cleanup_free char *version = usmctl_text(module, "version");
	cleanup_free char *state = usmctl_text(module, "state");
	cleanup_free char *abi = usmctl_count(module, "abi");

	if (!daemon || !version || !state || !abi)
		return usm_error_oom(err);
	printf("usmd %s, module usm %s (ABI %s): %s\n", daemon, version, abi, state);
	return 0;
}

static int print_names(const cJSON *containers, struct usm_error *err)
{
	const cJSON *container;

	cJSON_ArrayForEach(container, containers) {
		cleanup_free char *name = usmctl_text(container, "container");

		if (!name)
			return usm_error_oom(err);
		puts(name);
	}
	return 0;
}

int usmctl_status(const struct usmctl *ctl, char **operands, struct usm_error *err)
{
	cleanup_table struct usm_table table = {
		.columns = columns,
		.width = sizeof(columns) / sizeof(*columns),
	};
	cleanup_reply struct usm_reply reply = {};
	const cJSON *containers, *container;
	int r;

	r = usmctl_call(ctl, "org.usm.Status", NULL, &reply, err);
	if (r < 0)
		return r;
	containers = cJSON_GetObjectItemCaseSensitive(reply.parameters, "containers");
	if (!cJSON_IsArray(containers))
		return usm_error_set(err, EBADMSG, "usmd answered without a list of containers");
	if (ctl->json)
		return usmctl_print_json(reply.parameters, err);
	if (ctl->quiet)
		return print_names(containers, err);

	r = print_versions(reply.parameters, err);
	if (r < 0)
		return r;
	if (!cJSON_GetArraySize(containers)) {
		puts("no container runs under a policy");
		return 0;
	}
	cJSON_ArrayForEach(container, containers)
		add_container(&table, container);
	putchar('\n');
	return usm_table_print(&table, stdout) < 0 ? usm_error_oom(err) : 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "record.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "json.h"
#include "read.h"

/* An annotation may be 4096 bytes, of which each may take 6 in JSON. */
#define RECORD_MAX	(64u << 10)

#define SUFFIX		".json"

static char *record_name(uint64_t domain)
{
	char *name;

	return asprintf(&name, "%" PRIu64 SUFFIX, domain) < 0 ? NULL : name;
}

int usm_record_directory(const char *path, struct usm_error *err)
{
	int fd;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return usm_error_errno(err, errno, "%s cannot be made", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return usm_error_errno(err, errno, "%s cannot be opened", path);
	return fd;
}

int usm_record_write(int dirfd, const struct usm_container *c, struct usm_error *err)
{
	cleanup_free char *name = record_name(c->domain);
	cleanup_json cJSON *root = cJSON_CreateObject();
	cleanup_free char *text = NULL;
	int r = 0;

	/* Sizes as decided: the administrator's limits may be others by then. */
	r |= usm_json_add_string(root, "container", c->id);
	r |= usm_json_add_string(root, "name", c->name);
	r |= usm_json_add_string(root, "runtime", c->runtime);
	r |= usm_json_add_string(root, "cgroup", c->cgroup);
	r |= usm_json_add_string(root, "annotation", c->request);
	r |= usm_json_add_u64(root, "ceiling", c->budget.ceiling);
	r |= usm_json_add_u64(root, "reserve", c->budget.reserve);
	r |= usm_json_add_u64(root, "store", c->budget.store);
	r |= usm_json_add_bool(root, "late", c->late);
	text = r < 0 ? NULL : usm_json_print(root);
	if (!name || !text)
		return usm_error_oom(err);

	r = usm_write_file(dirfd, name, text);
	if (r < 0)
		return usm_error_errno(err, -r, "the record %s cannot be written", name);
	return 0;
}

static int read_optional(const cJSON *root, const char *key, char **member)
{
	const char *text;

	if (usm_json_get_string(root, key, &text, NULL) < 0)
		return 0;
	*member = strdup(text);
	return *member ? 0 : -ENOMEM;
}

static int record_parse(const cJSON *root, struct usm_container **out, struct usm_error *err)
{
	cleanup_container struct usm_container *c = NULL;
	const char *id, *cgroup;
	int r;

	r = usm_json_get_string(root, "container", &id, err);
	r = r ?: usm_json_get_string(root, "cgroup", &cgroup, err);
	if (r < 0)
		return r;
	c = usm_container_new(id, cgroup);
	if (!c)
		return usm_error_oom(err);
	if (read_optional(root, "name", &c->name) < 0 ||
	    read_optional(root, "runtime", &c->runtime) < 0 ||
	    read_optional(root, "annotation", &c->request) < 0)
		return usm_error_oom(err);
	r = usm_json_get_u64(root, "ceiling", &c->budget.ceiling, err);
	r = r ?: usm_json_get_u64(root, "reserve", &c->budget.reserve, err);
	/* An older usmd did not write it, and nothing was evicted. */
	if (!r && cJSON_HasObjectItem(root, "store"))
		r = usm_json_get_u64(root, "store", &c->budget.store, err);
	r = r ?: usm_json_get_bool(root, "late", &c->late, err);
	if (!r && c->request)
		r = usm_annotation_parse(&c->annotation, c->request, strlen(c->request), NULL,
					 err);
	if (r < 0)
		return r;
	*out = usm_steal_ptr(c);
	return 0;
}

int usm_record_read(int dirfd, uint64_t domain, struct usm_container **out,
		    struct usm_error *err)
{
	const struct usm_json_limits limits = { .bytes = RECORD_MAX, .depth = 4 };
	cleanup_error struct usm_error why = {};
	cleanup_free char *name = record_name(domain);
	cleanup_free char *text = NULL;
	cleanup_json cJSON *root = NULL;
	size_t length;
	int r;

	if (!name)
		return usm_error_oom(err);
	r = usm_read_file(dirfd, name, RECORD_MAX, &text, &length);
	if (r < 0)
		return usm_error_errno(err, -r, "the record %s cannot be read", name);
	r = usm_json_parse(text, length, &limits, &root, &why);
	if (!r)
		r = record_parse(root, out, &why);
	if (r < 0) {
		usm_error_set(err, r == -ENOMEM ? ENOMEM : EBADMSG, "the record %s is damaged: %s",
			      name, usm_error_message(&why));
		return r == -ENOMEM ? r : -EBADMSG;
	}
	usm_container_set_domain(*out, domain);
	return 0;
}

void usm_record_remove(int dirfd, uint64_t domain)
{
	cleanup_free char *name = record_name(domain);

	if (name)
		unlinkat(dirfd, name, 0);
}

int usm_record_list(int dirfd, void (*each)(uint64_t domain, void *userdata), void *userdata,
		    struct usm_error *err)
{
	cleanup_close int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!dir)
		return usm_error_errno(err, errno, "the records cannot be listed");
	usm_steal_fd(&copy);	/* the stream closes it */
	while ((entry = readdir(dir))) {
		uint64_t domain;
		char *end;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		domain = strtoull(entry->d_name, &end, 10);
		if (domain && !strcmp(end, SUFFIX))
			each(domain, userdata);
	}
	return 0;
}

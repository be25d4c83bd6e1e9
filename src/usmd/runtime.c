// SPDX-License-Identifier: GPL-2.0-or-later
#include "runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cjson/cJSON.h>

#include "annotation.h"
#include "cgpath.h"
#include "json.h"
#include "read.h"

/*
 * Docker's and Kubernetes' largest records that were seen are near 100 KiB;
 * what is larger was made to keep us busy.
 */
#define RECORD_MAX	(1u << 20)

/* A namespace of containerd is a directory; more than these are not searched. */
#define NAMESPACES_MAX	256

#define XATTR_POLICY	"trusted.usm.policy"
#define XATTR_REQUIRED	"trusted.usm.policy.required"

int usm_runtime_paths_init(struct usm_runtime_paths *paths)
{
	*paths = (struct usm_runtime_paths) {
		.crun = strdup("/run/crun"),
		.podman = strdup("/var/lib/containers/storage/overlay-containers"),
		.podman_run = strdup("/run/containers/storage/overlay-containers"),
		.containerd = strdup("/run/containerd/io.containerd.runtime.v2.task"),
		.docker = strdup("/var/lib/docker/containers"),
	};
	if (paths->crun && paths->podman && paths->podman_run && paths->containerd &&
	    paths->docker)
		return 0;
	usm_runtime_paths_clear(paths);
	return -ENOMEM;
}

void usm_runtime_paths_clear(struct usm_runtime_paths *paths)
{
	free(paths->crun);
	free(paths->podman);
	free(paths->podman_run);
	free(paths->containerd);
	free(paths->docker);
	*paths = (struct usm_runtime_paths){};
}

void usm_runtime_container_clear(struct usm_runtime_container *c)
{
	free(c->id);
	free(c->name);
	free(c->annotation);
	free(c->required);
	*c = (struct usm_runtime_container){};
}

/* ------------------------------------------------------------- one record */

/*
 * The lenient parser is right here: the text was written by the runtime, with
 * numbers of 64 bits that our own strict one refuses. Only a NUL in a string has
 * to be kept out, which would end the annotation early.
 */
static int record_read(const char *path, cJSON **root, struct usm_error *err)
{
	cleanup_free char *text = NULL;
	size_t length;
	int r;

	r = usm_read_file(AT_FDCWD, path, RECORD_MAX, &text, &length);
	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR ? r :
		       usm_error_errno(err, -r, "%s cannot be read", path);
	if (strlen(text) != length || strcasestr(text, "\\u0000"))
		return usm_error_set(err, EBADMSG, "%s holds a NUL", path);
	*root = cJSON_ParseWithLength(text, length);
	/* Half written: the runtime is at it, and there will be another look. */
	return *root ? 0 : usm_error_set(err, EBADMSG, "%s is not JSON", path);
}

static const char *string_of(const cJSON *object, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static pid_t pid_of(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsNumber(item) && item->valueint > 0 ? item->valueint : 0;
}

static int copy_string(char **to, const char *from)
{
	if (!from)
		return 0;
	*to = strdup(from);
	return *to ? 0 : -ENOMEM;
}

/* From a map of annotations or labels. */
static int take_request(struct usm_runtime_container *c, const cJSON *map)
{
	int r = copy_string(&c->annotation, string_of(map, USM_ANNOTATION_KEY));

	return r ?: copy_string(&c->required, string_of(map, USM_ANNOTATION_REQUIRED_KEY));
}

/* Kubernetes' runtimes say what a container is called in its annotations. */
static int take_kubernetes_name(struct usm_runtime_container *c, const cJSON *map)
{
	const char *name = string_of(map, "io.kubernetes.cri.container-name");

	return copy_string(&c->name, name ?: string_of(map, "io.kubernetes.container.name"));
}

/* ------------------------------------------------------------ the runtimes */

struct look {
	const struct usm_runtime_paths *paths;
	const char *cgroup;
	usm_runtime_cgroup_fn *cgroup_of;
	struct usm_runtime_container *container;
	struct usm_error *err;
};

static bool is_inside(const struct look *look, pid_t pid)
{
	cleanup_free char *path = pid > 0 ? look->cgroup_of(pid) : NULL;

	return path && usm_cgpath_is_within(path, look->cgroup);
}

/* A config.json of the OCI: annotations, and that is all we want of it. */
static int take_bundle(const struct look *look, const char *path, const char *id,
		       const char *runtime, pid_t pid)
{
	cleanup_json cJSON *root = NULL;
	const cJSON *annotations;
	int r;

	r = record_read(path, &root, look->err);
	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR ? 0 : r;

	annotations = cJSON_GetObjectItemCaseSensitive(root, "annotations");
	look->container->runtime = runtime;
	look->container->pid = pid;
	r = copy_string(&look->container->id, id);
	r = r ?: take_request(look->container, annotations);
	r = r ?: take_kubernetes_name(look->container, annotations);
	if (!r && !look->container->name)
		look->container->name = usm_runtime_name(look->paths, id);
	return r ? usm_error_oom(look->err) : 1;
}

/* A file with nothing but a number in it. */
static pid_t pidfile_read(const char *path)
{
	cleanup_free char *text = NULL;
	size_t length;

	if (usm_read_file(AT_FDCWD, path, 64, &text, &length) < 0)
		return 0;
	return atoi(text);
}

static int crun_find(const struct look *look, const char *id)
{
	cleanup_free char *status = NULL;
	cleanup_free char *config = NULL;
	cleanup_json cJSON *root = NULL;
	pid_t pid;
	int r;

	if (asprintf(&status, "%s/%s/status", look->paths->crun, id) < 0 ||
	    asprintf(&config, "%s/%s/config.json", look->paths->crun, id) < 0)
		return usm_error_oom(look->err);
	r = record_read(status, &root, look->err);
	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR ? 0 : r;
	pid = pid_of(root, "pid");
	return is_inside(look, pid) ? take_bundle(look, config, id, "crun", pid) : 0;
}

/* For podman with another runtime than crun. */
static int podman_find(const struct look *look, const char *id)
{
	cleanup_free char *pidfile = NULL;
	cleanup_free char *config = NULL;
	pid_t pid;

	if (asprintf(&pidfile, "%s/%s/userdata/pidfile", look->paths->podman_run, id) < 0 ||
	    asprintf(&config, "%s/%s/userdata/config.json", look->paths->podman, id) < 0)
		return usm_error_oom(look->err);
	pid = pidfile_read(pidfile);
	return is_inside(look, pid) ? take_bundle(look, config, id, "podman", pid) : 0;
}

static int containerd_find(const struct look *look, const char *id)
{
	cleanup_dir DIR *dir = opendir(look->paths->containerd);
	struct dirent *entry;

	if (!dir)
		return 0;
	for (unsigned int n = 0; n < NAMESPACES_MAX && (entry = readdir(dir)); n++) {
		cleanup_free char *pidfile = NULL;
		cleanup_free char *config = NULL;
		pid_t pid;

		if (entry->d_name[0] == '.')
			continue;
		if (asprintf(&pidfile, "%s/%s/%s/init.pid", look->paths->containerd,
			     entry->d_name, id) < 0 ||
		    asprintf(&config, "%s/%s/%s/config.json", look->paths->containerd,
			     entry->d_name, id) < 0)
			return usm_error_oom(look->err);
		pid = pidfile_read(pidfile);
		if (is_inside(look, pid))
			return take_bundle(look, config, id, "containerd", pid);
	}
	return 0;
}

/* Docker has no annotations (before 23); its labels serve instead. */
static int docker_find(const struct look *look, const char *id)
{
	struct usm_runtime_container *c = look->container;
	cleanup_free char *path = NULL;
	cleanup_json cJSON *root = NULL;
	const char *name;
	pid_t pid;
	int r;

	if (asprintf(&path, "%s/%s/config.v2.json", look->paths->docker, id) < 0)
		return usm_error_oom(look->err);
	r = record_read(path, &root, look->err);
	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR ? 0 : r;

	pid = pid_of(cJSON_GetObjectItemCaseSensitive(root, "State"), "Pid");
	if (!is_inside(look, pid))
		return 0;
	c->runtime = "docker";
	c->pid = pid;
	name = string_of(root, "Name");
	r = copy_string(&c->id, id);
	r = r ?: copy_string(&c->name, name && *name == '/' ? name + 1 : name);
	r = r ?: take_request(c, cJSON_GetObjectItemCaseSensitive(
				cJSON_GetObjectItemCaseSensitive(root, "Config"), "Labels"));
	return r ? usm_error_oom(look->err) : 1;
}

/* ------------------------------------------------------------------ lookup */

static int try_candidate(const char *id, void *userdata)
{
	const struct look *look = userdata;
	int r;

	/* A path of a record is made of it. */
	if (id[0] == '.' || strchr(id, '/'))
		return 0;
	r = *look->paths->crun ? crun_find(look, id) : 0;
	if (!r && *look->paths->podman && *look->paths->podman_run)
		r = podman_find(look, id);
	if (!r && *look->paths->containerd)
		r = containerd_find(look, id);
	if (!r && *look->paths->docker)
		r = docker_find(look, id);
	return r;
}

int usm_runtime_find(const struct usm_runtime_paths *paths, const char *path,
		     usm_runtime_cgroup_fn *cgroup_of, struct usm_runtime_container *container,
		     struct usm_error *err)
{
	cleanup_runtime_container struct usm_runtime_container found = {};
	struct look look = {
		.paths = paths,
		.cgroup = path,
		.cgroup_of = cgroup_of,
		.container = &found,
		.err = err,
	};
	int r;

	r = usm_cgpath_candidates(usm_cgpath_last(path), try_candidate, &look);
	if (r > 0) {
		*container = found;
		found = (struct usm_runtime_container){};
	}
	return r;
}

/* 1: there, 0: not there (or not for us to see), negative: unusable. */
static int xattr_read(int fd, const char *name, const char *path, char **value,
		      struct usm_error *err)
{
	/* One more than an annotation may have, so that its length is refused there. */
	char text[USM_ANNOTATION_MAX_BYTES + 1];
	ssize_t n = fgetxattr(fd, name, text, sizeof(text));

	if (n < 0 && errno == ERANGE)
		return usm_error_set(err, EMSGSIZE, "%s of %s is longer than %d bytes", name,
				     path, USM_ANNOTATION_MAX_BYTES);
	if (n < 0)
		return 0;
	if (memchr(text, '\0', n))
		return usm_error_set(err, EBADMSG, "%s of %s holds a NUL", name, path);
	*value = strndup(text, n);
	return *value ? 1 : usm_error_oom(err);
}

int usm_runtime_find_xattr(int fd, const char *path, struct usm_runtime_container *container,
			   struct usm_error *err)
{
	cleanup_runtime_container struct usm_runtime_container found = { .runtime = "cgroup" };
	int r;

	r = xattr_read(fd, XATTR_POLICY, path, &found.annotation, err);
	if (r <= 0)
		return r;
	r = xattr_read(fd, XATTR_REQUIRED, path, &found.required, err);
	if (r < 0)
		return r;
	if (copy_string(&found.id, usm_cgpath_last(path)) < 0)
		return usm_error_oom(err);
	*container = found;
	found = (struct usm_runtime_container){};
	return 1;
}

char *usm_runtime_name(const struct usm_runtime_paths *paths, const char *id)
{
	cleanup_free char *path = NULL;
	cleanup_json cJSON *root = NULL;
	const cJSON *entry;

	if (!*paths->podman || asprintf(&path, "%s/containers.json", paths->podman) < 0 ||
	    record_read(path, &root, NULL) < 0)
		return NULL;
	cJSON_ArrayForEach(entry, root) {
		const char *entry_id = string_of(entry, "id");
		const cJSON *names = cJSON_GetObjectItemCaseSensitive(entry, "names");
		const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(names, 0));

		if (entry_id && name && !strcmp(entry_id, id))
			return strdup(name);
	}
	return NULL;
}

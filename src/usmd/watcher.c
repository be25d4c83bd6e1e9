// SPDX-License-Identifier: GPL-2.0-or-later
#include "watcher.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "log.h"
#include "tree.h"

#define MASK	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | \
		 IN_DELETE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK)

/* A burst of this size is read at once; the rest waits for the next turn of the loop. */
#define READ_SIZE	(64 * (sizeof(struct inotify_event) + NAME_MAX + 1))

/*
 * How often a name that keeps being replaced under our hands is tried again
 * before it is left to the event that each replacement brings anyway.
 */
#define REPLACE_TRIES	3

struct usm_watcher {
	struct usm_tree *tree;
	sd_event_source *source;
	char *root;
	const struct usm_watcher_callbacks *callbacks;
	void *userdata;
	size_t max;
	int fd;
	bool told_limit;
};

static char *full_path(const struct usm_watcher *w, const char *path, const char *name)
{
	char *full;

	if (asprintf(&full, "%s%s%s%s", w->root, path[1] ? path : "", name ? "/" : "",
		     name ?: "") < 0)
		return NULL;
	return full;
}

static void tell(struct usm_watcher *w, struct usm_tree_node *node,
		 void (*callback)(const char *path, uint64_t id, void *userdata))
{
	cleanup_free char *path = usm_tree_path(node);

	if (path)
		callback(path, usm_tree_inode(node), w->userdata);
	else
		usm_log_line(LOG_ERR, "Out of memory: a change of the cgroup tree was missed");
}

static void node_gone(struct usm_tree_node *node, void *userdata)
{
	struct usm_watcher *w = userdata;

	/* Fails when the kernel took the watch away by itself. */
	inotify_rm_watch(w->fd, usm_tree_wd(node));
	tell(w, node, w->callbacks->gone);
}

static void tell_limit(struct usm_watcher *w)
{
	if (!w->told_limit)
		usm_log_line(LOG_WARNING,
			     "More than %zu cgroups: further ones are not watched, and of "
			     "containers in them only the OCI hook can tell", w->max);
	w->told_limit = true;
}

/*
 * Watch one directory. 1: it is new, its children have to be looked at; 0: known
 * (*node is set) or not there any more; negative: cannot go on.
 */
static int directory_enter(struct usm_watcher *w, struct usm_tree_node *parent,
			   const char *name, struct usm_tree_node **node)
{
	cleanup_free char *path = parent ? usm_tree_path(parent) : strdup("/");
	cleanup_free char *full = NULL;

	if (path)
		full = full_path(w, path, parent ? name : NULL);
	if (!full)
		return -ENOMEM;

	for (unsigned int tries = 0; tries < REPLACE_TRIES; tries++) {
		struct stat before, after;
		int wd, r;

		if (lstat(full, &before) < 0 || !S_ISDIR(before.st_mode))
			return 0;
		wd = inotify_add_watch(w->fd, full, MASK);
		if (wd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
			return 0;
		if (wd < 0)
			return -errno;
		/* Replaced between the two: which one do we watch? Look again. */
		if (lstat(full, &after) < 0 || before.st_ino != after.st_ino) {
			if (!usm_tree_find(w->tree, wd))
				inotify_rm_watch(w->fd, wd);
			continue;
		}
		if (!usm_tree_find(w->tree, wd) && usm_tree_size(w->tree) >= w->max) {
			inotify_rm_watch(w->fd, wd);
			tell_limit(w);
			return 0;
		}
		r = usm_tree_enter(w->tree, parent, name, wd, before.st_ino, node);
		if (r == USM_TREE_ADDED) {
			tell(w, *node, w->callbacks->found);
			return 1;
		}
		if (r != USM_TREE_REPLACED)
			return r;
		usm_tree_remove(w->tree, *node, node_gone, w);
		*node = NULL;
	}
	return 0;
}

/*
 * Watch first, then scan: what appears between the two is seen twice, which the
 * tree sorts out; the other way round it would not be seen at all. Walks without
 * recursion, since how deep the tree is nested is up to others.
 */
struct walk {
	int *wds;
	size_t count, capacity;
};

static int walk_push(struct walk *walk, const struct usm_tree_node *node)
{
	if (walk->count == walk->capacity) {
		size_t more = walk->capacity ? walk->capacity * 2 : 64;
		int *grown = realloc(walk->wds, more * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		walk->wds = grown;
		walk->capacity = more;
	}
	walk->wds[walk->count++] = usm_tree_wd(node);
	return 0;
}

static int children_enter(struct usm_watcher *w, int wd, bool known_too, struct walk *walk)
{
	struct usm_tree_node *parent = usm_tree_find(w->tree, wd);
	cleanup_free char *path = parent ? usm_tree_path(parent) : NULL;
	cleanup_free char *full = NULL;
	cleanup_dir DIR *dir = NULL;
	struct dirent *entry;

	if (!parent)
		return 0;
	if (path)
		full = full_path(w, path, NULL);
	if (!full)
		return -ENOMEM;
	dir = opendir(full);
	if (!dir)
		return errno == ENOENT || errno == EACCES ? 0 : -errno;

	while ((entry = readdir(dir))) {
		struct usm_tree_node *node = NULL;
		int r;

		if (entry->d_name[0] == '.' &&
		    (!entry->d_name[1] || !strcmp(entry->d_name, "..")))
			continue;
		if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
			continue;
		r = directory_enter(w, parent, entry->d_name, &node);
		if (r < 0)
			return r;
		if (r || (known_too && node))
			r = walk_push(walk, node);
		if (r < 0)
			return r;
	}
	return 0;
}

static int subtree_enter(struct usm_watcher *w, struct usm_tree_node *top, bool known_too)
{
	struct walk walk = {};
	int r;

	r = walk_push(&walk, top);
	while (!r && walk.count)
		r = children_enter(w, walk.wds[--walk.count], known_too, &walk);
	free(walk.wds);
	return r;
}

int usm_watcher_rescan(struct usm_watcher *w, struct usm_error *err)
{
	struct usm_tree_node *root = NULL;
	int r;

	usm_tree_scan_begin(w->tree);
	r = directory_enter(w, NULL, "", &root);
	if (r >= 0 && !root)
		return usm_error_errno(err, ENOENT, "the cgroup tree at %s", w->root);
	if (r >= 0)
		r = subtree_enter(w, root, true);
	if (r < 0)
		return usm_error_errno(err, -r, "the cgroup tree at %s cannot be watched", w->root);
	usm_tree_scan_end(w->tree, node_gone, w);
	return 0;
}

/* A directory of this name was made or moved here. */
static int child_appeared(struct usm_watcher *w, struct usm_tree_node *parent, const char *name)
{
	struct usm_tree_node *node = NULL;
	int r = directory_enter(w, parent, name, &node);

	return r > 0 ? subtree_enter(w, node, false) : r;
}

/*
 * A directory of this name was removed, at some time: there may be another one
 * by now, which a scan found before we came to read this.
 */
static void child_disappeared(struct usm_watcher *w, struct usm_tree_node *parent,
			      const char *name)
{
	struct usm_tree_node *node = usm_tree_child(parent, name);
	cleanup_free char *path = node ? usm_tree_path(node) : NULL;
	cleanup_free char *full = path ? full_path(w, path, NULL) : NULL;
	struct stat st;

	if (!node)
		return;
	if (full && !lstat(full, &st) && st.st_ino == usm_tree_inode(node))
		return;
	usm_tree_remove(w->tree, node, node_gone, w);
}

static int handle(struct usm_watcher *w, const struct inotify_event *ev)
{
	struct usm_tree_node *node;

	if (ev->mask & IN_Q_OVERFLOW) {
		cleanup_error struct usm_error err = {};
		int r = usm_watcher_rescan(w, &err);

		usm_log_line(LOG_NOTICE, "Events of the cgroup tree were lost; it was scanned anew");
		if (r < 0)
			usm_log_line(LOG_ERR, "%s", usm_error_message(&err));
		return r;
	}
	node = usm_tree_find(w->tree, ev->wd);
	if (!node)
		return 0;	/* of a watch that we have given up */

	if (ev->mask & IN_IGNORED) {
		usm_tree_remove(w->tree, node, node_gone, w);
	} else if (!(ev->mask & IN_ISDIR)) {
		return 0;	/* a file of cgroupfs */
	} else if (ev->mask & (IN_CREATE | IN_MOVED_TO)) {
		return child_appeared(w, node, ev->name);
	} else if (ev->mask & (IN_DELETE | IN_MOVED_FROM)) {
		child_disappeared(w, node, ev->name);
	} else if ((ev->mask & IN_ATTRIB) && !ev->len) {
		tell(w, node, w->callbacks->changed);
	}
	return 0;
}

static int on_inotify(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	char buffer[READ_SIZE] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct usm_watcher *w = userdata;
	ssize_t n = read(fd, buffer, sizeof(buffer));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (char *at = buffer; at < buffer + n;) {
		const struct inotify_event *ev = (const void *)at;
		int r = handle(w, ev);

		/* One directory that cannot be watched must not cost us the others. */
		if (r < 0)
			usm_log_line(LOG_ERR, "A change of the cgroup tree was missed: %s",
				     strerror(-r));
		at += sizeof(*ev) + ev->len;
	}
	return 0;
}

int usm_watcher_new(struct usm_watcher **out, sd_event *event, const char *root, size_t max,
		    const struct usm_watcher_callbacks *callbacks, void *userdata,
		    struct usm_error *err)
{
	struct usm_watcher *w = calloc(1, sizeof(*w));
	size_t length = strlen(root);
	int r;

	if (!w)
		return usm_error_oom(err);
	while (length > 1 && root[length - 1] == '/')
		length--;
	w->root = strndup(root, length);
	w->tree = usm_tree_new();
	w->callbacks = callbacks;
	w->userdata = userdata;
	w->max = max;
	w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (!w->root || !w->tree)
		r = usm_error_oom(err);
	else if (w->fd < 0)
		r = usm_error_errno(err, errno, "inotify");
	else
		r = usm_watcher_rescan(w, err);
	if (r < 0)
		goto fail;

	r = sd_event_add_io(event, &w->source, w->fd, EPOLLIN, on_inotify, w);
	if (r < 0) {
		r = usm_error_errno(err, -r, "the cgroup tree at %s cannot be watched", root);
		goto fail;
	}
	sd_event_source_set_description(w->source, "cgroup-watcher");
	*out = w;
	return 0;
fail:
	usm_watcher_free(w);
	return r;
}

void usm_watcher_free(struct usm_watcher *w)
{
	if (!w)
		return;
	sd_event_source_disable_unref(w->source);
	usm_tree_free(w->tree);
	usm_close(&w->fd);
	free(w->root);
	free(w);
}

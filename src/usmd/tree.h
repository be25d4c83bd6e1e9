/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the watcher knows of the cgroup tree: one node a watched directory. Pure
 * bookkeeping; watcher.c asks the kernel and does what is decided here.
 *
 * A node is known by its watch descriptor and by its inode number, which is the
 * cgroup's id and tells a cgroup from a later one of the same name.
 */
#ifndef USMD_TREE_H
#define USMD_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct usm_tree;
struct usm_tree_node;

struct usm_tree *usm_tree_new(void);
void usm_tree_free(struct usm_tree *tree);

size_t usm_tree_size(const struct usm_tree *tree);

/* NULL: unknown. */
struct usm_tree_node *usm_tree_find(const struct usm_tree *tree, int wd);
struct usm_tree_node *usm_tree_child(const struct usm_tree_node *parent, const char *name);
struct usm_tree_node *usm_tree_root(const struct usm_tree *tree);
struct usm_tree_node *usm_tree_parent(const struct usm_tree_node *node);

int usm_tree_wd(const struct usm_tree_node *node);
uint64_t usm_tree_inode(const struct usm_tree_node *node);

/* "/" for the root; otherwise "/a/b". NULL without memory; to be freed. */
char *usm_tree_path(const struct usm_tree_node *node);

enum usm_tree_outcome {
	USM_TREE_KNOWN = 0,	/* the same cgroup as before: nothing to do */
	USM_TREE_ADDED = 1,	/* new */
	USM_TREE_REPLACED = 2,	/* `name` is another cgroup now: remove *node, add again */
};

/*
 * Enter a directory. *node is the node that is there after ADDED and KNOWN, and
 * the one that is gone after REPLACED (nothing was entered then). `parent` NULL:
 * the root. Negative: -ENOMEM.
 */
int usm_tree_enter(struct usm_tree *tree, struct usm_tree_node *parent, const char *name,
		   int wd, uint64_t inode, struct usm_tree_node **node);

/*
 * Take a node out with all below it; `gone` is called for each, the deepest
 * first, while its path can still be told.
 */
typedef void usm_tree_gone_fn(struct usm_tree_node *node, void *userdata);
void usm_tree_remove(struct usm_tree *tree, struct usm_tree_node *node,
		     usm_tree_gone_fn *gone, void *userdata);

/*
 * For a scan after lost events: begin, enter whatever is there, end. What was
 * not entered in between is removed.
 */
void usm_tree_scan_begin(struct usm_tree *tree);
void usm_tree_scan_end(struct usm_tree *tree, usm_tree_gone_fn *gone, void *userdata);

#endif /* USMD_TREE_H */

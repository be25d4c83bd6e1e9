// SPDX-License-Identifier: GPL-2.0-or-later
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <uthash.h>

struct usm_tree_node {
	struct usm_tree_node *parent;
	LIST_HEAD(, usm_tree_node) children;
	LIST_ENTRY(usm_tree_node) siblings;
	TAILQ_ENTRY(usm_tree_node) order;
	UT_hash_handle hh;	/* by wd */
	uint64_t inode;
	uint32_t scan;		/* the scan that saw it last */
	int wd;
	char name[];
};

TAILQ_HEAD(node_order, usm_tree_node);

struct usm_tree {
	struct usm_tree_node *root;
	struct usm_tree_node *nodes;
	struct node_order order;	/* as entered: a parent before its children */
	uint32_t scan;
};

struct usm_tree *usm_tree_new(void)
{
	struct usm_tree *tree = calloc(1, sizeof(*tree));

	if (tree)
		TAILQ_INIT(&tree->order);
	return tree;
}

void usm_tree_free(struct usm_tree *tree)
{
	if (!tree)
		return;
	if (tree->root)
		usm_tree_remove(tree, tree->root, NULL, NULL);
	free(tree);
}

size_t usm_tree_size(const struct usm_tree *tree)
{
	return HASH_COUNT(tree->nodes);
}

struct usm_tree_node *usm_tree_find(const struct usm_tree *tree, int wd)
{
	struct usm_tree_node *node;

	HASH_FIND_INT(tree->nodes, &wd, node);
	return node;
}

struct usm_tree_node *usm_tree_child(const struct usm_tree_node *parent, const char *name)
{
	struct usm_tree_node *node;

	LIST_FOREACH(node, &parent->children, siblings)
		if (!strcmp(node->name, name))
			return node;
	return NULL;
}

struct usm_tree_node *usm_tree_root(const struct usm_tree *tree)
{
	return tree->root;
}

struct usm_tree_node *usm_tree_parent(const struct usm_tree_node *node)
{
	return node->parent;
}

int usm_tree_wd(const struct usm_tree_node *node)
{
	return node->wd;
}

uint64_t usm_tree_inode(const struct usm_tree_node *node)
{
	return node->inode;
}

char *usm_tree_path(const struct usm_tree_node *node)
{
	const struct usm_tree_node *at;
	size_t length = 0;
	char *path, *end;

	if (!node->parent)
		return strdup("/");
	for (at = node; at->parent; at = at->parent)
		length += 1 + strlen(at->name);
	path = malloc(length + 1);
	if (!path)
		return NULL;
	end = path + length;
	*end = '\0';
	for (at = node; at->parent; at = at->parent) {
		size_t n = strlen(at->name);

		end -= n;
		memcpy(end, at->name, n);
		*--end = '/';
	}
	return path;
}

int usm_tree_enter(struct usm_tree *tree, struct usm_tree_node *parent, const char *name,
		   int wd, uint64_t inode, struct usm_tree_node **out)
{
	struct usm_tree_node *node = parent ? usm_tree_child(parent, name) : tree->root;

	if (node) {
		*out = node;
		if (node->wd != wd || node->inode != inode)
			return USM_TREE_REPLACED;
		node->scan = tree->scan;
		return USM_TREE_KNOWN;
	}

	/* The kernel gave out this wd anew: its last owner's end was not told. */
	node = usm_tree_find(tree, wd);
	if (node) {
		*out = node;
		return USM_TREE_REPLACED;
	}

	node = calloc(1, sizeof(*node) + strlen(name) + 1);
	if (!node)
		return -ENOMEM;
	strcpy(node->name, name);
	node->parent = parent;
	node->wd = wd;
	node->inode = inode;
	node->scan = tree->scan;
	LIST_INIT(&node->children);
	if (parent)
		LIST_INSERT_HEAD(&parent->children, node, siblings);
	else
		tree->root = node;
	TAILQ_INSERT_TAIL(&tree->order, node, order);
	HASH_ADD_INT(tree->nodes, wd, node);
	*out = node;
	return USM_TREE_ADDED;
}

static struct usm_tree_node *deepest(struct usm_tree_node *node)
{
	while (!LIST_EMPTY(&node->children))
		node = LIST_FIRST(&node->children);
	return node;
}

/* Not recursive: how deep cgroups are nested is up to whoever owns them. */
void usm_tree_remove(struct usm_tree *tree, struct usm_tree_node *top,
		     usm_tree_gone_fn *gone, void *userdata)
{
	struct usm_tree_node *node;

	do {
		node = deepest(top);
		if (gone)
			gone(node, userdata);
		HASH_DEL(tree->nodes, node);
		TAILQ_REMOVE(&tree->order, node, order);
		if (node->parent)
			LIST_REMOVE(node, siblings);
		else
			tree->root = NULL;
		if (node == top)
			top = NULL;
		free(node);
	} while (top);
}

void usm_tree_scan_begin(struct usm_tree *tree)
{
	tree->scan++;
}

void usm_tree_scan_end(struct usm_tree *tree, usm_tree_gone_fn *gone, void *userdata)
{
	struct usm_tree_node *node, *before;

	/*
	 * From the last one entered: children come before their parents, and a
	 * scan that missed a node missed all below it. So each is a leaf when its
	 * turn comes, and `before` stays valid.
	 */
	for (node = TAILQ_LAST(&tree->order, node_order); node; node = before) {
		before = TAILQ_PREV(node, node_order, order);
		if (node->scan != tree->scan)
			usm_tree_remove(tree, node, gone, userdata);
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "suite.h"
#include "tree.h"

static struct usm_tree_node *enter(struct usm_tree *tree, struct usm_tree_node *parent,
				   const char *name, int wd, uint64_t inode, int outcome)
{
	struct usm_tree_node *node = NULL;

	ck_assert_int_eq(usm_tree_enter(tree, parent, name, wd, inode, &node), outcome);
	ck_assert_ptr_nonnull(node);
	return node;
}

static void path_is(const struct usm_tree_node *node, const char *expected)
{
	char *path = usm_tree_path(node);

	ck_assert_str_eq(path, expected);
	free(path);
}

/* The paths that are gone, each followed by a space. */
static void gone(struct usm_tree_node *node, void *userdata)
{
	char *path = usm_tree_path(node);

	strcat(userdata, path);
	strcat(userdata, " ");
	free(path);
}

START_TEST(test_enter)
{
	struct usm_tree *tree = usm_tree_new();
	struct usm_tree_node *root = enter(tree, NULL, "", 1, 10, USM_TREE_ADDED);
	struct usm_tree_node *a = enter(tree, root, "a", 2, 20, USM_TREE_ADDED);
	struct usm_tree_node *b = enter(tree, a, "b", 3, 30, USM_TREE_ADDED);

	path_is(root, "/");
	path_is(b, "/a/b");
	ck_assert_ptr_eq(usm_tree_find(tree, 3), b);
	ck_assert_ptr_eq(usm_tree_child(root, "a"), a);
	ck_assert_ptr_null(usm_tree_child(root, "b"));
	ck_assert_ptr_null(usm_tree_find(tree, 4));
	ck_assert_uint_eq(usm_tree_inode(b), 30);
	ck_assert_ptr_eq(usm_tree_parent(b), a);

	/* seen twice, by the watch and by the scan */
	ck_assert_ptr_eq(enter(tree, a, "b", 3, 30, USM_TREE_KNOWN), b);
	ck_assert_uint_eq(usm_tree_size(tree), 3);
	usm_tree_free(tree);
}
END_TEST

START_TEST(test_replaced)
{
	struct usm_tree *tree = usm_tree_new();
	struct usm_tree_node *root = enter(tree, NULL, "", 1, 10, USM_TREE_ADDED);
	struct usm_tree_node *old = enter(tree, root, "a", 2, 20, USM_TREE_ADDED);
	char seen[64] = "";

	/* removed and made again before we came to read of either */
	ck_assert_ptr_eq(enter(tree, root, "a", 3, 21, USM_TREE_REPLACED), old);
	usm_tree_remove(tree, old, gone, seen);
	ck_assert_str_eq(seen, "/a ");
	enter(tree, root, "a", 3, 21, USM_TREE_ADDED);

	/* the kernel gave the watch descriptor to another directory */
	old = usm_tree_find(tree, 3);
	ck_assert_ptr_eq(enter(tree, root, "z", 3, 40, USM_TREE_REPLACED), old);
	usm_tree_free(tree);
}
END_TEST

START_TEST(test_remove_subtree)
{
	struct usm_tree *tree = usm_tree_new();
	struct usm_tree_node *root = enter(tree, NULL, "", 1, 10, USM_TREE_ADDED);
	struct usm_tree_node *a = enter(tree, root, "a", 2, 20, USM_TREE_ADDED);
	char seen[64] = "";

	enter(tree, enter(tree, a, "b", 3, 30, USM_TREE_ADDED), "c", 4, 40, USM_TREE_ADDED);
	enter(tree, root, "x", 5, 50, USM_TREE_ADDED);
	usm_tree_remove(tree, a, gone, seen);
	ck_assert_str_eq(seen, "/a/b/c /a/b /a ");
	ck_assert_uint_eq(usm_tree_size(tree), 2);
	usm_tree_remove(tree, root, NULL, NULL);
	ck_assert_ptr_null(usm_tree_root(tree));
	usm_tree_free(tree);
}
END_TEST

START_TEST(test_scan)
{
	struct usm_tree *tree = usm_tree_new();
	struct usm_tree_node *root = enter(tree, NULL, "", 1, 10, USM_TREE_ADDED);
	struct usm_tree_node *a = enter(tree, root, "a", 2, 20, USM_TREE_ADDED);
	struct usm_tree_node *b = enter(tree, root, "b", 3, 30, USM_TREE_ADDED);
	char seen[64] = "";

	enter(tree, a, "a1", 4, 40, USM_TREE_ADDED);
	enter(tree, b, "b1", 5, 50, USM_TREE_ADDED);

	/* b is gone with what was in it, b2 is new */
	usm_tree_scan_begin(tree);
	enter(tree, NULL, "", 1, 10, USM_TREE_KNOWN);
	enter(tree, root, "a", 2, 20, USM_TREE_KNOWN);
	enter(tree, a, "a1", 4, 40, USM_TREE_KNOWN);
	enter(tree, root, "b2", 6, 60, USM_TREE_ADDED);
	usm_tree_scan_end(tree, gone, seen);
	ck_assert_str_eq(seen, "/b/b1 /b ");
	ck_assert_uint_eq(usm_tree_size(tree), 4);
	usm_tree_free(tree);
}
END_TEST

/* As deep as somebody who wants to hurt us may nest a delegated tree. */
START_TEST(test_deep)
{
	struct usm_tree *tree = usm_tree_new();
	struct usm_tree_node *node = enter(tree, NULL, "", 1, 1, USM_TREE_ADDED);

	for (int i = 2; i < 50000; i++)
		node = enter(tree, node, "d", i, i, USM_TREE_ADDED);
	usm_tree_scan_begin(tree);
	usm_tree_scan_end(tree, NULL, NULL);
	ck_assert_uint_eq(usm_tree_size(tree), 0);
	usm_tree_free(tree);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tree");

	suite_add(suite, "enter", test_enter);
	suite_add(suite, "replaced", test_replaced);
	suite_add(suite, "remove-subtree", test_remove_subtree);
	suite_add(suite, "scan", test_scan);
	suite_add(suite, "deep", test_deep);
	return suite_run(suite);
}

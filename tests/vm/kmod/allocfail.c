// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * allocfail: make each allocation of a module fail in turn, as if memory had run out.
 *
 *	insmod allocfail.ko module=usm functions=vmalloc_user:0,ida_alloc_range:-12
 *
 * Loaded before `module`, whose text it looks through for calls of `functions`; the number
 * is what a call returns that is made to fail. Each call is a site. /proc/allocfail has a
 * line for each: number, function that it is in, what it calls, how often it was reached and
 * how often it failed. Write "LIST FIRST EVERY" to /proc/allocfail to let the sites of a
 * list (1,3-5) fail when they are reached for the FIRST time from now on, and at each EVERYth
 * time after that (0: never); an empty list: none.
 */
#include <linux/bitmap.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>
#include <asm/ibt.h>
#include <asm/linkage.h>

#define MAX_FUNCTIONS	32
#define MAX_SITES	128
#define NAME_LEN	64

#define OP_CALL		0xe8
#define OP_JMP		0xe9
#define OP_LEN		5
#define ENDBR_LEN	4

static char *module = "usm";
module_param(module, charp, 0400);
static char *functions[MAX_FUNCTIONS];
static int nr_functions;
module_param_array(functions, charp, &nr_functions, 0400);

struct function {
	struct kprobe probe;
	char name[NAME_LEN];
	long result;
};

struct site {
	unsigned long at;		/* behind the call; of a jump, where it is */
	const struct function *function;
	bool jump;
	char name[NAME_LEN];
	atomic_t reached;
	atomic_t failed;
	atomic_t tries;			/* since the last order */
};

static struct function probed[MAX_FUNCTIONS];
static struct site sites[MAX_SITES];
static unsigned int nr_sites;
/* Calls from the module that belong to no site: there must be none. */
static atomic_t strays = ATOMIC_INIT(0);

struct text_range {
	unsigned long start;
	unsigned long end;
};
static struct text_range text[2];

static DECLARE_BITMAP(ordered, MAX_SITES);
static unsigned int first = 1, every;

/* Where a probed function "returns" from: the stack is as at its entry. */
void allocfail_return(void);
asm(".pushsection .text\n"
    ".type allocfail_return, @function\n"
    ".globl allocfail_return\n"
    "allocfail_return:\n"
    ASM_ENDBR
    ASM_RET
    ".size allocfail_return, .-allocfail_return\n"
    ".popsection\n");

static bool in_text(unsigned long at)
{
	return (at >= text[0].start && at < text[0].end) ||
	       (at >= text[1].start && at < text[1].end);
}

/* -------------------------------------------------------------------- the sites */

static unsigned long target(unsigned long at)
{
	return at + OP_LEN + *(s32 *)(at + 1);
}

static const struct function *function_called(unsigned long at)
{
	int i;

	for (i = 0; i < nr_functions; i++) {
		unsigned long entry = (unsigned long)probed[i].probe.addr;

		/* A probe of a function that begins with endbr lies behind that. */
		if (target(at) == entry || target(at) == entry - ENDBR_LEN)
			return &probed[i];
	}
	return NULL;
}

static void site_found(unsigned int n, unsigned long at, const struct function *function)
{
	char name[KSYM_SYMBOL_LEN], *rest = name;
	struct site *site = &sites[n];

	site->jump = *(u8 *)at == OP_JMP;
	site->at = site->jump ? at : at + OP_LEN;
	site->function = function;
	sprint_symbol_no_offset(name, at);
	/* Without the name of the module. */
	strscpy(site->name, strsep(&rest, " "), sizeof(site->name));
}

static void sites_find(void)
{
	unsigned int n = 0, i;
	unsigned long at;

	for (i = 0; i < ARRAY_SIZE(text); i++) {
		for (at = text[i].start; at + OP_LEN <= text[i].end; at++) {
			const struct function *function;

			if (*(u8 *)at != OP_CALL && *(u8 *)at != OP_JMP)
				continue;
			function = function_called(at);
			if (!function)
				continue;
			if (n == MAX_SITES) {
				pr_err("allocfail: more than %u sites\n", n);
				return;
			}
			site_found(n++, at, function);
		}
	}
	if (nr_sites && n != nr_sites)
		pr_err("allocfail: %u sites, and %u before\n", n, nr_sites);
	nr_sites = n;
}

static bool is_core(const struct module *mod, unsigned long at)
{
	return within_module_core(at, mod);
}

static bool is_init(const struct module *mod, unsigned long at)
{
	return within_module_init(at, mod);
}

/* All that the module has in one piece around a function of it: at least its text. */
static struct text_range range_around(const struct module *mod, unsigned long at,
				 bool (*is_in)(const struct module *mod, unsigned long at))
{
	struct text_range range = { .start = at & PAGE_MASK, .end = at & PAGE_MASK };

	while (is_in(mod, range.end))
		range.end += PAGE_SIZE;
	while (range.end > range.start && is_in(mod, range.start - 1))
		range.start -= PAGE_SIZE;
	return range;
}

static int on_module(struct notifier_block *block, unsigned long action, void *data)
{
	struct module *mod = data;

	if (strcmp(mod->name, module))
		return NOTIFY_DONE;
	switch (action) {
	case MODULE_STATE_COMING:
		text[0] = range_around(mod, (unsigned long)mod->exit, is_core);
		text[1] = range_around(mod, (unsigned long)mod->init, is_init);
		sites_find();
		break;
	case MODULE_STATE_LIVE:
		text[1] = (struct text_range){ 0 };
		break;
	case MODULE_STATE_GOING:
		memset(text, 0, sizeof(text));
		break;
	}
	return NOTIFY_OK;
}

static struct notifier_block module_notifier = { .notifier_call = on_module };

/* ------------------------------------------------------------------- the probes */

/* A jump leaves no trace but the call of the function that it ends. */
static struct site *site_jumped(unsigned long at, const struct function *function)
{
	unsigned int i;

	if (*(u8 *)(at - OP_LEN) != OP_CALL || !in_text(target(at - OP_LEN)))
		return NULL;
	for (i = 0; i < nr_sites; i++)
		if (sites[i].jump && sites[i].function == function &&
		    sites[i].at >= target(at - OP_LEN))
			return &sites[i];
	return NULL;
}

static struct site *site_of(unsigned long at, const struct function *function)
{
	unsigned int i;

	for (i = 0; i < nr_sites; i++)
		if (sites[i].at == at && sites[i].function == function && !sites[i].jump)
			return &sites[i];
	return site_jumped(at, function);
}

static int on_call(struct kprobe *probe, struct pt_regs *regs)
{
	const struct function *function = container_of(probe, struct function, probe);
	unsigned long from = *(unsigned long *)regs->sp;
	unsigned int try;
	struct site *site;

	if (!in_text(from))
		return 0;
	site = site_of(from, function);
	if (!site) {
		atomic_inc(&strays);
		return 0;
	}
	atomic_inc(&site->reached);
	if (!test_bit(site - sites, ordered))
		return 0;
	try = atomic_inc_return(&site->tries);
	if (try < first || (try > first && (!every || (try - first) % every)))
		return 0;
	atomic_inc(&site->failed);
	regs->ax = function->result;
	regs->ip = (unsigned long)allocfail_return;
	return 1;
}

/* That there is one keeps the kernel from making a jump of the probe, which cannot return. */
static void after_call(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static void unregister_first(int nr)
{
	while (nr--)
		unregister_kprobe(&probed[nr].probe);
}

static int function_probe(struct function *function, char *argument)
{
	char *name = strsep(&argument, ":");
	int err = argument ? kstrtol(argument, 0, &function->result) : 0;

	if (err)
		return err;
	strscpy(function->name, name, sizeof(function->name));
	function->probe.symbol_name = function->name;
	function->probe.pre_handler = on_call;
	function->probe.post_handler = after_call;
	return register_kprobe(&function->probe);
}

/* -------------------------------------------------------------------- the orders */

static int allocfail_show(struct seq_file *file, void *unused)
{
	unsigned int i;

	for (i = 0; i < nr_sites; i++)
		seq_printf(file, "%u %s %s %d %d\n", i, sites[i].name, sites[i].function->name,
			   atomic_read(&sites[i].reached), atomic_read(&sites[i].failed));
	seq_printf(file, "strays %d\n", atomic_read(&strays));
	return 0;
}

static int allocfail_open(struct inode *inode, struct file *file)
{
	return single_open(file, allocfail_show, NULL);
}

static ssize_t allocfail_write(struct file *file, const char __user *from, size_t size,
			       loff_t *offset)
{
	unsigned int new_first, new_every, i;
	DECLARE_BITMAP(list, MAX_SITES);
	char line[256], *rest = line, *word;
	int err;

	if (size >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, from, size))
		return -EFAULT;
	line[size] = '\0';
	word = strsep(&rest, " ");
	if (!rest || sscanf(rest, "%u %u", &new_first, &new_every) != 2)
		return -EINVAL;
	err = bitmap_parselist(word, list, MAX_SITES);
	if (err)
		return err;
	bitmap_zero(ordered, MAX_SITES);
	for (i = 0; i < MAX_SITES; i++)
		atomic_set(&sites[i].tries, 0);
	first = new_first;
	every = new_every;
	bitmap_copy(ordered, list, MAX_SITES);
	return size;
}

static const struct proc_ops allocfail_ops = {
	.proc_open = allocfail_open,
	.proc_read = seq_read,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
	.proc_write = allocfail_write,
};

static int __init allocfail_init(void)
{
	int i, err;

	for (i = 0; i < nr_functions; i++) {
		err = function_probe(&probed[i], functions[i]);
		if (err) {
			pr_err("allocfail: %s: error %d\n", functions[i], err);
			unregister_first(i);
			return err;
		}
	}
	if (!proc_create("allocfail", 0600, NULL, &allocfail_ops)) {
		unregister_first(nr_functions);
		return -ENOMEM;
	}
	err = register_module_notifier(&module_notifier);
	if (err) {
		remove_proc_entry("allocfail", NULL);
		unregister_first(nr_functions);
	}
	return err;
}

static void __exit allocfail_exit(void)
{
	unregister_module_notifier(&module_notifier);
	remove_proc_entry("allocfail", NULL);
	unregister_first(nr_functions);
}

module_init(allocfail_init);
module_exit(allocfail_exit);

MODULE_DESCRIPTION("Failing allocations for the tests of usm.ko");
MODULE_LICENSE("GPL");

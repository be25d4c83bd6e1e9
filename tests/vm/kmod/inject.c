// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * inject: make functions of usm.ko fail, as if memory had run out. Debian's
 * kernels have no fault injection of their own. Each function in `functions`
 * returns 0 (NULL, false) instead of being called, at every `every`th call while
 * the caller is inside `within` (a function of usm.ko; empty: anywhere).
 *
 *	insmod inject.ko functions=usm_frame_get_now within=usm_fork_vma every=3
 *
 * `injected` counts.
 */
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <asm/ibt.h>
#include <asm/linkage.h>

#define MAX_FUNCTIONS	4
#define MAX_INSIDE	64

static char *functions[MAX_FUNCTIONS];
static int nr_functions;
module_param_array(functions, charp, &nr_functions, 0400);
static char *within = "";
module_param(within, charp, 0400);
static unsigned int every = 1;
module_param(every, uint, 0600);
static atomic_t calls = ATOMIC_INIT(0);
static atomic_t hits = ATOMIC_INIT(0);

static int injected_get(char *buffer, const struct kernel_param *kp)
{
	return sprintf(buffer, "%d\n", atomic_read(&hits));
}

static const struct kernel_param_ops injected_ops = { .get = injected_get };
module_param_cb(injected, &injected_ops, NULL, 0400);

/* Tasks inside `within` now; a full table only injects less. */
static struct task_struct *inside[MAX_INSIDE];

/* Where a probed function "returns" from: the stack is as at its entry. */
void inject_return(void);
asm(".pushsection .text\n"
    ".type inject_return, @function\n"
    ".globl inject_return\n"
    "inject_return:\n"
    ASM_ENDBR
    ASM_RET
    ".size inject_return, .-inject_return\n"
    ".popsection\n");

static bool is_inside(void)
{
	int i;

	/* What interrupts it, or is called by reclaim, is no caller of ours. */
	if (!in_task() || (current->flags & PF_MEMALLOC))
		return false;
	if (!*within)
		return true;
	for (i = 0; i < MAX_INSIDE; i++)
		if (READ_ONCE(inside[i]) == current)
			return true;
	return false;
}

static int inject_pre(struct kprobe *kprobe, struct pt_regs *regs)
{
	if (!is_inside() || atomic_inc_return(&calls) % READ_ONCE(every))
		return 0;
	atomic_inc(&hits);
	regs->ax = 0;
	regs->ip = (unsigned long)inject_return;
	return 1;
}

static int within_entry(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	int i;

	for (i = 0; i < MAX_INSIDE; i++)
		if (!cmpxchg(&inside[i], NULL, current))
			return 0;
	return 1;
}

static int within_exit(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	int i;

	for (i = 0; i < MAX_INSIDE; i++)
		if (cmpxchg(&inside[i], current, NULL) == current)
			break;
	return 0;
}

static struct kprobe probes[MAX_FUNCTIONS];
static struct kretprobe within_probe = {
	.entry_handler = within_entry,
	.handler = within_exit,
	.maxactive = MAX_INSIDE,
};

static void unregister_first(int nr)
{
	while (nr--)
		unregister_kprobe(&probes[nr]);
}

static int __init inject_init(void)
{
	int i, err;

	if (!nr_functions || !every)
		return -EINVAL;
	if (*within) {
		within_probe.kp.symbol_name = within;
		err = register_kretprobe(&within_probe);
		if (err) {
			pr_err("inject: %s: error %d\n", within, err);
			return err;
		}
	}
	for (i = 0; i < nr_functions; i++) {
		probes[i].symbol_name = functions[i];
		probes[i].pre_handler = inject_pre;
		err = register_kprobe(&probes[i]);
		if (err) {
			pr_err("inject: %s: error %d\n", functions[i], err);
			unregister_first(i);
			if (*within)
				unregister_kretprobe(&within_probe);
			return err;
		}
	}
	return 0;
}

static void __exit inject_exit(void)
{
	unregister_first(nr_functions);
	if (*within)
		unregister_kretprobe(&within_probe);
}

module_init(inject_init);
module_exit(inject_exit);

MODULE_DESCRIPTION("Failures for the tests of usm.ko");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks by symbol name, with ftrace: the nop at a function's entry becomes a call
 * while the module is loaded. x86-64.
 */
#include <linux/ftrace.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <asm/ptrace.h>

#include "regs.h"

static struct usm_hook_handlers usm_handlers;

/* System calls get their arguments by pointer: brk(0), 64 and 32 bit. */
static const struct pt_regs usm_brk_query;

/*
 * The registers of a function's arguments are there, and are loaded again from there, also
 * without FTRACE_OPS_FL_SAVE_REGS, which makes a call dearer by half.
 */
static __always_inline struct pt_regs *usm_hook_regs(struct ftrace_regs *fregs)
{
#ifdef USM_HAVE_FTRACE_REGS_ARCH
	return &arch_ftrace_regs(fregs)->regs;
#else
	return &fregs->regs;
#endif
}

static void notrace usm_on_mmap_region(unsigned long ip, unsigned long parent,
				       struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct pt_regs *regs = usm_hook_regs(fregs);
	struct file *file = usm_adopt_file(regs->di, regs->si, regs->cx, regs->r8);

	if (unlikely(file)) {
		regs->di = (unsigned long)file;
		regs->cx |= VM_SHARED | VM_MAYSHARE;
	}
}

static void notrace usm_on_brk64(unsigned long ip, unsigned long parent,
				 struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct pt_regs *regs = usm_hook_regs(fregs);

	if (usm_handlers.brk(((const struct pt_regs *)regs->di)->di))
		regs->di = (unsigned long)&usm_brk_query;
}

static void notrace usm_on_brk32(unsigned long ip, unsigned long parent,
				 struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct pt_regs *regs = usm_hook_regs(fregs);

	if (usm_handlers.brk((u32)((const struct pt_regs *)regs->di)->bx))
		regs->di = (unsigned long)&usm_brk_query;
}

/* The mm is their second argument. */
static void notrace usm_on_notifier(unsigned long ip, unsigned long parent,
				    struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	usm_handlers.watch((struct mm_struct *)usm_hook_regs(fregs)->si);
}

#ifdef USM_HAVE_VM_GUARD
static __always_inline void usm_on_walk(struct ftrace_regs *fregs, bool of_mm)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);
	struct usm_hook_args args = {
		.arg = { regs->di, regs->si, regs->dx, regs->cx, regs->r8 },
	};
	void *instead = usm_handlers.walk(&args, of_mm);

	if (!instead)
		return;
	regs->di = args.arg[USM_WALK_WHERE];
	regs->ip = (unsigned long)instead;
}

static void notrace usm_on_walk_vma(unsigned long ip, unsigned long parent,
				    struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	usm_on_walk(fregs, false);
}

static void notrace usm_on_walk_mm(unsigned long ip, unsigned long parent,
				   struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	usm_on_walk(fregs, true);
}
#endif

/* Permanent: kernel.ftrace_enabled cannot be cleared under them. */
#define USM_HOOK_FLAGS	FTRACE_OPS_FL_PERMANENT
#define USM_WALK_FLAGS	(USM_HOOK_FLAGS | FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY)

static struct {
	const char *symbol;
	struct ftrace_ops ops;
} usm_hooks[] = {
	{ "mmap_region", { .func = usm_on_mmap_region, .flags = USM_HOOK_FLAGS } },
	{ "__x64_sys_brk", { .func = usm_on_brk64, .flags = USM_HOOK_FLAGS } },
#ifdef CONFIG_IA32_EMULATION
	{ "__ia32_sys_brk", { .func = usm_on_brk32, .flags = USM_HOOK_FLAGS } },
#endif
	/* The first is what the others call, with the mmap lock held. */
	{ "__mmu_notifier_register", { .func = usm_on_notifier, .flags = USM_HOOK_FLAGS } },
	{ "mmu_notifier_register", { .func = usm_on_notifier, .flags = USM_HOOK_FLAGS } },
	{ "mmu_notifier_get_locked", { .func = usm_on_notifier, .flags = USM_HOOK_FLAGS } },
	{ "mmu_interval_notifier_insert", { .func = usm_on_notifier, .flags = USM_HOOK_FLAGS } },
	{ "mmu_interval_notifier_insert_locked",
	  { .func = usm_on_notifier, .flags = USM_HOOK_FLAGS } },
#ifdef USM_HAVE_VM_GUARD
	{ "walk_page_range_vma_unsafe",
	  { .func = usm_on_walk_vma, .flags = USM_WALK_FLAGS } },
	{ "walk_page_range_mm_unsafe",
	  { .func = usm_on_walk_mm, .flags = USM_WALK_FLAGS } },
#endif
};

static void usm_hooks_disarm_first(int nr)
{
	while (nr--) {
		unregister_ftrace_function(&usm_hooks[nr].ops);
		ftrace_free_filter(&usm_hooks[nr].ops);
	}
}

int usm_hooks_arm(const struct usm_hook_handlers *handlers)
{
	int i, err;

	usm_handlers = *handlers;
	for (i = 0; i < ARRAY_SIZE(usm_hooks); i++) {
		struct ftrace_ops *ops = &usm_hooks[i].ops;
		char *symbol = (char *)usm_hooks[i].symbol;

		err = ftrace_set_filter(ops, symbol, strlen(symbol), 1);
		if (!err)
			err = register_ftrace_function(ops);
		if (err) {
			pr_err("cannot hook %s: error %d%s\n", symbol, err,
			       err == -EBUSY ? " (is kernel.ftrace_enabled 0?)" : "");
			ftrace_free_filter(ops);
			usm_hooks_disarm_first(i);
			return err;
		}
	}
	return 0;
}

void usm_hooks_disarm(void)
{
	usm_hooks_disarm_first(ARRAY_SIZE(usm_hooks));
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory errors. memory_failure() leaves alone what is on no list of its own: it marks
 * a frame of ours and goes. So the module listens to what it was told, takes the page away
 * from whoever maps it, who gets SIGBUS on touching it, and gives up the frame.
 */
#include "mce.h"

#if defined(CONFIG_X86_MCE) && defined(CONFIG_MEMORY_FAILURE)
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/workqueue.h>
#include <asm/mce.h>
#include <asm/processor.h>

#include "domain.h"
#include "event.h"
#include "evict.h"
#include "frame.h"
#include "limbo.h"
#include "supply.h"
#include "trace.h"

#ifndef MCI_ADDR_PHYSADDR	/* before 6.5 (8a01ec97dc06) */
#define MCI_ADDR_PHYSADDR	GENMASK_ULL(boot_cpu_data.x86_phys_bits - 1, 0)
#endif

/* Errors that are being dealt with; of more of them at a time the kernel dies anyway. */
#define USM_MCE_MAX		64
/*
 * A page may be pinned, its mm's lock be held, its frame on its way through a fault: it is
 * tried so often, in all for some seconds. Then whoever touches it next finds out.
 */
#define USM_MCE_TRIES		200
#define USM_MCE_DELAY		(HZ / 50 ?: 1)

struct usm_mce {
	unsigned long pfn;
	unsigned int tries;
};

static DEFINE_SPINLOCK(usm_mce_lock);
static struct usm_mce usm_mces[USM_MCE_MAX];	/* tries: 0 where unused */
static void usm_mce_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(usm_mce_later, usm_mce_work);

/* False: try again. */
static bool usm_mce_frame(struct usm_domain *domain, u32 frame, struct page *page)
{
	struct usm_frame was = usm_frame_read(domain, frame);
	u64 key;

	if (!usm_frames_claim(domain, frame, 1)) {
		key = usm_evict_bad(domain, frame);
		if (key) {
			usm_event_post(domain, USM_EV_MEMORY_ERROR, was.space,
				       was.page & USM_PAGE_MASK, frame, 1, key);
			trace_usm_memory_error(domain, frame, was.space, was.page & USM_PAGE_MASK,
					       key);
		}
		/* It is on its way back, in a CPU's hand, or neither. */
		usm_limbo_flush(domain);
		usm_supply_let_go(domain);
		return false;
	}
	/* The host had it back meanwhile, and the frame has other memory. */
	if (usm_frame_page(domain, frame) != page) {
		usm_frames_unclaim(domain, frame, 1);
		return false;
	}
	usm_frames_set_dirty(domain, frame, 1);
	usm_frame_retire(domain, frame);
	usm_domain_kick(domain);
	return true;
}

/* One look at it. False: it is still somebody's. */
static bool usm_mce_handle(unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);
	struct usm_domain *domain;
	bool done;
	u32 frame;

	domain = page ? usm_domain_of_page(page, &frame) : NULL;
	if (!domain)
		return true;
	/* Nobody evicts, shares or hands it out from here on; the host will not either. */
	SetPageHWPoison(page);
	done = usm_mce_frame(domain, frame, page);
	usm_domain_unuse(domain);
	return done;
}

static void usm_mce_work(struct work_struct *work)
{
	bool again = false;
	int i;

	for (i = 0; i < USM_MCE_MAX; i++) {
		struct usm_mce *mce = &usm_mces[i];

		/* Only here it becomes 0. */
		if (!smp_load_acquire(&mce->tries))
			continue;
		if (usm_mce_handle(mce->pfn)) {
			smp_store_release(&mce->tries, 0);
			continue;
		}
		if (mce->tries == 1)
			pr_warn("page %#lx has bad memory and is in use: ignoring it until it "
				"comes back\n", mce->pfn);
		smp_store_release(&mce->tries, mce->tries - 1);
		again |= mce->tries;
	}
	if (again)
		queue_delayed_work(usm_wq, &usm_mce_later, USM_MCE_DELAY);
}

/* Of the chain of those that decode errors; it may sleep, but others wait for us. */
static int usm_mce_on_error(struct notifier_block *block, unsigned long unused, void *data)
{
	struct mce *mce = data;
	int i;

	if (!mce || !mce_usable_address(mce) || mce_is_correctable(mce))
		return NOTIFY_DONE;
	spin_lock(&usm_mce_lock);
	for (i = 0; i < USM_MCE_MAX; i++) {
		if (usm_mces[i].tries)
			continue;
		usm_mces[i].pfn = (mce->addr & MCI_ADDR_PHYSADDR) >> PAGE_SHIFT;
		smp_store_release(&usm_mces[i].tries, USM_MCE_TRIES);
		break;
	}
	spin_unlock(&usm_mce_lock);
	mod_delayed_work(usm_wq, &usm_mce_later, 0);
	return NOTIFY_DONE;
}

/* After memory_failure(), whose word to the processes comes first. */
static struct notifier_block usm_mce_block = {
	.notifier_call = usm_mce_on_error,
	.priority = MCE_PRIO_LOWEST,
};

void usm_mce_init(void)
{
	mce_register_decode_chain(&usm_mce_block);
}

void usm_mce_uninit(void)
{
	mce_unregister_decode_chain(&usm_mce_block);
	cancel_delayed_work_sync(&usm_mce_later);
}
#endif

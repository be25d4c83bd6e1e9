// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sampling: which pages were accessed since the last look, by the accessed bits of their
 * entries, which are cleared. What is found goes into the frame table as an age.
 */
#include <linux/bitmap.h>
#include <linux/mmap_lock.h>
#include <linux/sched/mm.h>

#include "domain.h"
#include "evict.h"
#include "frame.h"
#include "pte.h"
#include "sample.h"
#include "space.h"
#include "trace.h"

/* Pages that several spaces share which are looked at in one after the other. */
#define USM_SAMPLE_SHARED	64

struct usm_sample {
	struct usm_domain *domain;
	struct usm_space *space;	/* whose mmap lock we hold; NULL: none */
	struct vm_area_struct *vma;	/* of it, looked at last; or NULL */
	u32 missed;			/* number of one whose lock was not to be had */
	unsigned int sampled;
	unsigned int young;
	/* Of shared pages: how many, in how many spaces, and where each was seen. */
	unsigned int count;
	unsigned int sharers;
	struct usm_space *found[USM_SHARERS_MAX];
	u8 seen[USM_SAMPLE_SHARED];
	DECLARE_BITMAP(hot, USM_SAMPLE_SHARED);
};

/* ------------------------------------------------------------------ where pages are */

static void usm_sample_leave(struct usm_sample *sample)
{
	if (!sample->space)
		return;
	mmap_read_unlock(sample->space->mm);
	/* Its exit, if we were the last to use it, is not ours to do. */
	mmput_async(sample->space->mm);
	sample->space = NULL;
	sample->vma = NULL;
}

/* The space's mm is put when we leave it, or now. */
static bool usm_sample_enter(struct usm_sample *sample, struct usm_space *space)
{
	/* Its owner may hold the lock for as long as it likes. */
	if (!mmap_read_trylock(space->mm)) {
		mmput_async(space->mm);
		return false;
	}
	sample->space = space;
	return true;
}

/* Of the frames of a run most are, as a rule, in the same one. */
static bool usm_sample_enter_id(struct usm_sample *sample, u32 id)
{
	struct usm_space *space;

	if (sample->space && sample->space->id == id)
		return true;
	if (sample->missed == id)
		return false;
	usm_sample_leave(sample);
	space = usm_space_get(sample->domain, id);
	if (space && usm_sample_enter(sample, space))
		return true;
	sample->missed = id;
	return false;
}

/*
 * Is the page in a mapping of ours? That keeps its table: munmap() frees those of the
 * mappings that it has removed with the lock held as we hold it.
 */
static bool usm_sample_covers(struct usm_sample *sample, unsigned long page)
{
	unsigned long addr = page << PAGE_SHIFT;
	struct usm_space *space = sample->space;
	struct vm_area_struct *vma = sample->vma;

	if (vma && addr >= vma->vm_start && addr < vma->vm_end)
		return true;
	vma = vma_lookup(space->mm, addr);
	if (vma && (vma->vm_private_data != space || vma->vm_file != space->family->file))
		vma = NULL;
	sample->vma = vma;
	return vma;
}

/*
 * Was the page accessed, which this entry shows? False also where it shows another, or
 * none: *seen. Table locked; what is busy is about to be evicted or copied.
 */
static __always_inline bool usm_sample_pte(pte_t *pte, u32 slot, u32 frame,
					   struct usm_block *block, bool *seen)
{
	pte_t value = *pte;

	*seen = slot == (USM_SLOT_SET | frame) && pte_present(value) &&
		pte_pfn(value) == page_to_pfn(usm_block_page(block, frame &
							     (USM_BLOCK_FRAMES - 1)));
	return *seen && usm_pte_clear_young(pte);
}

static __always_inline void usm_sample_tell(struct usm_sample *sample, struct usm_block *block,
					    u32 frame, bool young)
{
	usm_entry_set_age(block->owners + (frame & (USM_BLOCK_FRAMES - 1)), young);
	sample->sampled++;
	sample->young += young;
}

/* -------------------------------------------------------------- pages of one space */

/*
 * Returns how many frames of a block, from this one on, were looked at: those that hold
 * pages of one window in one mapping, in whatever order, which nobody shares.
 */
static unsigned int usm_sample_own(struct usm_sample *sample, struct usm_frame first,
				   u32 frame, unsigned int most)
{
	struct usm_block *block = usm_frame_block(sample->domain, frame);
	unsigned long page = USM_FRAME_PAGE(&first), low, pages;
	struct usm_bucket *bucket;
	struct usm_table table;
	unsigned int n;
	bool watched;

	if (!usm_sample_enter_id(sample, first.space) || !usm_sample_covers(sample, page))
		return 1;
	bucket = usm_space_bucket(sample->space, page);
	if (!bucket || !usm_table_lock(sample->space->mm, page << PAGE_SHIFT, &table))
		return 1;
	low = max(sample->vma->vm_start >> PAGE_SHIFT, page & ~(USM_WINDOW_PAGES - 1ul));
	pages = min(sample->vma->vm_end >> PAGE_SHIFT, (page | (USM_WINDOW_PAGES - 1)) + 1) - low;
	most = min(most, USM_BLOCK_FRAMES - (frame & (USM_BLOCK_FRAMES - 1)));
	watched = READ_ONCE(sample->space->watched);
	/* fork() needs the lock that we hold: what is not shared now stays so. */
	for (n = 0; n < most; n++, frame++) {
		unsigned int i = frame & (USM_BLOCK_FRAMES - 1);
		u64 word = READ_ONCE(block->words[i]);
		bool young, seen;

		page = (word & ~USM_WORD_GENERATION) >> USM_WORD_PAGE_SHIFT;
		if ((word & USM_WORD_STATE) != USM_FRAME_MAPPED || page - low >= pages ||
		    (READ_ONCE(block->owners[i]) & USM_MAX_SPACE) != first.space)
			break;
		young = usm_sample_pte(usm_table_pte(&table, page << PAGE_SHIFT),
				       *usm_bucket_slot(bucket, page), frame, block, &seen);
		if (young || (seen && !watched))
			usm_sample_tell(sample, block, frame, young);
	}
	usm_table_unlock(&table);
	return max(n, 1u);
}

/* ---------------------------------------------------------- pages that some share */

/* How many pages, from the first on, all that share it seem to share. */
static unsigned int usm_sample_agree(struct usm_sample *sample, unsigned long page, u32 frame,
				     unsigned int most)
{
	unsigned long end = (page | (USM_WINDOW_PAGES - 1)) + 1;
	unsigned int i, n;

	most = min_t(unsigned long, min(most, (unsigned int)USM_SAMPLE_SHARED), end - page);
	most = min(most, USM_BLOCK_FRAMES - (frame & (USM_BLOCK_FRAMES - 1)));
	for (n = 0; n < sample->sharers; n++) {
		struct usm_bucket *bucket = usm_space_bucket(sample->found[n], page);

		for (i = 1; i < most && READ_ONCE(*usm_bucket_slot(bucket, page + i)) ==
					(USM_SLOT_SET | (frame + i)); i++)
			;
		most = i;
	}
	return most;
}

/* One of them, `first`: the first whose pages we see. */
static bool usm_sample_sharer(struct usm_sample *sample, unsigned long page, u32 frame,
			      bool first)
{
	struct usm_block *block = usm_frame_block(sample->domain, frame);
	struct usm_bucket *bucket = usm_space_bucket(sample->space, page);
	bool watched = READ_ONCE(sample->space->watched);
	struct usm_table table;
	unsigned int i;

	if (!usm_sample_covers(sample, page) ||
	    !usm_table_lock(sample->space->mm, page << PAGE_SHIFT, &table))
		return false;
	for (i = 0; i < sample->count && usm_sample_covers(sample, page + i); i++) {
		u32 slot = *usm_bucket_slot(bucket, page + i), refs;
		bool young, seen;

		/* While a slot names it, it is a page. */
		if (slot != (USM_SLOT_SET | (frame + i)))
			continue;
		refs = usm_page_refs(usm_frame_page(sample->domain, frame + i));
		/* Somebody else has that one too, who is found when it is the first. */
		if (first && i && refs != sample->sharers) {
			sample->count = i;
			break;
		}
		young = usm_sample_pte(usm_table_pte(&table, (page + i) << PAGE_SHIFT), slot,
				       frame + i, block, &seen);
		if (young && !__test_and_set_bit(i, sample->hot))
			usm_sample_tell(sample, block, frame + i, true);
		/* Whoever lets go of it meanwhile may be among those seen. */
		if (!young && seen && !watched && ++sample->seen[i] >= refs &&
		    !test_bit(i, sample->hot))
			usm_sample_tell(sample, block, frame + i, false);
	}
	usm_table_unlock(&table);
	return true;
}

static unsigned int usm_sample_shared(struct usm_sample *sample, struct usm_frame entry,
				      u32 frame, unsigned int most)
{
	unsigned long page = USM_FRAME_PAGE(&entry);
	bool first = true;
	unsigned int i;

	usm_sample_leave(sample);
	sample->sharers = usm_sharers_find(sample->domain, entry.space, page, frame,
					   sample->found);
	if (!sample->sharers)
		return 1;
	sample->count = usm_sample_agree(sample, page, frame, most);
	memset(sample->seen, 0, sizeof(sample->seen));
	bitmap_zero(sample->hot, USM_SAMPLE_SHARED);
	for (i = 0; i < sample->sharers; i++) {
		if (!usm_sample_enter(sample, sample->found[i]))
			continue;
		if (usm_sample_sharer(sample, page, frame, first))
			first = false;
		usm_sample_leave(sample);
	}
	return sample->count;
}

int usm_sample(struct usm_domain *domain, u32 frame, u32 count)
{
	struct usm_sample sample = { .domain = domain };
	u32 at = 0;

	while (at < count) {
		struct usm_frame entry = usm_frame_read(domain, frame + at);

		if (entry.state == USM_FRAME_MAPPED)
			at += usm_sample_own(&sample, entry, frame + at, count - at);
		else if (entry.state == USM_FRAME_SHARED)
			at += usm_sample_shared(&sample, entry, frame + at, count - at);
		else
			at++;
		if (sample.space && (need_resched() || mmap_lock_is_contended(sample.space->mm)))
			usm_sample_leave(&sample);
		cond_resched();
	}
	usm_sample_leave(&sample);
	usm_count_add(domain, USM_N_SAMPLED, sample.sampled);
	usm_count_add(domain, USM_N_SAMPLED_YOUNG, sample.young);
	trace_usm_sample(domain, frame, count, sample.sampled, sample.young);
	return sample.sampled;
}

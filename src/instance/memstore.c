// SPDX-License-Identifier: GPL-2.0-or-later
#include "memstore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "slab.h"
#include "sum.h"

#define DIRECTORY_OFFSET	4096

/* Room for whatever a codec makes of a page: while it need not look for the end, it is faster. */
#define USM_MEMSTORE_PACKED_MAX	(USM_STORE_PAGE + USM_STORE_PAGE / 8)

_Static_assert(sizeof(struct usm_memstore_head) <= DIRECTORY_OFFSET, "head of a store");
_Static_assert(sizeof(struct usm_memstore_slot) == 32, "header of a slot");

struct memstore {
	struct usm_store store;
	const struct usm_codec *codec;
	int fd;
	struct usm_memstore_head *head;		/* the mapped file */
	uint32_t *directory;
	char *base;				/* of slab 0 */
	uint64_t size;				/* of the file */
	struct usm_slabs slabs;
	uint64_t quota, data, pages;
	uint32_t hard;				/* pages in a row that did not get smaller */
};

static struct memstore *memstore_of(struct usm_store *store)
{
	return (struct memstore *)store;
}

static const struct memstore *memstore_of_const(const struct usm_store *store)
{
	return (const struct memstore *)store;
}

static uint64_t base_offset(uint32_t slabs)
{
	uint64_t end = DIRECTORY_OFFSET + (uint64_t)slabs * sizeof(uint32_t);

	return (end + USM_MEMSTORE_SLAB - 1) / USM_MEMSTORE_SLAB * USM_MEMSTORE_SLAB;
}

uint32_t usm_memstore_slabs(uint64_t pages)
{
	uint64_t slabs = pages / USM_MEMSTORE_RAW + 1;

	return slabs < USM_MEMSTORE_MAX_SLABS ? (uint32_t)slabs : USM_MEMSTORE_MAX_SLABS;
}

uint64_t usm_memstore_size(uint32_t slabs)
{
	return base_offset(slabs) + (uint64_t)slabs * USM_MEMSTORE_SLAB;
}

/* ------------------------------------------------------------------- the slots */

static struct usm_memstore_slot *slot_at(const struct memstore *ms, uint32_t slab,
					 unsigned int slot)
{
	return (struct usm_memstore_slot *)(ms->base + (size_t)slab * USM_MEMSTORE_SLAB +
					    slot * usm_slab_slot_size(ms->slabs.slab[slab].class));
}

static uint64_t handle_of(uint32_t slab, unsigned int slot)
{
	return (uint64_t)slab * USM_SLAB_MAX_SLOTS + slot;
}

/* The slot of a handle if it holds this page. */
static struct usm_memstore_slot *slot_find(const struct memstore *ms, uint64_t handle,
					   uint64_t key)
{
	uint64_t slab = handle / USM_SLAB_MAX_SLOTS;
	unsigned int slot = handle % USM_SLAB_MAX_SLOTS;
	struct usm_memstore_slot *s;

	if (slab >= ms->slabs.top || !ms->slabs.slab[slab].there ||
	    !usm_slab_has(&ms->slabs, (uint32_t)slab, slot))
		return NULL;
	s = slot_at(ms, (uint32_t)slab, slot);
	return s->key == key ? s : NULL;
}

static uint64_t slot_sum(const struct usm_memstore_slot *slot, uint64_t key)
{
	size_t from = offsetof(struct usm_memstore_slot, page);

	return usm_sum((const char *)slot + from, sizeof(*slot) - from + slot->length, key);
}

/* Could this be a slot of ours? What its length says can be read. */
static bool slot_is_sane(const struct usm_memstore_slot *slot, unsigned int class)
{
	if (slot->length > usm_slab_slot_size(class) - sizeof(*slot))
		return false;
	switch (slot->form) {
	case USM_MEMSTORE_PACKED:
		return slot->length && slot->length < USM_STORE_PAGE;
	case USM_MEMSTORE_PLAIN:
		return slot->length == USM_STORE_PAGE;
	case USM_MEMSTORE_WORD:
		return slot->length == sizeof(uint64_t);
	}
	return false;
}

static void key_write(struct usm_memstore_slot *slot, uint64_t key)
{
	__atomic_store_n(&slot->key, key, __ATOMIC_RELEASE);
	/* What follows in the program must not happen before it either. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* ------------------------------------------------------------------- the slabs */

static int file_range(const struct memstore *ms, uint32_t slab, uint32_t count, int mode)
{
	uint64_t offset = base_offset(ms->slabs.capacity) + (uint64_t)slab * USM_MEMSTORE_SLAB;
	int r;

	do
		r = fallocate(ms->fd, mode, (off_t)offset, (off_t)count * USM_MEMSTORE_SLAB);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static void slab_give_back(const struct memstore *ms, uint32_t slab, uint32_t count)
{
	/* Without success it only stays the host's loss until it is used again. */
	file_range(ms, slab, count, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}

static int slab_add(struct memstore *ms, unsigned int class, bool force, uint32_t *index)
{
	uint32_t slab = usm_slabs_unused(&ms->slabs);

	if (slab == USM_SLAB_NONE ||
	    (!force && ((uint64_t)ms->slabs.there + 1) * USM_MEMSTORE_SLAB > ms->quota))
		return -ENOSPC;
	/* Before it is written to: there must be an error rather than a SIGBUS. */
	if (file_range(ms, slab, 1, 0) < 0)
		return -ENOMEM;
	if (slab >= ms->head->top)
		__atomic_store_n(&ms->head->top, slab + 1, __ATOMIC_RELEASE);
	usm_slabs_add(&ms->slabs, slab, class);
	for (unsigned int slot = 0; slot < usm_slab_slots(class); slot++)
		key_write(slot_at(ms, slab, slot), 0);
	__atomic_store_n(&ms->directory[slab], class + 1, __ATOMIC_RELEASE);
	*index = slab;
	return 0;
}

static void slab_remove(struct memstore *ms, uint32_t slab)
{
	usm_slabs_remove(&ms->slabs, slab);
	__atomic_store_n(&ms->directory[slab], 0, __ATOMIC_RELEASE);
	slab_give_back(ms, slab, 1);
}

/* -------------------------------------------------------------- the operations */

static bool is_one_word(const char *content)
{
	return !memcmp(content, content + sizeof(uint64_t), USM_STORE_PAGE - sizeof(uint64_t));
}

unsigned int usm_memstore_haste(uint32_t hard)
{
	unsigned int haste = 1;

	if (hard % USM_MEMSTORE_RELAPSE == USM_MEMSTORE_RELAPSE - 1)
		return haste;
	for (; hard >= USM_MEMSTORE_PATIENCE && haste < USM_MEMSTORE_HASTE_MAX; hard--)
		haste *= 2;
	return haste;
}

/* The length of what the codec makes of it; 0: it gets no smaller. */
static size_t squeeze(struct memstore *ms, const void *content, void *packed, size_t most)
{
	unsigned int haste = usm_memstore_haste(ms->hard);
	size_t length = ms->codec->compress(content, packed, USM_MEMSTORE_PACKED_MAX, haste);

	if (length && length <= most && haste > 1)
		length = ms->codec->compress(content, packed, USM_MEMSTORE_PACKED_MAX, 1);
	if (length > most)
		length = 0;
	ms->hard = length ? 0 : ms->hard + 1;
	return length;
}

/* What is to be stored, in `packed` or in the content itself. */
static const void *pack(struct memstore *ms, struct usm_memstore_slot *slot, const void *content,
			void *packed)
{
	/* A slot of the largest size is taken by a page that does not fit below. */
	size_t most = usm_slab_slot_size(USM_SLAB_CLASSES - 2) - sizeof(*slot);
	size_t length;

	if (is_one_word(content)) {
		slot->form = USM_MEMSTORE_WORD;
		slot->length = sizeof(uint64_t);
		return content;
	}
	length = squeeze(ms, content, packed, most);
	if (length) {
		slot->form = USM_MEMSTORE_PACKED;
		slot->length = (uint16_t)length;
		return packed;
	}
	slot->form = USM_MEMSTORE_PLAIN;
	slot->length = USM_STORE_PAGE;
	return content;
}

static int memstore_save(struct usm_store *store, const struct usm_store_page *page,
			 const void *content, bool force, uint64_t *handle)
{
	struct memstore *ms = memstore_of(store);
	struct usm_memstore_slot header = { .page = page->page, .space = page->space }, *s;
	char packed[USM_MEMSTORE_PACKED_MAX];
	const void *from = pack(ms, &header, content, packed);
	unsigned int class = usm_slab_class(sizeof(header) + header.length), slot;
	uint32_t slab = usm_slabs_find(&ms->slabs, class);

	if (slab == USM_SLAB_NONE) {
		int r = slab_add(ms, class, force, &slab);

		if (r < 0)
			return r;
	}
	slot = usm_slab_take(&ms->slabs, slab);
	s = slot_at(ms, slab, slot);
	*s = header;
	memcpy(s + 1, from, header.length);
	s->sum = slot_sum(s, page->key);
	key_write(s, page->key);
	ms->pages++;
	ms->data += header.length;
	*handle = handle_of(slab, slot);
	return 0;
}

/* Mostly it is zeros. */
static void word_fill(char *content, const void *word)
{
	const char *byte = word;

	if (!memcmp(byte, byte + 1, sizeof(uint64_t) - 1)) {
		memset(content, *byte, USM_STORE_PAGE);
		return;
	}
	for (size_t at = 0; at < USM_STORE_PAGE; at += sizeof(uint64_t))
		memcpy(content + at, word, sizeof(uint64_t));
}

static int memstore_load(struct usm_store *store, uint64_t handle, uint64_t key, void *content)
{
	const struct memstore *ms = memstore_of(store);
	const struct usm_memstore_slot *s = slot_find(ms, handle, key);
	size_t length;

	if (!s)
		return -ENOENT;
	if (!slot_is_sane(s, ms->slabs.slab[handle / USM_SLAB_MAX_SLOTS].class) ||
	    s->sum != slot_sum(s, key))
		return -EBADMSG;
	length = s->length;
	switch (s->form) {
	case USM_MEMSTORE_PACKED:
		return ms->codec->decompress(s + 1, length, content);
	case USM_MEMSTORE_PLAIN:
		/* That is a page. A length that is only known here is one for which the
		 * compiler leaves it to libc, which copies with less than its inline loop. */
		memcpy(content, s + 1, length < USM_STORE_PAGE ? length : USM_STORE_PAGE);
		return 0;
	}
	word_fill(content, s + 1);
	return 0;
}

static void slot_free(struct memstore *ms, uint32_t slab, unsigned int slot)
{
	key_write(slot_at(ms, slab, slot), 0);
	if (!usm_slab_free(&ms->slabs, slab, slot))
		slab_remove(ms, slab);
}

static bool memstore_drop(struct usm_store *store, uint64_t handle, uint64_t key,
			  struct usm_store_page *page)
{
	struct memstore *ms = memstore_of(store);
	const struct usm_memstore_slot *s = slot_find(ms, handle, key);

	if (!s)
		return false;
	*page = (struct usm_store_page){ .key = key, .page = s->page, .space = s->space };
	ms->pages--;
	ms->data -= s->length < ms->data ? s->length : ms->data;
	slot_free(ms, (uint32_t)(handle / USM_SLAB_MAX_SLOTS), handle % USM_SLAB_MAX_SLOTS);
	return true;
}

/* ------------------------------------------------------------------ the recovery */

static uint64_t slab_recover(struct memstore *ms, uint32_t slab,
			     bool (*claim)(void *context, const struct usm_store_page *page,
					   uint64_t handle), void *context)
{
	unsigned int class = ms->slabs.slab[slab].class;
	uint64_t damaged = 0;

	for (unsigned int slot = 0; slot < usm_slab_slots(class); slot++) {
		struct usm_memstore_slot *s = slot_at(ms, slab, slot);
		struct usm_store_page page = { .key = s->key, .page = s->page, .space = s->space };
		bool sane = slot_is_sane(s, class);

		if (!page.key)
			continue;
		damaged += !sane;
		if (!sane || !claim(context, &page, handle_of(slab, slot))) {
			key_write(s, 0);
			continue;
		}
		usm_slab_mark(&ms->slabs, slab, slot);
		ms->pages++;
		ms->data += s->length;
	}
	return damaged;
}

static uint64_t memstore_recover(struct usm_store *store,
				 bool (*claim)(void *context, const struct usm_store_page *page,
					       uint64_t handle), void *context)
{
	struct memstore *ms = memstore_of(store);
	uint32_t top = ms->head->top < ms->slabs.capacity ? ms->head->top : ms->slabs.capacity;
	uint32_t from = 0;
	uint64_t damaged = 0;

	usm_slabs_settle(&ms->slabs, top);
	for (uint32_t slab = 0; slab < top; slab++) {
		uint32_t class = ms->directory[slab];

		if (class && class <= USM_SLAB_CLASSES) {
			usm_slabs_add(&ms->slabs, slab, class - 1);
			damaged += slab_recover(ms, slab, claim, context);
			if (ms->slabs.slab[slab].count) {
				if (slab > from)
					slab_give_back(ms, from, slab - from);
				from = slab + 1;
				continue;
			}
			usm_slabs_remove(&ms->slabs, slab);
		} else {
			damaged += !!class;
		}
		__atomic_store_n(&ms->directory[slab], 0, __ATOMIC_RELEASE);
	}
	if (top > from)
		slab_give_back(ms, from, top - from);
	return damaged;
}

/* ------------------------------------------------------------------------- rest */

static void memstore_set_quota(struct usm_store *store, uint64_t bytes)
{
	memstore_of(store)->quota = bytes;
}

static void memstore_usage(const struct usm_store *store, struct usm_store_usage *usage)
{
	const struct memstore *ms = memstore_of_const(store);

	*usage = (struct usm_store_usage){
		.quota = ms->quota,
		.used = (uint64_t)ms->slabs.there * USM_MEMSTORE_SLAB,
		.data = ms->data,
		.pages = ms->pages,
	};
}

static void memstore_close(struct usm_store *store)
{
	struct memstore *ms = memstore_of(store);

	munmap(ms->head, ms->size);
	close(ms->fd);
	usm_slabs_done(&ms->slabs);
	free(ms);
}

static const struct usm_store_ops memstore_ops = {
	.save = memstore_save,
	.load = memstore_load,
	.drop = memstore_drop,
	.recover = memstore_recover,
	.set_quota = memstore_set_quota,
	.usage = memstore_usage,
	.close = memstore_close,
};

static bool head_is_valid(const struct usm_memstore_head *head, const struct usm_codec *codec,
			  uint64_t size)
{
	return head->magic == USM_MEMSTORE_MAGIC && head->version == USM_MEMSTORE_VERSION &&
	       head->slab == USM_MEMSTORE_SLAB && head->slabs &&
	       head->slabs <= USM_MEMSTORE_MAX_SLABS && usm_memstore_size(head->slabs) == size &&
	       !strncmp(head->codec, codec->name, sizeof(head->codec));
}

static void head_write(struct usm_memstore_head *head, const struct usm_codec *codec,
		       uint32_t slabs)
{
	*head = (struct usm_memstore_head){
		.magic = USM_MEMSTORE_MAGIC,
		.version = USM_MEMSTORE_VERSION,
		.slab = USM_MEMSTORE_SLAB,
		.slabs = slabs,
	};
	strncpy(head->codec, codec->name, sizeof(head->codec) - 1);
}

int usm_memstore_open(int fd, const struct usm_codec *codec, bool fresh, uint32_t slabs,
		      struct usm_store **store)
{
	struct memstore *ms;
	struct stat st;
	void *map;
	int r = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < DIRECTORY_OFFSET ||
	    (fresh && (uint64_t)st.st_size != usm_memstore_size(slabs)))
		return -EBADMSG;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	ms = calloc(1, sizeof(*ms));
	if (!ms)
		r = -ENOMEM;
	if (!r && fresh)
		head_write(map, codec, slabs);
	if (!r && !head_is_valid(map, codec, (uint64_t)st.st_size))
		r = -EBADMSG;
	if (!r)
		r = usm_slabs_init(&ms->slabs, ((struct usm_memstore_head *)map)->slabs);
	if (r) {
		munmap(map, (size_t)st.st_size);
		free(ms);
		return r;
	}

	ms->store = (struct usm_store){ .ops = &memstore_ops, .kind = codec->name };
	ms->codec = codec;
	ms->fd = fd;
	ms->head = map;
	ms->size = (uint64_t)st.st_size;
	ms->directory = (uint32_t *)((char *)map + DIRECTORY_OFFSET);
	ms->base = (char *)map + base_offset(ms->head->slabs);
	*store = &ms->store;
	return 0;
}

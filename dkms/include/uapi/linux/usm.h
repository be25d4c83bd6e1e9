/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * USM - userspace memory management for containers: the contract between
 * usm.ko and its users. There is no other interface.
 *
 * DOMAIN. /dev/usm (root of the initial user namespace only) binds a cgroup of
 * the v2 hierarchy to a new domain. Private anonymous mappings that a process
 * of that cgroup, or of a descendant that is not bound itself, makes from then
 * on are adopted: the module answers their faults from frames of the domain.
 * A domain lives until its cgroup is removed (or USM_IOC_RELEASE) and its last
 * space is gone; descriptors do not keep it alive and closing them does not
 * end it. Whoever may open /dev/usm can list domains and attach to them again.
 *
 * FRAME. A page of the domain, named by its index from 0 to the ceiling.
 * Frames are charged to the bound cgroup. The FRAME TABLE, 12 bytes a frame, is
 * mapped read-only and says what each frame is. It is the truth; events are hints
 * about it: after a lost event, scan the table.
 *
 * SPACE. One address space (mm) with adopted memory, named by a number from 1 to
 * USM_MAX_SPACE. Numbers are used in turn, so that one comes again when all others
 * have been used, but not while its space lives.
 *
 * INSTANCE. The process that decides. It attaches, maps table and rings, and
 * arms the domain with its descriptor. While armed, a fault takes frames from
 * the supply rings in the order in which they were put there. When the armed
 * descriptor is closed (all duplicates of it), or a fault has waited for longer
 * than the deadline while the domain has free frames, the domain falls back:
 * the module serves single zeroed pages from any free frame until an instance
 * arms again. Arming starts with empty supply rings and an empty event ring.
 *
 * SUPPLY RINGS. One a possible CPU; the instance produces, the module consumes.
 * An entry (USM_SUPPLY) offers a run of free frames. The module takes those
 * that are free at the time it looks and refuses the rest; a frame may safely
 * be offered twice. An entry that was not consumed yet may be overwritten by one
 * 8 byte store; the module reads each once. A frame that is not zeroed yet is
 * zeroed in the fault; use USM_CMD_ZERO to do it before. A CPU that finds its own
 * ring empty takes from the others' before it waits.
 *
 * Storing an entry wakes nobody: after a round of supplying, USM_IOC_KICK lets
 * the faults that wait look again.
 *
 * UPCALLS. In USM_MODE_UPCALL each first touch asks the instance: the fault posts
 * USM_EV_FAULT and waits, without any lock, until USM_CMD_RESOLVE has given it frames by
 * the key of the event. The supply rings are not looked at then. Who touches a page of
 * the same aligned run of 2^fault_order pages meanwhile asks nothing: it waits for the
 * same answer and looks again. Who may not wait gets any free frame, as does who is to
 * have a copy of a shared page. An answer later than the deadline, while the domain has
 * free frames, makes it fall back; so does a lost instance. Those who wait then, or when
 * the mode changes, map what they have been given, or any free frame, and their keys are
 * not valid any more.
 *
 * STORES. What is evicted is the instance's to keep. The domain keeps the files in
 * which it does so open for it (USM_IOC_STORE_PUT), so that nothing is lost with an
 * instance: the next one arms, gets them back, and finds out from the table of evicted
 * pages what each is worth. Between the evicting and the storing the only copy is in
 * the staging pages: whoever has armed first saves what the descriptors there say is
 * still away, then sets their keys to 0. Arming waits for a USM_CMD_EVICT that is
 * under way. A domain that keeps a store counts on eviction: at its limit a fault
 * waits for frames, ten times the deadline, or until half a minute after the last
 * instance was lost, before anything is killed for them.
 *
 * EVENT RING. The module produces, the instance consumes. When it is full,
 * events are dropped and `lost` counts them. The descriptor polls readable
 * while the ring holds an entry; POLLHUP: this descriptor is not the armed one
 * (any more), or the domain is gone.
 *
 * GROWTH. An ioctl is known by its type and number alone; the size that _IOWR
 * puts into the request is ignored. Every struct begins with its own size as the
 * caller knows it. The module reads min(size, own size), requires that whatever
 * lies beyond what it knows is zero (-E2BIG otherwise), and treats what the caller
 * does not know as zero. Unknown flags and non-zero padding are refused with
 * -EINVAL. Output fields are written only on success. Entry sizes of mapped arrays
 * are in struct usm_info.
 *
 * ERRORS. Every ioctl: -EFAULT bad pointer, -EINVAL bad size, flag, padding or
 * value, -E2BIG see above, -ENOTTY unknown, -ENODEV the domain is gone. What
 * more each returns is said where it is defined. No call that fails changes
 * anything unless that is said.
 */
#ifndef _UAPI_LINUX_USM_H
#define _UAPI_LINUX_USM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Raised when a program built against an older header would break. */
#define USM_ABI			1

#define USM_LABEL_LEN		64	/* with the terminating NUL */
#define USM_MAX_ORDER		9	/* of a fault: 2^9 pages */
#define USM_ORDER_SIZES		32	/* mappings that differ: see USM_TUNE_ORDERS */
#define USM_MAX_FRAMES		(1u << 28)	/* 1 TiB */
#define USM_MAX_SPACE		((1u << 24) - 1)
#define USM_MAX_RUN		512	/* frames in one supply entry */
#define USM_MAX_COMMANDS	256	/* in one submission */
#define USM_MAX_DEADLINE_MS	60000
#define USM_DEFAULT_DEADLINE_MS	200

/* ------------------------------------------------------------------ frames */

enum usm_frame_state {
	USM_FRAME_NONE = 0,	/* not backed by memory now */
	USM_FRAME_FREE = 1,	/* may be supplied */
	USM_FRAME_TAKEN = 2,	/* taken by the module, not mapped yet */
	USM_FRAME_MAPPED = 3,	/* holds `page` of `space` */
	USM_FRAME_SHARED = 4,	/* shared copy-on-write; `space` is one of them, or one
				 * that they were forked from */
	USM_FRAME_HELD = 5,	/* unmapped, but I/O or a pipe still refers to it */
};

#define USM_FRAME_STATE_MASK	0x07
#define USM_FRAME_ZEROED	0x08	/* with FREE or TAKEN: content is zero */

/*
 * The frame table at USM_MMAP_TABLE is one array after another: a word of 8 bytes a
 * frame; from usm_info.owners_offset on an owner of 4 bytes a frame; from blocks_offset
 * on a struct usm_frame_block for each USM_BLOCK_SIZE frames. Words and owners are each
 * read and written as one; a reader that needs both to agree reads the word again
 * afterwards. usm_frame_of() takes apart what was read.
 *
 * Word: bits 0-3: enum usm_frame_state | USM_FRAME_ZEROED; 4-47: address / page size,
 * of the last mapping; 48-63: generation, stepped each time the frame is freed.
 * Owner: bits 0-23: number of the space, 0: none; 24-31: MAPPED, SHARED: age.
 */
#define USM_WORD_STATE		0xfull
#define USM_WORD_PAGE_SHIFT	4
#define USM_WORD_GENERATION	(0xffffull << USM_PAGE_BITS)
#define USM_OWNER_AGE_SHIFT	24

#define USM_BLOCK_SIZE		512

struct usm_frame_block {
	__u8 run;		/* log2 of the aligned physical runs that frames lie in */
	__u8 node;		/* NUMA node; of a few frames, where the ceiling left no other
				 * room, that of those beside them */
	__u16 pad;
};

#define USM_PAGE_BITS		48
#define USM_PAGE_MASK		((1ull << USM_PAGE_BITS) - 1)

/* What the table says of a frame, not as it lies there. */
struct usm_frame {
	__u32 space;
	__u8 state;		/* enum usm_frame_state | USM_FRAME_ZEROED */
	__u8 run;
	__u8 node;
	__u8 age;		/* how often in a row USM_CMD_SAMPLE found that the page had
				 * not been accessed, 255: or more; 0 when mapped */
	__u64 page;		/* bits 0-47: page; 48-63: generation */
};

#define USM_FRAME_PAGE(f)	((f)->page & USM_PAGE_MASK)
#define USM_FRAME_GENERATION(f)	((__u16)((f)->page >> USM_PAGE_BITS))

static inline struct usm_frame usm_frame_of(__u64 word, __u32 owner,
					    const struct usm_frame_block *block)
{
	struct usm_frame frame = {
		.space = owner & USM_MAX_SPACE,
		.state = (__u8)(word & USM_WORD_STATE),
		.run = block->run,
		.node = block->node,
		.age = (__u8)(owner >> USM_OWNER_AGE_SHIFT),
		.page = (word & USM_WORD_GENERATION) |
			(word & ~USM_WORD_GENERATION) >> USM_WORD_PAGE_SHIFT,
	};

	return frame;
}

/* ------------------------------------------------------------------- rings */

/*
 * Header of every ring; the entries follow at offset `offset`. Indices run
 * freely (no masking when stored); entries is a power of two. The producer
 * stores an entry, then head with release order; the consumer loads head with
 * acquire order. A ring whose user index is out of range is treated as empty
 * (supply) or full (events) and counted in usm_stat.refused.
 */
struct usm_ring {
	__u32 entries;		/* constant */
	__u32 entry_size;	/* constant, bytes */
	__u32 offset;		/* constant, bytes from the header to entry 0 */
	__u32 pad0[13];
	__u32 head;		/* written by the producer */
	__u32 top;		/* events: the table says nothing from this frame on yet */
	__u32 evicted_top;	/* events: no number from this on was in use yet */
	__u32 low;		/* supply: ask for more at fewer entries; 0: at a quarter */
	__u32 pad1[12];
	__u32 tail;		/* written by the consumer */
	__u32 want;		/* supply: 1 from SUPPLY_LOW until more was seen */
	__u32 pad2[14];
	__u64 lost;		/* events: dropped because the ring was full */
	__u32 pad3[14];
};

/* A supply entry: `count` frames from `frame`, whose generation is `gen`. */
#define USM_SUPPLY(frame, count, gen)					\
	((__u64)(__u32)(frame) | (__u64)(__u16)(count) << 32 |		\
	 (__u64)(__u16)(gen) << 48)
#define USM_SUPPLY_FRAME(e)	((__u32)(e))
#define USM_SUPPLY_COUNT(e)	((__u16)((e) >> 32))
#define USM_SUPPLY_GEN(e)	((__u16)((e) >> 48))

enum usm_event_type {
	/* arg: CPU whose ring has fewer entries left than its `low` says, or
	 * is empty; either is not repeated before something new is in it. */
	USM_EV_SUPPLY_LOW = 1,
	USM_EV_FREED = 2,	/* frame, count: are FREE again */
	USM_EV_GROWN = 3,	/* frame, count: new and FREE; arg: frames still to come */
	USM_EV_SHRUNK = 4,	/* frame, count: are NONE now; arg: enum usm_shrink_why */
	USM_EV_LIMIT = 5,	/* could not grow; arg: enum usm_limit, count: frames missing */
	USM_EV_SPACE_NEW = 6,	/* space; arg: thread group id in the initial pid namespace */
	USM_EV_SPACE_FORK = 7,	/* space; arg: parent space << 32 | tgid of the parent */
	USM_EV_SPACE_EXIT = 8,	/* space: the last of its frames is unmapped */
	USM_EV_FALLBACK = 9,	/* arg: enum usm_fallback_why */
	USM_EV_COW = 10,	/* space, page, frame, count: pages were copied into frames */
	USM_EV_BROKEN = 11,	/* space: a copy failed in fork; its faults are SIGBUS */
	USM_EV_OOM = 12,	/* space; arg: thread id that was killed */
	USM_EV_RELEASED = 13,	/* the domain ends when its last space is gone */
	USM_EV_REFAULT = 14,	/* space, page: somebody waits for the evicted page; arg: its key */
	USM_EV_DISCARDED = 15,	/* arg: key of an evicted page that nobody has any more */
	USM_EV_LOST = 16,	/* arg: key of one that came back wrong too often, or was lost */
	/* space, page: evicted, and nobody waits for it yet, but for the one before it;
	 * arg: its key. Comes before the USM_EV_REFAULT of that one; not repeated. */
	USM_EV_AHEAD = 17,
	/* space, page: a fault waits for USM_CMD_RESOLVE; arg: its key; count: pages that
	 * it could map, this one included; frame: the CPU that it came from; flags:
	 * USM_FAULT_*. */
	USM_EV_FAULT = 18,
	/* frame: its memory is bad. arg, space, page: the page that it held is lost, and has
	 * the key `arg` from now on; who touches it gets SIGBUS. arg 0: the frame is NONE. */
	USM_EV_MEMORY_ERROR = 19,
};

enum usm_limit {
	USM_LIMIT_CEILING = 1,	/* the domain's own */
	USM_LIMIT_CGROUP = 2,	/* memory.max less the reserve, of it or an ancestor */
	USM_LIMIT_HOST = 3,	/* the host is short of memory */
	USM_LIMIT_NODE = 4,	/* the node that was asked for is, or the container may not use it */
};

enum usm_shrink_why {
	USM_SHRINK_COMMAND = 1,
	USM_SHRINK_PRESSURE = 2,	/* reclaim in the cgroup or on the host */
	USM_SHRINK_IDLE = 3,
	USM_SHRINK_NODE = 4,		/* of a node that the container may not use */
};

enum usm_fallback_why {
	USM_FALLBACK_NONE = 0,		/* armed */
	USM_FALLBACK_NEVER_ARMED = 1,
	USM_FALLBACK_CLOSED = 2,	/* the armed descriptor was closed */
	USM_FALLBACK_DEADLINE = 3,
	USM_FALLBACK_DISARMED = 4,	/* USM_IOC_DISARM */
};

#define USM_FAULT_WRITE		(1u << 0)
#define USM_FAULT_EXEC		(1u << 1)
#define USM_FAULT_USER		(1u << 2)	/* by the program itself; else by the kernel for it */
#define USM_FAULT_REMOTE	(1u << 3)	/* by another process: a debugger, for example */

struct usm_event {
	__u16 type;		/* enum usm_event_type */
	__u16 flags;		/* EV_FAULT; others: 0 */
	__u32 space;
	__u64 page;		/* address / page size */
	__u32 frame;
	__u32 count;
	__u64 arg;
};

/* What mmap(2) of a domain descriptor maps, by offset. Sizes: struct usm_info. */
#define USM_MMAP_TABLE		0x0000000000000000ull	/* PROT_READ only */
#define USM_MMAP_EVENTS		0x0000010000000000ull
#define USM_MMAP_SUPPLY		0x0000020000000000ull	/* ring of CPU n: + n * supply_size */
#define USM_MMAP_EVICTED	0x0000030000000000ull	/* PROT_READ only */
#define USM_MMAP_STAGING	0x0000040000000000ull

/* ---------------------------------------------------------------- evicted pages */

/*
 * A page that was evicted has a number; number and generation are its key. The
 * table at USM_MMAP_EVICTED says what became of each number, as the frame table
 * does of frames: after lost events, look there.
 */
#define USM_MAX_EVICTED		(1u << 28)
#define USM_EVICTED_PER_FRAME	8	/* numbers that a domain has */

enum usm_evicted_state {
	USM_EVICTED_NONE = 0,	/* not in use */
	USM_EVICTED_AWAY = 1,	/* the instance has the content */
	USM_EVICTED_WANTED = 2,	/* ... and somebody waits for it */
	USM_EVICTED_COMING = 3,	/* USM_CMD_RESTORE is at work */
	USM_EVICTED_READY = 4,	/* a frame holds it again, for the next who touches it */
	USM_EVICTED_TAKEN = 5,	/* is being mapped */
	USM_EVICTED_LOST = 6,	/* wrong or lost: who touches it gets SIGBUS */
};

struct usm_evicted {
	__u32 generation;	/* stepped each time the number is used */
	__u32 state;		/* enum usm_evicted_state */
};

#define USM_EVICTED_KEY(number, generation) ((__u64)(generation) << 32 | (__u32)(number))
#define USM_EVICTED_NUMBER(key)	((__u32)(key))
#define USM_EVICTED_GENERATION(key) ((__u32)((key) >> 32))

/*
 * USM_MMAP_STAGING: struct usm_staged[USM_STAGING_PAGES], then, at
 * usm_info.staging_offset, as many pages of content. USM_CMD_EVICT writes both,
 * USM_CMD_RESTORE reads a page; what is there in between is the instance's.
 */
#define USM_STAGING_PAGES	64

struct usm_staged {
	__u64 key;		/* 0: was not evicted */
	__u64 page;		/* address / page size */
	__u32 space;
	__u32 frame;		/* that it was in */
	__u64 pad;
};

/* ------------------------------------------------------- ioctls on /dev/usm */

enum usm_mode {
	USM_MODE_SUPPLY = 0,	/* faults take what was supplied */
	USM_MODE_UPCALL = 1,	/* each fault asks; see UPCALLS */
};

/* Features of this module (usm_query.features). None in ABI 1. */

struct usm_query {
	__u32 size;
	__u32 flags;		/* in: 0 */
	__u32 abi;		/* out: USM_ABI of the module */
	__u32 page_size;	/* out: bytes */
	__u64 features;		/* out */
	__u64 modes;		/* out: bit n: enum usm_mode n is there */
	__u32 cpus;		/* out: possible CPUs = supply rings a domain */
	__u32 max_order;	/* out: of a fault */
	char version[32];	/* out: of the module, NUL-terminated */
};

/*
 * Bind a cgroup. -EBADF: not a cgroup of the v2 hierarchy. -EBUSY: it is bound.
 * -EOPNOTSUPP: kernel memory is not accounted (cgroup.memory=nokmem), or the
 * memory controller is not enabled for the cgroup. -ENOMEM: not even the first
 * frames could be charged. -EINVAL also: root cgroup, or ceiling is 0.
 */
struct usm_bind {
	__u32 size;
	__u32 flags;		/* in: 0 */
	__s32 cgroup_fd;	/* in: an open directory of a cgroup v2 mount */
	__u32 mode;		/* in: enum usm_mode */
	__u64 ceiling;		/* in: frames at the most */
	__u64 reserve;		/* in: bytes below memory.max that growth leaves */
	__u32 fault_order;	/* in: 0 to USM_MAX_ORDER: pages mapped by one fault */
	__u32 deadline_ms;	/* in: 0: USM_DEFAULT_DEADLINE_MS */
	char label[USM_LABEL_LEN]; /* in: name for listings, NUL-terminated */
	__u64 id;		/* out: of the domain = the cgroup's id */
	__s32 domain_fd;	/* out: close-on-exec */
	__u32 pad;
};

struct usm_list_entry {
	__u64 id;
	__u32 spaces;		/* alive */
	__u32 state;		/* enum usm_fallback_why */
	__u32 released;		/* 1: ends with its last space */
	__u32 pad;
	char label[USM_LABEL_LEN];
};

/* List domains. -ENOSPC: `count` is more than `capacity`; nothing was copied. */
struct usm_list {
	__u32 size;
	__u32 flags;		/* in: 0 */
	__u64 entries;		/* in: address of an array of struct usm_list_entry */
	__u32 capacity;		/* in: its length */
	__u32 count;		/* out: also on -ENOSPC */
};

/* A new descriptor of an existing domain. -ENOENT: no such domain. */
struct usm_attach {
	__u32 size;
	__u32 flags;		/* in: 0 */
	__u64 id;		/* in */
	__s32 domain_fd;	/* out: close-on-exec */
	__u32 pad;
};

/*
 * Stop adopting in this domain's cgroup. What is adopted stays adopted and is
 * served; the domain ends with its last space. -ENOENT: no such domain.
 */
struct usm_release {
	__u32 size;
	__u32 flags;		/* in: 0 */
	__u64 id;		/* in */
};

#define USM_IOC_MAGIC		0xb7
#define USM_IOC_QUERY		_IOWR(USM_IOC_MAGIC, 0x00, struct usm_query)
#define USM_IOC_BIND		_IOWR(USM_IOC_MAGIC, 0x01, struct usm_bind)
#define USM_IOC_LIST		_IOWR(USM_IOC_MAGIC, 0x02, struct usm_list)
#define USM_IOC_ATTACH		_IOWR(USM_IOC_MAGIC, 0x03, struct usm_attach)
#define USM_IOC_RELEASE		_IOWR(USM_IOC_MAGIC, 0x04, struct usm_release)

/* ----------------------------------------------- ioctls on a domain descriptor */

struct usm_info {
	__u32 size;
	__u32 flags;		/* in: 0 */
	__u64 id;		/* out: all below */
	__u64 table_size;	/* bytes of the mapping at USM_MMAP_TABLE */
	__u32 frame_size;	/* bytes of a word there */
	__u32 event_size;	/* bytes of the mapping at USM_MMAP_EVENTS */
	__u32 supply_size;	/* bytes of one ring at USM_MMAP_SUPPLY */
	__u32 supply_rings;	/* number of rings */
	char label[USM_LABEL_LEN];
	__u64 evicted_size;	/* bytes of the mapping at USM_MMAP_EVICTED */
	__u32 staging_size;	/* bytes of the mapping at USM_MMAP_STAGING */
	__u32 staging_offset;	/* of its first page of content */
	__u64 owners_offset;	/* in the mapping at USM_MMAP_TABLE */
	__u64 blocks_offset;	/* the same */
	__u32 frames;		/* that the table has room for: the ceiling at bind */
	__u32 pad;
};

/*
 * Become the instance. -EBUSY: another descriptor is armed. Growth by
 * USM_CMD_GROW is possible unarmed; supply is not.
 */
struct usm_arm {
	__u32 size;
	__u32 flags;		/* in: 0 */
	__u64 epoch;		/* out: number of armings of this domain so far */
};

#define USM_TUNE_CEILING	(1u << 0)
#define USM_TUNE_RESERVE	(1u << 1)
#define USM_TUNE_ORDER		(1u << 2)
#define USM_TUNE_DEADLINE	(1u << 3)
#define USM_TUNE_MODE		(1u << 4)	/* faults that wait look again */
/* By size: orders[n] is that of faults in mappings of 2^n to 2^(n+1) - 1 pages, the last
 * also of larger ones. usm_stat shows the largest of them. USM_TUNE_ORDER sets all. */
#define USM_TUNE_ORDERS		(1u << 5)

/*
 * Change what usm_bind set; `flags` says which. A ceiling below what is there
 * only stops growth; -ERANGE: above the one at bind, which sized the table.
 */
struct usm_tune {
	__u32 size;
	__u32 flags;		/* in: USM_TUNE_*, not 0 */
	__u64 ceiling;
	__u64 reserve;
	__u32 fault_order;
	__u32 deadline_ms;
	__u32 mode;		/* enum usm_mode */
	__u32 pad;
	__u8 orders[USM_ORDER_SIZES];
};

enum usm_command_op {
	/* Ask for `count` more frames, in the background; ends with EV_GROWN or
	 * EV_LIMIT. -ENOSPC: at the ceiling. Of a node, that node's and no other's; -EBUSY:
	 * growth from another one, or from any, is under way. Never from a node that
	 * cpuset.mems keeps all tasks of the container from. */
	USM_CMD_GROW = 1,
	/* Give frames back to the host. result: how many of the run were FREE
	 * and are NONE now. */
	USM_CMD_SHRINK = 2,
	/* Zero the FREE frames of the run, in the caller's thread. result: how
	 * many of them are zeroed now. */
	USM_CMD_ZERO = 3,
	/* Evict the MAPPED and SHARED frames of the run, at most USM_STAGING_PAGES;
	 * arg: the staging page of the first. What processes share after a fork
	 * leaves all of them at once, if they have it at one address and are at most
	 * 32; each that touches it gets its own. What is locked or in use by the
	 * kernel stays.
	 * result: how many were evicted; the descriptors say which. -EPERM: not the
	 * armed descriptor. What the staging holds when it is armed again may be the
	 * only copy: see STORES. */
	USM_CMD_EVICT = 4,
	/* Bring an evicted page back. arg: its key; frame: the staging page that
	 * holds the content; count: 1; generation: 0. result: 1 where processes share
	 * it after a fork: keep the content, the others may ask for it. -ESTALE:
	 * nobody wants it any more, or it is back. -EBADMSG: not the content that was
	 * evicted; it is asked for again, but not for ever. -ENOMEM: no frame; if it was
	 * wanted it still is, and is not asked for again. Who waits for one of several in
	 * one submission is woken after the last. */
	USM_CMD_RESTORE = 5,
	/* The content of an evicted page cannot be had any more: who touches it gets
	 * SIGBUS, until it is brought back all the same. arg: its key; count: 1; frame,
	 * generation: 0. -EPERM: not the armed descriptor. -ESTALE: see RESTORE. */
	USM_CMD_LOSE = 6,
	/* Answer a fault. arg: its key; frame, count, generation: FREE frames. The first
	 * of them is mapped at the page of the event, the others at the pages of its
	 * aligned run that are empty, in ascending order. result: how many it took: more
	 * than it can map are left, as is what comes after one that is not FREE. What it
	 * cannot use after all is told of as freed. With USM_RESOLVE_MORE the fault goes
	 * on waiting for another run. count 0, frame and generation too: what it has
	 * got is all; who got nothing takes any free frame, or waits for one as if it could
	 * not ask. -ESTALE: nobody waits with this key. -EBUSY: the first frame is not
	 * FREE, or has another generation, or the fault has got as many runs as it can
	 * hold: it waits on. -EPERM: not the armed descriptor. */
	USM_CMD_RESOLVE = 7,
	/* Post USM_EV_FAULT again for each fault that waits for an answer: for an
	 * instance that lost events, or had nothing to give. All else 0. result: how
	 * many. -EPERM: see above. */
	USM_CMD_REPEAT = 8,
	/* Find out which of the MAPPED and SHARED frames of the run were accessed since
	 * the last time: their age is 0 now, that of the others goes up by one. What
	 * processes share is as young as in any of them, if they have it at one address
	 * and are at most 32. An age stays as it is where nobody can tell now: the mm is
	 * being changed, or others than CPUs may use the memory (KVM, devices).
	 * As in reclaim nothing is flushed: a CPU that has the page in its TLB all the
	 * time is not seen. result: how many ages are up to date. */
	USM_CMD_SAMPLE = 9,
};

#define USM_RESOLVE_MORE	(1u << 0)

struct usm_command {
	__u16 op;		/* enum usm_command_op */
	__u16 flags;		/* RESOLVE: USM_RESOLVE_*; others: 0 */
	__s32 result;		/* out: >= 0 or -errno (linux) */
	__u32 frame;		/* first of the run; 0 for GROW */
	__u32 count;		/* its length: 1 to USM_MAX_RUN; GROW: any; RESOLVE: or 0 */
	__u32 generation;	/* of the first frame; 0 for GROW. Stale: -ESTALE */
	__s32 node;		/* GROW: NUMA node wanted, -1: any; others: 0 */
	__u64 arg;		/* EVICT, RESTORE, LOSE, RESOLVE; others: 0 */
};

/*
 * Then wait until the event ring holds an entry, or the descriptor polls POLLHUP. What
 * comes meanwhile wakes no poll(2): look at the ring before that.
 */
#define USM_SUBMIT_WAIT		(1u << 0)

/*
 * Execute commands in order; each has its own result. -EINTR after a signal:
 * `done` commands were executed, the rest was not looked at. With USM_SUBMIT_WAIT also
 * -EINTR while it waits. -EBUSY: somebody else waits; the commands were executed.
 *
 * read(2) from the descriptor does the same with the struct in its buffer, and returns the
 * size of that: for who is under filters of system calls that make an ioctl(2) dear. It is
 * -EPERM for a process that has not armed the domain by the descriptor.
 */
struct usm_submit {
	__u32 size;
	__u32 flags;		/* in: USM_SUBMIT_* */
	__u64 commands;		/* in: address of an array of struct usm_command */
	__u32 count;		/* in: 1 to USM_MAX_COMMANDS; WAIT: or 0 */
	__u32 done;		/* out, also on -EINTR and -EBUSY */
	__u32 timeout_ms;	/* in: WAIT: for this long at the most, and maybe for less;
				 * 0: for ever */
	__u32 pad;
};

/* Numbers since bind unless "now". "pages" are page_size bytes. */
struct usm_stat {
	__u32 size;
	__u32 flags;			/* in: 0 */
	__u32 state;			/* now: enum usm_fallback_why */
	__u32 spaces;			/* now */
	__u64 ceiling;			/* now: frames */
	__u64 reserve;			/* now: bytes */
	__u32 fault_order;		/* now */
	__u32 deadline_ms;		/* now */
	__u64 frames;			/* now: backed by memory and charged */
	__u64 frames_free;		/* now: FREE or TAKEN */
	__u64 frames_zeroed;		/* now: of those, zeroed */
	__u64 frames_mapped;		/* now: MAPPED or SHARED: the resident pages */
	__u64 frames_shared;		/* now: SHARED */
	__u64 frames_held;		/* now: HELD */
	__u64 mappings;			/* adopted mmap calls that enlarged no neighbour */
	__u64 faults;			/* that mapped something */
	__u64 fault_pages;		/* pages that they mapped */
	__u64 faults_by_order[USM_MAX_ORDER + 1]; /* mapped 2^n to 2^(n+1)-1 pages */
	__u64 supplied;			/* frames taken from supply rings */
	__u64 stolen;			/* of those, from another CPU's ring */
	__u64 refused;			/* entries, frames or commands refused */
	__u64 waits;			/* faults that waited for the instance */
	__u64 deadlines;		/* missed */
	__u64 fallbacks;		/* times that the domain fell back */
	__u64 fallback_pages;		/* pages served in fallback */
	__u64 picked_pages;		/* armed, but a caller that could not wait */
	__u64 zeroed_in_fault;		/* frames */
	__u64 zeroed_ahead;		/* frames, by USM_CMD_ZERO */
	__u64 forks;
	__u64 cow_copied;		/* pages */
	__u64 cow_reused;		/* pages that were no longer shared */
	__u64 broken;			/* spaces whose fork failed halfway */
	__u64 sigbus;			/* faults answered with SIGBUS */
	__u64 grown;			/* frames */
	__u64 shrunk;			/* frames */
	__u64 limits;			/* growth attempts that hit a limit */
	__u64 oom_kills;		/* for want of a frame */
	__u64 events;			/* posted */
	__u64 events_lost;
	__u64 arms;			/* armings */
	__u64 brk_refused;		/* brk growth turned to mmap */
	__u64 evicted;			/* now: pages */
	__u64 evictions;		/* pages */
	__u64 refaults;			/* pages that were mapped again */
	__u64 corrupt;			/* restores with wrong content */
	__u64 refaults_ahead;		/* of the refaults, mapped by the fault on another page */
	__u64 sampled;			/* pages, by USM_CMD_SAMPLE */
	__u64 sampled_young;		/* of those, accessed since the last time */
	__u64 unshared;			/* times that a space was found to share no page any more */
	__u64 mode;			/* now: enum usm_mode */
	__u64 upcalls;			/* faults that asked the instance */
	__u64 resolved;			/* frames that they got for it */
	__u64 declined;			/* that it left to the module */
	__u64 frames_bad;		/* given up, since their memory is bad */
};

#define USM_MAX_STORES		8
#define USM_STORE_NAME_LEN	32	/* with the terminating NUL */

/*
 * A file that the domain keeps open until it ends. PUT takes one; DROP lets go of it;
 * GET gives a new descriptor for it. Only the instance may PUT and DROP: -EPERM.
 * PUT: -EBADF: no such descriptor. -EINVAL also: not a regular file that is open for
 * reading and writing and of which fallocate(2) can give parts back (memfd, O_TMPFILE),
 * or no name. -EEXIST: a store has that name. -ENOSPC: there are USM_MAX_STORES. A file
 * keeps its file system mounted. GET, DROP: -ENOENT: no store has that index.
 */
struct usm_store_fd {
	__u32 size;
	__u32 flags;		/* in: 0 */
	__s32 fd;		/* PUT: in; GET: out, close-on-exec; DROP: ignored */
	__u32 index;		/* PUT: in 0, out; GET, DROP: in, below USM_MAX_STORES */
	__u64 data;		/* the instance's own. PUT: in; GET: out */
	char name[USM_STORE_NAME_LEN]; /* NUL-terminated, the same */
};

#define USM_IOC_INFO		_IOWR(USM_IOC_MAGIC, 0x20, struct usm_info)
#define USM_IOC_ARM		_IOWR(USM_IOC_MAGIC, 0x21, struct usm_arm)
#define USM_IOC_DISARM		_IO(USM_IOC_MAGIC, 0x22)
#define USM_IOC_TUNE		_IOWR(USM_IOC_MAGIC, 0x23, struct usm_tune)
#define USM_IOC_SUBMIT		_IOWR(USM_IOC_MAGIC, 0x24, struct usm_submit)
#define USM_IOC_KICK		_IO(USM_IOC_MAGIC, 0x26)	/* armed descriptor; else -EPERM */
#define USM_IOC_STAT		_IOWR(USM_IOC_MAGIC, 0x25, struct usm_stat)
#define USM_IOC_STORE_PUT	_IOWR(USM_IOC_MAGIC, 0x27, struct usm_store_fd)
#define USM_IOC_STORE_GET	_IOWR(USM_IOC_MAGIC, 0x28, struct usm_store_fd)
#define USM_IOC_STORE_DROP	_IOWR(USM_IOC_MAGIC, 0x29, struct usm_store_fd)

#endif /* _UAPI_LINUX_USM_H */

/* SPDX-License-Identifier: MIT */
/*
 * What a policy sees of USM, and all that it sees. See usm-policy(7) for a
 * worked example.
 *
 * A policy is a shared object NAME.so that exports one symbol, `usm_policy`. It
 * is loaded into a process of its own, one a container, and decides which
 * frames (pages of memory that the container owns) its page faults get. It
 * links to nothing of the host: every service arrives in struct usm_host.
 *
 * THREADS. All calls, in both directions, come from one thread; the host is not
 * to be called from another one or from a signal handler.
 *
 * TIME. Faults may be waiting while a policy thinks. A call that takes longer
 * than the container's deadline (200 ms unless configured) makes the container
 * fall back to plain service until the policy answers again; one that hangs is
 * ended by the watchdog and started anew. Nothing here may block.
 *
 * SANDBOX. After init() there are no files, no new processes and no executable
 * memory: such system calls fail with EPERM. Memory may be allocated.
 *
 * TRUST. What a policy answers is checked. A wrong answer is dropped as a whole,
 * counted and logged; it cannot harm the container's memory. A crash ends the
 * policy's process only: a new one is started, and begins with init().
 *
 * GROWTH. Structs of both sides begin with, or carry, their size; members are
 * only ever added at the end. An old policy runs on a newer host unchanged; a
 * newer policy asks USM_HOST_HAS() before it uses what an older host may lack.
 */
#ifndef USM_POLICY_H
#define USM_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when a policy that was built against an older header would break. */
#define USM_POLICY_ABI		1

/* "None", where a frame is returned. */
#define USM_FRAME_NOWHERE	UINT32_MAX

/* "Any", where a store is returned. */
#define USM_STORE_ANYWHERE	UINT32_MAX

/* Frames in one run, at most. */
#define USM_RUN_MAX		512

/* Frames `frame` to `frame + count - 1`. */
struct usm_run {
	uint32_t frame;
	uint32_t count;		/* 1 to USM_RUN_MAX */
};

/* ------------------------------------------------------------ frame table */

enum usm_page_state {
	USM_PAGE_NONE = 0,	/* this frame has no memory now */
	USM_PAGE_FREE = 1,	/* may be supplied, unless it has been already */
	USM_PAGE_TAKEN = 2,	/* on its way to a fault */
	USM_PAGE_MAPPED = 3,	/* holds `page` of `space` */
	USM_PAGE_SHARED = 4,	/* shared copy-on-write; `space` is one of them, or one
				 * that they were forked from */
	USM_PAGE_HELD = 5,	/* unmapped, but I/O still refers to it */
};

/* One frame, as it was at the moment of the question. */
struct usm_page {
	uint32_t space;		/* address space that it belongs to, 0: none */
	uint8_t state;		/* enum usm_page_state */
	uint8_t zeroed;		/* 1: free or taken, and its content is zero */
	uint8_t run;		/* log2 of the aligned physical run that it lies in */
	uint8_t node;		/* NUMA node */
	uint8_t age;		/* mapped, shared: how often in a row sampling found that it was
				 * not accessed since the time before; 255: or more */
	uint8_t pad;
	uint16_t generation;	/* stepped each time that the frame is freed */
	uint32_t pad2;
	uint64_t page;		/* address / 4096 of its last mapping */
};

/* ------------------------------------------------------------------ stores */

/*
 * Where the content of evicted pages is kept. The host tries those that have room in
 * their order, unless the policy's place() says with which to begin.
 */
struct usm_store_info {
	char kind[16];		/* "lz4": compressed memory */
	uint64_t quota;		/* bytes that it may take */
	uint64_t used;		/* bytes that it takes */
	uint64_t data;		/* bytes of that which are content, as it is stored */
	uint64_t pages;		/* number of pages in it */
};

/* ------------------------------------------------------------------- host */

/* Importance of a log line: as in syslog(3). */
enum usm_policy_level {
	USM_POLICY_ERROR = 3,
	USM_POLICY_WARNING = 4,
	USM_POLICY_INFO = 6,
	USM_POLICY_DEBUG = 7,
};

#if defined(__GNUC__)
#define USM_POLICY_FORMAT(f, a)	__attribute__((format(printf, f, a)))
#define USM_POLICY_EXPORT	__attribute__((visibility("default")))
#else
#define USM_POLICY_FORMAT(f, a)
#define USM_POLICY_EXPORT
#endif

/* The host's services. The first argument of each is the struct itself. */
struct usm_host {
	uint32_t abi;		/* USM_POLICY_ABI of the host */
	uint32_t size;		/* bytes of this struct in the host */
	uint32_t frames;	/* entries of the frame table: the ceiling */
	uint32_t cpus;		/* supply requests name CPUs below this */
	uint32_t fault_order;	/* a fault maps up to 2^fault_order pages */
	uint32_t pad;
	void *runtime;		/* the host's own */

	/* One line to the journal, with container and policy as fields. */
	void (*log)(const struct usm_host *host, int level, const char *format, ...)
		USM_POLICY_FORMAT(3, 4);

	/* Nanoseconds, monotonic; the same during one call of the policy. */
	uint64_t (*now)(const struct usm_host *host);

	/*
	 * The lowest frame at or above `from` that starts a run of 2^order frames
	 * (order 0 to 9), aligned to its length, all of which may be supplied:
	 * free, and not supplied already. USM_FRAME_NOWHERE: there is none. Runs
	 * proposed in the answer being prepared are still found.
	 */
	uint32_t (*find)(const struct usm_host *host, uint32_t from, unsigned int order);

	/* How many frames from `frame` on, `max` at most, may be supplied. */
	uint32_t (*length)(const struct usm_host *host, uint32_t frame, uint32_t max);

	/* How many frames may be supplied in all. */
	uint32_t (*available)(const struct usm_host *host);

	/*
	 * Look at a frame: false beyond the end of the table. Use usm_host_page(),
	 * which passes the size that this header knows.
	 */
	bool (*page)(const struct usm_host *host, uint32_t frame, struct usm_page *page,
		     size_t size);

	/*
	 * Ask for `frames` more, from NUMA node `node` (-1: any), beyond what the
	 * host keeps free by itself. They come in the background and grown() or
	 * pressure() tells. Returns 0, -EINVAL, -ENOSPC: at the ceiling, -EAGAIN:
	 * the last request is not answered yet.
	 */
	int (*grow)(const struct usm_host *host, uint32_t frames, int32_t node);

	/*
	 * The parameters of the container's annotation, in init() only. What is
	 * not there gets the fallback. A value of another type or out of range
	 * gets it too, and makes the host refuse the policy after init() with a
	 * sentence to the container's author, as does a parameter that was never
	 * asked for: a policy has nothing to check. Strings live until fini().
	 */
	const char *(*parameter_string)(const struct usm_host *host, const char *name,
					const char *fallback);
	int64_t (*parameter_number)(const struct usm_host *host, const char *name,
				    int64_t min, int64_t max, int64_t fallback);
	bool (*parameter_bool)(const struct usm_host *host, const char *name, bool fallback);

	/*
	 * Look at store number `index`: false beyond the last. Without any, nothing is
	 * evicted. Pass sizeof(struct usm_store_info). Not in the first header: see
	 * USM_HOST_HAS().
	 */
	bool (*store)(const struct usm_host *host, uint32_t index, struct usm_store_info *info,
		      size_t size);

	/*
	 * From now on find out which pages are in use, of `rate` frames a second at the
	 * most; 0, as in the beginning: of none. The host goes round the table: about once
	 * a second while pages are evicted, less often otherwise, and where memory cannot
	 * grow whenever an eighth of the frames was supplied, if the rate allows it.
	 * usm_page.age has what was found. Not in the first header.
	 */
	void (*sample)(const struct usm_host *host, uint32_t rate);

	/*
	 * Ask that evict() be called for `frames` in all although memory need not be
	 * short; 0: for none any more. It takes the place of what is left of the last such
	 * request, and ends early when evict() has nothing to give. Returns 0, or
	 * -EOPNOTSUPP: nothing can be evicted, for want of evict() or of a store. Not in the
	 * first header.
	 */
	int (*evict)(const struct usm_host *host, uint32_t frames);
};

/* Whether the host is new enough to have `member`. */
#define USM_HOST_HAS(host, member)					\
	((host)->size >= offsetof(struct usm_host, member) +		\
			 sizeof(((struct usm_host *)0)->member))

/* Frame `frame` as it is now; state USM_PAGE_NONE beyond the end. */
static inline struct usm_page usm_host_page(const struct usm_host *host, uint32_t frame)
{
	struct usm_page page = { 0 };

	host->page(host, frame, &page, sizeof(page));
	return page;
}

/* ----------------------------------------------------------------- policy */

struct usm_supply_request {
	uint32_t size;		/* bytes of this struct in the host */
	uint32_t cpu;		/* whose faults will take the frames, as a rule */
	uint32_t frames;	/* wanted, at the most */
	uint32_t order;		/* runs of 2^order frames serve a fault best */
	uint32_t urgent;	/* 1: nothing is left for this CPU */
	uint32_t pad;
};

/* How a page was touched. */
#define USM_TOUCH_WRITE		(1u << 0)
#define USM_TOUCH_EXEC		(1u << 1)
#define USM_TOUCH_USER		(1u << 2)	/* by the program; else by the kernel for it */
#define USM_TOUCH_REMOTE	(1u << 3)	/* by another process */

struct usm_fault_request {
	uint32_t size;		/* bytes of this struct in the host */
	uint32_t space;
	uint64_t page;		/* address / 4096, of the page that was touched */
	uint32_t frames;	/* wanted, at the most: it and the empty ones around it */
	uint32_t cpu;		/* on which it was touched */
	uint32_t flags;		/* USM_TOUCH_* */
	uint32_t pad;
};

enum usm_space_change {
	USM_SPACE_NEW = 1,
	USM_SPACE_FORK = 2,	/* `parent` is set */
	USM_SPACE_EXIT = 3,	/* the last of its frames is unmapped */
};

struct usm_space_note {
	uint32_t size;		/* bytes of this struct in the host */
	uint32_t change;	/* enum usm_space_change; ignore what you do not know */
	uint32_t space;		/* below 2^24; used again only when all others have been */
	uint32_t parent;	/* FORK: the space that it was copied from */
	uint32_t pid;		/* NEW: of the process; FORK: of the parent; host's pid namespace */
	uint32_t pad;
};

enum usm_pressure_kind {
	USM_PRESSURE_CEILING = 1, /* growth ended at the container's own ceiling */
	USM_PRESSURE_CGROUP = 2,  /* ... at memory.max of its cgroup or of an ancestor */
	USM_PRESSURE_HOST = 3,	  /* ... for want of memory on the host */
	USM_PRESSURE_RECLAIM = 4, /* the kernel took free frames back */
	USM_PRESSURE_NODE = 5,	  /* growth ended for want of memory on the node that was asked for */
};

struct usm_pressure_note {
	uint32_t size;		/* bytes of this struct in the host */
	uint32_t kind;		/* enum usm_pressure_kind; ignore what you do not know */
	uint32_t frames;	/* missing, or taken back */
	uint32_t pad;
};

struct usm_evict_request {
	uint32_t size;		/* bytes of this struct in the host */
	uint32_t frames;	/* wanted, at the most */
	uint32_t urgent;	/* 1: a fault is waiting for a frame */
	uint32_t pad;
};

struct usm_place_request {
	uint32_t size;		/* bytes of this struct in the host */
	uint32_t frame;		/* that the page was in */
	uint32_t space;
	uint32_t pad;
	uint64_t page;		/* address / 4096 */
};

/* A page that was evicted: it is back, or nobody has it any more. */
struct usm_return_note {
	uint32_t size;		/* bytes of this struct in the host */
	uint32_t space;		/* where it was when it was evicted; it may have moved since */
	uint64_t page;		/* address / 4096, the same */
};

struct usm_sampled_note {
	uint32_t size;		/* bytes of this struct in the host */
	uint32_t frame;		/* the first of `count` */
	uint32_t count;
	uint32_t last;		/* 1: these end a round over the table */
};

/*
 * The policy. `state` is what init() stored. Members that may be NULL say so; a
 * NULL member is never called.
 */
struct usm_policy {
	uint32_t abi;		/* USM_POLICY_ABI */
	uint32_t size;		/* sizeof(struct usm_policy) */
	const char *name;	/* the same as the file's name without ".so" */
	const char *summary;	/* one line for listings */

	/*
	 * Begin. `host` is valid until fini() returns. Returns 0, or a negative
	 * errno value to refuse, after a log line that says why. Called twice
	 * before a container is served: first for a rehearsal on the container's
	 * frame table, in a process that ends afterwards. May be NULL.
	 */
	int (*init)(const struct usm_host *host, void **state);

	/* End; frees what init() made. Not called when the process is killed. May be NULL. */
	void (*fini)(void *state);

	/*
	 * Choose the frames that the next faults get, first run first. Writes at
	 * most `capacity` runs of together at most request->frames frames, each
	 * of which may be supplied (see usm_host.find), none twice. Returns the
	 * number of runs. 0: nothing (more) to give now; the host asks again when
	 * frames came free or were used. As long as more is wanted and the answer
	 * is not 0, the host asks again at once.
	 */
	uint32_t (*supply)(void *state, const struct usm_supply_request *request,
			   struct usm_run *runs, uint32_t capacity);

	/* Frames that may be supplied again. May be NULL, as all below. */
	void (*freed)(void *state, uint32_t frame, uint32_t count);

	/* Frames that are new, and those that were given back to the host. */
	void (*grown)(void *state, uint32_t frame, uint32_t count);
	void (*shrunk)(void *state, uint32_t frame, uint32_t count);

	/*
	 * freed(), grown() and shrunk() may have been missed: forget what you
	 * derived from them and look at the table. Nothing is supplied now.
	 */
	void (*rescan)(void *state);

	void (*space)(void *state, const struct usm_space_note *note);
	void (*pressure)(void *state, const struct usm_pressure_note *note);

	/* About once a second; `now` as of usm_host.now. */
	void (*tick)(void *state, uint64_t now);

	/*
	 * Memory is short and cannot grow: choose frames whose pages go to a store.
	 * Writes at most `capacity` runs of together at most request->frames frames,
	 * none twice. Returns the number of runs; 0: nothing to evict. Frames that do
	 * not hold a page, or whose page is locked or used by the kernel, stay as they
	 * are: the host asks again while it needs more. A page that processes share
	 * leaves all of them. A policy without this member never evicts. This and all
	 * below were not in the first header.
	 */
	uint32_t (*evict)(void *state, const struct usm_evict_request *request,
			  struct usm_run *runs, uint32_t capacity);

	/* With which store to begin for a page that was evicted; or USM_STORE_ANYWHERE. */
	uint32_t (*place)(void *state, const struct usm_place_request *request);

	/* It came back since it, or one before it, was touched; it was dropped while away. */
	void (*refault)(void *state, const struct usm_return_note *note);
	void (*discarded)(void *state, const struct usm_return_note *note);

	/*
	 * The pages in these frames have another age than before, as far as it could be
	 * told; see usm_host.sample. A page whose age stays 0 is in use, or new.
	 */
	void (*sampled)(void *state, const struct usm_sampled_note *note);

	/*
	 * A page is touched for the first time, and its thread waits: choose its frame.
	 * Only with the annotation fault.mode=upcall, which a policy without this member
	 * cannot serve; supply() is not called then. Writes at most `capacity` runs of
	 * together at most request->frames frames, each of which may be supplied (see
	 * usm_host.find), none twice. The first frame is for request->page, the others are
	 * for the empty pages of its aligned run of 2^fault_order, in ascending order.
	 * Returns the number of runs; 0: the module takes any frame. Not called when
	 * there is no frame that may be supplied: the fault waits until there is one.
	 */
	uint32_t (*fault)(void *state, const struct usm_fault_request *request,
			  struct usm_run *runs, uint32_t capacity);
};

/* What a policy's shared object defines. */
extern USM_POLICY_EXPORT const struct usm_policy usm_policy;

#ifdef __cplusplus
}
#endif

#endif /* USM_POLICY_H */

// SPDX-License-Identifier: GPL-2.0-or-later
#include "sandbox.h"

#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "device.h"

USM_DEFINE_CLEANUP(scmp_filter_ctx, seccomp_release)
#define cleanup_seccomp	usm_cleanup(seccomp_release_cleanup)

/* Allowed whatever the arguments are. */
static const int allowed[] = {
	/* the loop, its timers and signals */
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(epoll_ctl),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_create),
	SCMP_SYS(signalfd4), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(writev),
	SCMP_SYS(close), SCMP_SYS(restart_syscall), SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday), SCMP_SYS(time),

	/* usmd, the journal, the service manager */
	SCMP_SYS(connect), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg),
	SCMP_SYS(recvfrom), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(fcntl),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(getpid), SCMP_SYS(gettid),
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
	/* The log looks whether the journal's socket is there. */
	SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
	/* A journal entry that is too long for a datagram goes in a memfd; evicted
	 * pages go into one. */
	SCMP_SYS(memfd_create), SCMP_SYS(ftruncate), SCMP_SYS(fallocate),

	/* memory and locks of libc, for the policy as well */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex),
	SCMP_SYS(getrandom), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),

	/* the end: exit(), abort() and the core of it */
	SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(tgkill), SCMP_SYS(sigaltstack),
};

/* The libc of the build machine may know system calls that this kernel lacks. */
static int allow(scmp_filter_ctx filter, int call)
{
	int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);

	return r == -EDOM || r == -EINVAL ? 0 : r;
}

static int rules_add(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(allowed) / sizeof(*allowed); i++)
		r = allow(filter, allowed[i]);

	/* Any memory but executable memory. */
	if (!r)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!r)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!r)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, AF_UNIX));

	/* It is asked for most: in upcall mode for each fault. */
	if (!r)
		r = seccomp_syscall_priority(filter, SCMP_SYS(ioctl), 255);
	/* The domain's: the device knows them by type and number alone. Which of
	 * them work is up to the descriptor, and it is the only one of its kind. */
	if (!r)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_MASKED_EQ, _IOC_TYPEMASK << _IOC_TYPESHIFT,
					     USM_IOC_MAGIC << _IOC_TYPESHIFT));
	return r;
}

int usm_sandbox_enter(struct usm_error *err)
{
	cleanup_seccomp scmp_filter_ctx filter = NULL;
	int r;

	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return usm_error_oom(err);
	r = rules_add(filter);
	if (r < 0)
		return usm_error_errno(err, -r, "cannot build the system call filter");
	r = seccomp_load(filter);
	if (r < 0)
		return usm_error_errno(err, -r, "cannot enter the system call filter");
	return 0;
}

int usm_sandbox_lock_memory(struct usm_error *err)
{
	/*
	 * In two steps: code and data that are there now come in completely; of
	 * what follows (bitmaps for the largest table, of which a small container
	 * touches a corner) only what is used.
	 */
	if (mlockall(MCL_CURRENT) < 0 || mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		return usm_error_errno(err, errno, "cannot lock the instance's memory");
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "compat/compat.h"
#include "domain.h"
#include "event.h"
#include "frame.h"
#include "grow.h"
#include "port.h"
#include "sample.h"
#include "supply.h"

/* Commands copied in and out at a time. */
#define USM_COMMAND_BATCH	16

int usm_copy_in(void *to, size_t known, const void __user *from)
{
	u32 size;

	if (get_user(size, (const u32 __user *)from))
		return -EFAULT;
	if (size < sizeof(u32) * 2 || size > PAGE_SIZE)
		return -EINVAL;
	return copy_struct_from_user(to, known, from, size);
}

int usm_copy_out(void __user *to, const void *from, size_t known)
{
	size_t size = min_t(size_t, *(const u32 *)from, known);

	return copy_to_user(to, from, size) ? -EFAULT : 0;
}

/* --------------------------------------------------------------------- ioctls */

static long usm_port_info(struct usm_domain *domain, void __user *arg)
{
	struct usm_info info;
	int err = usm_copy_in(&info, sizeof(info), arg);

	if (err)
		return err;
	if (info.flags)
		return -EINVAL;
	info = (struct usm_info){
		.size = info.size,
		.id = domain->id,
		.table_size = usm_frames_table_size(domain),
		.frame_size = sizeof(u64),
		.event_size = usm_events_size(&domain->events),
		.supply_size = usm_supply_size(),
		.supply_rings = nr_cpu_ids,
		.evicted_size = usm_vault_table_size(&domain->vault),
		.staging_size = usm_staging_size(),
		.staging_offset = usm_staging_offset(),
		.owners_offset = usm_frames_owners_offset(domain),
		.blocks_offset = usm_frames_blocks_offset(domain),
		.frames = domain->capacity,
	};
	memcpy(info.label, domain->label, sizeof(info.label));
	return usm_copy_out(arg, &info, sizeof(info));
}

static long usm_port_arm(struct usm_port *port, void __user *arg)
{
	struct usm_arm arm;
	int err = usm_copy_in(&arm, sizeof(arm), arg);

	if (err)
		return err;
	if (arm.flags)
		return -EINVAL;
	/* What the one before still evicts would go past who begins with staging. */
	if (mutex_lock_killable(&port->domain->vault.staging_lock))
		return -EINTR;
	err = usm_domain_arm(port->domain, port, &arm.epoch);
	mutex_unlock(&port->domain->vault.staging_lock);
	if (err)
		return err == -EALREADY ? -EBUSY : err;
	WRITE_ONCE(port->reader, current->mm);
	err = usm_copy_out(arg, &arm, sizeof(arm));
	if (err)
		usm_domain_disarm(port->domain, port, USM_FALLBACK_DISARMED);
	return err;
}

static bool usm_port_armed(struct usm_port *port)
{
	return READ_ONCE(port->domain->armed) == port;
}

/* The largest of them; above USM_MAX_ORDER: one is. */
static u32 usm_orders_max(const u8 *orders)
{
	u32 max = 0, i;

	for (i = 0; i < USM_ORDER_SIZES; i++)
		max = max_t(u32, max, orders[i]);
	return max;
}

static void usm_port_tune_orders(struct usm_domain *domain, const struct usm_tune *tune)
{
	u32 i;

	for (i = 0; i < USM_ORDER_SIZES; i++)
		WRITE_ONCE(domain->orders[i], tune->flags & USM_TUNE_ORDERS ? tune->orders[i] :
			   tune->fault_order);
	WRITE_ONCE(domain->order, tune->flags & USM_TUNE_ORDERS ? usm_orders_max(tune->orders) :
		   tune->fault_order);
}

static long usm_port_tune(struct usm_domain *domain, void __user *arg)
{
	struct usm_tune tune;
	int err = usm_copy_in(&tune, sizeof(tune), arg);

	if (err)
		return err;
	if (!tune.flags || (tune.flags & ~(USM_TUNE_CEILING | USM_TUNE_RESERVE |
					   USM_TUNE_ORDER | USM_TUNE_DEADLINE |
					   USM_TUNE_MODE | USM_TUNE_ORDERS)))
		return -EINVAL;
	if ((tune.flags & USM_TUNE_ORDERS) && ((tune.flags & USM_TUNE_ORDER) ||
					       usm_orders_max(tune.orders) > USM_MAX_ORDER))
		return -EINVAL;
	if (tune.pad || ((tune.flags & USM_TUNE_MODE) && tune.mode > USM_MODE_UPCALL) ||
	    ((tune.flags & USM_TUNE_CEILING) && !tune.ceiling) ||
	    ((tune.flags & USM_TUNE_ORDER) && tune.fault_order > USM_MAX_ORDER) ||
	    ((tune.flags & USM_TUNE_DEADLINE) &&
	     (!tune.deadline_ms || tune.deadline_ms > USM_MAX_DEADLINE_MS)))
		return -EINVAL;
	if ((tune.flags & USM_TUNE_CEILING) && tune.ceiling > domain->capacity)
		return -ERANGE;
	if (tune.flags & USM_TUNE_CEILING)
		WRITE_ONCE(domain->ceiling, tune.ceiling);
	if (tune.flags & USM_TUNE_RESERVE)
		WRITE_ONCE(domain->reserve, tune.reserve);
	if (tune.flags & (USM_TUNE_ORDER | USM_TUNE_ORDERS))
		usm_port_tune_orders(domain, &tune);
	if (tune.flags & USM_TUNE_DEADLINE)
		WRITE_ONCE(domain->deadline_ms, tune.deadline_ms);
	if ((tune.flags & USM_TUNE_MODE) && xchg(&domain->mode, tune.mode) != tune.mode) {
		usm_supply_let_go(domain);
		usm_upcall_dismiss(domain);
	}
	if (tune.flags & (USM_TUNE_CEILING | USM_TUNE_RESERVE))
		WRITE_ONCE(domain->limited, false);
	usm_domain_kick(domain);
	if (tune.flags & USM_TUNE_DEADLINE)
		usm_upcall_hurry(domain);
	return 0;
}

static int usm_command_zero(struct usm_domain *domain, const struct usm_command *cmd)
{
	u32 at = cmd->frame, end = cmd->frame + cmd->count, zeroed = 0, done;

	while (at < end) {
		u32 got = usm_frames_claim(domain, at, end - at);

		if (got) {
			done = usm_frames_zero(domain, at, got);
			usm_count_add(domain, USM_N_ZEROED_AHEAD, done);
			usm_frames_unclaim(domain, at, got);
			zeroed += got;
		}
		at += got ?: 1;
		cond_resched();
	}
	return zeroed;
}

static int usm_command_resolve(struct usm_port *port, const struct usm_command *cmd)
{
	u32 capacity = port->domain->capacity;

	if (cmd->node || (cmd->flags & ~USM_RESOLVE_MORE) || cmd->count > USM_MAX_RUN ||
	    cmd->frame >= capacity || cmd->count > capacity - cmd->frame ||
	    (!cmd->count && (cmd->flags || cmd->frame || cmd->generation)))
		return -EINVAL;
	return usm_upcall_resolve(port->domain, port, cmd);
}

/* epoch: the arming in which the command was submitted. */
static int usm_command(struct usm_port *port, u64 epoch, const struct usm_command *cmd)
{
	struct usm_domain *domain = port->domain;

	if (cmd->op == USM_CMD_RESOLVE)
		return usm_command_resolve(port, cmd);
	if (cmd->flags || (cmd->arg && cmd->op != USM_CMD_EVICT &&
			   cmd->op != USM_CMD_RESTORE && cmd->op != USM_CMD_LOSE))
		return -EINVAL;
	switch (cmd->op) {
	case USM_CMD_REPEAT:
		if (cmd->frame || cmd->count || cmd->generation || cmd->node)
			return -EINVAL;
		return usm_upcall_repeat(domain, port);
	case USM_CMD_GROW:
		if (cmd->frame || cmd->generation || !cmd->count ||
		    cmd->count > USM_MAX_FRAMES || cmd->node < -1 ||
		    cmd->node >= MAX_NUMNODES ||
		    (cmd->node >= 0 && !node_online(cmd->node)))
			return -EINVAL;
		return usm_grow_ask(domain, cmd->count, cmd->node);
	case USM_CMD_RESTORE:
		if (cmd->node || cmd->generation || cmd->count != 1 ||
		    cmd->frame >= USM_STAGING_PAGES)
			return -EINVAL;
		return usm_restore(domain, port, epoch, cmd);
	case USM_CMD_LOSE:
		if (cmd->node || cmd->generation || cmd->count != 1 || cmd->frame)
			return -EINVAL;
		return usm_port_armed(port) ? usm_lose(domain, port, epoch, cmd) : -EPERM;
	case USM_CMD_EVICT:
		if (cmd->count > USM_STAGING_PAGES ||
		    cmd->arg > USM_STAGING_PAGES - cmd->count)
			return -EINVAL;
		fallthrough;
	case USM_CMD_SAMPLE:
	case USM_CMD_SHRINK:
	case USM_CMD_ZERO:
		if (cmd->node || !cmd->count || cmd->count > USM_MAX_RUN ||
		    cmd->frame >= domain->capacity ||
		    cmd->count > domain->capacity - cmd->frame)
			return -EINVAL;
		if (!usm_frames_offered(domain, cmd->frame, cmd->count, cmd->generation))
			return -ESTALE;
		if (cmd->op == USM_CMD_ZERO)
			return usm_command_zero(domain, cmd);
		if (cmd->op == USM_CMD_EVICT)
			return usm_evict(domain, port, epoch, cmd);
		if (cmd->op == USM_CMD_SAMPLE)
			return usm_sample(domain, cmd->frame, cmd->count);
		return usm_grow_shrink(domain, cmd->frame, cmd->count, USM_SHRINK_COMMAND);
	}
	return -EINVAL;
}

/* Somebody may wait for what it does. */
static bool usm_command_returns(const struct usm_command *cmd)
{
	return cmd->op == USM_CMD_RESTORE || cmd->op == USM_CMD_LOSE;
}

/* *wait: whether to wait then, and *timeout for how long, in jiffies. */
static long usm_port_submit(struct usm_port *port, void __user *arg, bool *wait,
			    unsigned long *timeout)
{
	u64 epoch = READ_ONCE(port->domain->epoch);
	struct usm_command batch[USM_COMMAND_BATCH];
	struct usm_command __user *user;
	struct usm_submit submit;
	int err = usm_copy_in(&submit, sizeof(submit), arg), out;
	bool came = false;
	u32 i, nr;

	if (err)
		return err;
	*wait = submit.flags & USM_SUBMIT_WAIT;
	*timeout = msecs_to_jiffies(submit.timeout_ms);
	if ((submit.flags & ~USM_SUBMIT_WAIT) || submit.pad || (!submit.count && !*wait) ||
	    submit.count > USM_MAX_COMMANDS || (submit.timeout_ms && !*wait))
		return -EINVAL;
	user = u64_to_user_ptr(submit.commands);
	for (submit.done = 0; submit.done < submit.count && !err; submit.done += nr) {
		nr = min_t(u32, submit.count - submit.done, USM_COMMAND_BATCH);
		if (copy_from_user(batch, user + submit.done, nr * sizeof(*batch))) {
			err = -EFAULT;
			break;
		}
		for (i = 0; i < nr; i++) {
			if (signal_pending(current)) {
				err = -EINTR;
				nr = i;
				break;
			}
			/* Whoever waits wants to find all that came with his page. */
			if (came && !usm_command_returns(batch + i)) {
				usm_domain_kick(port->domain);
				came = false;
			}
			batch[i].result = usm_command(port, epoch, batch + i);
			came |= usm_command_returns(batch + i);
			if (batch[i].result < 0)
				usm_count_add(port->domain, USM_N_REFUSED, 1);
		}
		if (copy_to_user(user + submit.done, batch, nr * sizeof(*batch)))
			err = -EFAULT;
	}
	if (came)
		usm_domain_kick(port->domain);
	out = usm_copy_out(arg, &submit, sizeof(submit));
	return err ?: out;
}

static long usm_port_stat(struct usm_domain *domain, void __user *arg)
{
	struct usm_stat stat;
	int err = usm_copy_in(&stat, sizeof(stat), arg);
	u32 size = stat.size;

	if (err)
		return err;
	if (stat.flags)
		return -EINVAL;
	memset(&stat, 0, sizeof(stat));
	stat.size = size;
	usm_stat_fill(domain, &stat);
	return usm_copy_out(arg, &stat, sizeof(stat));
}

static long usm_port_ioctl(struct file *file, unsigned int cmd, unsigned long value)
{
	struct usm_port *port = file->private_data;
	struct usm_domain *domain = port->domain;
	void __user *arg = (void __user *)value;
	unsigned long timeout = 0;
	bool wait = false;
	long ret;

	if (_IOC_TYPE(cmd) != USM_IOC_MAGIC)
		return -ENOTTY;
	/* A use: frames and limbo stay while a command looks at them. */
	if (!usm_domain_use(domain))
		return -ENODEV;
	switch (_IOC_NR(cmd)) {
	case _IOC_NR(USM_IOC_INFO):
		ret = usm_port_info(domain, arg);
		break;
	case _IOC_NR(USM_IOC_ARM):
		ret = usm_port_arm(port, arg);
		break;
	case _IOC_NR(USM_IOC_DISARM):
		ret = usm_port_armed(port) ? 0 : -EPERM;
		usm_domain_disarm(domain, port, USM_FALLBACK_DISARMED);
		break;
	case _IOC_NR(USM_IOC_TUNE):
		ret = usm_port_tune(domain, arg);
		break;
	case _IOC_NR(USM_IOC_SUBMIT):
		ret = usm_port_submit(port, arg, &wait, &timeout);
		break;
	case _IOC_NR(USM_IOC_STAT):
		ret = usm_port_stat(domain, arg);
		break;
	case _IOC_NR(USM_IOC_KICK):
		ret = usm_port_armed(port) ? 0 : -EPERM;
		if (!ret)
			usm_domain_kick(domain);
		break;
	case _IOC_NR(USM_IOC_STORE_PUT):
		ret = usm_port_armed(port) ? usm_store_put(domain, port, arg) : -EPERM;
		break;
	case _IOC_NR(USM_IOC_STORE_GET):
		ret = usm_store_get(&domain->stores, arg);
		break;
	case _IOC_NR(USM_IOC_STORE_DROP):
		ret = usm_port_armed(port) ? usm_store_drop(domain, port, arg) : -EPERM;
		break;
	default:
		ret = -ENOTTY;
	}
	usm_domain_unuse(domain);
	/* Not a use: the domain may end meanwhile. */
	if (!ret && wait)
		ret = usm_events_wait(domain, port, timeout);
	return ret;
}

/*
 * Filters of system calls that look at ioctl(2) do not look at this: each fault has one.
 * It is for who armed: another that is given the descriptor to read from does not mean
 * what its buffer happens to say.
 */
static ssize_t usm_port_read(struct file *file, char __user *buffer, size_t size, loff_t *at)
{
	struct usm_port *port = file->private_data;
	long err;

	if (size < sizeof(struct usm_submit))
		return -EINVAL;
	if (READ_ONCE(port->reader) != current->mm)
		return -EPERM;
	err = usm_port_ioctl(file, USM_IOC_SUBMIT, (unsigned long)buffer);
	return err ?: size;
}

/* ----------------------------------------------------------------------- mmap */

/*
 * What grew has its page of the table. One of frames that never were is made, at
 * the container's cost, for who reads beyond what the ring of events says.
 */
static vm_fault_t usm_table_fault(struct vm_fault *vmf)
{
	struct usm_port *port = vmf->vma->vm_file->private_data;
	struct usm_domain *domain = port->domain;
	u64 offset = (u64)vmf->pgoff << PAGE_SHIFT;
	unsigned long pfn;

	if (offset >= usm_frames_table_size(domain))
		return VM_FAULT_SIGBUS;
	pfn = usm_frames_table_pfn(domain, offset);
	return pfn ? vmf_insert_pfn(vmf->vma, vmf->address, pfn) : VM_FAULT_SIGBUS;
}

static const struct vm_operations_struct usm_table_vm_ops = {
	.fault = usm_table_fault,
};

/* A page of the table that no number is shown in yet is not there. */
static vm_fault_t usm_evicted_table_fault(struct vm_fault *vmf)
{
	struct usm_port *port = vmf->vma->vm_file->private_data;
	struct usm_vault *vault = &port->domain->vault;
	u64 index = vmf->pgoff - (USM_MMAP_EVICTED >> PAGE_SHIFT);
	unsigned long pfn;

	if (index >= usm_vault_table_size(vault) >> PAGE_SHIFT)
		return VM_FAULT_SIGBUS;
	pfn = usm_vault_table_pfn(vault, index);
	return pfn ? vmf_insert_pfn(vmf->vma, vmf->address, pfn) : VM_FAULT_SIGBUS;
}

static const struct vm_operations_struct usm_evicted_vm_ops = {
	.fault = usm_evicted_table_fault,
};

/* A table that is read only: pages are inserted as they are looked at. */
static int usm_port_map_table(struct vm_area_struct *vma,
			      const struct vm_operations_struct *ops)
{
	if (vma->vm_flags & VM_WRITE)
		return -EPERM;
	usm_vma_flags_change(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP, VM_MAYWRITE);
	vma->vm_ops = ops;
	return 0;
}

static int usm_port_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct usm_port *port = file->private_data;
	struct usm_domain *domain = port->domain;
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	u64 size = vma->vm_end - vma->vm_start;
	u64 cpu;

	if (!(vma->vm_flags & VM_SHARED) || (vma->vm_flags & VM_EXEC))
		return -EINVAL;
	if (offset == USM_MMAP_EVENTS) {
		if (size > usm_events_size(&domain->events))
			return -EINVAL;
		vma->vm_pgoff = 0;
		return remap_vmalloc_range(vma, domain->events.ring, 0);
	}
	if (offset == USM_MMAP_STAGING) {
		void *staging = usm_staging(domain);

		if (size > usm_staging_size())
			return -EINVAL;
		if (!staging)
			return -ENOMEM;
		vma->vm_pgoff = 0;
		return remap_vmalloc_range(vma, staging, 0);
	}
	if (offset > USM_MMAP_STAGING)
		return -EINVAL;
	if (offset >= USM_MMAP_EVICTED) {
		u64 whole = usm_vault_table_size(&domain->vault);

		offset -= USM_MMAP_EVICTED;
		if (offset >= whole || size > whole - offset)
			return -EINVAL;
		return usm_port_map_table(vma, &usm_evicted_vm_ops);
	}
	if (offset >= USM_MMAP_SUPPLY) {
		cpu = (offset - USM_MMAP_SUPPLY) / usm_supply_size();
		if ((offset - USM_MMAP_SUPPLY) % usm_supply_size() ||
		    size > usm_supply_size() || cpu >= nr_cpu_ids || !cpu_possible(cpu))
			return -EINVAL;
		vma->vm_pgoff = 0;
		return remap_vmalloc_range(vma, per_cpu_ptr(domain->supply, cpu)->ring, 0);
	}
	if (offset >= usm_frames_table_size(domain) ||
	    size > usm_frames_table_size(domain) - offset)
		return -EINVAL;
	return usm_port_map_table(vma, &usm_table_vm_ops);
}

/* ----------------------------------------------------------------------- file */

static __poll_t usm_port_poll(struct file *file, poll_table *wait)
{
	struct usm_port *port = file->private_data;
	struct usm_domain *domain = port->domain;

	poll_wait(file, &domain->events.poll, wait);
	if (READ_ONCE(domain->gone) || !usm_port_armed(port))
		return EPOLLHUP;
	return usm_events_pending(&domain->events) ? EPOLLIN | EPOLLRDNORM : 0;
}

static int usm_port_release(struct inode *inode, struct file *file)
{
	struct usm_port *port = file->private_data;

	usm_domain_disarm(port->domain, port, USM_FALLBACK_CLOSED);
	usm_domain_put(port->domain);
	kfree(port);
	return 0;
}

static const struct file_operations usm_port_fops = {
	.owner = THIS_MODULE,
	.release = usm_port_release,
	.read = usm_port_read,
	.unlocked_ioctl = usm_port_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = usm_port_mmap,
	.poll = usm_port_poll,
	.llseek = noop_llseek,
};

int usm_port_open(struct usm_domain *domain, struct file **file)
{
	struct usm_port *port;
	int fd;

	port = kzalloc(sizeof(*port), GFP_KERNEL_ACCOUNT);
	if (!port)
		return -ENOMEM;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		kfree(port);
		return fd;
	}
	*file = anon_inode_getfile("[usm]", &usm_port_fops, port, O_RDWR);
	if (IS_ERR(*file)) {
		put_unused_fd(fd);
		kfree(port);
		return PTR_ERR(*file);
	}
	usm_domain_get(domain);
	port->domain = domain;
	return fd;
}

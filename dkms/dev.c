// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/usm: bind, list, attach, release.
 */
#include <linux/capability.h>
#include <linux/file.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>

#include "dev.h"
#include "domain.h"
#include "port.h"

static long usm_dev_query(void __user *arg)
{
	struct usm_query query;
	int err = usm_copy_in(&query, sizeof(query), arg);

	if (err)
		return err;
	if (query.flags)
		return -EINVAL;
	query = (struct usm_query){
		.size = query.size,
		.abi = USM_ABI,
		.page_size = PAGE_SIZE,
		.modes = BIT(USM_MODE_SUPPLY) | BIT(USM_MODE_UPCALL),
		.cpus = nr_cpu_ids,
		.max_order = USM_MAX_ORDER,
		.version = USM_VERSION,
	};
	return usm_copy_out(arg, &query, sizeof(query));
}

/* Hand out the descriptor only when nothing can fail any more. */
static int usm_dev_publish(struct usm_domain *domain, s32 __user *where)
{
	struct file *file;
	int fd = usm_port_open(domain, &file);

	if (fd < 0)
		return fd;
	if (put_user(fd, where)) {
		put_unused_fd(fd);
		fput(file);
		return -EFAULT;
	}
	fd_install(fd, file);
	return 0;
}

static int usm_dev_check_bind(const struct usm_bind *bind)
{
	if (bind->flags || bind->pad || bind->mode > USM_MODE_UPCALL ||
	    !bind->ceiling || bind->ceiling > USM_MAX_FRAMES ||
	    bind->fault_order > USM_MAX_ORDER ||
	    bind->deadline_ms > USM_MAX_DEADLINE_MS ||
	    strnlen(bind->label, sizeof(bind->label)) == sizeof(bind->label))
		return -EINVAL;
	return 0;
}

static long usm_dev_bind(void __user *arg)
{
	struct usm_bind bind, __user *user = arg;
	struct usm_domain *domain;
	struct cgroup *cgroup;
	int err = usm_copy_in(&bind, sizeof(bind), arg);

	if (err)
		return err;
	/* What it cannot know it cannot be told. */
	if (bind.size < sizeof(bind))
		return -EINVAL;
	err = usm_dev_check_bind(&bind);
	if (err)
		return err;
	cgroup = cgroup_get_from_fd(bind.cgroup_fd);
	if (IS_ERR(cgroup))
		return -EBADF;
	domain = usm_domain_bind(&bind, cgroup);
	cgroup_put(cgroup);
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	err = put_user(domain->id, &user->id) ? -EFAULT :
		usm_dev_publish(domain, &user->domain_fd);
	if (err)
		usm_domain_release(domain->id);
	usm_domain_put(domain);
	return err;
}

static long usm_dev_list(void __user *arg)
{
	struct usm_list list;
	int err = usm_copy_in(&list, sizeof(list), arg);

	if (err)
		return err;
	if (list.flags)
		return -EINVAL;
	err = usm_domain_list(&list);
	if (!err || err == -ENOSPC)
		err = usm_copy_out(arg, &list, sizeof(list)) ?: err;
	return err;
}

static long usm_dev_attach(void __user *arg)
{
	struct usm_attach attach, __user *user = arg;
	struct usm_domain *domain;
	int err = usm_copy_in(&attach, sizeof(attach), arg);

	if (err)
		return err;
	if (attach.flags || attach.pad || attach.size < sizeof(attach))
		return -EINVAL;
	domain = usm_domain_find(attach.id);
	if (!domain)
		return -ENOENT;
	err = usm_dev_publish(domain, &user->domain_fd);
	usm_domain_put(domain);
	return err;
}

static long usm_dev_release_domain(void __user *arg)
{
	struct usm_release release;
	int err = usm_copy_in(&release, sizeof(release), arg);

	if (err)
		return err;
	if (release.flags)
		return -EINVAL;
	return usm_domain_release(release.id);
}

static long usm_dev_ioctl(struct file *file, unsigned int cmd, unsigned long value)
{
	void __user *arg = (void __user *)value;

	if (_IOC_TYPE(cmd) != USM_IOC_MAGIC)
		return -ENOTTY;
	switch (_IOC_NR(cmd)) {
	case _IOC_NR(USM_IOC_QUERY):
		return usm_dev_query(arg);
	case _IOC_NR(USM_IOC_BIND):
		return usm_dev_bind(arg);
	case _IOC_NR(USM_IOC_LIST):
		return usm_dev_list(arg);
	case _IOC_NR(USM_IOC_ATTACH):
		return usm_dev_attach(arg);
	case _IOC_NR(USM_IOC_RELEASE):
		return usm_dev_release_domain(arg);
	}
	return -ENOTTY;
}

/* Memory of other people's processes: a container's root is not enough. */
static int usm_dev_open(struct inode *inode, struct file *file)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	return 0;
}

static const struct file_operations usm_dev_fops = {
	.owner = THIS_MODULE,
	.open = usm_dev_open,
	.unlocked_ioctl = usm_dev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice usm_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "usm",
	.mode = 0600,
	.fops = &usm_dev_fops,
};

int usm_dev_init(void)
{
	return misc_register(&usm_dev);
}

void usm_dev_uninit(void)
{
	misc_deregister(&usm_dev);
}

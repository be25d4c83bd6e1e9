// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nosleep: a device that refuses to sleep, after `ms` milliseconds. While it makes up its mind
 * all processes are frozen, as they are for a host that does sleep; `refused` counts.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/pm.h>

static unsigned int ms = 2000;
module_param(ms, uint, 0600);
static unsigned int refused;
module_param(refused, uint, 0400);

static struct platform_device *device;

static int nosleep_suspend(struct device *dev)
{
	msleep(ms);
	refused++;
	return -EBUSY;
}

static const struct dev_pm_ops nosleep_ops = { .suspend = nosleep_suspend };

static struct platform_driver driver = {
	.driver = { .name = "nosleep", .pm = &nosleep_ops },
};

static int __init nosleep_init(void)
{
	int err = platform_driver_register(&driver);

	if (err)
		return err;
	device = platform_device_register_simple("nosleep", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(device)) {
		platform_driver_unregister(&driver);
		return PTR_ERR(device);
	}
	return 0;
}

static void __exit nosleep_exit(void)
{
	platform_device_unregister(device);
	platform_driver_unregister(&driver);
}

module_init(nosleep_init);
module_exit(nosleep_exit);

MODULE_DESCRIPTION("A device that does not sleep, for the tests of usm.ko");
MODULE_LICENSE("GPL");

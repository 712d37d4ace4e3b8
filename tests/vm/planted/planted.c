// SPDX-License-Identifier: GPL-2.0
/*
 * A module with bugs, for the tests to show that they would find them: insmod planted.ko bug=warning|hang|kasan|leak.
 * "hang" keeps one processor with interrupts off, and a processor that is the only one is all that a machine has.
 */
#include <linux/bug.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

static char *bug = "";
module_param(bug, charp, 0);
MODULE_PARM_DESC(bug, "warning, hang, kasan or leak");

static noinline void write_behind(volatile char *block, size_t size)
{
	block[size] = 1;
}

static int __init planted_init(void)
{
	char *block = kmalloc(100, GFP_KERNEL);

	if (!block)
		return -ENOMEM;
	if (!strcmp(bug, "leak"))
		return 0;
	if (!strcmp(bug, "kasan"))
		write_behind(block, 100);
	kfree(block);
	WARN(!strcmp(bug, "warning"), "planted\n");
	if (strcmp(bug, "hang"))
		return 0;
	local_irq_disable();
	for (;;)
		cpu_relax();
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_DESCRIPTION("Bugs on purpose");
MODULE_LICENSE("GPL");

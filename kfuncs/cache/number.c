// SPDX-License-Identifier: GPL-2.0
/*
 * Device-mapper does not tell a target when its device is closed, so a probe watches dm_blk_close(). The kernel calls it for
 * each user that goes, through a pointer, under the disk's open_mutex: the next user waits until the number has changed. By
 * then all I/O of the last user has ended, and the pages of its file system and of the device are gone.
 */
#include <linux/kprobes.h>

#include "kfuncs/cache/blocks.h"
#include "kfuncs/cache/number.h"

#define NUMBERS 256 /* as many as an entry's key has room for */

static DECLARE_BITMAP(used, NUMBERS);
static DECLARE_BITMAP(stale, NUMBERS); /* of those that are used: to be forgotten, then free */

static LIST_HEAD(devices);
static DEFINE_MUTEX(devices_lock); /* of writers; readers are under RCU */

/* In any context. Negative: all are in use. */
static int take_number(void)
{
	unsigned long i;

	do
		i = find_first_zero_bit(used, NUMBERS);
	while (i < NUMBERS && test_and_set_bit(i, used));
	return i < NUMBERS ? (int)i : -ENOSPC;
}

static void free_number(unsigned long i)
{
	cache_blocks_forget_device(i);
	clear_bit_unlock(i, used);
}

static void free_stale(struct work_struct *work)
{
	unsigned long i;

	for_each_set_bit (i, stale, NUMBERS) {
		clear_bit(i, stale);
		free_number(i);
	}
}

static DECLARE_WORK(free_stale_work, free_stale);

static void change(struct cache_number *number)
{
	int old = number->value;

	WRITE_ONCE(number->value, take_number());
	if (old < 0)
		return;
	set_bit(old, stale);
	schedule_work(&free_stale_work);
}

/* Before dm_blk_close(disk); preemption is off. */
static int on_close(struct kprobe *probe, struct pt_regs *regs)
{
	const struct gendisk *disk = (const struct gendisk *)regs_get_kernel_argument(regs, 0);
	struct cache_number *number;

	if (atomic_read(&disk->part0->bd_openers))
		return 0;
	rcu_read_lock();
	list_for_each_entry_rcu (number, &devices, entry)
		if (number->disk == disk)
			change(number);
	rcu_read_unlock();
	return 0;
}

static struct kprobe close_probe = { .symbol_name = "dm_blk_close", .pre_handler = on_close };

int cache_number_begin(struct cache_number *number, struct gendisk *disk)
{
	number->disk = disk;
	number->value = take_number();
	if (number->value < 0)
		return number->value;
	mutex_lock(&devices_lock);
	list_add_rcu(&number->entry, &devices);
	mutex_unlock(&devices_lock);
	return 0;
}

void cache_number_end(struct cache_number *number)
{
	mutex_lock(&devices_lock);
	list_del_rcu(&number->entry);
	mutex_unlock(&devices_lock);
	synchronize_rcu(); /* it changes no more */
	if (number->value >= 0)
		free_number(number->value);
}

int cache_number_open(void)
{
	int r = register_kprobe(&close_probe);

	if (r)
		pr_err("nestor: cannot watch closes of cached devices (%d): the kernel needs CONFIG_KPROBES\n", r);
	return r;
}

void cache_number_close(void)
{
	unregister_kprobe(&close_probe);
	flush_work(&free_stale_work);
}

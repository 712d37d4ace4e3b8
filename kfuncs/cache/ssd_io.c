// SPDX-License-Identifier: GPL-2.0
#include "kfuncs/compat.h"

#include "kfuncs/cache/index.h"
#include "kfuncs/cache/ssd.h"
#include "kfuncs/cache/ssd_io.h"

#define SEGMENT_SECTORS (SEGMENT_SLOTS << (BLOCK_SHIFT - SECTOR_SHIFT))

static struct file *file; /* keeps the device ours */
static struct block_device *device;
static atomic64_t errors;

u64 cache_ssd_io_errors(void)
{
	return atomic64_read(&errors);
}

/* Segments are counted from 1: the first MiB is the agent's, which marks the device there. */
static sector_t sector_of(u32 place)
{
	return (sector_t)place << (BLOCK_SHIFT - SECTOR_SHIFT);
}

/* ---- reads ---- */

void cache_ssd_io_read(struct bio *bio, u32 place)
{
	bio_set_dev(bio, device);
	bio->bi_iter.bi_sector = sector_of(place);
}

static struct bio_list again = BIO_EMPTY_LIST;
static DEFINE_SPINLOCK(again_lock);

static void submit_again(struct work_struct *work)
{
	struct bio_list list;
	struct bio *bio;

	spin_lock_irq(&again_lock);
	list = again;
	bio_list_init(&again);
	spin_unlock_irq(&again_lock);
	while ((bio = bio_list_pop(&list)))
		submit_bio_noacct(bio);
}
static DECLARE_WORK(again_work, submit_again);

void cache_ssd_io_again(struct bio *bio)
{
	unsigned long flags;

	atomic64_inc(&errors);
	spin_lock_irqsave(&again_lock, flags);
	bio_list_add(&again, bio);
	spin_unlock_irqrestore(&again_lock, flags);
	queue_work(system_unbound_wq, &again_work);
}

void cache_ssd_io_flush(void)
{
	flush_work(&again_work);
}

/* ---- writes ---- */

static void written(struct bio *bio)
{
	if (bio->bi_status)
		atomic64_inc(&errors);
	cache_ssd_written((uintptr_t)bio->bi_private, !bio->bi_status);
	bio_put(bio);
}

static void write_segment(u32 segment, struct page *const pages[SEGMENT_SLOTS])
{
	struct bio *bio = bio_alloc(device, SEGMENT_SLOTS, REQ_OP_WRITE, GFP_NOIO);
	u32 i;

	bio->bi_iter.bi_sector = sector_of(segment << SEGMENT_SHIFT);
	bio->bi_end_io = written;
	bio->bi_private = (void *)(uintptr_t)segment;
	for (i = 0; i < SEGMENT_SLOTS; i++)
		__bio_add_page(bio, pages[i], 1U << BLOCK_SHIFT, 0);
	submit_bio(bio);
}

/* ---- the device ---- */

static int take_device(struct file *f, u64 pages)
{
	struct block_device *bdev;
	u64 segments;
	int r;

	if (!S_ISBLK(file_inode(f)->i_mode))
		return -ENOTBLK;
	if (!(f->f_mode & FMODE_WRITE))
		return -EACCES;
	bdev = I_BDEV(f->f_mapping->host);
	segments = bdev_nr_sectors(bdev) / SEGMENT_SECTORS;
	if (pages)
		segments = min(segments, pages >> SEGMENT_SHIFT);
	segments = min_t(u64, segments, (U32_MAX >> SEGMENT_SHIFT) - 1);
	if (segments < 2 || bdev_logical_block_size(bdev) > 1U << BLOCK_SHIFT)
		return -ENOSPC;
	device = bdev;
	r = cache_ssd_open(segments - 1, write_segment);
	if (r)
		device = NULL;
	return r;
}

int cache_ssd_io_open(int fd, u64 pages)
{
	struct file *f;
	int r;

	if (file)
		return -EEXIST;
	f = fget(fd);
	if (!f)
		return -EBADF;
	r = take_device(f, pages);
	if (r) {
		fput(f);
		return r;
	}
	file = f;
	atomic64_set(&errors, 0);
	return 0;
}

void cache_ssd_io_close(void)
{
	if (!file)
		return;
	cache_ssd_close();
	device = NULL;
	fput(file);
	file = NULL;
}

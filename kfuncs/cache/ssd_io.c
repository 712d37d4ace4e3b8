// SPDX-License-Identifier: GPL-2.0
#include "kfuncs/compat.h"

#include "kfuncs/cache/blocks.h"
#include "kfuncs/cache/cipher.h"
#include "kfuncs/cache/index.h"
#include "kfuncs/cache/ssd.h"
#include "kfuncs/cache/ssd_io.h"

#define SEGMENT_SECTORS (SEGMENT_SLOTS << (BLOCK_SHIFT - SECTOR_SHIFT))
#define WRITES_MAX 4 /* segments that are under way at once, each with a MiB of memory */

static struct file *file; /* keeps the device ours */
static struct block_device *device;
static struct crypto_skcipher *cipher;
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

void cache_ssd_io_count_error(void)
{
	atomic64_inc(&errors);
}

bool cache_ssd_io_decrypt(struct bio *bio, struct bvec_iter iter, u32 place)
{
	struct page *pages[BLOCKS_BATCH];
	u32 nr;

	for (nr = 0; nr < BLOCKS_BATCH && iter.bi_size; nr++) {
		struct bio_vec bv = bio_iter_iovec(bio, iter);

		pages[nr] = bv.bv_page;
		bio_advance_iter_single(bio, &iter, bv.bv_len);
	}
	return !cache_cipher_decrypt(cipher, pages, nr, cache_ssd_filling(place), place);
}

/* ---- writes ---- */

/* A segment on its way, encrypted: the store's own pages may be read meanwhile. */
struct outgoing {
	u32 segment; /* 0: none; written by who finds it so, and by the end of the write */
	struct page *pages[SEGMENT_SLOTS];
};

static struct outgoing *outgoing[WRITES_MAX];
static DECLARE_WAIT_QUEUE_HEAD(write_ended);

static void end_write(struct outgoing *o, bool good)
{
	u32 segment = o->segment;

	if (!good)
		atomic64_inc(&errors);
	/* The store may be closed once it knows. */
	smp_store_release(&o->segment, 0);
	wake_up(&write_ended);
	cache_ssd_written(segment, good);
}

static void written(struct bio *bio)
{
	end_write(bio->bi_private, !bio->bi_status);
	bio_put(bio);
}

static struct outgoing *idle_one(void)
{
	u32 i;

	for (i = 0; i < WRITES_MAX; i++)
		if (!smp_load_acquire(&outgoing[i]->segment))
			return outgoing[i];
	return NULL;
}

/* One at a time. */
static void write_segment(u32 segment, struct page *const pages[SEGMENT_SLOTS])
{
	u32 place = segment << SEGMENT_SHIFT, i;
	struct outgoing *o;
	struct bio *bio;

	wait_event(write_ended, (o = idle_one()));
	o->segment = segment;
	if (cache_cipher_encrypt(cipher, pages, o->pages, SEGMENT_SLOTS, cache_ssd_filling(place), place)) {
		end_write(o, false);
		return;
	}
	bio = bio_alloc(device, SEGMENT_SLOTS, REQ_OP_WRITE, GFP_NOIO);
	bio->bi_iter.bi_sector = sector_of(place);
	bio->bi_end_io = written;
	bio->bi_private = o;
	for (i = 0; i < SEGMENT_SLOTS; i++)
		__bio_add_page(bio, o->pages[i], 1U << BLOCK_SHIFT, 0);
	submit_bio(bio);
}

static void free_outgoing(void)
{
	u32 w, i;

	for (w = 0; w < WRITES_MAX; w++) {
		for (i = 0; outgoing[w] && i < SEGMENT_SLOTS && outgoing[w]->pages[i]; i++)
			__free_page(outgoing[w]->pages[i]);
		kvfree(outgoing[w]);
		outgoing[w] = NULL;
	}
}

/* 0 or -ENOMEM, and then free_outgoing() has to follow all the same. */
static int make_outgoing(void)
{
	u32 w, i;

	for (w = 0; w < WRITES_MAX; w++) {
		outgoing[w] = kvzalloc(sizeof(*outgoing[w]), GFP_KERNEL);
		for (i = 0; outgoing[w] && i < SEGMENT_SLOTS; i++) {
			outgoing[w]->pages[i] = alloc_page(GFP_KERNEL);
			if (!outgoing[w]->pages[i])
				return -ENOMEM;
		}
		if (!outgoing[w])
			return -ENOMEM;
	}
	return 0;
}

/* ---- the device ---- */

/* What is made for the device, before pages come or after the last one has gone. */
static void forget_device(void)
{
	cache_cipher_free(cipher);
	cipher = NULL;
	free_outgoing();
	device = NULL;
}

static int prepare_device(struct block_device *bdev)
{
	device = bdev;
	cipher = cache_cipher_new();
	return IS_ERR(cipher) ? PTR_ERR(cipher) : make_outgoing();
}

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
	r = prepare_device(bdev) ?: cache_ssd_open(segments - 1, write_segment);
	if (r)
		forget_device();
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
	forget_device();
	fput(file);
	file = NULL;
}

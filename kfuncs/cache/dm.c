// SPDX-License-Identifier: GPL-2.0
/*
 * The device-mapper target nestor-cache: sits between a file system and its disk, serves reads into the page cache out of the
 * store, and tells the index of all other I/O. Nothing is ever later or other on the disk than without it.
 *
 * Table: START LENGTH nestor-cache DEVICE
 */
#include "kfuncs/cache/balance.h"
#include "kfuncs/cache/blocks.h"
#include "kfuncs/cache/dm.h"
#include "kfuncs/cache/index.h"
#include "kfuncs/cache/latency.h"
#include "kfuncs/cache/number.h"
#include "kfuncs/cache/page.h"
#include "kfuncs/cache/pool.h"
#include "kfuncs/cache/ssd_io.h"
#include "kfuncs/cache/store.h"
#include "kfuncs/cache_session.h"
#include "kfuncs/faults.h"

#define DM_MSG_PREFIX "nestor-cache"

#define SECTORS_SHIFT (BLOCK_SHIFT - SECTOR_SHIFT) /* of a block */
#define BLOCK_SECTORS (1U << SECTORS_SHIFT)
#define BLIND_MAX (256U << 20) /* bytes of a discard or alike: a group is visited for each MiB, also when it ends */

struct cached_device {
	struct dm_dev *dev;
	struct cache_number number;
};

enum io_kind {
	IO_OTHER, /* concerns no block, or was served */
	IO_READ,
	IO_READ_SSD, /* from the store there */
	IO_WRITE, /* of pages of the page cache */
	IO_WRITE_BLIND, /* of anything else, and discards */
};

/* Of each clone. */
struct cached_io {
	struct cached_device *device;
	struct work_struct work; /* of reads that end in a worker */
	bool good; /* of these: the device read it */
	struct bvec_iter iter; /* as it was: below, it moves on */
	enum io_kind kind;
	u32 nr; /* blocks that it touches */
	u64 where;
	u64 began_ns; /* of reads into the page cache */
	union {
		struct ticket ticket; /* of IO_READ */
		u32 place; /* of IO_READ_SSD: of the first block */
	};
};

/* Ends reads: memory may be written back to a cached disk, and what that has to read first waits for it. */
static struct workqueue_struct *reads;

/* ---- pages of a bio ---- */

/* Whole blocks, each in a page of the page cache, which can be noted. */
static bool is_cacheable(struct bio *bio)
{
	bool is_read = bio_op(bio) == REQ_OP_READ;
	struct bvec_iter iter;
	struct bio_vec bv;

	if (bio->bi_iter.bi_sector % BLOCK_SECTORS)
		return false;
	bio_for_each_segment (bv, bio, iter) {
		u64 frame = page_to_pfn(bv.bv_page);

		if (bv.bv_len != 1U << BLOCK_SHIFT || bv.bv_offset || !page_is_of_cache(page_folio(bv.bv_page), is_read))
			return false;
		if (frame > U32_MAX || cache_index_note_prepare(frame, GFP_NOWAIT | __GFP_NOWARN))
			return false;
	}
	return true;
}

/* The next frames, up to a batch, which moves @iter on. */
static u32 next_frames(struct bio *bio, struct bvec_iter *iter, u32 *frames)
{
	u32 nr;

	for (nr = 0; nr < BLOCKS_BATCH && iter->bi_size; nr++) {
		struct bio_vec bv = bio_iter_iovec(bio, *iter);

		frames[nr] = page_to_pfn(bv.bv_page);
		bio_advance_iter_single(bio, iter, bv.bv_len);
	}
	return nr;
}

static u32 next_pages(struct bio *bio, struct bvec_iter *iter, struct block_page *pages)
{
	u32 nr;

	for (nr = 0; nr < BLOCKS_BATCH && iter->bi_size; nr++) {
		struct bio_vec bv = bio_iter_iovec(bio, *iter);

		pages[nr].frame = page_to_pfn(bv.bv_page);
		pages[nr].hash = cache_blocks_hash(page_address(bv.bv_page));
		bio_advance_iter_single(bio, iter, bv.bv_len);
	}
	return nr;
}

/* ---- reads ---- */

/* What a store has, from the start of the bio on: copies it, or tells where on the SSD it is. Returns how many blocks. */
static u32 serve(struct bio *bio, struct cached_io *io)
{
	struct bvec_iter iter = bio->bi_iter;
	u32 to[BLOCKS_BATCH], nr, i;
	const struct cache_store *store;
	struct taken taken;

	nr = next_frames(bio, &iter, to);
	cache_blocks_take(io->where, nr, to, &taken);
	store = cache_stores[taken.store];
	if (taken.nr && !store->address(taken.places[0])) {
		io->kind = IO_READ_SSD;
		io->place = taken.places[0];
		return taken.nr;
	}
	for (i = 0; i < taken.nr; i++) {
		memcpy(page_address(pfn_to_page(to[i])), store->address(taken.places[i]), 1U << BLOCK_SHIFT);
		flush_dcache_page(pfn_to_page(to[i]));
		store->release(taken.places[i]);
	}
	return taken.nr;
}

/* Whose read it is: its pages are charged already. */
static void count_gets(struct bio *bio, u32 nr)
{
	struct cache_pool *pool;

	rcu_read_lock();
	pool = cache_pool_by_cgroup(folio_cgroup(page_folio(bio_page(bio))));
	if (pool)
		pool_count(pool, gets, nr);
	rcu_read_unlock();
}

static int map_read(struct bio *bio, struct cached_io *io)
{
	u32 nr;

	if (!is_cacheable(bio))
		return DM_MAPIO_REMAPPED;
	io->began_ns = ktime_get_ns();
	nr = serve(bio, io);
	if (!nr) {
		nr = cache_blocks_read_begin(io->where, io->nr, &io->ticket);
		io->kind = IO_READ;
	}
	/* The rest comes again as a bio of its own. */
	if (nr < io->nr)
		dm_accept_partial_bio(bio, nr << SECTORS_SHIFT);
	count_gets(bio, nr);
	io->nr = nr;
	io->iter = bio->bi_iter;
	if (io->kind == IO_READ_SSD)
		cache_ssd_io_read(bio, io->place);
	if (io->kind != IO_OTHER)
		return DM_MAPIO_REMAPPED;
	cache_latency_count(NESTOR_CACHE_FROM_MEMORY, io->began_ns);
	bio_endio(bio);
	return DM_MAPIO_SUBMITTED;
}

/* Is each page what the index says? */
static bool is_as_stored(struct bio *bio, const struct cached_io *io)
{
	struct bvec_iter iter = io->iter;
	struct block_page pages[BLOCKS_BATCH];
	u32 nr = next_pages(bio, &iter, pages), i;

	for (i = 0; i < nr; i++)
		if (pages[i].hash != cache_blocks_expected(io->where + i, pages[i].frame))
			return false;
	return true;
}

/* False: the SSD did not bring it, or not rightly, and now it comes from the disk. */
static bool end_read_ssd(struct bio *bio, struct cached_io *io)
{
	struct bvec_iter iter = io->iter;
	u32 frames[BLOCKS_BATCH], nr, i;
	bool good = io->good && cache_ssd_io_decrypt(bio, io->iter, io->place) && is_as_stored(bio, io);

	for (i = 0; i < io->nr; i++)
		cache_ssd_store.release(io->place + i);
	if (good) {
		cache_latency_count(NESTOR_CACHE_FROM_SSD, io->began_ns);
		return true;
	}
	cache_ssd_io_count_error();
	nr = next_frames(bio, &iter, frames);
	for (i = 0; i < nr; i++)
		cache_blocks_forget(frames[i]);
	io->kind = IO_OTHER;
	bio->bi_iter = io->iter;
	bio->bi_status = BLK_STS_OK;
	bio_set_dev(bio, io->device->dev->bdev);
	submit_bio_noacct(bio);
	return false;
}

static void end_read(struct bio *bio, struct cached_io *io)
{
	struct block_page pages[BLOCKS_BATCH];
	u64 where = io->where;
	u32 nr;

	for (; io->good && io->iter.bi_size; where += nr) {
		nr = next_pages(bio, &io->iter, pages);
		cache_blocks_read_end(where, nr, pages, &io->ticket);
	}
	cache_latency_count(NESTOR_CACHE_FROM_DISK, io->began_ns);
}

static void end_in_worker(struct work_struct *work)
{
	struct cached_io *io = container_of(work, struct cached_io, work);
	struct bio *bio = dm_bio_from_per_bio_data(io, sizeof(*io));

	if (io->kind == IO_READ)
		end_read(bio, io);
	else if (!end_read_ssd(bio, io))
		return;
	io->kind = IO_OTHER;
	bio_endio(bio);
}

/* Its end comes in an interrupt: what takes long is for a worker, after which it comes again. */
static int begin_end_read(struct bio *bio, struct cached_io *io, bool good)
{
	io->good = good;
	if (io->kind == IO_READ && (!good || io->nr <= PAGES_AT_ONCE)) {
		end_read(bio, io);
		return DM_ENDIO_DONE;
	}
	INIT_WORK(&io->work, end_in_worker);
	queue_work(reads, &io->work);
	return DM_ENDIO_INCOMPLETE;
}

/* ---- writes ---- */

static int map_write(struct bio *bio, struct cached_io *io)
{
	u32 ids = is_cacheable(bio) ? cache_index_alloc(io->nr) : 0;
	struct bvec_iter iter = bio->bi_iter;
	struct block_page pages[BLOCKS_BATCH];
	u64 where = io->where;
	u32 nr;

	io->kind = ids ? IO_WRITE : IO_WRITE_BLIND;
	cache_blocks_write_begin(where, io->nr, !ids);
	for (; ids && iter.bi_size; where += nr) {
		nr = next_pages(bio, &iter, pages);
		ids = cache_blocks_write_pages(where, nr, pages, ids);
	}
	return DM_MAPIO_REMAPPED;
}

static void end_write(struct bio *bio, struct cached_io *io, bool good)
{
	u32 frames[BLOCKS_BATCH];
	u64 where = io->where;
	u32 nr;

	for (; io->iter.bi_size; where += nr) {
		nr = next_frames(bio, &io->iter, frames);
		cache_blocks_write_pages_end(where, nr, frames, good);
	}
	cache_blocks_write_end(io->where, false);
}

/* Discards and zeroes may reach over many groups. */
static void for_each_group(const struct cached_io *io, void (*call)(u64 where, u32 nr))
{
	u64 where = io->where, end = where + io->nr;

	while (where < end) {
		u32 nr = min_t(u64, GROUP_BLOCKS - where % GROUP_BLOCKS, end - where);

		call(where, nr);
		where += nr;
	}
}

static void begin_blind(u64 where, u32 nr)
{
	cache_blocks_write_begin(where, nr, true);
}

static void end_blind(u64 where, u32 nr)
{
	cache_blocks_write_end(where, true);
}

/* ---- the target ---- */

static int cache_map(struct dm_target *ti, struct bio *bio)
{
	struct cached_device *c = ti->private;
	struct cached_io *io = dm_per_bio_data(bio, sizeof(*io));
	sector_t start = dm_target_offset(ti, bio->bi_iter.bi_sector);
	sector_t end = start + bio_sectors(bio);
	int number = cache_number_value(&c->number);

	bio_set_dev(bio, c->dev->bdev);
	bio->bi_iter.bi_sector = start;
	io->device = c;
	io->kind = IO_OTHER;
	io->iter = bio->bi_iter;
	if (!bio_sectors(bio) || number < 0)
		return DM_MAPIO_REMAPPED;
	io->where = where_of(number, start >> SECTORS_SHIFT);
	io->nr = ((end + BLOCK_SECTORS - 1) >> SECTORS_SHIFT) - (start >> SECTORS_SHIFT);
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return map_read(bio, io);
	case REQ_OP_WRITE:
		return map_write(bio, io);
	default:
		io->kind = IO_WRITE_BLIND;
		for_each_group(io, begin_blind);
		return DM_MAPIO_REMAPPED;
	}
}

static int cache_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct cached_io *io = dm_per_bio_data(bio, sizeof(*io));
	int r = DM_ENDIO_DONE;

	switch (io->kind) {
	case IO_READ:
	case IO_READ_SSD:
		r = begin_end_read(bio, io, *error == BLK_STS_OK);
		break;
	case IO_WRITE:
		end_write(bio, io, *error == BLK_STS_OK);
		break;
	case IO_WRITE_BLIND:
		for_each_group(io, end_blind);
		break;
	case IO_OTHER:
		break;
	}
	cache_balance();
	return r;
}

static void cache_dtr(struct dm_target *ti)
{
	struct cached_device *c = ti->private;

	cache_number_end(&c->number);
	dm_put_device(ti, c->dev);
	kfree(c);
}

/*
 * Claims of one device by device-mapper's devices do not exclude each other. Tables of one mapped device share a claim, and
 * a claim of a whole disk counts twice.
 */
static bool is_shared(struct block_device *bdev)
{
	return READ_ONCE(bdev->bd_holders) > (bdev_is_partition(bdev) ? 1 : 2);
}

/* Each error is one that nothing else makes: the kernel's log alone gets the text. */
static int check_device(struct dm_target *ti, struct block_device *bdev)
{
	if (bdev_read_only(bdev) && (dm_table_get_mode(ti->table) & BLK_OPEN_WRITE)) {
		ti->error = "the device is read-only and the table is not";
		return -EROFS;
	}
	if (ti->len >> SECTORS_SHIFT > WHERE_MAX_BLOCK || bdev_logical_block_size(bdev) > 1U << BLOCK_SHIFT) {
		ti->error = "the device is too large, or its sectors are";
		return -EFBIG;
	}
	if (bdev_is_zoned(bdev)) {
		ti->error = "a zoned device cannot be cached";
		return -EOPNOTSUPP;
	}
	if (is_shared(bdev)) {
		ti->error = "another mapped device uses the device";
		return -EBUSY;
	}
	return 0;
}

static int open_device(struct dm_target *ti, struct cached_device *c, const char *path)
{
	int r = dm_get_device(ti, path, dm_table_get_mode(ti->table), &c->dev);

	if (r) {
		ti->error = "cannot open the device";
		return r;
	}
	r = check_device(ti, c->dev->bdev);
	if (r)
		dm_put_device(ti, c->dev);
	return r;
}

static int set_up(struct dm_target *ti, const char *path)
{
	struct cached_device *c;
	int r;

	/* Not with the module: where nothing is cached, it takes no memory. */
	if (cache_index_open(totalram_pages(), frames_end())) {
		ti->error = "out of memory";
		return -ENOMEM;
	}
	c = kzalloc(sizeof(*c), GFP_KERNEL);
	if (!c) {
		ti->error = "out of memory";
		return -ENOMEM;
	}
	r = open_device(ti, c, path);
	if (r)
		goto free;
	r = cache_number_begin(&c->number, dm_disk(dm_table_get_md(ti->table)));
	if (r) {
		ti->error = "256 devices are cached already";
		goto put;
	}
	ti->private = c;
	ti->per_io_data_size = sizeof(struct cached_io);
	ti->num_flush_bios = 1;
	ti->num_discard_bios = 1;
	ti->num_secure_erase_bios = 1;
	ti->num_write_zeroes_bios = 1;
	return dm_set_target_max_io_len(ti, GROUP_BLOCKS << SECTORS_SHIFT);
put:
	dm_put_device(ti, c->dev);
free:
	kfree(c);
	return r;
}

static int cache_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	bool faulty;
	int r;

	if (argc != 1) {
		ti->error = "wants one argument, the device";
		return -EINVAL;
	}
	faulty = begin_faults();
	r = set_up(ti, argv[0]);
	end_faults(faulty);
	return r;
}

static void cache_status(struct dm_target *ti, status_type_t type, unsigned int flags, char *result, unsigned int maxlen)
{
	struct cached_device *c = ti->private;
	unsigned int sz = 0;

	if (type == STATUSTYPE_TABLE)
		DMEMIT("%s", c->dev->name);
	else
		result[0] = '\0';
}

static int cache_iterate(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct cached_device *c = ti->private;

	return fn(ti, c->dev, 0, ti->len, data);
}

static void cache_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	/* An I/O that is cut between blocks could not be cached; many disks take 255 sectors. */
	if (limits->max_hw_sectors > BLOCK_SECTORS)
		limits->max_hw_sectors = round_down(limits->max_hw_sectors, BLOCK_SECTORS);
	if (limits->max_user_sectors > BLOCK_SECTORS) /* 0: the administrator has set none */
		limits->max_user_sectors = round_down(limits->max_user_sectors, BLOCK_SECTORS);
	limits->max_hw_discard_sectors = min(limits->max_hw_discard_sectors, BLIND_MAX >> SECTOR_SHIFT);
	limits->max_discard_sectors = min(limits->max_discard_sectors, BLIND_MAX >> SECTOR_SHIFT);
	limits->max_secure_erase_sectors = min(limits->max_secure_erase_sectors, BLIND_MAX >> SECTOR_SHIFT);
	limit_write_zeroes(limits, BLIND_MAX >> SECTOR_SHIFT);
}

static struct target_type cache_target = {
	.name = "nestor-cache",
	.version = { 1, 0, 0 },
	.features = DM_TARGET_NOWAIT,
	.module = THIS_MODULE,
	.ctr = cache_ctr,
	.dtr = cache_dtr,
	.map = cache_map,
	.end_io = cache_end_io,
	.status = cache_status,
	.iterate_devices = cache_iterate,
	.io_hints = cache_io_hints,
};

int cache_dm_open(void)
{
	int r;

	reads = alloc_workqueue("nestor-reads", WQ_PER_CPU | WQ_MEM_RECLAIM | WQ_HIGHPRI, 0);
	if (!reads)
		return -ENOMEM;
	r = cache_number_open();
	if (r)
		goto queue;
	r = dm_register_target(&cache_target);
	if (!r)
		return 0;
	cache_number_close();
queue:
	destroy_workqueue(reads);
	return r;
}

void cache_dm_close(void)
{
	dm_unregister_target(&cache_target);
	cache_number_close();
	destroy_workqueue(reads);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * blkio: latency, bytes, number and errors of block I/O, per device and per owner.
 *
 * A device with requests (blk-mq) is watched at its requests: insert, issue, complete. A device without
 * (dm, md: its driver takes bios) is watched at its bios: queue, complete. So an I/O counts once at every
 * layer that it passes, and "lower" marks the layers below the first.
 *
 * Start times come from the request itself; a map holds what the kernel does not keep: the time of
 * issue, and the owner, which only the submitting context knows.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/blkio.h"
#include "bpf/blkio/bio_owner.bpf.h"
#include "bpf/lib/hist.bpf.h"
#include "bpf/blkio/inflight.bpf.h"
#include "bpf/lib/lost.bpf.h"
#include "bpf/blkio/totals.bpf.h"

/* When the programs were loaded: what began before is not counted. */
const volatile __u64 loaded_ns = 0;

/* What owners had counted that are gone. Written by the agent alone. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct blkio_key);
	__type(value, struct blkio_total);
} blkio_gone SEC(".maps");

/* Names, so that counters keep theirs after the device has gone. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct blkio_disk);
} blkio_disks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct blkio_watch_key);
	__type(value, struct blkio_watch);
} blkio_watch SEC(".maps");

/* I/Os in flight that are watched. A bio that went into another's request leaves its entry behind, to be overwritten. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct blkio_watched);
} blkio_watched SEC(".maps");

LOST_MAP(blkio_lost);

static __always_inline enum blkio_op op_of(__u32 opf, __u32 bytes)
{
	switch (opf & 0xff) { /* REQ_OP_MASK */
	case REQ_OP_READ:
		return BLKIO_READ;
	case REQ_OP_WRITE:
		return bytes ? BLKIO_WRITE : BLKIO_FLUSH; /* an empty write carries REQ_PREFLUSH */
	case REQ_OP_FLUSH:
		return BLKIO_FLUSH;
	case REQ_OP_DISCARD:
	case REQ_OP_SECURE_ERASE:
		return BLKIO_DISCARD;
	case REQ_OP_WRITE_ZEROES:
		return BLKIO_WRITE_ZEROES;
	default:
		return BLKIO_OTHER;
	}
}

/* Commands that come from no bio: SMART, SCSI inquiries, driver-private ones. */
static __always_inline bool is_passthrough(__u32 opf)
{
	__u32 op = opf & 0xff;

	return op == REQ_OP_DRV_IN || op == REQ_OP_DRV_OUT;
}

static __always_inline __u32 disk_dev(struct gendisk *disk)
{
	return (__u32)disk->major << 20 | (__u32)disk->first_minor;
}

#define BIO_CLONED_BIT (1 << 1) /* BIO_CLONED in 6.1, 6.12 and 7.2; the enum has no name to relocate by */

/*
 * Is this bio a piece of one that was counted above? Drivers that stack (dm, md) send clones down. The
 * block layer also clones, to split what is too large: that clone comes from the disk's own bio_split
 * and chains to the rest of the bio it was cut from, which tells.
 */
static __always_inline bool is_lower(struct bio *bio, struct gendisk *disk)
{
	struct bio *parent;

	if (!(bio->bi_flags & BIO_CLONED_BIT))
		return false;
	if (bio->bi_pool != &disk->bio_split)
		return true;
	parent = bio->bi_private;
	return BPF_CORE_READ(parent, bi_flags) & BIO_CLONED_BIT;
}

static __always_inline void set_owner(struct blkio_inflight *io, struct bio *bio, struct gendisk *disk, enum blkio_op op)
{
	if (!bio || op == BLKIO_FLUSH) {
		io->owner = (struct owner){};
		io->source = BLKIO_SOURCE_NONE;
		io->lower = 0;
		return;
	}
	io->source = bio_owner(&io->owner, bio);
	io->lower = is_lower(bio, disk);
}

static __always_inline struct blkio_inflight *find_or_claim(__u32 home, __u64 id)
{
	struct blkio_inflight *io = inflight_find_or_claim(home, id);

	if (!io)
		lost_count(&blkio_lost, LOST_INFLIGHT_FULL);
	return io;
}

static __always_inline void begin(struct blkio_inflight *io, struct bio *bio, struct gendisk *disk, __u32 opf, __u32 bytes)
{
	io->issue_ns = 0;
	io->failed = 0;
	set_owner(io, bio, disk, op_of(opf, bytes));
}

/* Through a scheduler the task that submits is known only here: issue may run in anybody's context. */
static __always_inline struct blkio_inflight *rq_begin(struct request *rq)
{
	__u64 start = rq->start_time_ns; /* 0 where the queue's iostats are off */
	struct blkio_inflight *io = find_or_claim(inflight_home_of_rq(rq), inflight_id(rq));

	if (!io)
		return NULL;
	if (io->start_ns >= start && io->start_ns) { /* known: it was inserted, or is requeued */
		io->start_ns = start ?: io->start_ns; /* earlier than it was, if one that was older was merged into it */
		return io;
	}
	if (io->start_ns) /* left over from an earlier use of this request, whose end was not seen */
		lost_count(&blkio_lost, LOST_COMPLETION);
	io->start_ns = start ?: bpf_ktime_get_ns();
	io->bytes = 0;
	begin(io, rq->bio, rq->q->disk, rq->cmd_flags, rq->__data_len);
	return io;
}

SEC("tp_btf/block_rq_insert")
int BPF_PROG(blkio_insert, struct request *trusted)
{
	struct request *rq = compat_untrusted(trusted, struct request);

	if (!is_passthrough(rq->cmd_flags))
		rq_begin(rq);
	return 0;
}

SEC("tp_btf/block_rq_issue")
int BPF_PROG(blkio_issue, struct request *trusted)
{
	struct request *rq = compat_untrusted(trusted, struct request);
	struct blkio_inflight *io;

	if (is_passthrough(rq->cmd_flags))
		return 0;
	io = rq_begin(rq);
	if (io)
		io->issue_ns = bpf_ktime_get_ns();
	return 0;
}

/* rq goes into another request and is never seen again. */
SEC("tp_btf/block_rq_merge")
int BPF_PROG(blkio_merge, struct request *trusted)
{
	struct request *rq = compat_untrusted(trusted, struct request);
	__u32 home = inflight_home_of_rq(rq);
	struct blkio_inflight *io = inflight_find(home, inflight_id(rq));

	if (io)
		inflight_forget(home, io);
	return 0;
}

static __always_inline void name_disk(__u32 dev, struct gendisk *disk)
{
	struct blkio_disk name = {};

	if (bpf_map_lookup_elem(&blkio_disks, &dev))
		return;
	BPF_CORE_READ_STR_INTO(&name.name, disk, disk_name);
	if (bpf_map_update_elem(&blkio_disks, &dev, &name, BPF_ANY))
		lost_count(&blkio_lost, LOST_DEVICES_FULL);
}

static __always_inline __u64 since(__u64 now, __u64 then)
{
	return now > then ? now - then : 0;
}

/* First I/O of this key: its counters, which are those of the rest for an owner beyond the limit. */
static __always_inline struct blkio_total *new_total(struct blkio_key *key, struct gendisk *disk)
{
	struct blkio_total *total;

	name_disk(key->dev, disk);
	owner_admit_or_rest(&key->owner);
	total = total_find_or_claim(key);
	if (!total)
		lost_count(&blkio_lost, LOST_COUNTERS_FULL);
	return total;
}

static __always_inline void add_time(struct hist *h, __u64 *sum, __u64 ns)
{
	__sync_fetch_and_add(sum, ns);
	hist_add(h, ns);
}

static __always_inline void count(struct blkio_inflight *io, struct gendisk *disk, enum blkio_op op, bool bios, __u64 now)
{
	struct blkio_key key = {
		.owner = io->owner,
		.dev = disk_dev(disk),
		.op = op,
		.source = io->source,
		.lower = io->lower,
		.bios = bios,
	};
	struct blkio_total *total = total_find(&key) ?: new_total(&key, disk);

	if (!total)
		return;
	if (io->failed)
		__sync_fetch_and_add(&total->errors, 1);
	else
		__sync_fetch_and_add(&total->bytes, io->bytes);
	add_time(&total->latency, &total->latency_ns, since(now, io->start_ns));
	if (!io->issue_ns)
		return;
	add_time(&total->queue, &total->queue_ns, since(io->issue_ns, io->start_ns));
	add_time(&total->device, &total->device_ns, since(now, io->issue_ns));
}

/*
 * Latency targets look at the time since the bio was submitted: a request begins later, when it has got one of the
 * disk's tags, and where a neighbour has them all that is what takes long.
 */
static __always_inline void watch_begin(struct bio *bio, struct gendisk *disk)
{
	struct blkio_watched watched = { .key.dev = disk_dev(disk) };
	__u64 key = (__u64)bio;
	enum blkio_op op = op_of(bio->bi_opf, bio->bi_iter.bi_size);

	bio_owner(&watched.key.owner, bio);
	if (op > BLKIO_WRITE || !bpf_map_lookup_elem(&blkio_watch, &watched.key)) {
		bpf_map_delete_elem(&blkio_watched, &key);
		return;
	}
	watched.start_ns = bpf_ktime_get_ns();
	bpf_map_update_elem(&blkio_watched, &key, &watched, BPF_ANY);
}

static __always_inline void watch_end(struct bio *bio, __u64 now)
{
	__u64 key = (__u64)bio, slot;
	struct blkio_watched *watched = bpf_map_lookup_elem(&blkio_watched, &key);
	struct blkio_watch *watch;

	if (!watched)
		return;
	watch = bpf_map_lookup_elem(&blkio_watch, &watched->key);
	if (watch) {
		slot = since(now, watched->start_ns) * BLKIO_WATCH_STEPS / (watch->target_ns ?: 1);
		if (slot >= BLKIO_WATCH_SLOTS)
			slot = BLKIO_WATCH_SLOTS - 1;
		barrier_var(slot);
		if (slot < BLKIO_WATCH_SLOTS) /* always true; it tells the verifier */
			__sync_fetch_and_add(&watch->slots[slot], 1);
	}
	bpf_map_delete_elem(&blkio_watched, &key);
}

/*
 * The kernel does not run a program within itself: an issue is not seen that comes while blkio_issue was
 * interrupted or preempted on that CPU. Such a request is counted here, from what it still tells: not its stages,
 * and not the task. A blkcg tells as surely as it did then; memory may be charged to one further up.
 */
static __always_inline int complete_unseen(struct request *rq, struct gendisk *disk, __u32 nr_bytes, bool failed)
{
	struct blkio_inflight io = { .start_ns = rq->start_time_ns, .bytes = nr_bytes, .failed = failed };
	struct bio *bio = rq->bio;
	enum blkio_source source;

	/* No bytes: the end of a flush sequence, whose parts were counted. */
	if (!nr_bytes || nr_bytes < rq->__data_len || io.start_ns <= loaded_ns || is_passthrough(rq->cmd_flags) || !bio)
		return 0;
	if (!bio_owner_anywhere(&io.owner, bio, &source)) {
		io.owner = (struct owner){ .id = OWNER_ID_REST };
		source = BLKIO_SOURCE_NONE;
	}
	if (source != BLKIO_SOURCE_BLKCG)
		lost_count(&blkio_lost, LOST_OWNER);
	io.source = source;
	io.lower = is_lower(bio, disk);
	count(&io, disk, op_of(rq->cmd_flags, nr_bytes), false, bpf_ktime_get_ns());
	return 0;
}

/* Runs for every part of a request that completes; the last part has all that is left of it. */
SEC("tp_btf/block_rq_complete")
int BPF_PROG(blkio_complete, struct request *trusted, int error, unsigned int nr_bytes)
{
	struct request *rq = compat_untrusted(trusted, struct request);
	struct gendisk *disk = rq->q->disk;
	__u32 home = inflight_home_of_rq(rq);
	struct blkio_inflight *io = inflight_find(home, inflight_id(rq));
	__u64 now;

	if (!io)
		return complete_unseen(rq, disk, nr_bytes, error != 0);
	io->bytes += nr_bytes;
	io->failed |= error != 0;
	if (nr_bytes < rq->__data_len)
		return 0;
	now = bpf_ktime_get_ns();
	/* No issue was seen: missed, as above; or refused on its way, for the device is gone; or a flush with nothing to do. */
	if (io->issue_ns || io->failed || io->bytes)
		count(io, disk, op_of(rq->cmd_flags, io->bytes), false, now);
	inflight_forget(home, io);
	return 0;
}

static __always_inline bool takes_bios(struct gendisk *disk)
{
	return disk->fops->submit_bio != NULL;
}

SEC("tp_btf/block_bio_queue")
int BPF_PROG(blkio_bio_queue, struct bio *trusted)
{
	struct bio *bio = compat_untrusted(trusted, struct bio);
	struct gendisk *disk = bio->bi_bdev->bd_disk;
	struct blkio_inflight *io;

	if (!takes_bios(disk))
		return 0;
	io = find_or_claim(inflight_home_of_bio(bio), inflight_id(bio));
	if (!io)
		return 0;
	io->start_ns = bpf_ktime_get_ns();
	io->bytes = bio->bi_iter.bi_size;
	begin(io, bio, disk, bio->bi_opf, io->bytes);
	return 0;
}

/* The kernel calls this just for bios that passed block_bio_queue. */
SEC("tp_btf/block_bio_complete")
int BPF_PROG(blkio_bio_done, struct request_queue *q, struct bio *trusted)
{
	struct bio *bio = compat_untrusted(trusted, struct bio);
	struct gendisk *disk = bio->bi_bdev->bd_disk;
	__u32 home = inflight_home_of_bio(bio);
	__u64 now = bpf_ktime_get_ns();
	struct blkio_inflight *io;

	/* NVMe multipath sends the bio itself on to a hidden disk, and there it ends. */
	if (!takes_bios(disk) && !(disk->flags & GENHD_FL_HIDDEN))
		return 0;
	io = inflight_find(home, inflight_id(bio));
	if (!io)
		return 0;
	io->failed = bio->bi_status != 0;
	count(io, disk, op_of(bio->bi_opf, io->bytes), true, now);
	inflight_forget(home, io);
	return 0;
}

/* The agent attaches the programs from here on while there is something to watch. */
SEC("tp_btf/block_bio_queue")
int BPF_PROG(blkio_watch_begin, struct bio *trusted)
{
	struct bio *bio = compat_untrusted(trusted, struct bio);

	watch_begin(bio, bio->bi_bdev->bd_disk);
	return 0;
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(blkio_watch_rq, struct request *rq, int error, unsigned int nr_bytes)
{
	if (rq->bio && nr_bytes >= rq->__data_len)
		watch_end(rq->bio, bpf_ktime_get_ns());
	return 0;
}

SEC("tp_btf/block_bio_complete")
int BPF_PROG(blkio_watch_bio, struct request_queue *q, struct bio *bio)
{
	watch_end(bio, bpf_ktime_get_ns());
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

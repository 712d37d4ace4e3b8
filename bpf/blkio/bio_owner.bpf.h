/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who owns a block I/O. Four answers, tried in this order:
 *   1. the VM whose process submits it, or whose kernel thread does;
 *   2. the blkcg that the submitter put on the bio, if it is a leaf. Where the io controller is not
 *      enabled all the way down, blkcg is an ancestor that many containers share: then it says nothing;
 *   3. a kernel thread's I/O (writeback, md, dm-crypt): the memory cgroup that its first folio is charged to;
 *   4. the task that submits it.
 */
#ifndef NESTOR_BLKIO_BIO_OWNER_BPF_H
#define NESTOR_BLKIO_BIO_OWNER_BPF_H

#include "bpf/blkio.h"
#include "bpf/lib/owner.bpf.h"

static __always_inline bool bio_owner_from_blkcg(struct owner *o, struct bio *bio)
{
	struct blkcg_gq *blkg = bio->bi_blkg;
	struct cgroup *cgrp;

	if (!blkg)
		return false;
	cgrp = blkg->blkcg->css.cgroup;
	if (!cgrp->level || cgrp->nr_descendants)
		return false;
	owner_from_cgroup(o, cgrp);
	return true;
}

static __always_inline bool bio_owner_from_folio(struct owner *o, struct bio *bio)
{
	struct bio_vec *vec = bio->bi_io_vec;
	struct page *page;

	if (!vec || !bio->bi_iter.bi_size)
		return false;
	page = BPF_CORE_READ(vec + bio->bi_iter.bi_idx, bv_page);
	return page && owner_from_folio(o, compat_page_folio(page));
}

/* The same without the task, for a context that has nothing to do with the submitter's. False: nothing tells. */
static __always_inline bool bio_owner_anywhere(struct owner *o, struct bio *bio, enum blkio_source *source)
{
	*source = BLKIO_SOURCE_BLKCG;
	if (bio_owner_from_blkcg(o, bio))
		return true;
	*source = BLKIO_SOURCE_FOLIO;
	return bio_owner_from_folio(o, bio);
}

/*
 * Fills @o and returns how. Call it in the context that submits the bio; a later one (a kworker that
 * dispatches) gives the same answer unless it is the first or the last.
 */
static __always_inline enum blkio_source bio_owner(struct owner *o, struct bio *bio)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (owner_from_vm(o, task))
		return BLKIO_SOURCE_TASK;
	if (bio_owner_from_blkcg(o, bio))
		return BLKIO_SOURCE_BLKCG;
	if (task->flags & PF_KTHREAD && bio_owner_from_folio(o, bio))
		return BLKIO_SOURCE_FOLIO;
	owner_from_tasks_cgroup(o, task);
	return BLKIO_SOURCE_TASK;
}

#endif

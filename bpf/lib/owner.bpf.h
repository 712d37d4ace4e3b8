/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who owns an I/O. Three answers, tried in this order:
 *   1. the blkcg that the submitter put on the bio, if it is a leaf. Where the io controller is not
 *      enabled all the way down, blkcg is an ancestor that many containers share: then it says nothing;
 *   2. a kernel thread's I/O (writeback, md, dm-crypt): the memory cgroup that its first folio is charged to;
 *   3. the task that submits it.
 */
#ifndef NESTOR_BPF_LIB_OWNER_H
#define NESTOR_BPF_LIB_OWNER_H

#include "bpf/blkio.h"
#include "bpf/lib/compat.bpf.h"

#define PF_KTHREAD 0x00200000

/*
 * On a host whose memory controller is on cgroup v1, processes are sorted there and the v2 tree is
 * empty: the agent sets this before load, and a task is then named by its v1 memory cgroup.
 */
const volatile bool owner_memory_v1 = false;

/* For a pointer whose type the verifier knows: plain loads. */
static __always_inline void owner_set(struct blkio_owner *o, struct cgroup *cgrp)
{
	o->cgroup = cgrp->kn->id;
	o->hierarchy = cgrp->root->hierarchy_id;
	o->pad = 0;
}

/* For a pointer that was read from memory. */
static __always_inline void owner_set_untyped(struct blkio_owner *o, struct cgroup *cgrp)
{
	o->cgroup = BPF_CORE_READ(cgrp, kn, id);
	o->hierarchy = BPF_CORE_READ(cgrp, root, hierarchy_id);
	o->pad = 0;
}

static __always_inline bool owner_from_blkcg(struct blkio_owner *o, struct bio *bio)
{
	struct blkcg_gq *blkg = bio->bi_blkg;
	struct cgroup *cgrp;

	if (!blkg)
		return false;
	cgrp = blkg->blkcg->css.cgroup;
	if (!cgrp->level || cgrp->nr_descendants)
		return false;
	owner_set(o, cgrp);
	return true;
}

static __always_inline bool owner_from_folio(struct blkio_owner *o, struct bio *bio)
{
	struct bio_vec *vec = bio->bi_io_vec;
	struct mem_cgroup *memcg;
	struct page *page;

	if (!vec || !bio->bi_iter.bi_size)
		return false;
	page = BPF_CORE_READ(vec + bio->bi_iter.bi_idx, bv_page);
	if (!page)
		return false;
	memcg = compat_folio_memcg(compat_page_folio(page));
	if (!memcg)
		return false;
	owner_set_untyped(o, BPF_CORE_READ(memcg, css.cgroup));
	return true;
}

static __always_inline void owner_from_task(struct blkio_owner *o, struct task_struct *task)
{
	struct css_set *cset = task->cgroups;
	struct cgroup_subsys_state *css = NULL;
	__u32 id;

	if (!owner_memory_v1) {
		owner_set(o, cset->dfl_cgrp);
		return;
	}
	id = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	bpf_probe_read_kernel(&css, sizeof(css), (void *)cset->subsys + id * sizeof(css));
	owner_set_untyped(o, BPF_CORE_READ(css, cgroup));
}

/* The same without the task, for a context that has nothing to do with the submitter's. False: nothing tells. */
static __always_inline bool owner_of_bio_anywhere(struct blkio_owner *o, struct bio *bio, enum blkio_source *source)
{
	*source = BLKIO_SOURCE_BLKCG;
	if (owner_from_blkcg(o, bio))
		return true;
	*source = BLKIO_SOURCE_FOLIO;
	return owner_from_folio(o, bio);
}

/*
 * Fills @o and returns how. Call it in the context that submits the bio; a later one (a kworker that
 * dispatches) gives the same answer unless it is the last.
 */
static __always_inline enum blkio_source owner_of_bio(struct blkio_owner *o, struct bio *bio)
{
	struct task_struct *task;

	if (owner_from_blkcg(o, bio))
		return BLKIO_SOURCE_BLKCG;
	task = bpf_get_current_task_btf();
	if (task->flags & PF_KTHREAD && owner_from_folio(o, bio))
		return BLKIO_SOURCE_FOLIO;
	owner_from_task(o, task);
	return BLKIO_SOURCE_TASK;
}

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * pcache: what reads and page faults ask of the page cache, what is brought for them, and what goes.
 *
 * Where the kernel has no tracepoints for the asking (6.1 has none, 6.12 has) the same is learnt at the entry of its functions:
 * the agent loads one set of these programs or the other.
 *
 * File systems in memory (tmpfs, with shared memory; ramfs; hugetlbfs) are left out: they are no cache of anything.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/lib/compat.bpf.h"
#include "bpf/lib/lost.bpf.h"
#include "bpf/lib/owner.bpf.h"
#include "bpf/pcache/xarray.bpf.h"
#include "bpf/pcache.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE (1 << PAGE_SHIFT)
#define S_IFMT 0170000
#define S_IFREG 0100000
#define S_IFBLK 0060000
#define OFFSET_MAX 0x7fffffffffffffffLL
#define TMPFS_MAGIC 0x01021994
#define RAMFS_MAGIC 0x858458f6
#define HUGETLBFS_MAGIC 0x958458f6
#define RWSEM_FLAGS 7UL /* of rw_semaphore.owner, which else is the task that holds it */
#define RWSEM_READER_OWNED 1UL

/* Per CPU: pages come and go on all of them at once. On 128 CPUs this is 8 MiB. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, PCACHE_OWNERS);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct owner);
	__type(value, struct pcache_total);
} pcache_total SEC(".maps");

/* What owners had counted that are gone; and what the agent works out, of the living and of the gone. */
#define PCACHE_AGENT_MAP(name, value_type)                                                                                     \
	struct {                                                                                                               \
		__uint(type, BPF_MAP_TYPE_HASH);                                                                               \
		__uint(max_entries, PCACHE_OWNERS);                                                                            \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                                                          \
		__uint(pinning, LIBBPF_PIN_BY_NAME);                                                                           \
		__type(key, struct owner);                                                                                     \
		__type(value, value_type);                                                                                     \
	} name SEC(".maps")

PCACHE_AGENT_MAP(pcache_gone, struct pcache_total);
PCACHE_AGENT_MAP(pcache_derived, struct pcache_derived);
PCACHE_AGENT_MAP(pcache_dgone, struct pcache_derived);

LOST_MAP(pcache_lost);

/* What a task did last, by which it is seen whether what comes now is a part of it. Page numbers of a file. */
struct pcache_task {
	struct address_space *read_of;
	unsigned long read_pos; /* where the kernel last looked */
	unsigned long read_last; /* of the read as a whole */
	unsigned long read_pages;
	__u64 read_call; /* number of the system call */

	struct address_space *fault_of;
	unsigned long fault_first, fault_last; /* pages around the fault, that the kernel maps with it */
	unsigned long fault_counted; /* of them */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pcache_task);
} pcache_tasks SEC(".maps");

static const struct pcache_total no_total;

/* ---- counters ---- */

static __noinline struct pcache_total *new_total(struct owner *o)
{
	struct pcache_total *total;

	owner_admit_or_rest(o);
	total = bpf_map_lookup_elem(&pcache_total, o);
	if (total)
		return total;
	bpf_map_update_elem(&pcache_total, o, &no_total, BPF_NOEXIST);
	total = bpf_map_lookup_elem(&pcache_total, o);
	if (!total)
		lost_count(&pcache_lost, LOST_COUNTERS_FULL);
	return total;
}

static __always_inline struct pcache_total *total_of(struct owner *o)
{
	struct pcache_total *total = bpf_map_lookup_elem(&pcache_total, o);

	return total ?: new_total(o);
}

static __always_inline struct pcache_total *total_of_task(struct task_struct *task)
{
	struct owner o;

	owner_from_task(&o, task);
	return total_of(&o);
}

/* Per CPU, but on a preemptible kernel another program may come between load and store. */
static __always_inline void add(__u64 *counter, __u64 pages)
{
	__sync_fetch_and_add(counter, pages);
}

static __always_inline void count_accesses(struct task_struct *task, __u64 pages)
{
	struct pcache_total *total = total_of_task(task);

	if (total)
		add(&total->accesses, pages);
}

/* ---- files ---- */

/*
 * The data of a file or a disk; not directories, or what file systems keep for themselves in inodes of their own
 * (btrfs: all of its metadata), which have no end.
 */
static __always_inline bool is_cache(struct address_space *mapping)
{
	struct inode *inode = mapping->host;
	unsigned long magic = inode->i_sb->s_magic;
	unsigned int type = inode->i_mode & S_IFMT;

	return (type == S_IFREG || type == S_IFBLK) && inode->i_size != OFFSET_MAX && magic != TMPFS_MAGIC &&
	       magic != RAMFS_MAGIC && magic != HUGETLBFS_MAGIC;
}

/* Number of pages, the last of which may be begun only. */
static __always_inline unsigned long pages_of(struct address_space *mapping)
{
	return (mapping->host->i_size + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/* Does the task write to the file? A writer to a regular file holds the inode's lock for itself, a reader does not. */
static __always_inline bool is_writing(struct inode *inode, struct task_struct *task)
{
	unsigned long owner;

	if (!bpf_core_field_exists(inode->i_rwsem.owner)) /* a real-time kernel */
		return false;
	owner = inode->i_rwsem.owner.counter;
	return !(owner & RWSEM_READER_OWNED) && (owner & ~RWSEM_FLAGS) == (unsigned long)task;
}

/* ---- misses and evictions ---- */

/*
 * A folio comes into the cache. To be read, unless the task writes the file, or the folio is marked as used from its
 * beginning: so does the buffer cache of block devices, where file systems keep their own data.
 */
SEC("tp_btf/mm_filemap_add_to_page_cache")
int BPF_PROG(pcache_add, struct folio *folio)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct address_space *mapping = folio->mapping;
	struct pcache_total *total;

	if (!is_cache(mapping) || is_writing(mapping->host, task) ||
	    compat_folio_flag(folio, bpf_core_enum_value(enum pageflags, PG_referenced)))
		return 0;
	total = total_of_task(task);
	if (total)
		add(&total->misses, compat_folio_nr_pages(folio));
	return 0;
}

/*
 * Reclaim has taken the last reference of a folio (its count is 0, "frozen") and says what it does in the task. A
 * folio that is dropped on request is frozen, too; one that goes with its file, or a part of it, is not.
 * This runs under the lock of the file's page cache with interrupts off.
 */
static __always_inline bool is_reclaimed(struct folio *folio)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return !folio->_refcount.counter && task->reclaim_state;
}

SEC("tp_btf/mm_filemap_delete_from_page_cache")
int BPF_PROG(pcache_delete, struct folio *folio)
{
	struct owner o = { .id = OWNER_ID_NONE };
	struct pcache_total *total;

	if (!is_cache(folio->mapping))
		return 0;
	owner_from_folio(&o, folio);
	total = total_of(&o);
	if (total)
		add(is_reclaimed(folio) ? &total->reclaimed : &total->invalidated, compat_folio_nr_pages(folio));
	return 0;
}

/* ---- reads ---- */

/*
 * First page of a read that the kernel has come to page @pos of, or ~0 if it was counted before.
 *
 * One read() comes here several times, each time with what is left of it: then file, end and system call are the
 * same. And it does not come here for a part of it that ended where a page was still being read. Where that was its
 * first part it is found by the reader's habit: the read before ended just there and had at least as many pages.
 */
static __always_inline unsigned long read_begin(struct pcache_task *t, struct address_space *mapping, unsigned long pos,
						unsigned long last, __u64 call)
{
	if (t->read_of != mapping)
		return pos;
	if (t->read_last == last && t->read_call == call && pos > t->read_pos)
		return ~0UL;
	if (pos > t->read_last + 1 && last - t->read_last <= t->read_pages)
		return t->read_last + 1;
	return pos;
}

/* Pages @pos to @last, which may be beyond the file's end, are wanted, of which some have just been found. */
SEC("?tp_btf/mm_filemap_get_pages")
int BPF_PROG(pcache_get_pages, struct address_space *mapping, unsigned long pos, unsigned long last)
{
	struct task_struct *task = bpf_get_current_task_btf();
	unsigned long end = pages_of(mapping), first = pos;
	__u64 call = task->ioac.syscr;
	struct pcache_task *t;

	if (!is_cache(mapping) || pos >= end || last < pos)
		return 0;
	/* Who reads single pages needs no memory, unless he has it. */
	t = bpf_task_storage_get(&pcache_tasks, task, NULL, last > pos ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
	if (t) {
		first = read_begin(t, mapping, pos, last, call);
		t->read_pos = pos;
		if (first == ~0UL)
			return 0;
		t->read_of = mapping;
		t->read_last = last;
		t->read_pages = last - first + 1;
		t->read_call = call;
	}
	count_accesses(task, (last < end ? last + 1 : end) - first);
	return 0;
}

SEC("?fentry/filemap_read")
int BPF_PROG(pcache_read, struct kiocb *iocb, struct iov_iter *iter, ssize_t already_read)
{
	struct address_space *mapping = iocb->ki_filp->f_mapping;
	__u64 size = mapping->host->i_size, from = iocb->ki_pos, to = from + iter->count;

	if (to > size)
		to = size;
	if (from < to && is_cache(mapping))
		count_accesses(bpf_get_current_task_btf(), ((to - 1) >> PAGE_SHIFT) - (from >> PAGE_SHIFT) + 1);
	return 0;
}

/* ---- faults ---- */

/* Moves @first and @last to the ends of large folios there. */
static __always_inline void widen(unsigned long head, unsigned long *first, unsigned long *last)
{
	unsigned long at_first = xa_load(head, *first), at_last = xa_load(head, *last), index = *last;
	__u64 pages;

	if (at_first)
		compat_large_folio(at_first, first);
	if (!at_last)
		return;
	pages = compat_large_folio(at_last, &index);
	*last = index + pages - 1;
}

/* Pages of the fault before, by the same task in the same file, that are among @first to @last and counted. */
static __always_inline unsigned long counted_before(const struct pcache_task *t, struct address_space *mapping,
						    unsigned long first, unsigned long last)
{
	unsigned long pages;

	if (t->fault_of != mapping || t->fault_last < first || t->fault_first > last)
		return 0;
	pages = (last < t->fault_last ? last : t->fault_last) - (first > t->fault_first ? first : t->fault_first) + 1;
	return pages < t->fault_counted ? pages : t->fault_counted;
}

/*
 * A fault maps all pages around it that are in the cache, commonly 16. If it must wait for its own page it comes
 * again, and so may the next fault nearby: of the same pages only those count that were not there before.
 */
static __always_inline void map_around(struct address_space *mapping, unsigned long first, unsigned long last)
{
	unsigned long end = pages_of(mapping), head = (unsigned long)BPF_CORE_READ(mapping, i_pages.xa_head), pages, before = 0;
	struct task_struct *task = bpf_get_current_task_btf();
	struct pcache_task *t;

	if (first >= end || !is_cache(mapping))
		return;
	if (last >= end)
		last = end - 1;
	pages = xa_count(head, first, last);
	if (!pages)
		return;
	if (compat_fault_maps_folios()) {
		pages -= last - first + 1;
		widen(head, &first, &last);
		pages += last - first + 1;
	}
	t = bpf_task_storage_get(&pcache_tasks, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (t) {
		before = counted_before(t, mapping, first, last);
		if (t->fault_of != mapping || t->fault_first > first || t->fault_last < last) {
			t->fault_of = mapping;
			t->fault_first = first;
			t->fault_last = last;
			t->fault_counted = before;
		}
		if (pages > before)
			t->fault_counted += pages - before;
	}
	if (pages > before)
		count_accesses(task, pages - before);
}

/* A fault was not served by mapping what is there. */
static __always_inline void fault(struct address_space *mapping, unsigned long index)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pcache_task *t;

	if (!is_cache(mapping) || index >= pages_of(mapping))
		return;
	t = bpf_task_storage_get(&pcache_tasks, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (t && t->fault_of == mapping && t->fault_first <= index && t->fault_last >= index) {
		if (t->fault_counted > t->fault_last - t->fault_first)
			return;
		t->fault_counted++;
	} else if (t) {
		t->fault_of = mapping;
		t->fault_first = t->fault_last = index;
		t->fault_counted = 1;
	}
	count_accesses(task, 1);
}

SEC("?tp_btf/mm_filemap_map_pages")
int BPF_PROG(pcache_map_pages, struct address_space *mapping, unsigned long first, unsigned long last)
{
	map_around(mapping, first, last);
	return 0;
}

SEC("?tp_btf/mm_filemap_fault")
int BPF_PROG(pcache_fault, struct address_space *mapping, unsigned long index)
{
	fault(mapping, index);
	return 0;
}

SEC("?fentry/filemap_map_pages")
int BPF_PROG(pcache_map_entry, struct vm_fault *vmf, unsigned long first, unsigned long last)
{
	map_around(vmf->vma->vm_file->f_mapping, first, last);
	return 0;
}

SEC("?fentry/filemap_fault")
int BPF_PROG(pcache_fault_entry, struct vm_fault *vmf)
{
	fault(vmf->vma->vm_file->f_mapping, vmf->pgoff);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

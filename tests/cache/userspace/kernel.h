/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stands in for the kernel under the parts of the module that are no driver (the index of the cache, its pools, its memory
 * store), so that they run in a process as they are. Locks are real; RCU is not: who changes pools must be alone.
 */
#ifndef NESTOR_CACHE_USERSPACE_KERNEL_H
#define NESTOR_CACHE_USERSPACE_KERNEL_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/types.h>
#include <xxhash.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;
typedef unsigned int gfp_t;
#define U32_MAX 0xffffffffU
#define __rcu
#define __percpu

/* What the module's parts did, for tests that count; not exact where several threads do it. */
extern struct kernel_counts {
	unsigned long hashes, pages; /* pages: allocated */
} counts;

#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#define smp_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define xchg(p, v) __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST)
#define cmpxchg(p, old, new) __sync_val_compare_and_swap(p, old, new)

#define min_t(t, a, b) ((t)(a) < (t)(b) ? (t)(a) : (t)(b))
#define max_t(t, a, b) ((t)(a) > (t)(b) ? (t)(a) : (t)(b))
#define clamp_t(t, v, lo, hi) min_t(t, max_t(t, v, lo), hi)
#define ilog2(n) (63 - __builtin_clzll(n))
#define roundup_pow_of_two(n) (1ULL << (64 - __builtin_clzll((n)-1)))
#define hash_64(v, bits) ((u32)((v)*0x61C8864680B583EBULL >> (64 - (bits))))
#define xxh64(p, size, seed) (counts.hashes++, XXH64(p, size, seed))

/* ---- memory ---- */

#define GFP_KERNEL 0
#define GFP_NOIO 0
#define GFP_NOWAIT 0
#define __GFP_NORETRY 0
#define __GFP_NOWARN 0
#define __GFP_NOMEMALLOC 0
#define kcalloc(n, size, gfp) calloc(n, size)
#define kzalloc(size, gfp) calloc(1, size)
#define kvcalloc(n, size, gfp) calloc(n, size)
#define kvzalloc(size, gfp) calloc(1, size)
#define kfree(p) free(p)
#define kvfree(p) free(p)
#define kvfree_rcu(p, member) free(p)
#define struct_size(p, member, n) (sizeof(*(p)) + (n) * sizeof(*(p)->member))

/* Page frames 1 to kernel_frames - 1, below @kernel_memory; free ones are a list in themselves. */
struct page;
extern char *kernel_memory;
extern u64 kernel_frames;
void frames_open(u64 frames);
void frames_close(void);
struct page *alloc_page(gfp_t gfp);
void __free_page(struct page *page);

static inline void *page_address(struct page *page)
{
	return page;
}

static inline struct page *pfn_to_page(u64 frame)
{
	return (struct page *)(kernel_memory + (frame << 12));
}

static inline u64 page_to_pfn(const struct page *page)
{
	return (u64)((const char *)page - kernel_memory) >> 12;
}

/* What is asked of a page of the page cache. */
struct folio {
	bool mapping, swapbacked, swapcache, uptodate, mapped, writeback;
};
#define folio_mapping(f) ((f)->mapping)
#define folio_test_swapbacked(f) ((f)->swapbacked)
#define folio_test_swapcache(f) ((f)->swapcache)
#define folio_test_uptodate(f) ((f)->uptodate)
#define folio_mapped(f) ((f)->mapped)
#define folio_test_writeback(f) ((f)->writeback)

/* ---- locks ---- */

typedef struct {
	int taken;
} spinlock_t;

#define DEFINE_SPINLOCK(name) spinlock_t name
#define spin_lock_init(l) ((l)->taken = 0)
#define spin_lock_irqsave(l, flags) ((flags) = 0, kernel_lock(l))
#define spin_unlock_irqrestore(l, flags) ((void)(flags), kernel_unlock(l))

static inline void kernel_lock(spinlock_t *l)
{
	while (__atomic_exchange_n(&l->taken, 1, __ATOMIC_ACQUIRE))
		__builtin_ia32_pause();
}

static inline void kernel_unlock(spinlock_t *l)
{
	__atomic_store_n(&l->taken, 0, __ATOMIC_RELEASE);
}

struct mutex {
	int unused;
};
#define DEFINE_MUTEX(name) __attribute__((unused)) struct mutex name
#define mutex_lock(m) ((void)(m))
#define mutex_unlock(m) ((void)(m))

struct rcu_head {
	int unused;
};
#define rcu_read_lock() ((void)0)
#define rcu_read_unlock() ((void)0)
#define synchronize_rcu() ((void)0)
#define rcu_dereference(p) READ_ONCE(p)
#define rcu_dereference_protected(p, held) (p)
#define rcu_assign_pointer(p, v) WRITE_ONCE(p, v)
#define RCU_INIT_POINTER(p, v) WRITE_ONCE(p, v)
#define cond_resched() ((void)0)
static inline u64 ktime_get_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

void wait_a_tick(void); /* the test's: lets what is under way end */

/* ---- counters: one for all processors ---- */

#define alloc_percpu(type) ((type *)calloc(1, sizeof(type)))
#define free_percpu(p) free(p)
#define this_cpu_add(counter, n) ((void)__atomic_fetch_add(&(counter), n, __ATOMIC_RELAXED))
#define per_cpu_ptr(p, cpu) ((void)(cpu), p)
#define for_each_possible_cpu(cpu) for ((cpu) = 0; (cpu) < 1; (cpu)++)

#endif

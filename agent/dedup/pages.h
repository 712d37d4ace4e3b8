/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What processes have in memory that KSM could merge: anonymous pages that are there now, each with the hash of its content.
 * Reads only; the processes run on meanwhile. Needs CAP_SYS_PTRACE to read them, and CAP_SYS_ADMIN to tell frames apart.
 */
#ifndef NESTOR_DEDUP_PAGES_H
#define NESTOR_DEDUP_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/dedup/identity.h"
#include "gpu/gpu.h"
#include "gpu/kernels/page_hash.h"

struct dedup_page {
	uint64_t hash;
	uint64_t frame; /* of the machine: pages that have been merged have the same */
	uint64_t address;
	uint32_t process; /* number in the order of reading */
	uint16_t owner;
	bool exclusive; /* nobody else maps its frame */
	bool changing; /* between two readings */
	bool huge; /* part of a transparent huge page, which merging splits; not told before Linux 6.7 */
	bool worth; /* merging it would free a frame: dedup_sum() says */
};

struct dedup_pages {
	struct dedup_page *all;
	size_t n, size;
};

/* What was left out, and what it took. */
struct dedup_reading {
	uint64_t vanished; /* pages that went while they were read */
	uint64_t huge; /* mappings of hugetlbfs, which KSM cannot merge */
	uint64_t vast; /* mappings too large to look through, before Linux 6.7 */
	uint64_t shared; /* mappings of shared memory, such as that of a VM with share=on: KSM merges private memory only */
	uint64_t look_ns, read_ns, hash_ns; /* hash_ns: by this processor, or spent waiting for the device */
	uint64_t device_ns; /* of the device */
};

struct dedup_reader;

/*
 * Hashes on @g, or, if that is NULL, here, and takes at most @percent of a processor for reading. NULL: no memory, there or
 * here; logged.
 */
struct dedup_reader *dedup_reader_open(struct gpu *g, const uint8_t secret[PAGE_HASH_SECRET], unsigned int percent);
void dedup_reader_close(struct dedup_reader *r);

/*
 * Appends what @id has. -ESRCH: it is gone, or no longer what it was, -EACCES: it may not be looked at, -ENOMEM, or an error of
 * gpu.h. What was appended until then stays. Call dedup_reader_flush() before hashes are looked at.
 */
int dedup_read(struct dedup_reader *r, const struct identity *id, uint32_t process, uint16_t owner, struct dedup_pages *to);
/* The same of the @n pages alone, which are @id's and in order. Those that have gone are left out. */
int dedup_read_again(struct dedup_reader *r, const struct identity *id, const struct dedup_page *pages, size_t n,
		     struct dedup_pages *to);
int dedup_reader_flush(struct dedup_reader *r, struct dedup_pages *to);
const struct dedup_reading *dedup_reader_reading(struct dedup_reader *r);

/*
 * Whose memory, or memory map, we have been waiting for since more than @ns; 0: nobody's. For another thread: one may hold its
 * map, or have a userfaultfd that does not answer, for as long as it likes, and nothing but a kill ends that.
 */
pid_t dedup_reading_since(uint64_t ns);
/* Around what may wait so; a second begin is one for what comes then. At most DEDUP_READERS threads at a time. */
#define DEDUP_READERS 16
void dedup_reading_begin(pid_t pid);
void dedup_reading_end(void);

#endif

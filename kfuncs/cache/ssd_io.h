/* SPDX-License-Identifier: GPL-2.0 */
/* The device of the SSD store. */
#ifndef NESTOR_KFUNCS_CACHE_SSD_IO_H
#define NESTOR_KFUNCS_CACHE_SSD_IO_H

#include "kfuncs/compat.h"

struct bio;

/*
 * Makes the block device that is open at @fd, for writing and for nobody else, the store, or as much of it as @pages; 0: all.
 * What was there before is lost, but for the first MiB. 0, -EBADF, -ENOTBLK, -EACCES (not open for writing), -ENOSPC
 * (smaller than 2 MiB), -EEXIST (there is one already), -EOPNOTSUPP (the kernel has no cipher), -ENOMEM. May sleep.
 */
int cache_ssd_io_open(int fd, u64 pages);
/* As cache_ssd_close(). */
void cache_ssd_io_close(void);

/* Failed or wrong pages, since it was opened. */
u64 cache_ssd_io_errors(void);

/* Sends @bio to where @place is. */
void cache_ssd_io_read(struct bio *bio, u32 place);
/* Decrypts what it brought into the pages that @iter names, up to BLOCKS_BATCH. False: it cannot. May sleep. */
bool cache_ssd_io_decrypt(struct bio *bio, struct bvec_iter iter, u32 place);
void cache_ssd_io_count_error(void);

#endif

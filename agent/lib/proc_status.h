/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lines of /proc/PID/status, wherever they stand: the line Groups: before most of them is longer than any buffer, as a process
 * may have 65536 supplementary groups.
 */
#ifndef NESTOR_PROC_STATUS_H
#define NESTOR_PROC_STATUS_H

#include <stddef.h>

#include <linux/types.h>

/*
 * The lines with these @nr keys, as one snapshot, in the kernel's order, each as "\nKEY:\tVALUE". @proc is /proc/PID or
 * /proc/PID/task/TID. 0; -ENODATA: a line is missing; -E2BIG: they do not fit, and @ret may end in the middle of one; or
 * -errno.
 */
int proc_status_lines(int proc, const char *const *keys, unsigned int nr, char *ret, size_t size);

/* The number that begins the value of that key. 0, -ENODATA: it has none, or as above. */
int proc_status_number(int proc, const char *key, __u64 *ret);

#endif

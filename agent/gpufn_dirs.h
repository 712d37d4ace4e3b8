/* SPDX-License-Identifier: GPL-2.0 */
/* Directories of brokers of GPU functions: each has one, and locks it; what is not locked is left over. */
#ifndef NESTOR_GPUFN_DIRS_H
#define NESTOR_GPUFN_DIRS_H

#include <stddef.h>

/* Removes what brokers that died have left in @parent, makes a directory there, and locks it. 0 or -errno, logged. */
int gpufn_make_dir(const char *parent, char *ret, size_t size);
void gpufn_remove_dir(const char *path);

#endif

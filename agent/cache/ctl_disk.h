/* SPDX-License-Identifier: GPL-2.0 */
/* `nestorctl cache attach|detach|list`: devices that go through the second-level cache. Needs no agent. */
#ifndef NESTOR_CACHE_CTL_DISK_H
#define NESTOR_CACHE_CTL_DISK_H

#include <jansson.h>

#define CACHE_DISK_SUFFIX "-nestor" /* of a mapped device's name */

/* All return an exit status, after saying what is wrong. */

/* Makes /dev/mapper/NAME-nestor of @device; of one that is detached but still open, it puts the cache in again. */
int cache_attach(const char *device);
/* Takes @name, NAME-nestor or the disk's path, out of the cache: it is removed, or if it is in use goes on as a plain one. */
int cache_detach(const char *name);
/* NULL after an error, said. */
json_t *cache_list(void);

#endif

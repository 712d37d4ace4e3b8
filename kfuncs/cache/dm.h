/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_KFUNCS_CACHE_DM_H
#define NESTOR_KFUNCS_CACHE_DM_H

/* Registers the target nestor-cache. 0 or -errno. */
int cache_dm_open(void);
/* No device uses it any more: they hold a reference on the module. */
void cache_dm_close(void);

#endif

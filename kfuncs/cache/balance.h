/* SPDX-License-Identifier: GPL-2.0 */
/* Brings the stores and the index to the size they want, and gives pages to a kernel that is short of memory. */
#ifndef NESTOR_KFUNCS_CACHE_BALANCE_H
#define NESTOR_KFUNCS_CACHE_BALANCE_H

/* 0 or -ENOMEM. */
int cache_balance_open(void);
/* Nothing calls cache_balance() any more. */
void cache_balance_close(void);

/* Has a worker do so, if there is anything to do. Any context. */
void cache_balance(void);

#endif

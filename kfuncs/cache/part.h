/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_KFUNCS_CACHE_PART_H
#define NESTOR_KFUNCS_CACHE_PART_H

#include "kfuncs/module.h"

extern const struct nestor_part cache_part;

#endif

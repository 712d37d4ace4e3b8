/* SPDX-License-Identifier: GPL-2.0 */
/* Inputs of a call at random, within what the function's description says, and the same each time. Pure. */
#ifndef NESTOR_FN_INPUTS_H
#define NESTOR_FN_INPUTS_H

#include "gpu/fn/function.h"

/* @ret has input_bytes of @c. */
void fn_inputs(const struct fn_call *c, void *ret);

#endif

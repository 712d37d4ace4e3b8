// SPDX-License-Identifier: GPL-2.0
#include <math.h>
#include <string.h>

#include "gpu/fn/inputs.h"

/* Marsaglia, "Xorshift RNGs", 2003 */
static uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void put(uint8_t *to, enum fn_type type, double v)
{
	switch (type) {
	case FN_UINT8:
		*to = (uint8_t)v;
		break;
	case FN_FLOAT32:
		memcpy(to, &(float){ (float)v }, sizeof(float));
		break;
	case FN_FLOAT64:
		memcpy(to, &v, sizeof(v));
		break;
	case FN_UINT64:
		memcpy(to, &(uint64_t){ (uint64_t)v }, sizeof(uint64_t));
		break;
	default:
		memcpy(to, &(uint32_t){ (uint32_t)(int64_t)v }, sizeof(uint32_t));
	}
}

void fn_inputs(const struct fn_call *c, void *ret)
{
	const struct function *f = c->f;
	uint64_t state = 88172645463325252;
	uint8_t *to = ret;

	for (unsigned int i = 0; i < f->arguments_count; i++) {
		const struct fn_argument *a = &f->arguments[i];
		bool real = a->type == FN_FLOAT32 || a->type == FN_FLOAT64;

		if (a->kind != FN_INPUT)
			continue;
		for (uint64_t e = 0; e < c->elements[i]; e++, to += fn_type_size[a->type]) {
			double part = (double)(draw(&state) >> 11) * 0x1p-53;

			put(to, a->type,
			    real ? a->min + (a->max - a->min) * part : floor(a->min + (a->max - a->min + 1) * part));
		}
	}
}

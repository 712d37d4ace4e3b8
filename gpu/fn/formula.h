/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whole numbers from formulas such as "(width * height + 255) / 256": + - * / % and brackets, max(a, b) and min(a, b), numbers
 * without a sign, and names. Nothing wraps: what goes beyond 63 bits, below 0 or divides by 0 is an error.
 */
#ifndef NESTOR_FN_FORMULA_H
#define NESTOR_FN_FORMULA_H

#include <stddef.h>
#include <stdint.h>

struct expr_name {
	const char *name;
	uint64_t value;
};

/* 0; or -EINVAL or -ERANGE, with the reason in @why. */
int formula_eval(const char *text, const struct expr_name *names, size_t n, uint64_t *ret, char why[128]);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* TAP for tests in C: ok(condition, "text"), and at the end return done_testing(). */
#ifndef NESTOR_TAP_H
#define NESTOR_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_tests, tap_failures;

static inline bool __attribute__((format(printf, 2, 3))) ok(bool condition, const char *fmt, ...)
{
	va_list args;

	tap_failures += !condition;
	printf("%sok %d - ", condition ? "" : "not ", ++tap_tests);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	return condition;
}

static inline bool is_str(const char *expected, const char *got, const char *text)
{
	bool same = got && !strcmp(expected, got);

	ok(same, "%s", text);
	if (!same)
		printf("#   expected: %s\n#   got: %s\n", expected, got ? got : "(null)");
	return same;
}

static inline bool is_u64(unsigned long long expected, unsigned long long got, const char *text)
{
	ok(expected == got, "%s", text);
	if (expected != got)
		printf("#   expected: %llu, got: %llu\n", expected, got);
	return expected == got;
}

static inline int done_testing(void)
{
	printf("1..%d\n", tap_tests);
	return tap_failures ? 1 : 0;
}

#endif

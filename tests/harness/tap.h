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

/* A name for is_str() or is_u64(), as printf makes it; the next call takes its place. */
static inline const char *__attribute__((format(printf, 1, 2))) named(const char *fmt, ...)
{
	static char name[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	return name;
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

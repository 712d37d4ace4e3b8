// SPDX-License-Identifier: GPL-2.0
/* budget: 10, lane: free */
/* Descriptions of GPU functions: formulas, what is refused, and what follows from a call's numbers. No device. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/lib/util.h"
#include "gpu/fn/formula.h"
#include "gpu/fn/profile.h"
#include "gpu/fn/library.h"
#include "tests/harness/tap.h"

/* ---- lines ---- */

static void test_lines(void)
{
	const struct fn_point exact[] = { { 10, 0.03 }, { 20, 0.05 }, { 40, 0.09 } };
	const struct fn_point through_0[] = { { 10, 0.01 }, { 20, 0.03 }, { 40, 0.07 } };
	const struct fn_point same[] = { { 10, 0.02 }, { 10, 0.02 } };
	double launch, group;

	fn_draw_line(exact, ARRAY_SIZE(exact), &launch, &group);
	ok(fabs(launch - 0.01) < 1e-9 && fabs(group - 0.002) < 1e-9, "profile: a line goes through points that lie on one");
	fn_draw_line(through_0, ARRAY_SIZE(through_0), &launch, &group);
	ok(launch == 0 && group > 0.001 && group < 0.002, "profile: a launch never takes less than 0 s (a group takes %g)",
	   group);
	fn_draw_line(same, ARRAY_SIZE(same), &launch, &group);
	ok(launch == 0 && fabs(group - 0.002) < 1e-9, "profile: points of one size give all time to groups");
}

/* ---- formulas ---- */

static void test_formulas(void)
{
	static const struct expr_name names[] = { { "width", 640 }, { "w", 7 }, { "none", 0 }, { "most", INT64_MAX } };
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {
		{ "1", 1 },
		{ " 2 + 3*4 ", 14 },
		{ "(2+3)*4", 20 },
		{ "10 - 3 - 2", 5 },
		{ "100/7/2", 7 },
		{ "100 % 7 * 2", 4 },
		{ "width", 640 },
		{ "w*width", 4480 },
		{ "none + 0", 0 },
		{ "(width + 255)/256", 3 },
		{ "most", INT64_MAX },
		{ "2 * (3 + (4))", 14 },
		{ "max(3, w+1)", 8 },
		{ "min(w, max (2,none))*3", 6 },
	};
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "it ends too early" },
		{ "1 +", "it ends too early" },
		{ "(1", "a bracket is not closed" },
		{ "1)", "not understood: )" },
		{ "1 2", "not understood: 2" },
		{ "-1", "not understood: -1" },
		{ "wide", "there is no whole number of the name wide" },
		{ "widthx", "there is no whole number of the name widthx" },
		{ "max(1)", "max and min take two" },
		{ "min(1, 2", "a bracket is not closed" },
		{ "max(1, )", "not understood: )" },
		{ "max + 1", "there is no whole number of the name max" },
		{ "1 / none", "divides by 0" },
		{ "1 % none", "divides by 0" },
		{ "1 - 2", "goes below 0" },
		{ "most + 1", "is too large" },
		{ "most * 3", "is too large" },
		{ "9223372036854775808", "a number is too large" },
		{ "99999999999999999999999", "a number is too large" },
		{ "((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))", "too many brackets" },
	};
	char why[128];
	uint64_t v;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ok(!formula_eval(good[i].text, names, ARRAY_SIZE(names), &v, why) && v == good[i].value,
		   "formula: '%s' is %llu", good[i].text, (unsigned long long)good[i].value);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		*why = '\0';
		ok(formula_eval(bad[i].text, names, ARRAY_SIZE(names), &v, why) && !strcmp(why, bad[i].why),
		   "formula: '%s': %s", bad[i].text, bad[i].why);
	}
}

/* ---- descriptions ---- */

static char dir_name[] = "/tmp/nestor-function.XXXXXX";
static int dir;

static void write_file(const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

#define ARGUMENT(more)                                                                                                         \
	"arguments: [{ name: a, kind: output, type: uint8, count: n" more " }, { name: n, kind: scalar, type: uint32 }]\n"
#define KERNEL "kernels: [{ name: k, group: 64, groups: (n + 63) / 64 }]\n"
#define REST "doc: d\nsliceable: true\n"
#define CHECKS "checks: [n=5]\n"

static void test_refused(void)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "f.yaml: is empty" },
		{ "doc: [", "did not find expected node content" },
		{ "doc: a\ndoc: b\n", "doc is set twice" },
		{ REST ARGUMENT("") CHECKS, "kernels" },
		{ REST ARGUMENT("") KERNEL, "checks" },
		{ REST ARGUMENT("") KERNEL CHECKS "frob: 1\n", "frob" },
		{ REST ARGUMENT(", type: uint9") KERNEL CHECKS, "type is set twice" },
		{ REST "arguments: [{ name: a, kind: output, type: uint9, count: 1 }]\n" KERNEL CHECKS, "f.yaml:3:" },
		{ REST "arguments: [{ name: 9a, kind: output, type: uint8, count: 1 }]\n" KERNEL CHECKS, "9a: no name" },
		{ REST "arguments: [{ name: deadline, kind: scalar, type: uint32 }]\n" KERNEL CHECKS, "deadline: no name" },
		{ REST "arguments: [{ name: n, kind: scalar, type: uint32 }, { name: n, kind: scalar, type: uint32 }]\n" KERNEL
			  CHECKS,
		  "n: there are two arguments of this name" },
		{ REST "arguments: [{ name: a, kind: output, type: uint8 }]\n" KERNEL CHECKS, "a: has no count" },
		{ REST "arguments: [{ name: n, kind: scalar, type: uint32, count: 1 }]\n" KERNEL CHECKS,
		  "n: a scalar has no count" },
		{ REST "arguments: [{ name: n, kind: scalar, type: uint8 }]\n" KERNEL CHECKS,
		  "n: a scalar is of 32 or 64 bits" },
		{ REST "arguments: [{ name: n, kind: scalar, type: uint32, min: 5, max: 4 }]\n" KERNEL CHECKS,
		  "n: min and max" },
		{ REST "arguments: [{ name: n, kind: scalar, type: uint32, max: 1e10 }]\n" KERNEL CHECKS, "n: min and max" },
		{ REST "arguments: [{ name: n, kind: scalar, type: uint32 }, { name: i, kind: input, type: uint8, count: n, "
		       "per_unit: 1 }]\n" KERNEL CHECKS,
		  "i: only an output has per_unit" },
		{ REST ARGUMENT("") "kernels: [{ name: k, group: 0, groups: 1 }]\n" CHECKS, "k: a group has 1 to 1024" },
		{ REST ARGUMENT("") "kernels: [{ name: k, group: 64, groups: m }]\n" CHECKS, "no whole number of the name m" },
		{ REST ARGUMENT("") "kernels: [{ name: k, group: 64, groups: n - 5 }]\n" CHECKS, "gives 0, not 1 to" },
		{ REST ARGUMENT("") KERNEL CHECKS "tolerance: -1\n", "tolerance" },
		{ REST ARGUMENT("") KERNEL CHECKS "tolerance: .nan\n", "Invalid FLOAT value" },
		{ REST ARGUMENT("") KERNEL CHECKS "reference: r\n", "f.check.cl: No such file" },
		{ REST ARGUMENT("") KERNEL "checks: [n]\n", "'n' is not one of up to" },
		{ REST ARGUMENT("") KERNEL "checks: ['']\n", "n is missing" },
		{ REST ARGUMENT(", per_unit: 1") KERNEL "checks: [n=65]\n", "per_unit is too small" },
	};
	struct function *f;
	char why[256];

	write_file("f.cl", "KERNEL(k, 64, __global uchar *a, uint n) {}\n");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		*why = '\0';
		write_file("f.yaml", bad[i].text);
		if (!ok(function_load(dir, "f", &f, why) && strstr(why, bad[i].why), "description: refused: %s", bad[i].why))
			printf("# %s\n", why);
	}
	write_file("f.yaml", REST ARGUMENT("") KERNEL CHECKS);
	ok(!function_load(dir, "f", &f, why) && !strcmp(f->doc, "d"), "description: one without errors is accepted");
	function_free(f);
	ok(function_load(dir, "../f", &f, why), "description: a name with a path is refused");
	ok(function_load(dir, "g", &f, why) == -ENOENT, "description: a missing function is refused");
}

/* ---- calls ---- */

static void test_calls(struct library *l)
{
	static const struct {
		const char *function, *call, *why;
	} bad[] = {
		{ "grey", "", "width is missing" },
		{ "grey", "width=1", "height is missing" },
		{ "grey", "width=1 height=1 width=1", "width is given twice" },
		{ "grey", "width=1 height=1 depth=1", "grey has no scalar 'depth'" },
		{ "grey", "width=1 height=1 image=1", "grey has no scalar 'image'" },
		{ "grey", "width=nan height=1", "width: 'nan' is no number" },
		{ "grey", "width=1e999 height=1", "width: '1e999' is no number" },
		{ "grey", "width=1x height=1", "width: '1x' is no number" },
		{ "grey", "width= height=1", "width: '' is no number" },
		{ "grey", "width=1.5 height=1", "width: '1.5' is no whole number" },
		{ "grey", "width=0 height=1", "width: 0 is not within 1 and 65536" },
		{ "grey", "width=-1 height=1", "width: -1 is not within 1 and 65536" },
		{ "grey", "width=65537 height=1", "width: 65537 is not within 1 and 65536" },
		{ "sha256", "buffers=1073741824 length=1073741824", "data: 'buffers * length' gives 1152921504606846976" },
		{ "fft", "rows=1 size=3", "divides by 0" },
	};
	struct fn_call c;
	char why[192];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		*why = '\0';
		if (!ok(fn_call_parse(library_find(l, bad[i].function), bad[i].call, &c, why) && strstr(why, bad[i].why),
			"call: %s %s: %s", bad[i].function, bad[i].call, bad[i].why))
			printf("# %s\n", why);
	}
	ok(!fn_call_parse(library_find(l, "black_scholes"), "options=1000 rate=-0.5 volatility=0.25", &c, why) &&
		   c.scalars[6] == -0.5,
	   "call: a scalar may be negative and fractional");
	ok(!fn_call_parse(library_find(l, "sgemm"), "rows=33 inner=50 columns=65", &c, why) &&
		   c.input_bytes == 4 * (1650 + 3250) && c.output_bytes == 4 * 33 * 65 && c.groups[0] == 15 && c.unit == 5 &&
		   c.cost == 66 && c.partable,
	   "call: bytes, groups and cost of sgemm follow from its scalars");
	ok(!fn_call_parse(library_find(l, "kmeans"), "nr=3000 dimensions=3 clusters=8", &c, why) && !c.partable &&
		   c.all_groups == 4 && c.device_bytes == c.input_bytes + c.output_bytes + 4 * (3 * 24 + 3 * 8),
	   "call: kmeans, with two kernels and scratch memory, has no parts");
}

static void test_parts(struct library *l)
{
	uint64_t from, n, sum = 0;
	struct fn_call c;
	char why[192];

	fn_call_parse(library_find(l, "sgemm"), "rows=33 inner=50 columns=65", &c, why);
	for (uint64_t first = 0; first < 15; first += 5) {
		fn_part(&c, 2, first, 5, &from, &n);
		ok(from == sum, "part: the one from group %llu begins where the previous one ends", (unsigned long long)first);
		sum += n;
	}
	is_u64(33 * 65, sum, "part: all parts together are the whole output");
	fn_part(&c, 2, 0, 15, &from, &n);
	ok(!from && n == 33 * 65, "part: one part of all groups is the whole output");
}

static void complain(const char *why)
{
	printf("# %s\n", why);
}

int main(void)
{
	struct library l;
	char why[256];

	if (!mkdtemp(dir_name) || (dir = open(dir_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return 1;
	test_lines();
	test_formulas();
	test_refused();
	unlinkat(dir, "f.cl", 0);
	unlinkat(dir, "f.yaml", 0);
	rmdir(dir_name);
	close(dir);
	ok(!library_load("gpu/functions", complain, &l, why) && l.n >= 13 && !l.refused,
	   "library: the functions that come with Nestor load");
	test_calls(&l);
	test_parts(&l);
	ok(!library_find(&l, "frob"), "library: a missing function is not found");
	library_free(&l);
	ok(library_load("/nowhere", complain, &l, why) == -ENOENT && !strcmp(why, "/nowhere: No such file or directory"),
	   "library: a missing directory is named");
	return done_testing();
}

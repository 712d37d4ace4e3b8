// SPDX-License-Identifier: GPL-2.0
/* budget: 5 */
/* Values with units, and ports: every unit, the ends of 64 bits, and what is none. */
#include <errno.h>
#include <stdlib.h>

#include "agent/lib/units.h"
#include "agent/lib/util.h"
#include "tests/harness/tap.h"

#define UNTOUCHED 77

static void test_good(void)
{
	static const struct {
		const char *text;
		const cyaml_strval_t *units;
		__u64 value;
	} good[] = {
		{ "0", plain, 0 },
		{ "4096", plain, 4096 },
		{ "18446744073709551615", plain, ~0ULL },
		{ "4096", sizes, 4096 },
		{ "3kB", sizes, 3000 },
		{ "3MB", sizes, 3000000 },
		{ "3GB", sizes, 3000000000 },
		{ "3TB", sizes, 3000000000000 },
		{ "50KiB", sizes, 51200 },
		{ "50MiB", sizes, 52428800 },
		{ "50GiB", sizes, 53687091200 },
		{ "50TiB", sizes, 54975581388800 },
		{ "16777215TiB", sizes, 16777215ULL << 40 },
		{ "0TiB", sizes, 0 },
		{ "1000000", rates, 1000000 },
		{ "500kbit", rates, 500000 },
		{ "100Mbit", rates, 100000000 },
		{ "10Gbit", rates, 10000000000 },
		{ "2Tbit", rates, 2000000000000 },
		{ "7ns", durations, 7 },
		{ "500us", durations, 500000 },
		{ "5ms", durations, 5000000 },
		{ "1s", durations, 1000000000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		__u64 value = UNTOUCHED;

		ok(!parse_unit(good[i].text, good[i].units, &value), "%s is a value", good[i].text);
		is_u64(good[i].value, value, "its base units");
	}
}

static void test_bad(void)
{
	static const struct {
		const char *text;
		const cyaml_strval_t *units;
		int err;
	} bad[] = {
		{ "", plain, -EINVAL },
		{ "", sizes, -EINVAL },
		{ "MiB", sizes, -EINVAL },
		{ "-1", sizes, -EINVAL },
		{ "+1", sizes, -EINVAL },
		{ " 1", sizes, -EINVAL },
		{ "1 ", sizes, -EINVAL },
		{ "1 MB", sizes, -EINVAL },
		{ "01", sizes, -EINVAL },
		{ "00", plain, -EINVAL },
		{ "0x1", plain, -EINVAL },
		{ "1e3", plain, -EINVAL },
		{ "1.5MB", sizes, -EINVAL },
		{ "1mb", sizes, -EINVAL },
		{ "1MiBs", sizes, -EINVAL },
		{ "1Mbit", sizes, -EINVAL },
		{ "1MB", rates, -EINVAL },
		{ "1kB", plain, -EINVAL },
		{ "5", durations, -EINVAL },
		{ "0", durations, -EINVAL },
		{ "18446744073709551616", plain, -ERANGE },
		{ "99999999999999999999999999999999", sizes, -ERANGE },
		{ "16777216TiB", sizes, -ERANGE },
		{ "18446744073709551615kB", sizes, -ERANGE },
		{ "18446744074s", durations, -ERANGE },
		{ "18446744073709551616ns", durations, -ERANGE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		__u64 value = UNTOUCHED;

		ok(parse_unit(bad[i].text, bad[i].units, &value) == bad[i].err, "'%s' is no value", bad[i].text);
		is_u64(UNTOUCHED, value, "none is returned");
	}
}

static void test_ports(void)
{
	static const struct {
		const char *text;
		__u32 first, last;
	} good[] = {
		{ "1", 1, 0 }, { "4433", 4433, 0 }, { "65535", 65535, 0 }, { "49152-49215", 49152, 49215 }, { "5-5", 5, 5 },
	};
	static const char *const bad[] = {
		"",	"0",	   "65536",	   "4294967297", "18446744073709551617",
		"-",	"-5",	   "5-",	   "0-5",	 "5-0",
		"5-4",	"5--6",	   "5-6-7",	   "05",	 "5-065",
		"5 -6", "5-65536", "5-4294967302", "a",		 "5a",
		"5-6a",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		__u32 first = UNTOUCHED, last = UNTOUCHED;

		ok(!parse_ports(good[i].text, &first, &last), "%s are ports", good[i].text);
		is_u64(good[i].first, first, "the first");
		is_u64(good[i].last, last, "the last");
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		__u32 first = UNTOUCHED, last = UNTOUCHED;

		ok(parse_ports(bad[i], &first, &last) == -EINVAL && first == UNTOUCHED && last == UNTOUCHED,
		   "'%s' are no ports", bad[i]);
	}
}

int main(void)
{
	test_good();
	test_bad();
	test_ports();
	return done_testing();
}

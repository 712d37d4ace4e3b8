// SPDX-License-Identifier: GPL-2.0
/* budget: 5, lane: free */
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
		{ "0", units_plain, 0 },
		{ "4096", units_plain, 4096 },
		{ "18446744073709551615", units_plain, ~0ULL },
		{ "4096", units_sizes, 4096 },
		{ "3kB", units_sizes, 3000 },
		{ "3MB", units_sizes, 3000000 },
		{ "3GB", units_sizes, 3000000000 },
		{ "3TB", units_sizes, 3000000000000 },
		{ "50KiB", units_sizes, 51200 },
		{ "50MiB", units_sizes, 52428800 },
		{ "50GiB", units_sizes, 53687091200 },
		{ "50TiB", units_sizes, 54975581388800 },
		{ "16777215TiB", units_sizes, 16777215ULL << 40 },
		{ "0TiB", units_sizes, 0 },
		{ "1000000", units_rates, 1000000 },
		{ "500kbit", units_rates, 500000 },
		{ "100Mbit", units_rates, 100000000 },
		{ "10Gbit", units_rates, 10000000000 },
		{ "2Tbit", units_rates, 2000000000000 },
		{ "7ns", units_durations, 7 },
		{ "500us", units_durations, 500000 },
		{ "5ms", units_durations, 5000000 },
		{ "1s", units_durations, 1000000000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		__u64 value = UNTOUCHED;

		ok(!units_parse(good[i].text, good[i].units, &value), "units: %s is a value", good[i].text);
		is_u64(good[i].value, value, named("units: %s has its value in base units", good[i].text));
	}
}

static void test_bad(void)
{
	static const struct {
		const char *text;
		const cyaml_strval_t *units;
		int err;
	} bad[] = {
		{ "", units_plain, -EINVAL },
		{ "", units_sizes, -EINVAL },
		{ "MiB", units_sizes, -EINVAL },
		{ "-1", units_sizes, -EINVAL },
		{ "+1", units_sizes, -EINVAL },
		{ " 1", units_sizes, -EINVAL },
		{ "1 ", units_sizes, -EINVAL },
		{ "1 MB", units_sizes, -EINVAL },
		{ "01", units_sizes, -EINVAL },
		{ "00", units_plain, -EINVAL },
		{ "0x1", units_plain, -EINVAL },
		{ "1e3", units_plain, -EINVAL },
		{ "1.5MB", units_sizes, -EINVAL },
		{ "1mb", units_sizes, -EINVAL },
		{ "1MiBs", units_sizes, -EINVAL },
		{ "1Mbit", units_sizes, -EINVAL },
		{ "1MB", units_rates, -EINVAL },
		{ "1kB", units_plain, -EINVAL },
		{ "5", units_durations, -EINVAL },
		{ "0", units_durations, -EINVAL },
		{ "18446744073709551616", units_plain, -ERANGE },
		{ "99999999999999999999999999999999", units_sizes, -ERANGE },
		{ "16777216TiB", units_sizes, -ERANGE },
		{ "18446744073709551615kB", units_sizes, -ERANGE },
		{ "18446744074s", units_durations, -ERANGE },
		{ "18446744073709551616ns", units_durations, -ERANGE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		__u64 value = UNTOUCHED;

		ok(units_parse(bad[i].text, bad[i].units, &value) == bad[i].err, "units: '%s' is no value", bad[i].text);
		is_u64(UNTOUCHED, value, named("units: '%s' returns no value", bad[i].text));
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

		ok(!units_parse_ports(good[i].text, &first, &last), "units: %s are ports", good[i].text);
		is_u64(good[i].first, first, named("units: ports %s have their first", good[i].text));
		is_u64(good[i].last, last, named("units: ports %s have their last", good[i].text));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		__u32 first = UNTOUCHED, last = UNTOUCHED;

		ok(units_parse_ports(bad[i], &first, &last) == -EINVAL && first == UNTOUCHED && last == UNTOUCHED,
		   "units: '%s' are no ports", bad[i]);
	}
}

int main(void)
{
	test_good();
	test_bad();
	test_ports();
	return done_testing();
}

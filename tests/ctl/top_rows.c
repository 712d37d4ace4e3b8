// SPDX-License-Identifier: GPL-2.0
/* budget: 2, lane: free */
/*
 * The rows of nestorctl top from readings that are known: rates, quantiles, what is not known, order, filter; with the columns
 * of the rooms. tests/ctl/nouns.c has columns of its own.
 */
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ctl/call.h"
#include "agent/ctl/top_cell.h"
#include "agent/ctl/top_columns.h"
#include "agent/nouns.h"
#include "tests/harness/tap.h"

#define SECOND 1000000000ULL
#define UP "nestor_room_up{room=\"blkio\"} 1\nnestor_room_up{room=\"pcache\"} 1\nnestor_room_up{room=\"net\"} 1\n"
#define IO(device, c, bytes, ios)                                                                                              \
	"nestor_blkio_bytes_total{device=\"" device "\",op=\"read\",vm=\"\",container=\"" c "\"} " bytes "\n"                  \
	"nestor_blkio_ios_total{device=\"" device "\",op=\"read\",vm=\"\",container=\"" c "\"} " ios "\n"
#define DONE(op, n) "nestor_blkio_latency_seconds_count{vm=\"\",container=\"a\",op=\"" op "\"} " n "\n"
#define BUCKET(op, le, n) "nestor_blkio_latency_seconds_bucket{vm=\"\",container=\"a\",op=\"" op "\",le=\"" le "\"} " n "\n"

/* Series of container a. */
#define CACHE(name, n) "nestor_pcache_" name "{vm=\"\",container=\"a\"} " n "\n"
#define EVICTED(reason, n) "nestor_pcache_evictions_total{vm=\"\",container=\"a\",reason=\"" reason "\"} " n "\n"
#define NET(name, direction, n) "nestor_net_" name "{direction=\"" direction "\",vm=\"\",container=\"a\"} " n "\n"
#define RESENT(c, n) "nestor_net_retransmits_total{vm=\"\",container=\"" c "\"} " n "\n"
#define MOVED(kind, direction, n)                                                                                              \
	"nestor_net_migration_bytes_total{kind=\"" kind "\",direction=\"" direction "\",vm=\"\",container=\"a\"} " n "\n"

#define P(vm, c, n) "nestor_net_bytes_total{direction=\"rx\",vm=\"" vm "\",container=\"" c "\"} " n "\n"

static struct top_table *main_table, *cache_table, *table; /* table: one of them */
static struct top_order order = { .filter = "" };

static struct top *read_two(const char *first, const char *second)
{
	struct top *t = top_new(table);

	if (top_read(t, strdup(first), 5 * SECOND) || top_read(t, strdup(second), 7 * SECOND))
		ok(false, "top reads two scrapes");
	return t;
}

static void value_is(struct top *t, const char *container, const char *key, double expected, const char *text)
{
	int column = top_find_key(table, key);
	size_t nr, total;
	const struct top_row *rows = top_rows(t, &order, &nr, &total);
	double got = -1;
	bool good;

	for (size_t i = 0; i < nr; i++)
		if (!strcmp(rows[i].container, container))
			got = rows[i].values[column];
	good = isnan(expected) ? isnan(got) : fabs(got - expected) < 1e-9;
	ok(good, "%s", text);
	if (!good)
		printf("#   expected: %g, got: %g\n", expected, got);
}

/* 100 reads: 50 at most 1 us, 49 up to 4 us, and 1 slower write; the same, and twice as much at the layer below. */
static void test_block_io(void)
{
	struct top *t = read_two(UP IO("dm-0", "a", "1000", "10") IO("sda", "a", "1000", "10") BUCKET("read", "1e-06", "10")
					 BUCKET("read", "4e-06", "10") BUCKET("read", "0.5", "10") BUCKET("read", "+Inf", "10")
						 DONE("read", "10"),
				 UP IO("dm-0", "a", "410600", "110") IO("sda", "a", "410600", "110")
					 BUCKET("read", "1e-06", "60") BUCKET("read", "4e-06", "109")
						 BUCKET("read", "0.5", "110") BUCKET("read", "+Inf", "110")
							 DONE("read", "110"));

	value_is(t, "a", "reads", 50, "top: 100 reads in 2 s are 50 per second");
	value_is(t, "a", "rbytes", 204800, "top: bytes are those of the top layer");
	value_is(t, "a", "writes", 0, "top: no writes are 0 per second");
	value_is(t, "a", "p50", 1e-6, "top: p50 is the bound of its bucket");
	value_is(t, "a", "p99", 4e-6, "top: p99 is the bound of its bucket");
	value_is(t, "a", "hit", NAN, "top: without accesses the hit ratio is unknown");
	top_free(t);

	t = read_two(UP BUCKET("read", "1e-06", "0") BUCKET("read", "4e-06", "0") BUCKET("read", "+Inf", "0"),
		     UP BUCKET("read", "1e-06", "97") BUCKET("read", "4e-06", "97") BUCKET("read", "+Inf", "97")
			     BUCKET("write", "1e-06", "1") BUCKET("write", "4e-06", "3") BUCKET("write", "+Inf", "5"));
	value_is(t, "a", "p50", 1e-6, "top: p50 is of reads and writes together");
	value_is(t, "a", "p99", 4e-6, "top: p99 beyond the last bound is the last bound");
	top_free(t);
}

static void test_other_rooms(void)
{
	static const char first[] = UP CACHE("hits_total", "10") CACHE("misses_total", "10") CACHE("refaults_total", "1")
		EVICTED("reclaim", "1") NET("bytes_total", "rx", "0") NET("packets_total", "tx", "0") RESENT("a", "0")
			MOVED("criu", "rx", "0");
	static const char second[] = UP CACHE("hits_total", "40") CACHE("misses_total", "20") CACHE("refaults_total", "9")
		CACHE("pages", "3") EVICTED("reclaim", "5") EVICTED("invalidate", "2") NET("bytes_total", "rx", "3000")
			NET("packets_total", "tx", "8") RESENT("a", "6") MOVED("criu", "rx", "10") MOVED("criu", "tx", "20")
				MOVED("qemu", "tx", "30");
	struct top *t = read_two(first, second);

	value_is(t, "a", "hit", 0.75, "top: 30 hits of 40 accesses are a ratio of 0.75");
	value_is(t, "a", "refaults", 4, "top: refaults are a rate");
	value_is(t, "a", "evictions", 3, "top: evictions of all reasons are summed, also of a new reason");
	value_is(t, "a", "cached", 3.0 * 4096, "top: cached pages are the present number, in bytes");
	value_is(t, "a", "rx", 1500, "top: received bytes are a rate");
	value_is(t, "a", "tx", 0, "top: without sent bytes the rate is 0");
	value_is(t, "a", "txpackets", 4, "top: sent packets are a rate");
	value_is(t, "a", "retransmits", 3, "top: retransmits are a rate");
	value_is(t, "a", "migration", 30, "top: migration bytes of all kinds and both directions are summed");
	top_free(t);

	t = read_two(UP RESENT("a", "0") "nestor_net_migration_bytes_total{kind=\"qemu\",direction=\"tx\"} 0\n",
		     UP RESENT("a", "0") "nestor_net_migration_bytes_total{kind=\"qemu\",direction=\"tx\"} 8\n");
	value_is(t, "~machine", "migration", 4, "top: migration bytes without an owner are the machine's");
	value_is(t, "~machine", "rx", NAN, "top: the machine has no other column");
	value_is(t, "a", "migration", NAN, "top: migration of a container without such series is unknown");
	top_free(t);
}

/* The second-level cache, as an agent told of it. */
#define POOL(store, pages, share, hits, puts, evictions)                                                                       \
	"nestor_cache_pages{store=\"" store "\",vm=\"\",container=\"a\"} " pages "\n"                                          \
	"nestor_cache_entitlement_pages{store=\"" store "\",vm=\"\",container=\"a\"} " share "\n"                              \
	"nestor_cache_hits_total{store=\"" store "\",vm=\"\",container=\"a\"} " hits "\n"                                      \
	"nestor_cache_puts_total{store=\"" store "\",vm=\"\",container=\"a\"} " puts "\n"                                      \
	"nestor_cache_evictions_total{store=\"" store "\",vm=\"\",container=\"a\"} " evictions "\n"
#define POOL_COUNT(name, n) "nestor_cache_" name "_total{vm=\"\",container=\"a\"} " n "\n"
#define DROPPED(reason, n) "nestor_cache_drops_total{reason=\"" reason "\",vm=\"\",container=\"a\"} " n "\n"

static void test_cache(void)
{
	static const char first[] = UP "nestor_room_up{room=\"cache\"} 1\n" POOL("memory", "1", "50", "10", "20", "5")
		POOL("ssd", "7", "70", "0", "0", "0") POOL_COUNT("gets", "100") POOL_COUNT("demotions", "3")
			DROPPED("raced", "1") DROPPED("no_room", "0") RESENT("none", "0");
	static const char second[] = UP "nestor_room_up{room=\"cache\"} 1\n" POOL("memory", "30", "60", "40", "36", "9")
		POOL("ssd", "8", "80", "20", "2", "6") POOL_COUNT("gets", "200") POOL_COUNT("demotions", "7")
			DROPPED("raced", "3") DROPPED("no_room", "2") RESENT("none", "0");
	struct top *t;
	size_t nr, total;

	table = cache_table;
	t = read_two(first, second);
	order = (struct top_order){ .key = top_container(table), .filter = "" };
	top_rows(t, &order, &nr, &total);
	is_u64(1, nr, "cache top has rows only for containers with a pool");
	is_u64(1, total, "cache top counts only containers with a pool");
	value_is(t, "a", "memory", 30.0 * 4096, "cache top: pages in memory are the present number, in bytes");
	value_is(t, "a", "memshare", 60.0 * 4096, "cache top: the memory share is the entitlement, in bytes");
	value_is(t, "a", "ssd", 8.0 * 4096, "cache top: pages on the SSD are the present number, in bytes");
	value_is(t, "a", "ssdshare", 80.0 * 4096, "cache top: the SSD share is the entitlement, in bytes");
	value_is(t, "a", "gets", 50, "cache top: 100 gets in 2 s are 50 per second");
	value_is(t, "a", "hit", 0.5, "cache top: 50 hits of 100 gets are a ratio of 0.5");
	value_is(t, "a", "memhit", 0.3, "cache top: 30 memory hits of 100 gets are a ratio of 0.3");
	value_is(t, "a", "ssdhit", 0.2, "cache top: 20 SSD hits of 100 gets are a ratio of 0.2");
	value_is(t, "a", "memput", 8, "cache top: memory puts are a rate");
	value_is(t, "a", "ssdput", 1, "cache top: SSD puts are a rate");
	value_is(t, "a", "memevict", 2, "cache top: memory evictions are a rate");
	value_is(t, "a", "ssdevict", 3, "cache top: SSD evictions are a rate");
	value_is(t, "a", "demotions", 2, "cache top: demotions are a rate");
	value_is(t, "a", "drops", 2, "cache top: drops of all reasons are summed");
	top_free(t);

	t = read_two(first, UP POOL("memory", "1", "2", "3", "4", "5"));
	value_is(t, "a", "memory", NAN, "cache top: values are unknown while the room is down");
	top_free(t);
	t = read_two(second, second);
	value_is(t, "a", "hit", NAN, "cache top: without gets the hit ratio is unknown");
	value_is(t, "a", "gets", 0, "cache top: without gets the rate of gets is 0");
	top_free(t);
	table = main_table;
	order = (struct top_order){ .key = top_container(table), .filter = "" };
}

static void test_unknown(void)
{
	struct top *t = read_two(UP RESENT("a", "9") IO("sda", "a", "1", "1"), UP RESENT("a", "3") RESENT("new", "1000"));

	value_is(t, "a", "retransmits", NAN, "top: the rate of a counter that went back is unknown");
	value_is(t, "a", "rbytes", NAN, "top: the rate of a counter that disappeared is unknown");
	value_is(t, "a", "rx", 0, "top: other rates of a container with a counter that went back are known");
	value_is(t, "new", "retransmits", NAN, "top: a new container has no rates");
	top_free(t);

	t = read_two("nestor_room_up{room=\"net\"} 1\nnestor_container_info{container=\"a\"} 1\n",
		     UP "nestor_container_info{container=\"a\"} 1\n");
	value_is(t, "a", "rx", 0, "top: a container without series of a room that is up has 0");
	value_is(t, "a", "reads", NAN, "top: rates of a room that was down before are unknown");
	top_free(t);
	t = top_new(table);
	is_u64(0, (unsigned long long)top_read(t, strdup(UP RESENT("a", "9")), SECOND), "top reads one scrape");
	value_is(t, "a", "retransmits", NAN, "top: one scrape gives no rates");
	ok(top_seconds(t) <= 0, "top: one scrape has no interval");
	top_free(t);
}

static void order_is(struct top *t, const char *expected, const char *text)
{
	size_t nr, total;
	const struct top_row *rows = top_rows(t, &order, &nr, &total);
	char got[128] = "";

	for (size_t i = 0; i < nr; i++) {
		strcat(got, rows[i].vm);
		strcat(got, rows[i].container);
		strcat(got, " ");
	}
	is_str(expected, got, text);
	is_u64(5, total, named("top counts 5 rows before the filter: %s", text));
}

static void test_order(void)
{
	struct top *t = read_two(UP P("", "web-1", "0") P("", "web-2", "0") P("", "db", "5") P("v", "", "0"),
				 UP P("", "web-1", "20") P("", "web-2", "10") P("", "db", "1") P("v", "", "30")
					 P("v", "x", "9"));

	order = (struct top_order){ .key = top_find_key(table, "rx"), .filter = "" };
	order_is(t, "v web-1 web-2 db vx ", "top: the highest rate comes first, unknown rates last");
	order.reverse = true;
	order_is(t, "web-2 web-1 v db vx ", "top: reversed, the lowest rate comes first, unknown rates last");
	order = (struct top_order){ .key = top_vm(table), .filter = "" };
	order_is(t, "db web-1 web-2 v vx ", "top: sorted by VM, containers outside of VMs come first");
	order.filter = "web-*";
	order_is(t, "web-1 web-2 ", "top: a glob filters by container");
	order.filter = "eb";
	order_is(t, "web-1 web-2 ", "top: part of a name filters by container");
	order.filter = "v";
	order_is(t, "v vx ", "top: a VM's name filters the VM and its containers");
	order.filter = "*[12]";
	order_is(t, "web-1 web-2 ", "top: a glob with a set filters by container");
	order = (struct top_order){ .key = top_container(table), .filter = "" };
	top_free(t);
}

static void test_tables(void)
{
	is_str("p99", main_table->columns[top_default_key(main_table)].key, "top is sorted by p99 by default");
	is_str("memory", cache_table->columns[top_default_key(cache_table)].key, "cache top is sorted by memory by default");
	is_str("RX/s", main_table->columns[top_find_key(main_table, "rx")].title, "top finds a column by its key");
	is_u64((unsigned int)top_vm(main_table), (unsigned int)top_find_key(main_table, "vm"),
	       "top finds the VM column by its key");
	ok(top_find_key(main_table, "frob") < 0, "top finds no column by an unknown key");
	ok(top_find_key(main_table, "memory") < 0, "top finds no column of cache top");
	is_str("pcache", main_table->columns[top_find_key(main_table, "hit")].room, "top's hit ratio is pcache's");
	is_str("cache", cache_table->columns[top_find_key(cache_table, "hit")].room, "cache top's hit ratio is the cache's");
}

static void number_is(enum top_unit unit, double value, const char *expected)
{
	char text[32];

	top_number(unit, value, text, sizeof(text));
	is_str(expected, text, named("top prints a number as %s", expected));
	ok(strlen(text) <= TOP_NUMBER_WIDTH, "top's number %s fits its column", expected);
}

static void name_is(const char *name, int columns, const char *expected, const char *what)
{
	char text[16];
	int used;

	top_name(name, columns, text, sizeof(text), &used);
	is_str(expected, text, named("top prints a name with %s", what));
	ok(used <= columns, "top prints a name with %s in at most %d columns", what, columns);
}

static void test_cells(void)
{
	number_is(TOP_COUNT, 0, "0");
	number_is(TOP_COUNT, 0.5, "0.5");
	number_is(TOP_COUNT, 999.4, "999");
	number_is(TOP_COUNT, 999.5, "1.0k");
	number_is(TOP_BYTES, 123456789, "123M");
	number_is(TOP_BYTES, 1.8e19, "18E");
	number_is(TOP_SECONDS, 1e-6, "1.0us");
	number_is(TOP_SECONDS, 0.016384, "16ms");
	number_is(TOP_SECONDS, 134.217728, "134s");
	number_is(TOP_RATIO, 1, "100.0");
	number_is(TOP_RATIO, NAN, "-");
	name_is("\033[2J\a\t", 10, "?[2J??", "control characters as ?");
	name_is("abcdef", 3, "abc", "too many characters cut to the width");
	name_is("abcdefghijklmnopqrstuvwxyz", 40, "abcdefghijklmno", "too many bytes cut to the buffer");
	ok(setlocale(LC_CTYPE, "C.UTF-8") != NULL, "(the locale is UTF-8)");
	name_is("\xe5\xae\xb9\xe5\x99\xa8", 3, "\xe5\xae\xb9", "a wide character cut before it");
	name_is("a\xff\xc3", 10, "a??", "bytes that are no UTF-8 as ?");
	name_is("a\xe2\x80\xae"
		"b\xc2\x9b",
		10, "a?b?", "direction overrides and C1 characters as ?");
}

int main(void)
{
	struct ctl c = { .nouns = nouns };
	const struct ctl_noun *cache = ctl_find_noun(&c, "cache");
	size_t used;

	main_table = table = top_table_new(nouns, NULL, NULL);
	cache_table = top_table_new(nouns, cache, ctl_find_verb(cache, (char *const[]){ "top" }, 1, &used));
	order.key = top_container(table);
	test_block_io();
	test_other_rooms();
	test_cache();
	test_unknown();
	test_order();
	test_tables();
	test_cells();
	top_table_free(main_table);
	top_table_free(cache_table);
	return done_testing();
}

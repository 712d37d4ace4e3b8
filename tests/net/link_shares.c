// SPDX-License-Identifier: GPL-2.0
/*
 * budget: 20, lane: free
 * Shares of a link, by the program of a VM's tap as the running kernel runs it: what a lane told of itself is no other
 * lane's, also where the link does not have it any more. Needs root.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/types.h>
#include <stdio.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/lib/util.h"
#include "bpf/netlimit.h"
#include "build/bpf/net/netlimit.skel.h"
#include "tests/harness/tap.h"

#define LINK 1000000000ULL /* bits per second */
#define LOOPBACK 1 /* a program that is run by hand gets its packets from there */
#define LANE (NETLIMIT_SLOT_FIRST * 2 + NETLIMIT_EGRESS)

static int set_u32(const struct bpf_map *map, __u32 key, const void *value)
{
	return bpf_map_update_elem(bpf_map__fd(map), &key, value, BPF_ANY);
}

static struct netlimit_bpf *load(void)
{
	struct netlimit_bpf *b = netlimit_bpf__open();
	struct bpf_map *map;

	if (!b)
		return NULL;
	bpf_object__for_each_map (map, b->obj)
		bpf_map__set_pin_path(map, NULL);
	if (!netlimit_bpf__load(b))
		return b;
	netlimit_bpf__destroy(b);
	return NULL;
}

static int set_up(struct netlimit_bpf *b)
{
	const struct netlimit_place place = { .slot = NETLIMIT_SLOT_FIRST };
	const struct netlimit_rule rule = { .weight = 100, .enforce = 1 };
	const __u64 rate = LINK;

	return set_u32(b->maps.netlimit_taps, LOOPBACK, &place) ?: set_u32(b->maps.netlimit_rules, LANE, &rule)
		?: set_u32(b->maps.netlimit_rate, 0, &rate);
}

static __u32 epoch_now(void)
{
	return (__u32)(now_ns() >> NETLIMIT_EPOCH_SHIFT);
}

/*
 * One packet, in an epoch before which the lane told of @own bytes and the link has @all. Returns its share; again, if
 * the epoch ended meanwhile.
 */
static __u64 share_after(struct netlimit_bpf *b, __u64 all, __u32 own)
{
	char frame[ETH_HLEN + 100] = { [12] = ETH_P_IP >> 8 };

	for (int try = 0; try < 1000; try++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame), .repeat = 1);
		struct netlimit_lane lane = {};
		struct netlimit_link link = {};
		const __u32 now = epoch_now(), last = now - 1, index = LANE;

		link.epochs[last % NETLIMIT_EPOCHS] = (struct netlimit_epoch){ .idle_bytes = all, .number = last };
		lane.told[last & 1].epoch = last;
		lane.told[last & 1].bytes = own;
		if (set_u32(b->maps.netlimit_link, 0, &link) || set_u32(b->maps.netlimit_lanes, LANE, &lane) ||
		    bpf_prog_test_run_opts(bpf_program__fd(b->progs.netlimit_tap_tx), &opts) ||
		    bpf_map_lookup_elem(bpf_map__fd(b->maps.netlimit_lanes), &index, &lane))
			return 0;
		if (lane.epoch == now)
			return lane.share;
	}
	return 0;
}

static void test_share(struct netlimit_bpf *b, __u64 all, __u32 own, __u64 expected, const char *text)
{
	const __u64 share = share_after(b, all, own);

	ok(share == expected, "net: link share of a lane, %s: %llu bit/s of %llu, %llu expected", text, share, LINK, expected);
}

int main(void)
{
	/* 104858 bytes in 8.4 ms are a tenth of the link. */
	const __u64 tenth = LINK / 80 * (1 << NETLIMIT_EPOCH_SHIFT) / 1000000000;
	struct netlimit_bpf *b = load();

	ok(b && !set_up(b), "net: the program of link shares loads");
	if (!b)
		return done_testing();
	test_share(b, 0, 0, LINK, "idle link");
	test_share(b, tenth, (__u32)tenth, LINK, "only own bytes");
	test_share(b, tenth, (__u32)tenth - 1000, LINK - (1000 * 8 * 1000000000ULL >> NETLIMIT_EPOCH_SHIFT), "other bytes");
	test_share(b, tenth, (__u32)tenth + 1000, LINK, "more bytes than the link");
	netlimit_bpf__destroy(b);
	return done_testing();
}

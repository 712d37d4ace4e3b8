// SPDX-License-Identifier: GPL-2.0
#include "agent/ctl/noun.h"

/*
 * I/Os are those of the device that the container addressed, the only one of which there are latencies. Bytes are counted
 * at every layer of stacked devices (dm, md): as many are shown as its I/Os there had, at the mean size of all.
 */
#define IOS(op)                                                                                                                \
	{                                                                                                                      \
		"nestor_blkio_latency_seconds_count", "op", op, NULL                                                           \
	}
#define LAYERS_IOS(op)                                                                                                         \
	{                                                                                                                      \
		"nestor_blkio_ios_total", "op", op, "device"                                                                   \
	}
#define LAYERS_BYTES(op)                                                                                                       \
	{                                                                                                                      \
		"nestor_blkio_bytes_total", "op", op, "device"                                                                 \
	}
#define LATENCY                                                                                                                \
	{                                                                                                                      \
		"nestor_blkio_latency_seconds_bucket", NULL, NULL, "le"                                                        \
	}
#define BYTES(op) .series = LAYERS_BYTES(op), .of = { IOS(op), LAYERS_IOS(op) }
#define QUANTILE(q) .how = TOP_QUANTILE, .series = LATENCY, .quantile = (q)

static const struct top_column columns[] = {
	TOP_COLUMN("reads", "R/s", "reads_per_second", TOP_COUNT, 0, .series = IOS("read")),
	TOP_COLUMN("writes", "W/s", "writes_per_second", TOP_COUNT, 1, .series = IOS("write")),
	TOP_COLUMN("rbytes", "RD/s", "read_bytes_per_second", TOP_BYTES, 5, BYTES("read")),
	TOP_COLUMN("wbytes", "WR/s", "write_bytes_per_second", TOP_BYTES, 6, BYTES("write")),
	TOP_COLUMN("p50", "P50", "p50_seconds", TOP_SECONDS, 8, QUANTILE(0.5)),
	TOP_COLUMN("p99", "P99", "p99_seconds", TOP_SECONDS, 2, QUANTILE(0.99), .is_default = true),
	{},
};

static const struct ctl_verb verbs[] = { CTL_SHOW, {} };

const struct ctl_noun ctl_blkio = { .name = "blkio", .verbs = verbs, .columns = columns, .place = 1 };

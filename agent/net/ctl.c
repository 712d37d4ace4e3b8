// SPDX-License-Identifier: GPL-2.0
#include "agent/ctl/noun.h"

#define DIRECTION(name, direction)                                                                                             \
	{                                                                                                                      \
		"nestor_net_" name "_total", "direction", direction, NULL                                                      \
	}
#define RETRANSMITS                                                                                                            \
	{                                                                                                                      \
		"nestor_net_retransmits_total", NULL, NULL, NULL                                                               \
	}
/* Of both directions. Where the agent knows no more than the kind they are the machine's. */
#define MIGRATION .series = { "nestor_net_migration_bytes_total", NULL, NULL, "kind" }, .is_machine = true

static const struct top_column columns[] = {
	TOP_COLUMN("rx", "RX/s", "rx_bytes_per_second", TOP_BYTES, 4, .series = DIRECTION("bytes", "rx")),
	TOP_COLUMN("tx", "TX/s", "tx_bytes_per_second", TOP_BYTES, 4, .series = DIRECTION("bytes", "tx")),
	TOP_COLUMN("rxpackets", "RXPKT/s", "rx_packets_per_second", TOP_COUNT, 14, .series = DIRECTION("packets", "rx")),
	TOP_COLUMN("txpackets", "TXPKT/s", "tx_packets_per_second", TOP_COUNT, 15, .series = DIRECTION("packets", "tx")),
	TOP_COLUMN("retransmits", "RETR/s", "retransmits_per_second", TOP_COUNT, 10, .series = RETRANSMITS),
	TOP_COLUMN("migration", "MIGR/s", "migration_bytes_per_second", TOP_BYTES, 11, MIGRATION),
	{},
};

static const struct ctl_verb verbs[] = { CTL_SHOW, {} };

const struct ctl_noun ctl_net = { .name = "net", .verbs = verbs, .columns = columns, .place = 3 };

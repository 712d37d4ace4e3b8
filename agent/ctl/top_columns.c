// SPDX-License-Identifier: GPL-2.0
/* What columns the tables of nestorctl top have. */
#include <string.h>

#include "agent/ctl/top_rows.h"

#define MAIN(room) TOP_MAIN, TOP_ROOM_##room
#define CACHE TOP_CACHE, TOP_ROOM_CACHE

const struct top_column top_columns[TOP_KEYS] = {
	[TOP_READS] = { "reads", "R/s", "reads_per_second", TOP_COUNT, 0, MAIN(BLKIO) },
	[TOP_WRITES] = { "writes", "W/s", "writes_per_second", TOP_COUNT, 1, MAIN(BLKIO) },
	[TOP_READ_BYTES] = { "rbytes", "RD/s", "read_bytes_per_second", TOP_BYTES, 5, MAIN(BLKIO) },
	[TOP_WRITE_BYTES] = { "wbytes", "WR/s", "write_bytes_per_second", TOP_BYTES, 6, MAIN(BLKIO) },
	[TOP_P50] = { "p50", "P50", "p50_seconds", TOP_SECONDS, 8, MAIN(BLKIO) },
	[TOP_P99] = { "p99", "P99", "p99_seconds", TOP_SECONDS, 2, MAIN(BLKIO) },
	[TOP_HIT] = { "hit", "HIT%", "hit_ratio", TOP_RATIO, 3, MAIN(PCACHE) },
	[TOP_EVICTIONS] = { "evictions", "EVICT/s", "evictions_per_second", TOP_COUNT, 9, MAIN(PCACHE) },
	[TOP_REFAULTS] = { "refaults", "REFLT/s", "refaults_per_second", TOP_COUNT, 12, MAIN(PCACHE) },
	[TOP_CACHED] = { "cached", "CACHED", "cached_bytes", TOP_BYTES, 13, MAIN(PCACHE), true },
	[TOP_RX] = { "rx", "RX/s", "rx_bytes_per_second", TOP_BYTES, 4, MAIN(NET) },
	[TOP_TX] = { "tx", "TX/s", "tx_bytes_per_second", TOP_BYTES, 4, MAIN(NET) },
	[TOP_RX_PACKETS] = { "rxpackets", "RXPKT/s", "rx_packets_per_second", TOP_COUNT, 14, MAIN(NET) },
	[TOP_TX_PACKETS] = { "txpackets", "TXPKT/s", "tx_packets_per_second", TOP_COUNT, 15, MAIN(NET) },
	[TOP_RETRANSMITS] = { "retransmits", "RETR/s", "retransmits_per_second", TOP_COUNT, 10, MAIN(NET) },
	[TOP_MIGRATION] = { "migration", "MIGR/s", "migration_bytes_per_second", TOP_BYTES, 11, MAIN(NET) },
	[TOP_MEMORY] = { "memory", "MEM", "memory_bytes", TOP_BYTES, 0, CACHE, true },
	[TOP_MEMORY_SHARE] = { "memshare", "MEMSHR", "memory_entitlement_bytes", TOP_BYTES, 1, CACHE, true },
	[TOP_SSD] = { "ssd", "SSD", "ssd_bytes", TOP_BYTES, 4, CACHE, true },
	[TOP_SSD_SHARE] = { "ssdshare", "SSDSHR", "ssd_entitlement_bytes", TOP_BYTES, 5, CACHE, true },
	[TOP_GETS] = { "gets", "GET/s", "gets_per_second", TOP_COUNT, 3, CACHE },
	[TOP_GET_HIT] = { "hit", "HIT%", "hit_ratio", TOP_RATIO, 2, CACHE },
	[TOP_MEMORY_HIT] = { "memhit", "MEMHIT%", "memory_hit_ratio", TOP_RATIO, 10, CACHE },
	[TOP_SSD_HIT] = { "ssdhit", "SSDHIT%", "ssd_hit_ratio", TOP_RATIO, 11, CACHE },
	[TOP_MEMORY_PUTS] = { "memput", "MPUT/s", "memory_puts_per_second", TOP_COUNT, 6, CACHE },
	[TOP_SSD_PUTS] = { "ssdput", "SPUT/s", "ssd_puts_per_second", TOP_COUNT, 8, CACHE },
	[TOP_MEMORY_EVICTIONS] = { "memevict", "MEVCT/s", "memory_evictions_per_second", TOP_COUNT, 7, CACHE },
	[TOP_SSD_EVICTIONS] = { "ssdevict", "SEVCT/s", "ssd_evictions_per_second", TOP_COUNT, 9, CACHE },
	[TOP_DEMOTIONS] = { "demotions", "DEMOT/s", "demotions_per_second", TOP_COUNT, 12, CACHE },
	[TOP_DROPS] = { "drops", "DROP/s", "drops_per_second", TOP_COUNT, 13, CACHE },
	[TOP_VM] = { "vm", "VM", "vm", TOP_COUNT, 0, TOP_MAIN | TOP_CACHE, 0 },
	[TOP_CONTAINER] = { "container", "CONTAINER", "container", TOP_COUNT, 0, TOP_MAIN | TOP_CACHE, 0 },
};

int top_find_key(enum top_table table, const char *key)
{
	for (int i = 0; i < TOP_KEYS; i++)
		if (top_has(table, i) && !strcmp(top_columns[i].key, key))
			return i;
	return -1;
}

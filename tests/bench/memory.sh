#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Memory of the agent's processes at 100 containers, each of which has read and written, after scrapes.
. "$(dirname "$0")/lib.sh"

kib() { awk -v k="$2:" '$1 == k { print $2 }' "/proc/$1/smaps_rollup"; }

new_loop
containers_base
agent_start
{
	echo "memory: proportional set size at 100 containers, after 10 scrapes"
	circumstances
	containers_more 1 100 "$loop"
	for _ in $(seq 10); do curl -sf -o /dev/null "$URL/metrics"; done
	sum=0
	for pid in $(agent_pids); do
		printf '%-16s PSS %6d KiB, of that anonymous %6d KiB\n' "$(cat "/proc/$pid/comm")" "$(kib "$pid" Pss)" \
			"$(kib "$pid" Pss_Anon)"
		sum=$((sum + $(kib "$pid" Pss)))
	done
	echo "in all: $sum KiB"
} | store memory

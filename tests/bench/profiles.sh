#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# How far profiles of GPU functions are off, on each device, for sizes that they were not drawn from: RUNS (3) of them, since others
# on the machine disturb some. Goal: 10 %.
. "$(dirname "$0")/lib.sh"

{
	circumstances
	printf '%-16s %14s %12s  %s\n' function "ns a group" "GB/s moved" "off by at most, %, a run each"
	for ((i = 0; i < ${RUNS:-3}; i++)); do build/nestorctl --json gpufn profile gpu/functions; done |
		jq -rs 'add | group_by(.device, .by_nr, .function)[] | [.[0].function, .[0].group_nanoseconds, .[0].transfer_bytes_per_second / 1e9,
			(map(.held_out_error * 100 | round | tostring) | join(" "))] | @tsv' |
		awk -F'\t' '{ printf "%-16s %14.0f %12.1f  %s\n", $1, $2, $3, $4 }'
	build/nestorctl --json gpu list 2> /dev/null | jq -r '.[] | "\(.device): \(.driver), \(.units) units"'
} | store profiles

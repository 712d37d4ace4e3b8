#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# How fast each device hashes pages and groups hashes, and this processor without one. Goals: in plain C 0.8 of what a processor
# reads; of an NVIDIA GPU 0.7 of its copying for pages that it has, and 0.85 of the bus for those that are brought there.
. "$(dirname "$0")/lib.sh"

part() { awk -v a="$1" -v b="$2" 'BEGIN { if (b) printf "%.2f", a / b; else print "-" }'; }
rate() { awk -v a="$1" -v b="$2" 'BEGIN { if (a) printf "%.1f", a / b; else print "-" }'; } # what was not measured is no 0
{
	circumstances
	echo "GB/s: hashed (pages that are there), streamed (gathered, copied, hashed), copied to it (one processor: just read),"
	echo "copied within (read and written); grouped: million hashes a second; the best of 5 rounds"
	printf '%-40s %-10s %8s %9s %8s %8s %8s  %s\n' device by hashed streamed copied within grouped "of the bound"
	build/nestorctl --json gpu bench 2> /dev/null |
		jq -r '.[] | [.device, .by, .resident_bytes_per_second, .streamed_bytes_per_second, .copied_bytes_per_second,
			.within_bytes_per_second, .grouped_hashes_per_second, .failed] | @tsv' |
		while IFS=$'\t' read -r device by resident streamed copied within grouped failed; do
			if [ "$by" = libxxhash ]; then
				bound="hashed $(part "$resident" "$copied") of reading (goal 0.8)"
			else
				bound="hashed $(part "$resident" "$within") of copying within (0.7), streamed $(part "$streamed" "$copied") of the bus (0.85)"
			fi
			printf '%-40.40s %-10s %8s %9s %8s %8s %8s  %s\n' "$device" "$by" \
				"$(rate "$resident" 1e9)" "$(rate "$streamed" 1e9)" "$(rate "$copied" 1e9)" "$(rate "$within" 1e9)" \
				"$(rate "$grouped" 1e6)" "${failed:-$bound}"
		done
	build/nestorctl --json gpu list 2> /dev/null | jq -r '.[] | "\(.device): \(.driver), \(.units) units"'
} | store gpu

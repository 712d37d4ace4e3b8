#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# How fast the shipped index and memory store of the cache are, on this machine and in a process: gets and puts with their
# copies and hashes, by one thread. tests/tools/cacherate.c says what is done.
. "$(dirname "$0")/lib.sh"

ROUNDS=${ROUNDS:-7}
{
	echo "cache: nanoseconds per page of 4 KiB, 200000 pages, one thread; $ROUNDS rounds, 95 % confidence"
	circumstances
	for _ in $(seq "$ROUNDS"); do build/tests/tools/cacherate; done > "$T/rounds"
	while read -r what; do
		printf '%-34s %s ns\n' "$what" "$(sed -n "s/^$what \([0-9]*\) ns.*/\1/p" "$T/rounds" | mean_ci)"
	done < <(sed -n '1,5s/:.*/:/p' "$T/rounds")
	awk '/^give back/ { n += $(NF - 5); r++ } END { printf "give back: %.1f GiB a second\n", 4096 / (n / r) * 1e9 / 2^30 }' "$T/rounds"
	echo "index: 36 bytes per page, and 4 per frame of the machine that a cached disk's pages were in"
} | store cache

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# I/Os per second with and without the agent, asked for 10,000 and 100,000 per second and for as many as go: direct 4 KiB
# random reads by fio from null_blk, or from a loop device where the kernel has none; without, with, with, without.
#	iops.sh [ROUNDS]   on the running kernel
#	iops.sh --vm       on Debian's 6.12 in a VM, whose processor is emulated
. "$(dirname "$0")/lib.sh"
if [ "${1:-}" = --vm ]; then
	tests/vm/run 6.12 --timeout 600 --out "$T/out" --tool bash --tool awk --tool jq --tool fio --tool losetup --module loop \
		--module "null_blk:nr_devices=1 gb=1" --add build/nestord --add build/nestorctl --add tests/harness/lib.sh \
		--add tests/bench/lib.sh --add tests/bench/iops.sh \
		-- bash -c 'mkdir -p tests/bench/results; tests/bench/iops.sh 2 && cp tests/bench/results/* /out'
	status=$?
	cp "$T"/out/iops-* tests/bench/results/
	exit $status
fi
rounds=${1:-10} seconds=2

device=/dev/nullb0
if [ ! -e $device ]; then
	new_loop
	device=$loop
fi

load() { # load RATE: I/Os per second, 0 for no limit; that many there were
	local limit=()
	[ "$1" = 0 ] || limit=(--rate_iops="$1")
	fio --name=b --filename="$device" --rw=randread --bs=4k --direct=1 --ioengine=libaio --iodepth=16 --size=32m --norandommap \
		--randseed=1 --time_based --runtime=$seconds --output-format=json "${limit[@]}" | jq '.jobs[0].read.iops'
}

measure() { # measure RATE: a line per round to $T/RATE: I/Os per second without, with, with, without
	local i without
	for i in $(seq "$rounds"); do
		without=$(load "$1")
		agent_start
		printf '%s ' "$without" "$(load "$1")" "$(load "$1")" >> "$T/$1"
		agent_stop
		load "$1" >> "$T/$1"
		echo "iops: ${1/#0/all}: round $i of $rounds" >&2
	done
}

for rate in 10000 100000 0; do measure $rate; done
{
	echo "iops: with and without the agent on ${device#/dev/}, $((2 * rounds)) times $seconds s each; mean and 95 % confidence interval"
	circumstances "1, fio's"
	for rate in 10000 100000 0; do
		printf '%7s asked for: without %s, with %s; lost per round: %s %%\n' "${rate/#0/all}" \
			"$(awk '{ print $1; print $4 }' "$T/$rate" | mean_ci)" "$(awk '{ print $2; print $3 }' "$T/$rate" | mean_ci)" \
			"$(awk '{ print 100 * (1 - ($2 + $3) / ($1 + $4)) }' "$T/$rate" | mean_ci %.1f)"
	done
} | store iops

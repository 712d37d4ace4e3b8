#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# I/Os per second with and without the agent, asked for 10,000 and 100,000 per second and for as many as go: direct 4 KiB
# random reads by fio from null_blk, or from a loop device where the kernel has none; without, with, with, without.
#	iops.sh [ROUNDS]   on the running kernel
#	iops.sh --vm       on Debian's 6.12 in a VM, whose processor is emulated
. "$(dirname "$0")/lib.sh"
if [ "${1:-}" = --vm ]; then
	tests/vm/run 6.12 --timeout 600 --out "$T/out" --tool bash --tool awk --tool jq --tool fio --tool losetup --module loop \
		--module "null_blk:nr_devices=1 gb=1" --add build/nestord --add build/nestorctl --add tests/lib.sh \
		--add tests/bench/lib.sh --add tests/bench/iops.sh \
		-- bash -c 'mkdir -p tests/bench/results; tests/bench/iops.sh 2 && cp tests/bench/results/* /out'
	status=$?
	cp "$T"/out/iops-* tests/bench/results/
	exit $status
fi
rounds=${1:-3} seconds=3

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

{
	echo "iops: with and without the agent on ${device#/dev/}, $((2 * rounds)) times $seconds s each; mean and 95 % confidence interval"
	circumstances "1, fio's"
	for rate in 10000 100000 0; do
		for _ in $(seq "$rounds"); do
			load $rate >> "$T/without$rate"
			agent_start > /dev/null
			load $rate >> "$T/with$rate"
			load $rate >> "$T/with$rate"
			agent_stop
			load $rate >> "$T/without$rate"
		done
		printf '%7s asked for: without %s, with %s' "${rate/#0/all}" "$(mean_ci < "$T/without$rate")" "$(mean_ci < "$T/with$rate")"
		awk 'FNR == NR { a += $1; next } { b += $1 } END { printf ": %.1f %% lost\n", 100 * (1 - b / a) }' \
			"$T/without$rate" "$T/with$rate"
	done
} | store iops

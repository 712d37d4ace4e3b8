#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What the programs of blkio cost per I/O, by the kernel's own measure (BPF run-time statistics): direct 4 KiB
# reads from a loop device, on the running kernel. Stores one file per day and kernel in tests/bench/results/.
. "$(dirname "$0")/../lib.sh"
cd "$ROOT" || exit 1
ios=100000 rounds=5

truncate -s 32M "$T/disk"
loop=$(losetup --find --show "$T/disk")
defer losetup -d "$loop"
printf 'agent: {self_stats: on}\n' > "$T/policy.yaml"
agent_start --policy "$T/policy.yaml"
device="device=\"${loop#/dev/}\",op=\"read\""

seconds() { metric nestor_bpf_program_run_seconds_total; }
counted() { metric "nestor_blkio_ios_total{$device}"; }

result=tests/bench/results/blkio-$(date +%F)-$(uname -r).txt
{
	echo "blkio: CPU time of all its programs per I/O, $rounds rounds of $ios direct 4 KiB reads from a loop device"
	echo "date: $(date +%F)  kernel: $(uname -r)"
	echo "processor: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) CPUs"
	for round in $(seq $rounds); do
		s0=$(seconds) n0=$(counted)
		build/tests/tools/directio read "$loop" $ios
		awk -v r="$round" -v s="$(seconds)" -v s0="$s0" -v n="$(counted)" -v n0="${n0:-0}" \
			'BEGIN { printf "round %d: %.0f ns per I/O, %d I/Os\n", r, (s - s0) * 1e9 / (n - n0), n - n0 }'
	done
	echo "per run of each program:"
	metrics | awk '/^nestor_bpf_program_run_seconds_total/ { t[$1] = $2 } /^nestor_bpf_program_runs_total/ { n[$1] = $2 }
		END { for (k in n) { s = k; sub(/runs_total/, "run_seconds_total", s); p = k; sub(/.*program="/, "", p); sub(/".*/, "", p)
			if (n[k]) printf "  %-16s %8.0f ns\n", p, t[s] * 1e9 / n[k] } }' | sort
} | tee "$result"

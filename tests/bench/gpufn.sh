#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# GPU functions on PoCL's device: how many calls are done by their deadlines, by each rule and at each load; what is wasted; what
# slicing costs; and, on three devices of speeds 1, 0.5 and 0.25, how long calls take that are parted, and that are not. SECONDS_EACH
# (20) for each figure. Goals: at loads of 0.7 and more 1.3 times edf-feasible and 1.8 times edf-late, half of the latter's waste;
# slicing 3 %; parted 40 % sooner at low and medium load, never later than 1.02 below saturation.
. "$(dirname "$0")/lib.sh"
EACH=${SECONDS_EACH:-20}
SEED=${SEED:-1}
export NESTOR_GPUFN_SOCKET=$T/gpufn.sock POCL_MAX_PTHREAD_COUNT=1
chmod 755 "$T" # executors are another user

mkdir "$T/functions" "$T/policy.d"
# computes NAME [YAML]: so many steps for each byte
computes() {
	cat > "$T/functions/$1.yaml" <<- END
		doc: computes
		arguments:
		  - { name: in, kind: input, type: uint8, count: n }
		  - { name: out, kind: output, type: uint8, count: n${2:-} }
		  - { name: n, kind: scalar, type: uint32, min: 1, max: 100000000 }
		kernels:
		  - { name: $1, group: 64, groups: (n + 63) / 64 }
		sliceable: true
		checks:
		  - n=10
	END
	echo "KERNEL($1, 64, __global const uchar *in, __global uchar *out, uint n) { ulong i = ITEM(64); uint x = in[0] + (uint)i;
		for (uint j = 0; j < 2000; j++) x = x * 1664525 + 1013904223; if (i < n) out[i] = x >> 24; }" > "$T/functions/$1.cl"
}
computes parted ", per_unit: 64"
computes whole

policy() { # policy RULE
	cat > "$T/policy.d/.new" <<- END
		gpufn: { mode: monitor, rule: $1, functions: $T/functions, cache: $T/cache, socket: $NESTOR_GPUFN_SOCKET, queue: 1000,
		  memory: 4GiB, tenants: [{ user: root }] }
		blkio: { mode: off }
		cache: { mode: off }
		dedup: { mode: off }
		net: { mode: off }
		pcache: { mode: off }
	END
	mv "$T/policy.d/.new" "$T/policy.d/gpufn.yaml"
}
answers() { curl -sf --max-time 2 --unix-socket "$NESTOR_GPUFN_SOCKET" http://x/v1/functions > /dev/null; }
idle() { [ "$(ctl --json gpufn show | jq '[.tenants[].queued] | add // 0')" = 0 ]; }
wasted() { ctl --json gpufn show | jq '[.tenants[].wasted_seconds] | add // 0'; }
rule() { policy "$1" && ctl policy reload > /dev/null && until_ok 60 idle; }
starts() {
	policy adaptive
	agent_start --policy "$T/policy.d" && until_ok 30 answers
}
device_seconds() { # device_seconds FUNCTION BYTES: of one call, the middle of five
	head -c "$2" /dev/zero > "$T/in"
	for _ in 1 2 3 4 5; do
		curl -s -o /dev/null -D - --unix-socket "$NESTOR_GPUFN_SOCKET" --data-binary @"$T/in" "http://x/v1/functions/$1?n=$2" |
			sed -n 's/^Nestor-Device-Seconds: \([0-9.]*\).*/\1/p'
	done | sort -g | sed -n 3p
}
# Devices of their own do not wait for each other: the first has a processor, and the others, who are busy for half and for a
# quarter of their time, have one together.
pin() {
	local nr pid
	for nr in 0 1 2; do
		for pid in $(pgrep -f "^nestord-gpufn-executor opencl $nr $T"); do taskset -acp $((nr > 0)) "$pid" > /dev/null; done
	done
}
calc() { awk "BEGIN { printf \"${2:-%.6f}\", $1 }"; }

# Sizes whose work is 5 to 200 ms, and what comes at a load of 1.
sizes=() mean=0
measure_sizes() { # measure_sizes FUNCTION
	local per_byte ms n
	device_seconds "$1" 100000 > /dev/null # compiled, and its time learnt
	per_byte=$(calc "$(device_seconds "$1" 200000) / 200000" %.12f)
	for ms in 5 12 28 67 160; do
		n=$(calc "int($ms / 1000 / $per_byte / 64 + 1) * 64" %d)
		sizes+=("$n" "$(calc "$n * $per_byte")")
		mean=$(calc "$mean + $n * $per_byte / 5")
	done
}
load() { # load FUNCTION LOAD CAPACITY [NO-DEADLINES]: what fnload says
	local given=("${sizes[@]}") i
	[ -z "${4:-}" ] || for ((i = 1; i < ${#given[@]}; i += 2)); do given[i]=0; done
	build/tests/tools/fnload "$1" "$(calc "$2 * $3 / $mean")" "$EACH" "$SEED" "${given[@]}"
}

exec > >(store gpufn)
circumstances "$SEED"
starts || exit 1
measure_sizes parted
echo "calls of ${sizes[*]} (bytes, seconds), as many of each; deadlines after 1.5 to 5 times that; $EACH s each; open loop"
printf '%-14s %6s %6s %8s %6s %8s %8s %8s %10s %10s\n' rule load calls "in time" late dropped failed behind goodput "wasted, s"
for l in 0.4 0.7 1.0 1.2; do
	for r in fcfs rr edf edf-late edf-feasible edf-fixed adaptive; do
		rule $r
		before=$(wasted)
		load parted $l 1 > "$T/answer"
		until_ok 60 idle
		jq -r --arg rule "$r" --arg load "$l" --argjson wasted "$(calc "$(wasted) - $before")" \
			'[$rule, $load, .calls, .in_time, .late, .dropped, .failed, .behind, .in_time / .calls, $wasted] | @tsv' "$T/answer" |
			awk -F'\t' '{ printf "%-14s %6s %6d %8d %6d %8d %8d %8d %10.3f %10.3f\n", $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 }'
	done
done
echo
echo "one call alone of ${sizes[8]} bytes, device seconds, the middle of five: whole, and in slices of 10 ms"
rule edf
a=$(device_seconds parted "${sizes[8]}")
rule edf-fixed
b=$(device_seconds parted "${sizes[8]}")
echo "$a and $b: $(calc "100 * ($b / $a - 1)" %.1f) % (goal 3)"
agent_stop

export POCL_DEVICES="pthread pthread pthread" NESTOR_GPUFN_SPEEDS="1 0.5 0.25"
starts || exit 1
for f in parted whole; do for _ in 1 2 3 4; do device_seconds $f 100000 > /dev/null; done; done
pin
echo
echo "three devices of speeds 1, 0.5 and 0.25; the same calls without deadlines: mean and 99th percentile of how long they take, s"
printf '%6s %12s %12s %12s %12s %10s\n' load whole parted "whole p99" "parted p99" saved
for l in 0.1 0.3 0.5 0.8; do
	for f in whole parted; do
		load $f $l 1.75 none > "$T/$f"
		until_ok 120 idle
	done
	jq -rn --arg load $l --slurpfile w "$T/whole" --slurpfile p "$T/parted" '[$load, $w[0].mean_seconds, $p[0].mean_seconds,
		$w[0].p99_seconds, $p[0].p99_seconds, 100 * (1 - $p[0].mean_seconds / $w[0].mean_seconds)] | @tsv' |
		awk -F'\t' '{ printf "%6s %12.4f %12.4f %12.4f %12.4f %8.0f %%\n", $1, $2, $3, $4, $5, $6 }'
done
agent_stop

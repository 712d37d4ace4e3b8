#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# How soon 90 % of what four processes have in common is merged, and what CPU time that takes: by the kernel's ksmd, told of all
# their memory, at its default settings, at full speed, and with its advisor; and by a round of the room dedup, which tells ksmd of
# what it has found, all stages and the owners' own calls included, until the round has ended. On memory of which a part is the same, in
# runs of 1, 8 and 64 pages. ksmd looks for itself whether pages change, by a second scan; a round waits a second for that.
#	dedup.sh [PAGES]	of each process (32768, 128 MiB)
. "$(dirname "$0")/lib.sh"
KSM=/sys/kernel/mm/ksm
pages=${1:-32768} processes=4
[ "$(cat $KSM/run)" = 0 ] || { echo "KSM is at work here" >&2 && exit 1; }
former=$(cd $KSM && for f in pages_to_scan sleep_millisecs smart_scan; do [ ! -e $f ] || echo "$f $(cat $f)"; done)
restore() {
	echo 2 > $KSM/run # nothing stays merged
	echo 0 > $KSM/run
	advisor none
	while read -r f value; do echo "$value" > $KSM/$f; done <<< "$former"
}
advisor() { [ ! -e $KSM/advisor_mode ] || echo "$1" > $KSM/advisor_mode; }
restore
defer restore
ksmd=$(grep -lx ksmd /proc/[0-9]*/comm 2> /dev/null | cut -d/ -f3)

pids=()
begin() { # begin PERCENT RUN: pids
	local i
	pids=()
	for i in $(seq $processes); do
		build/tests/tools/dups "$pages" "$1" "$2" > "$T/dups.$i" &
		pids+=($!)
	done
	for i in $(seq $processes); do until_ok 60 grep -q ready "$T/dups.$i"; done
}
end() {
	kill "${pids[@]}" && wait "${pids[@]}" || echo "pages were wrong" >&2
	restore
}
sharing() { cat $KSM/pages_sharing; }
seconds() { awk -v n="$1" 'BEGIN { printf "%.2f", n / 1e9 }'; }
now() { date +%s%N; }

watch() { # watch PAGES SECONDS [PID]: nanoseconds until so many are merged; until PID ends, at most
	local began now
	began=$(now)
	while now=$(now) && [ "$(sharing)" -lt "$1" ] && [ $((now - began)) -lt $(($2 * 1000000000)) ] && kill -0 "${3:-$$}" 2> /dev/null; do
		read -rt 0.005 _ <> <(:)
	done
	echo $((now - began))
}

row() { printf '%-8s %-5s %-28s %10s %10s %9s\n' "$@"; }
of_potential() { [ "$potential" = 0 ] && echo - || echo "$((100 * $(sharing) / potential)) %"; }

by_ksmd() { # by_ksmd NAME SECONDS SETTING VALUE …
	local name=$1 most=$2 before took
	shift 2
	MERGEABLE=1 begin "$percent" "$run"
	while [ $# -gt 0 ]; do
		[ ! -e "$KSM/$1" ] || echo "$2" > "$KSM/$1"
		shift 2
	done
	before=$(cpu_ns "$ksmd")
	echo 1 > $KSM/run
	took=$(watch $((potential > 0 ? potential * 9 / 10 : 1)) "$most")
	row "$percent %" "$run" "ksmd, $name" "$(seconds "$took")" "$(seconds $(($(cpu_ns "$ksmd") - before)))" "$(of_potential)"
	end
}

timed_helper() { # its CPU seconds, of user and system, go to stderr last
	TIMEFORMAT='%U %S'
	time bash -c 'exec -a nestord-dedup build/nestord "$1/ksm" < "$1/job" > "$1/result"' - "$T"
}

by_nestor() { # by_nestor DEVICE: 1 this processor, 2 the first device that there is
	local before took owners times helper
	begin "$percent" "$run"
	owners=$(printf '{"name":"-","pid":%s}\n' "${pids[@]}" | paste -sd,)
	echo "{\"owners\":[$owners],\"percent\":100,\"device\":$1,\"merge\":true,\"leave_huge\":false}" > "$T/job"
	before=$(cpu_ns "$ksmd" "${pids[@]}")
	mkdir -p "$T/ksm"
	timed_helper 2> "$T/times" &
	helper=$!
	took=$(watch $((potential > 0 ? potential * 9 / 10 : 1)) 120 $helper)
	wait $helper
	times=$(awk 'NF == 2 { printf "%d", ($1 + $2) * 1e9 }' "$T/times")
	row "$percent %" "$run" "nestor, $(jq -r '.hashed_by | sub("this processor"; "plain C") | .[:18]' "$T/result")" "$(seconds "$took")" \
		"$(seconds $(($(cpu_ns "$ksmd" "${pids[@]}") - before + times)))" "$(of_potential)"
	jq -r '"# read \(.seconds.read) s, hashed \(.seconds.hash), grouped \(.seconds.group); ksmd \(.merge.ksmd_seconds // 0) s for \(.merge.hinted_pages) pages; \(.merge.stops) stops of \(.merge.longest_stop_seconds) s at most"' "$T/result"
	end
}

find_potential() {
	potential=$(((processes - 1) * $(seq 0 $((pages - 1)) |
		awk -v p="$percent" -v r="$run" '{ n += int($1 / r) * p % 100 < p } END { print n }')))
}
devices=$(build/nestorctl --json gpu list 2> /dev/null | jq 'map(select(.refused == "")) | length')

{
	circumstances
	echo "memory: $processes processes with $((pages / 256)) MiB each; rows of ksmd end after 100 s"
	row same runs way "90 % in s" "CPU s" merged
	for percent in 0 10 50 90; do
		for run in 1 8 64; do
			[ "$percent" != 0 ] || [ "$run" = 8 ] || continue
			find_potential
			by_nestor 1
			by_ksmd "4000 pages, no pause" 30 pages_to_scan 4000 sleep_millisecs 0
			[ "$run" != 8 ] || by_ksmd "default" 100 pages_to_scan 100 sleep_millisecs 20
			[ "$run" != 8 ] || [ ! -e $KSM/advisor_mode ] || by_ksmd "advisor" 100 advisor_mode scan-time
			[ "$run" != 8 ] || [ "$devices" = 0 ] || by_nestor 2
			by_nestor 1
		done
	done
	pages=$((pages * 8)) run=8
	echo "memory: $processes processes with $((pages / 256)) MiB each"
	for percent in 10 50; do
		find_potential
		by_nestor 1
		by_ksmd "4000 pages, no pause" 100 pages_to_scan 4000 sleep_millisecs 0
	done
} | store dedup

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 80, lane: free
# Restarts, kills and policy flapping under I/O: counters go on, nothing is attached twice, nothing stays behind.
. "$(dirname "$0")/../harness/lib.sh"

# Of the agent alone: another one may run on this machine.
ids() { cat "/proc/$agent_pid"/fdinfo/* 2> /dev/null | awk -v k="$1_id:" '$1 == k { print $2 }' | sort -u; }
programs() { ids prog | wc -l; }
maps() { ids map | wc -l; }
remember() {
	ids prog > "$T/prog"
	ids map > "$T/map"
}
left() { # left prog|map: how many of the remembered ones still are; the kernel frees them a little later
	local id n=0
	while read -r id; do
		! bpftool "$1" show id "$id" > /dev/null 2>&1 || n=$((n + 1))
	done < "$T/$1"
	echo $n
}
left_is() { [ "$(left "$1")" = "$2" ]; }
pins() { find "$T/bpf/nestor" -type f 2> /dev/null | wc -l; }
reads() { metric "nestor_blkio_ios_total{device=\"$name\",op=\"read\"}"; }
io() { "$ROOT/build/tests/tools/directio" read "$loop" "$1"; }

truncate -s 32M "$T/disk"
loop=$(losetup --find --show "$T/disk")
defer losetup -d "$loop"
name=${loop#/dev/}

agent_start
programs1=$(programs) others=$(($(programs) - $(grep -c '^SEC("tp_btf' "$ROOT/bpf/blkio/blkio.bpf.c"))) maps1=$(maps) pins1=$(pins)
io 41
remember
agent_stop
ok "core: a clean stop leaves no BPF program" until_ok 5 left_is prog 0
is "core: a clean stop leaves its pins" "$pins1" "$(pins)"
io 7 # while nobody counts
agent_start
is "core: counters continue after a clean stop" 41 "$(reads)"
io 11
is "core: I/O after a clean stop adds to the counters" 52 "$(reads)"

# ---- kill -9 in a loop under I/O: never backwards
(while :; do io 200; done) 2> /dev/null &
load=$!
defer kill $load
last=0 backwards=0 twice=0
for _ in $(seq 20); do
	agent_kill
	agent_start || break
	now=$(reads)
	[ "$now" -ge "$last" ] || backwards=$((backwards + 1))
	[ "$(programs)" = "$programs1" ] || twice=$((twice + 1))
	last=$(reads)
done
is "core: an agent killed 20 times under I/O never sets a counter back" 0 $backwards
is "core: an agent killed 20 times under I/O never attaches a program twice" 0 $twice
kill $load
wait $load 2> /dev/null

remember
agent_kill
ok "core: a killed agent leaves no BPF program" until_ok 5 left_is prog 0
ok "core: a killed agent leaves only pinned maps" until_ok 5 left_is map "$pins1"
no_httpd() { ! ps -eo stat=,args= | grep -v '^Z' | grep -v grep | grep -q "nestord-httpd nestor $T/run"; }
ok "core: a killed agent leaves no HTTP process" until_ok 5 no_httpd

# ---- policy flapping: each change is in force when reload returns
mkdir "$T/policy.d"
flap() { # flap MODE
	printf 'blkio: {mode: %s}\n' "$1" > "$T/policy.d/flap.yaml"
	ctl policy reload > /dev/null
}
agent_start --policy "$T/policy.d"
fds() { find "/proc/$agent_pid/fd" -type l | wc -l; }
fds1=$(fds) before=$(reads)
remember
on=0
for _ in $(seq 500); do
	flap off
	on=$((on + $(programs)))
	flap monitor
done
is "core: 1000 policy changes: a room that is off has no program" $((500 * others)) $on
is "core: 1000 policy changes: a room that is on has each program once" "$programs1" "$(programs)"
is "core: 1000 policy changes: a room that is on has each map once" "$maps1" "$(maps)"
within "core: 1000 policy changes leave no more descriptors open" 1 "$(fds)" "$fds1"
is "core: 1000 policy changes leave counters unchanged" "$before" "$(reads)"
is "core: 1000 policy changes: no reload fails" 0 "$(metric 'nestor_policy_reloads_total{result="failure"}')"
ok "core: 1000 policy changes: the room's first programs are unloaded" until_ok 5 left_is prog $others

# ---- another layout
agent_stop
for pin in "$T"/bpf/nestor/blkio_lost_*; do mv "$pin" "${pin%_*}_00c0ffee"; done
agent_start
is "core: a pinned map of another layout is replaced and counted" 1 "$(metric nestor_counters_reset_total)"
is "core: pinned maps of the same layout continue beside one of another layout" "$before" "$(reads)"

# ---- reset
ctl reset > /dev/null
is "core: nestorctl reset clears all counts" "" "$(reads)"
remember
agent_stop
ctl reset > /dev/null
ok "core: nestorctl reset without an agent removes the pins" [ ! -e "$T/bpf/nestor" ]
ok "core: nestorctl reset leaves no BPF program" until_ok 5 left_is prog 0
ok "core: nestorctl reset leaves no map" until_ok 5 left_is map 0
done_testing

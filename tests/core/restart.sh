#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 300, lane: machine
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
ok "a clean stop leaves no program" until_ok 5 left_is prog 0
is "a clean stop leaves its pins" "$pins1" "$(pins)"
io 7 # while nobody counts
agent_start
is "counters go on after a clean stop" 41 "$(reads)"
io 11
is "counters count on after a clean stop" 52 "$(reads)"

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
is "killed 20 times under I/O: the counter never went back" 0 $backwards
is "killed 20 times under I/O: no program was ever attached twice" 0 $twice
kill $load
wait $load 2> /dev/null

remember
agent_kill
ok "a killed agent leaves no program" until_ok 5 left_is prog 0
ok "a killed agent leaves no map but the pinned ones" until_ok 5 left_is map "$pins1"
no_httpd() { ! ps -eo stat=,args= | grep -v '^Z' | grep -v grep | grep -q "nestord-httpd nestor $T/run"; }
ok "a killed agent leaves no HTTP process" until_ok 5 no_httpd

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
is "policy changed 1000 times: a room that is off has no program" $((500 * others)) $on
is "policy changed 1000 times: a room that is on has its programs, once" "$programs1" "$(programs)"
is "policy changed 1000 times: a room that is on has its maps, once" "$maps1" "$(maps)"
within "policy changed 1000 times: the agent has no more descriptors" 1 "$(fds)" "$fds1"
is "policy changed 1000 times: counters are as before" "$before" "$(reads)"
is "policy changed 1000 times: no reload failed" 0 "$(metric 'nestor_policy_reloads_total{result="failure"}')"
ok "policy changed 1000 times: programs of the first round are gone, but for other rooms'" until_ok 5 left_is prog $others

# ---- another layout
agent_stop
for pin in "$T"/bpf/nestor/blkio_lost_*; do mv "$pin" "${pin%_*}_00c0ffee"; done
agent_start
is "a map of another layout starts anew, and that is counted" 1 "$(metric nestor_counters_reset_total)"
is "maps of the same layout go on beside one of another layout" "$before" "$(reads)"

# ---- reset
ctl reset > /dev/null
is "reset forgets all counts" "" "$(reads)"
remember
agent_stop
ctl reset > /dev/null
ok "reset without an agent removes the pins" [ ! -e "$T/bpf/nestor" ]
ok "after a reset no program is left" until_ok 5 left_is prog 0
ok "after a reset no map is left" until_ok 5 left_is map 0
done_testing

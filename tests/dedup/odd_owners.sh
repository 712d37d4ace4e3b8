#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 110, lane: machine
# Owners of all kinds, while their memory is compared and merged: in namespaces of their own, with children, with half of the
# mappings that they may have, with memory that KSM does not take, or that nobody can read. What is left out is counted, by its reason.
. "$(dirname "$0")/../harness/lib.sh"
# shellcheck source=tests/dedup/lib.sh
. "$(dirname "$0")/lib.sh"

rounds_of() { # rounds_of DOMAIN: who is in it, from now on
	policy "dedup: {mode: enforce, merge: $1, interval: 1s, cpu: 100, max_pressure: 100, targets: [
		{domain: $1, container: '/$base/$1/*'}]}"
}
leave() { # leave DOMAIN: nobody is in it any more
	local one
	for one in a b; do ok "dedup: container $1/$one never reads a wrong byte" still "$1/$one"; done
}
left_out() { metric "nestor_dedup_left_out{domain=\"$1\",reason=\"$2\"}"; }
mkdir "$T/policy.d"
agent_start --policy "$T/policy.d"

# ---- in namespaces of their own
starts spaces/a 1024 50 8
IN="unshare --user --map-root-user --mount --net --uts --ipc" starts spaces/b 1024 50 8
rounds_of spaces
ok "dedup: namespaces: a round ends" await_round spaces "done"
within "dedup: namespaces: a container in the host's namespaces is merged" 480 "$(merged spaces/a)" 520
within "dedup: namespaces: a container in its own namespaces is merged" 480 "$(merged spaces/b)" 520
leave spaces

# ---- with children
FORKS=1 starts forks/a 1024 50 8
FORKS=1 starts forks/b 1024 50 8
rounds_of forks
ok "dedup: forks: rounds end while containers fork" await_round forks "done" 4
within "dedup: forks: no round is refused for children that share their parent's pages" 0 "$(rounds forks refused)" 0
within "dedup: forks: a container that forks is merged" 480 "$(merged forks/a)" 1040
leave forks

# ---- with as many mappings as half of those that it may have
MAPPINGS=$(($(cat /proc/sys/vm/max_map_count) / 2)) starts maps/a 1024 50 8
starts maps/b 1024 50 8
rounds_of maps
ok "dedup: mappings: a round ends with a process that has many" await_round maps "done"
is "dedup: mappings: a process with many is counted as missed" 1 "$(metric 'nestor_dedup_missed_processes{domain="maps",reason="maps"}')"
is "dedup: mappings: a process with many is not merged" 0 "$(merged maps/a)"
leave maps

# ---- with system calls that are dispatched to the process
DISPATCH=1 starts dispatch/a 1024 50 8
starts dispatch/b 1024 50 8
rounds_of dispatch
ok "dedup: dispatched system calls: a round ends" await_round dispatch "done"
is "dedup: dispatched system calls: the process is counted as missed" 1 "$(metric 'nestor_dedup_missed_processes{domain="dispatch",reason="dispatch"}')"
is "dedup: dispatched system calls: the process is not merged" 0 "$(merged dispatch/a)"
leave dispatch

# ---- shared memory
KIND=shared starts shared/a 1024 50 8
starts shared/b 1024 50 8
rounds_of shared
ok "dedup: shared memory: a round ends" await_round shared "done"
is "dedup: shared memory: a mapping is counted as left out" 1 "$(left_out shared shared_mappings)"
within "dedup: shared memory: a mapping is not read" 0 "$(of shared/a present shared)" $((512 * 1024))
leave shared

# ---- huge pages of hugetlbfs
pages=/proc/sys/vm/nr_overcommit_hugepages
former=$(cat $pages 2> /dev/null)
if [ "$former" ] && defer eval "echo $former > $pages" && echo $((former + 4)) > $pages && KIND=hugetlb starts huge/a 1024 50 8; then
	starts huge/b 1024 50 8
	rounds_of huge
	ok "dedup: hugetlbfs: a round ends" await_round huge "done"
	is "dedup: hugetlbfs: a mapping is counted as left out" 1 "$(left_out huge huge_page_mappings)"
	within "dedup: hugetlbfs: a mapping is not read" 0 "$(of huge/a present huge)" $((512 * 1024))
	leave huge
else
	skip "dedup: hugetlbfs" "there are none to be had"
fi

# ---- memory that comes only if its userfaultfd answers, and a memory map that is held for ever
starts good/a 1024 50 8
starts good/b 1024 50 8
awkward() { # awkward NAME PROGRAM ARGUMENT…: an owner, or nobody's process, that does not follow dups
	mkdir -p "$CG/$base/$1/a" && defer rmdir "$CG/$base/$1/a" "$CG/$base/$1"
	bash -c 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"' - "$CG/$base/$1/a" "${@:2}" > "$T/$1" 2>&1 &
	pid[$1]=$!
	defer ends_awkward "$1"
}
# With its children: one that holds its memory map is not ended before its server is. What reads the command lines of all
# processes, as ps and pgrep do, waits until then.
ends_awkward() {
	[ "${pid[$1]}" ] || return 0
	# shellcheck disable=SC2046 # its children
	kill -KILL "${pid[$1]}" $(cat "/proc/${pid[$1]}/task/${pid[$1]}/children" 2> /dev/null) 2> /dev/null
	wait "${pid[$1]}" 2> /dev/null
	pid[$1]=
}
awkward missing "$ROOT/build/tests/tools/nofault"
mkdir "$T/mount"
awkward stuck "$ROOT/build/tests/tools/badvm" stuck "$T/mount"
holds_map() { [ "$(awk '{ print $3 }' "/proc/${pid[stuck]}/stat")" = D ]; }
if until_ok 10 grep -q ready "$T/missing"; then
	policy "dedup: {mode: monitor, interval: 1s, cpu: 100, max_pressure: 100, targets: [
		{domain: missing, container: '/$base/missing/*'}]}"
	ok "dedup: memory that has to be asked for: a round does not wait for it" await_round missing "done" 3
	is "dedup: memory that has to be asked for: no round fails" 0 "$(rounds missing failed)"
else
	skip "dedup: memory that has to be asked for" "$(cat "$T/missing")"
fi
if until_ok 10 holds_map; then
	rounds_of good
	ok "dedup: an outsider that holds its memory map: rounds end beside it" await_round good "done"
	within "dedup: an outsider that holds its memory map: container good/a is merged beside it" 480 "$(merged good/a)" 520
	policy "dedup: {mode: monitor, interval: 1s, cpu: 100, max_pressure: 100, targets: [
		{domain: stuck, container: '/$base/stuck/*'}, {domain: good, container: '/$base/good/*'}]}"
	ok "dedup: an owner that holds its memory map: the round is given up" until_ok 60 more_than stuck failed 0
	ok "dedup: an owner that holds its memory map: the log names the process" grep -q "process ${pid[stuck]} lets who reads its memory wait" "$AGENT_LOG"
	is "dedup: an owner that holds its memory map: show names the process" "${pid[stuck]}" "$(ctl --json dedup show | jq -r '.[0].stuck | keys[0]')"
	ok "dedup: an owner that holds its memory map: rounds over other domains go on" await_round good "done"
	ok "dedup: an owner that holds its memory map: the next round over its domain ends" await_round stuck "done"
	is "dedup: an owner that holds its memory map: the process is counted as left out" 1 "$(left_out stuck stuck_processes)"
	ends_awkward stuck
else
	skip "dedup: an owner that holds its memory map" "$(cat "$T/stuck")"
fi
agent_stop
leave good
done_testing

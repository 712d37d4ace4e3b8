#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 150, lane: machine
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
	for one in a b; do ok "$1/$one had no wrong byte, all the time" still "$1/$one"; done
}
left_out() { metric "nestor_dedup_left_out{domain=\"$1\",reason=\"$2\"}"; }
mkdir "$T/policy.d"
agent_start --policy "$T/policy.d"

# ---- in namespaces of their own
starts spaces/a 1024 50 8
IN="unshare --user --map-root-user --mount --net --uts --ipc" starts spaces/b 1024 50 8
rounds_of spaces
ok "one in namespaces of its own: a round is done" await_round spaces "done"
within "it is merged as the other one is" 480 "$(merged spaces/a)" 520
within "both of them" 480 "$(merged spaces/b)" 520
leave spaces

# ---- with children
FORKS=1 starts forks/a 1024 50 8
FORKS=1 starts forks/b 1024 50 8
rounds_of forks
ok "two that fork all the time: rounds are done" await_round forks "done" 4
within "none was refused for a child that has what its parent has" 0 "$(rounds forks refused)" 0
within "they are merged" 480 "$(merged forks/a)" 1040
leave forks

# ---- with as many mappings as half of those that it may have
MAPPINGS=$(($(cat /proc/sys/vm/max_map_count) / 2)) starts maps/a 1024 50 8
starts maps/b 1024 50 8
rounds_of maps
ok "one with many mappings: a round is done" await_round maps "done"
is "KSM is not told of its pages" 1 "$(metric 'nestor_dedup_missed_processes{domain="maps",reason="maps"}')"
is "which stay as they are" 0 "$(merged maps/a)"
leave maps

# ---- shared memory
KIND=shared starts shared/a 1024 50 8
starts shared/b 1024 50 8
rounds_of shared
ok "one whose memory is shared: a round is done" await_round shared "done"
is "it is counted" 1 "$(left_out shared shared_mappings)"
within "and not read" 0 "$(of shared/a present shared)" $((512 * 1024))
leave shared

# ---- huge pages of hugetlbfs
pages=/proc/sys/vm/nr_overcommit_hugepages
former=$(cat $pages 2> /dev/null)
if [ "$former" ] && defer eval "echo $former > $pages" && echo $((former + 4)) > $pages && KIND=hugetlb starts huge/a 1024 50 8; then
	starts huge/b 1024 50 8
	rounds_of huge
	ok "one with pages of hugetlbfs: a round is done" await_round huge "done"
	is "they are counted" 1 "$(left_out huge huge_page_mappings)"
	within "and not read" 0 "$(of huge/a present huge)" $((512 * 1024))
	leave huge
else
	skip "pages of hugetlbfs" "there are none to be had"
fi

# ---- memory that nobody can read
starts good/a 1024 50 8
starts good/b 1024 50 8
mkdir -p "$CG/$base/stuck/a" && defer rmdir "$CG/$base/stuck/a" "$CG/$base/stuck"
bash -c 'echo $$ > "$1/cgroup.procs"; exec "$2"' - "$CG/$base/stuck/a" "$ROOT/build/tests/tools/nofault" > "$T/stuck" 2>&1 &
stuck=$!
defer kill -KILL $stuck
if until_ok 10 grep -q ready "$T/stuck"; then
	policy "dedup: {mode: monitor, interval: 1s, cpu: 100, max_pressure: 100, targets: [
		{domain: stuck, container: '/$base/stuck/*'}, {domain: good, container: '/$base/good/*'}]}"
	ok "one that lets who reads its memory wait: the round is given up" until_ok 60 more_than stuck failed 0
	ok "and says why" grep -q "process $stuck lets who reads its memory wait" "$AGENT_LOG"
	ok "other domains have theirs" await_round good "done"
else
	skip "memory that nobody can read" "$(cat "$T/stuck")"
fi
agent_stop
leave good
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 200, lane: machine
# Memory that containers have twice: how much it is, what of it KSM merges, and that nothing else happens to them: not a byte
# changes, nobody of another domain is merged, KSM is as it was before, also after a kill.
. "$(dirname "$0")/../harness/lib.sh"

# shellcheck source=tests/dedup/lib.sh
. "$(dirname "$0")/lib.sh"

# 16 MiB each, of which half is the same; c is another's.
starts a 4096 50 8 500
starts b 4096 50 8 500
starts c 4096 50 8 500
targets="
    - {domain: ours, container: '/$base/[ab]*'}
    - {domain: theirs, container: '/$base/c*'}"
mkdir "$T/policy.d"
before=$(ksm_settings)

# ---- how much
cat > "$T/policy.d/dedup.yaml" <<- END
	dedup:
	  interval: 1s
	  cpu: 100
	  max_pressure: 100
	  targets: $targets
END
agent_start --policy "$T/policy.d"
ok "a round is done" await_round ours "done"
# Of each, 16 pages at a time have another content.
within "what a's part of merging would be" $((3990 * 1024)) "$(of a potential ours)" $((4096 * 1024))
within "as much as b has, too" $((7980 * 1024)) "$(of a shared ours)" $((8320 * 1024)) # what a program has besides, too
within "and b's" $((3990 * 1024)) "$(of b potential ours)" $((4096 * 1024))
ok "the other domain has its round" await_round theirs "done"
within "and no content twice" 0 "$(of c potential theirs)" $((64 * 1024))
is "nothing is merged" "0 0 0" "$(merged a) $(merged b) $(merged c)"
is "KSM is as it was" "$before" "$(ksm_settings)"
ok "nestorctl shows it" [ "$(ctl --json dedup show | jq -r '.[0].owners | length')" = 2 ]

like "and as a table" 'owner +present_bytes' "$(ctl dedup show)"

# ---- merged
policy "dedup: {mode: enforce, merge: ours, interval: 1s, cpu: 100, max_pressure: 100, targets: [
	{domain: ours, container: '/$base/[ab]*'}, {domain: theirs, container: '/$base/c*'}]}"
ok "a round merges" await_round ours "done"
ok "and the other domain has one" await_round theirs "done"
echo "# merged: $(merged a) and $(merged b) pages; saved: $(of a saved ours), $(of b saved ours); hinted: $(metric 'nestor_dedup_hinted_pages_total{domain="ours"}')"
within "all but what is written in a" 1945 "$(merged a)" 2048
within "and in b" 1945 "$(merged b)" 2048
is "of c, which is another's, nothing" 0 "$(merged c)"
shared_frames() { ctl --json dedup report "${pid[$1]}" "${pid[$2]}" | jq '.owners[1].merged_bytes'; }
is "by frames, too" 0 "$(shared_frames a c)"
# What was written since has been given frames of its own, 500 pages a second in each.
within "of which a and b share many" $((256 * 4096)) "$(shared_frames a b)" $((2048 * 4096))
hinted=$(metric 'nestor_dedup_hinted_pages_total{domain="ours"}')
within "KSM was told of little else" 1 "$hinted" 20000
breaks() { metric nestor_dedup_cow_breaks_total; }
first=$(breaks)
more_breaks() { [ "$(breaks)" -gt "$first" ]; }
ok "who writes to a merged page gets his own again, which is counted" until_ok 10 more_breaks
longest=$(metric 'nestor_dedup_longest_stop_seconds{domain="ours"}')
echo "# longest stop: $longest s"

# ---- by a device: OpenCL's, where there is no other
if ctl --json gpu list 2> /dev/null | jq -e 'any(.[]; .refused == "")' > /dev/null; then
	policy "dedup: {mode: enforce, merge: ours, interval: 1s, cpu: 100, max_pressure: 100, device: any, targets: [
		{domain: ours, container: '/$base/[ab]*'}]}"
	ok "a device hashes and sorts" await_round ours "done"
	ok "which takes it some time" awk -v s="$(metric 'nestor_dedup_device_seconds_total{domain="ours"}')" 'BEGIN { exit !(s > 0) }'
	is "by name" "$(ctl --json gpu list | jq -r 'map(select(.refused == ""))[0].device')" "$(ctl --json dedup show | jq -r '.[0].hashed_by')"
	within "and all that was merged stays so" 1945 "$(merged a)" 2048
else
	skip "a device hashes and sorts" "there is none"
fi
policy "dedup: {mode: enforce, merge: ours, interval: 1s, cpu: 100, max_pressure: 100, targets: [
	{domain: ours, container: '/$base/[ab]*'}]}"

# ---- not with one that has mergeable memory and is not of the domain
MERGEABLE=1 starts d 16 0 1
ok "a process of no domain that may be merged is a reason to refuse" await_round ours refused
like "which names it" "process ${pid[d]} \\(dups\\)" "$(ctl --json dedup show | jq -r '.[0].refused')"
is "and it is not merged" 0 "$(merged d)"
ends d
ok "without it, rounds merge again" await_round ours "done"

# ---- one that cannot be told
kill -STOP "${pid[b]}"
ok "with one that is stopped, a round is done" await_round ours "done" 2
within "that counts it" 1 "$(metric 'nestor_dedup_missed_processes{domain="ours",reason="busy"}')" 1
kill -CONT "${pid[b]}"

# ---- killed at any moment
helper() { pgrep -P "$agent_pid" -f nestord-dedup; }
has_helper() { helper > /dev/null; }
for i in 1 2 3 4 5 6; do
	until_ok 20 has_helper
	read -rt "1.$((i * 3))" _ <> <(:)
	kill -KILL "$(helper)" 2> /dev/null
done
ok "rounds go on after helpers were killed" await_round ours "done"
policy 'dedup: {mode: off}'
is "and KSM is as it was" "$before" "$(ksm_settings)"

# ---- undone
within "without rounds, what is merged stays so" 4096 "$(shared_frames a b)" $((2048 * 4096))
ctl --json dedup undo "/$base/b" > "$T/undone"
is "it can be undone" "1 0" "$(jq -r '"\(.processes) \(.failed_processes)"' "$T/undone")"
is "then it shares no frame" 0 "$(shared_frames a b)" # the kernel's count of merged pages waits for ksmd
is "or mergeable" "" "$(grep '^VmFlags:.* mg' "/proc/${pid[b]}/smaps")"
at_work() { [ "$(cat $KSM/run)" = 1 ]; }
policy "dedup: {mode: enforce, merge: ours, interval: 1s, cpu: 1, max_pressure: 100, targets: [
	{domain: ours, container: '/$base/[ab]*'}]}"
stops_at_work() { # the helper, while KSM is at work
	stopped=$(helper) && kill -STOP "$stopped" && at_work && return
	kill -CONT "$stopped" 2> /dev/null
	return 1
}
ok "KSM is at work" until_ok 60 stops_at_work
kill -KILL "$agent_pid" "$stopped" # in this order: it would put back what its helper left
wait "$agent_pid" 2> /dev/null
ok "and goes on, if all are killed" at_work
agent_start --policy "$T/policy.d"
policy 'dedup: {mode: off}'
is "the next agent puts its settings back" "$before" "$(ksm_settings)"
agent_stop

for name in a b c; do
	ok "$name had no wrong byte, all the time" still "$name"
done
done_testing

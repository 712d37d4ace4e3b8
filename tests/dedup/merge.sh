#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 110, lane: machine
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
ok "dedup: monitor: a round ends" await_round ours "done"
# Of each, 16 pages at a time have another content.
within "dedup: monitor: potential bytes of container a are its duplicates" $((3990 * 1024)) "$(of a potential ours)" $((4096 * 1024))
within "dedup: monitor: shared bytes of container a are those that b has too" $((7980 * 1024)) "$(of a shared ours)" $((8320 * 1024)) # what a program has besides, too
within "dedup: monitor: potential bytes of container b are its duplicates" $((3990 * 1024)) "$(of b potential ours)" $((4096 * 1024))
ok "dedup: monitor: a round over the second domain ends" await_round theirs "done"
within "dedup: monitor: a domain without duplicates has no potential" 0 "$(of c potential theirs)" $((64 * 1024))
is "dedup: monitor: no page is merged" "0 0 0" "$(merged a) $(merged b) $(merged c)"
is "dedup: monitor: the settings of KSM stay" "$before" "$(ksm_settings)"
ok "nestorctl dedup show: a domain has its two containers" [ "$(ctl --json dedup show | jq -r '.[0].owners | length')" = 2 ]

like "nestorctl dedup show: prints a table" 'owner +present_bytes' "$(ctl dedup show)"

# ---- merged
policy "dedup: {mode: enforce, merge: ours, interval: 1s, cpu: 100, max_pressure: 100, targets: [
	{domain: ours, container: '/$base/[ab]*'}, {domain: theirs, container: '/$base/c*'}]}"
ok "dedup: enforce: a round ends" await_round ours "done"
ok "dedup: enforce: a round over the second domain ends" await_round theirs "done"
echo "# merged: $(merged a) and $(merged b) pages; saved: $(of a saved ours), $(of b saved ours); hinted: $(metric 'nestor_dedup_hinted_pages_total{domain="ours"}')"
within "dedup: enforce: unchanging duplicates in container a are merged" 1945 "$(merged a)" 2048
within "dedup: enforce: unchanging duplicates in container b are merged" 1945 "$(merged b)" 2048
is "dedup: enforce: a container of another domain is not merged" 0 "$(merged c)"
shared_frames() { ctl --json dedup report "${pid[$1]}" "${pid[$2]}" | jq '.owners[1].merged_bytes'; }
is "dedup: enforce: containers of different domains share no frame" 0 "$(shared_frames a c)"
# What was written since has been given frames of its own, 500 pages a second in each.
within "dedup: enforce: containers of one domain share frames" $((256 * 4096)) "$(shared_frames a b)" $((2048 * 4096))
hinted=$(metric 'nestor_dedup_hinted_pages_total{domain="ours"}')
within "dedup: enforce: KSM gets at most 20000 pages as hints" 1 "$hinted" 20000
breaks() { metric nestor_dedup_cow_breaks_total; }
first=$(breaks)
more_breaks() { [ "$(breaks)" -gt "$first" ]; }
ok "dedup: a write to a merged page is counted as a copy-on-write break" until_ok 10 more_breaks
longest=$(metric 'nestor_dedup_longest_stop_seconds{domain="ours"}')
echo "# longest stop: $longest s"

# ---- by a device: OpenCL's, where there is no other
if ctl --json gpu list 2> /dev/null | jq -e 'any(.[]; .refused == "")' > /dev/null; then
	policy "dedup: {mode: enforce, merge: ours, interval: 1s, cpu: 100, max_pressure: 100, device: any, targets: [
		{domain: ours, container: '/$base/[ab]*'}]}"
	ok "dedup: device: a round ends" await_round ours "done"
	ok "dedup: device: seconds of the device are counted" awk -v s="$(metric 'nestor_dedup_device_seconds_total{domain="ours"}')" 'BEGIN { exit !(s > 0) }'
	is "dedup: device: show names the device that hashed" "$(ctl --json gpu list | jq -r 'map(select(.refused == ""))[0].device')" "$(ctl --json dedup show | jq -r '.[0].hashed_by')"
	within "dedup: device: duplicates in container a stay merged" 1945 "$(merged a)" 2048
else
	skip "dedup: device: a round ends" "there is none"
fi
policy "dedup: {mode: enforce, merge: ours, interval: 1s, cpu: 100, max_pressure: 100, targets: [
	{domain: ours, container: '/$base/[ab]*'}]}"

# ---- not with one that has mergeable memory and is not of the domain
MERGEABLE=1 starts d 16 0 1
ok "dedup: a round is refused while a process of no domain is mergeable" await_round ours refused
like "dedup: a refusal names the process of no domain" "process ${pid[d]} \\(dups\\)" "$(ctl --json dedup show | jq -r '.[0].refused')"
is "dedup: a process of no domain is not merged" 0 "$(merged d)"
ends d
ok "dedup: rounds go on after the process of no domain ended" await_round ours "done"

# ---- one that cannot be told
kill -STOP "${pid[b]}"
ok "dedup: a round ends while a process is stopped" await_round ours "done" 2
within "dedup: a stopped process is counted as missed" 1 "$(metric 'nestor_dedup_missed_processes{domain="ours",reason="busy"}')" 1
kill -CONT "${pid[b]}"

# ---- killed at any moment
helper() { pgrep -P "$agent_pid" -f nestord-dedup; }
has_helper() { helper > /dev/null; }
for i in 1 2 3 4 5 6; do
	until_ok 20 has_helper
	read -rt "1.$((i * 3))" _ <> <(:)
	kill -KILL "$(helper)" 2> /dev/null
done
ok "dedup: rounds go on after helpers were killed" await_round ours "done"
policy 'dedup: {mode: off}'
is_as_before() { [ "$(ksm_settings)" = "$before" ]; }
ok "dedup: mode off restores the settings of KSM" until_ok 10 is_as_before

# ---- undone
within "dedup: merged pages stay merged without rounds" 4096 "$(shared_frames a b)" $((2048 * 4096))
ctl --json dedup undo "/$base/b" > "$T/undone"
is "dedup: undo of a container ends well" "1 0" "$(jq -r '"\(.processes) \(.failed_processes)"' "$T/undone")"
is "dedup: a container shares no frame after undo" 0 "$(shared_frames a b)" # the kernel's count of merged pages waits for ksmd
is "dedup: a container has no mergeable memory after undo" "" "$(grep '^VmFlags:.* mg' "/proc/${pid[b]}/smaps")"
at_work() { [ "$(cat $KSM/run)" = 1 ]; }
policy "dedup: {mode: enforce, merge: ours, interval: 1s, cpu: 1, max_pressure: 100, targets: [
	{domain: ours, container: '/$base/[ab]*'}]}"
stops_at_work() { # the helper, while KSM is at work
	stopped=$(helper) && kill -STOP "$stopped" && at_work && return
	kill -CONT "$stopped" 2> /dev/null
	return 1
}
ok "dedup: KSM runs during a round" until_ok 60 stops_at_work
kill -KILL "$agent_pid" "$stopped" # in this order: it would put back what its helper left
wait "$agent_pid" 2> /dev/null
ok "dedup: KSM is still set to run if agent and helper are killed" at_work
agent_start --policy "$T/policy.d"
policy 'dedup: {mode: off}'
ok "dedup: the next agent restores the settings of KSM" until_ok 10 is_as_before
agent_stop

for name in a b c; do
	ok "dedup: container $name never reads a wrong byte" still "$name"
done
done_testing

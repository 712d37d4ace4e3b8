#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM: one round, by the process that does rounds, of two owners that have half of their memory in common, and of two that
# are another domain's. tests/dedup/kernels.sh boots the VMs.
. "$(dirname "$0")/../harness/lib.sh"
# shellcheck source=tests/dedup/lib.sh
. "$(dirname "$0")/lib.sh"

# merges NAME…: a round of a domain of these; its result is in $T/result. Another one where a process did not stop in time, which
# the load of the machine decides. PERCENT: of a processor.
merges() {
	local one owners=()
	for one; do owners+=("{\"name\":\"$one\",\"path\":\"$CG/$base/$one\"}"); done
	(IFS=, && echo "{\"owners\":[${owners[*]}],\"percent\":${PERCENT:-100},\"device\":1,\"merge\":true,\"leave_huge\":false}") > "$T/job"
	mkdir -p "$T/ksm"
	for _ in 1 2 3 4 5; do
		bash -c 'exec -a nestord-dedup "$2/nestord" "$1/ksm" < "$1/job" > "$1/result"' - "$T" "$ROOT/build" || return
		[ "$(jq '[.merge.missed_processes // {} | .[]] | add // 0' "$T/result")" = 0 ] && break
	done
}
ksm_pages() { cat "/proc/${pid[$1]}/ksm_merging_pages"; }
in_result() { jq -r "$1" "$T/result"; }

before=$(ksm_settings)
starts a 1024 50 8
starts b 1024 50 8
starts c 1024 50 8
starts d 1024 50 8
ok "dedup: a round over two containers ends" merges a b
echo "# $(in_result '.merge | "\(.hinted_pages) pages, \(.merged_pages) merged, \(.stops) stops of \(.longest_stop_seconds) s at most"')"
within "dedup: a round finds the duplicates of two containers" $((500 * 4096)) "$(in_result '.pairs[0].common_bytes')" $((530 * 4096))
within "dedup: duplicates in container a are merged" 486 "$(ksm_pages a)" 540
within "dedup: duplicates in container b are merged" 486 "$(ksm_pages b)" 540
is "dedup: containers outside of the domain are not merged" "0 0" "$(ksm_pages c) $(ksm_pages d)"
is "dedup: a round restores the settings of KSM" "$before" "$(ksm_settings)"
ok "dedup: a round over a second domain ends" merges c d
like "dedup: merging is refused while another domain has mergeable memory" 'which is not of the domain, has mergeable memory' "$(in_result .refused)"
ctl --json dedup undo "/$base/a" "/$base/b" > "$T/undone"
is "dedup: undo reaches both processes" "2 0" "$(jq -r '"\(.processes) \(.failed_processes)"' "$T/undone")"
ok "dedup: a round over the second domain ends after undo of the first" merges c d
within "dedup: the second domain is merged after undo of the first" 486 "$(ksm_pages c)" 540
for name in a b c d; do ok "dedup: container $name never reads a wrong byte" still "$name"; done

# ---- those who tell KSM of what they guess, in no domain
starts e 1024 100 8
starts f 1024 100 8
outsider() { # outsider NAME WHEN: a round beside it
	TOOL=outsider starts "$1" "$2" 1024
	ok "dedup: a round ends beside $3" merges e f
	is "dedup: $3 has told KSM" 1 "$(grep -c told "$T/$1.ready")"
	is "dedup: none of the 1024 pages of $3 is merged" 0 "$(merged_by_thread "$1")"
	like "dedup: a round is refused that names $3" "process ${pid[$1]} \\(outsider\\), which is not of the domain" "$(in_result .refused)"
	is "dedup: a round beside $3 restores the settings of KSM" "$before" "$(ksm_settings)"
}
outsider g first "a process whose first thread has ended"
ctl --json dedup report "${pid[g]}" > "$T/report"
within "dedup: report reads a process whose first thread has ended" $((1024 * 4096)) "$(jq '.owners[0].present_bytes' "$T/report")" $((1100 * 4096))
ctl --json dedup undo "${pid[g]}" > "$T/undone"
is "dedup: undo reaches a process whose first thread has ended" "1 0" "$(jq -r '"\(.processes) \(.failed_processes)"' "$T/undone")"
is "dedup: a process whose first thread has ended has no mergeable memory after undo" "" "$(grep -h '^VmFlags:.* mg' "/proc/${pid[g]}/task/"*/smaps)"
ends g
outsider h runs "a process that tells KSM while it runs"
ends h
outsider i again "a process that tells KSM a second time while it runs"
ends i
PERCENT=10 outsider j merges "a process that tells KSM while it merges"
ends j
ok "dedup: a round ends after the others have" merges e f
within "dedup: container e is merged after the others have ended" 1000 "$(ksm_pages e)" 1060
for name in e f; do ok "dedup: container $name never reads a wrong byte" still "$name"; done

# ---- an administrator who has KSM run
echo 1 > $KSM/run
starts k 256 100 8
ok "dedup: a round ends while KSM runs already" merges k
like "dedup: merging is refused while KSM runs already" 'KSM runs already' "$(in_result .refused)"
is "dedup: the administrator's KSM goes on" 1 "$(cat $KSM/run)"
is "dedup: KSM is not told of memory while it runs already" "" "$(grep '^VmFlags:.* mg' "/proc/${pid[k]}/smaps")"
echo 0 > $KSM/run

# ---- settings that cannot be put back yet
echo garbage > "$T/ksm/ksm.json"
ok "dedup: a round ends while what KSM's settings were cannot be read" merges k
like "dedup: merging is refused while what KSM's settings were cannot be read" 'cannot read what the settings of KSM were' "$(in_result .refused)"
is "dedup: what KSM's settings were is kept until it can be read" garbage "$(cat "$T/ksm/ksm.json")"
done_testing

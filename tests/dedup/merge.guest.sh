#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM: one round, by the process that does rounds, of two owners that have half of their memory in common, and of two that
# are another domain's. tests/dedup/kernels.sh boots the VMs.
. "$(dirname "$0")/../harness/lib.sh"
# shellcheck source=tests/dedup/lib.sh
. "$(dirname "$0")/lib.sh"

merges() { # merges NAME…: a round of a domain of these; its result is in $T/result
	local one owners=()
	for one; do owners+=("{\"name\":\"$one\",\"path\":\"$CG/$base/$one\"}"); done
	(IFS=, && echo "{\"owners\":[${owners[*]}],\"percent\":100,\"device\":1,\"merge\":true,\"leave_huge\":false}") > "$T/job"
	mkdir -p "$T/ksm"
	bash -c 'exec -a nestord-dedup "$2/nestord" "$1/ksm" < "$1/job" > "$1/result"' - "$T" "$ROOT/build"
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
done_testing

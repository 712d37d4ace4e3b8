#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 40, lane: machine
# Whether another has the same page does not show in the time of one's own writes, unless both are of the domain that is merged:
# Welch's t of the times of writes to pages that others have, and to pages that nobody has.
. "$(dirname "$0")/../harness/lib.sh"
# shellcheck source=tests/dedup/lib.sh
. "$(dirname "$0")/lib.sh"

pages=20000 # about as many of each kind, ten times over: 100,000 samples of each
starts ours/a $pages 100 1
starts ours/b $pages 100 1
mkdir "$CG/$base/probe"
defer rmdir "$CG/$base/probe"
coproc PROBE {
	echo $BASHPID > "$CG/$base/probe/cgroup.procs"
	exec "$ROOT/build/tests/tools/probe" $pages
}
probe=$PROBE_PID
end_probe() { # and waits: its cgroup cannot go before
	kill -KILL "$probe"
	wait "$probe"
}
defer end_probe
read -r line <&"${PROBE[0]}"
is "dedup: timing: the probe is ready" ready "$line"
measure() { # measure TIMES: prints t
	local t common others
	echo "$1" >&"${PROBE[1]}"
	read -r t common others <&"${PROBE[0]}"
	echo "# t $t: a write to what others have takes $common ns, to what nobody has $others" >&2
	echo "$t"
}
below() { [[ $1 =~ [0-9] ]] && awk -v t="$1" -v most="$2" 'BEGIN { exit !(t < most && t > -most) }'; }
of_probe() { awk '/^ksm_merging_pages/ { print $2 }' "/proc/$probe/ksm_stat"; }

mkdir "$T/policy.d"
agent_start --policy "$T/policy.d"
in_domain() { # in_domain NAME: of the probe
	policy "dedup: {mode: enforce, merge: ours, interval: 1s, cpu: 100, max_pressure: 100, targets: [
		{domain: ours, container: '/$base/ours/*'}, {domain: $1, container: '/$base/probe'}]}"
}
in_domain theirs
ok "dedup: timing: rounds end with the probe in another domain" await_round ours "done" 2
within "dedup: timing: a container of the domain is merged" $((pages * 98 / 100)) "$(merged ours/a)" $((pages * 102 / 100)) # what a program has besides, too
is "dedup: timing: the probe in another domain is not merged" 0 "$(of_probe)"
t=$(measure 10)
ok "dedup: timing: write times do not reveal another domain's pages: t is $t, below 4.5" below "$t" 4.5
in_domain ours
probe_merged() { [ "$(of_probe)" -ge $((pages * 45 / 100)) ]; }
ok "dedup: timing: the probe in the same domain is merged" until_ok 60 probe_merged
policy 'dedup: {mode: off}'
t=$(measure 1)
above() { awk -v t="$1" -v least="$2" 'BEGIN { exit !(t > least) }'; }
ok "dedup: timing: write times reveal pages of the same domain: t is $t, above 10" above "$t" 10
agent_stop
for name in ours/a ours/b; do ok "dedup: container $name never reads a wrong byte" still "$name"; done
done_testing

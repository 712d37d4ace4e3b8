# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For tests of the room dedup, after lib.sh: owners in cgroups of their own, rounds, and KSM as it was before whatever happens.

KSM=/sys/kernel/mm/ksm
if [ ! -w $KSM/run ]; then
	skip "dedup: merging" "this kernel has no KSM"
	done_testing
fi
CG=/sys/fs/cgroup
[ -e $CG/cgroup.controllers ] || CG=$CG/memory
base=nestor-dedup-$ID
mkdir $CG/$base
defer rmdir $CG/$base

ksm_settings() { (cd $KSM && grep -s . run pages_to_scan sleep_millisecs smart_scan advisor_mode); }
# As they were, whatever this test ends with.
advisor=$(sed 's/.*\[\(.*\)\].*/\1/' $KSM/advisor_mode 2> /dev/null)
former=$(cat $KSM/run)
restore_ksm() {
	echo "$former" > $KSM/run
	[ -z "$advisor" ] || echo "$advisor" > $KSM/advisor_mode
}
defer restore_ksm
is "dedup: KSM is off before the test" 0 "$former"

declare -A pid
ends() { # ends NAME: its status is that of the process
	kill "${pid[$1]}" 2> /dev/null
	wait "${pid[$1]}" 2> /dev/null
}
starts() { # starts NAME DUPS-ARGUMENT…; IN: a command that runs it; TOOL: another program than dups
	local name=$1
	shift
	[ -d "$CG/$base/${name%%/*}" ] || { mkdir "$CG/$base/${name%%/*}" && defer rmdir "$CG/$base/${name%%/*}"; }
	[ -d "$CG/$base/$name" ] || { mkdir "$CG/$base/$name" && defer rmdir "$CG/$base/$name"; }
	# shellcheck disable=SC2086 # a command has words
	bash -c 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"' - "$CG/$base/$name" \
		${IN:-} "$ROOT/build/tests/tools/${TOOL:-dups}" "$@" > "$T/${name//\//-}.ready" &
	pid[$name]=$!
	defer ends "$name"
	until_ok 30 grep -qs ready "$T/${name//\//-}.ready"
}
still() { ends "$1"; [ $? = 0 ]; }
# Also of one whose first thread has ended.
merged_by_thread() { cat "/proc/${pid[$1]}/task/"*/ksm_merging_pages 2> /dev/null | sort -n | tail -n 1; }
merged() { awk '/^ksm_merging_pages/ { print $2 }' "/proc/${pid[$1]}/ksm_stat"; }
policy() {
	printf '%s\n' "$1" > "$T/policy.d/dedup.yaml"
	ctl policy reload > /dev/null
}
rounds() { metric "nestor_dedup_rounds_total{domain=\"$1\",result=\"$2\"}"; }
more_than() { [ "$(rounds "$1" "$2")" -gt "$3" ] 2> /dev/null; }
await_round() { # await_round DOMAIN RESULT: one that begins after this
	local n
	n=$(rounds "$1" "$2")
	until_ok 60 more_than "$1" "$2" "$((${n:-0} + ${3:-1}))"
}
of() { metric "nestor_dedup_$2_bytes{domain=\"$3\",vm=\"\",container=\"/$base/$1\"}"; }

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 200, lane: machine
# Who is who: containers are seen as they are born and die, policy says who has series, nobody's counts get lost or
# become another's.
. "$(dirname "$0")/../harness/lib.sh"

# The hierarchy that tasks are known by: the memory controller's on a v1 or hybrid host.
CG=/sys/fs/cgroup
[ -e $CG/cgroup.controllers ] || CG=$CG/memory
base=nestor-who-$ID
mkdir $CG/$base
defer rmdir $CG/$base

loop_file=$T/disk
truncate -s 32M "$loop_file"
loop=$(losetup --find --show "$loop_file")
defer losetup -d "$loop"
name=${loop#/dev/}

born() { # born NAME…
	local one
	for one; do
		mkdir "$CG/$base/$one"
		defer rmdir "$CG/$base/$one"
	done
}
dies() { rmdir "$CG/$base/$1"; }
reads() { # reads NAME COUNT
	(
		echo $BASHPID > "$CG/$base/$1/cgroup.procs"
		exec "$ROOT/build/tests/tools/directio" read "$loop" "$2"
	)
}
count() { metric "nestor_blkio_ios_total{device=\"$name\",op=\"read\",container=\"$1\"}"; }
of() { count "/$base/$1"; }
all() { metric "nestor_blkio_ios_total{device=\"$name\",op=\"read\"}"; }
policy() { # policy TEXT: in force when it returns
	printf '%s\n' "$1" > "$T/policy.d/who.yaml"
	ctl policy reload > /dev/null
}
listed() { ctl --json containers | jq -r '.[].path' | grep -qx "/$base/$1"; }
not_listed() { ! listed "$1"; }

mkdir "$T/policy.d"
agent_start --policy "$T/policy.d"

# ---- birth and death, without polling
born a
ok "a container is listed when it is there" listed a
dies a
ok "and no more when it is gone" not_listed a
reads_root=$(count /)
born a b
reads a 11
reads b 13
is "what a read is a's" 11 "$(of a)"
is "what b read is b's" 13 "$(of b)"
is "the parent has none of it" "" "$(count "/$base")"
is "nor has the root" "$reads_root" "$(count /)"
is "a is described" 1 "$(metric "nestor_container_info{container=\"/$base/a\",path=\"/$base/a\"}")"

# ---- the same name again
dies a
is "its series stays for a while" 11 "$(of a)"
born a
reads a 7
is "one of the same name goes on in it" 18 "$(of a)"
policy 'agent: {linger: 0}'
is "also when the first is forgotten" 18 "$(of a)"
dies a
is "without linger its counts go to the others" "" "$(of a)"
is "to ~other" 18 "$(count '~other')"
policy ''

# ---- two hierarchies, one container
if [ -d /sys/fs/cgroup/blkio ]; then
	mkdir -p "/sys/fs/cgroup/blkio/$base/b"
	defer rmdir "/sys/fs/cgroup/blkio/$base"
	defer rmdir "/sys/fs/cgroup/blkio/$base/b"
	(
		echo $BASHPID > "/sys/fs/cgroup/blkio/$base/b/cgroup.procs"
		exec "$ROOT/build/tests/tools/directio" read "$loop" 5
	)
	is "known by another hierarchy's id it is the same container" 18 "$(of b)"
else
	skip "two hierarchies" "this machine has one"
fi

# ---- include, exclude
b=$(of b)
policy "agent: {exclude: ['/$base/b']}"
is "an excluded one has no series" "" "$(of b)"
is "its counts are among the others'" $((18 + b)) "$(count '~other')"
reads b 3
is "and go on there" $((18 + b + 3)) "$(count '~other')"
policy ''
other=$(count '~other')
reads b 4
is "included again, it begins anew" 4 "$(of b)"
is "and the others' count did not go back" "$other" "$(count '~other')"
policy "agent: {include: ['*/b']}"
born d
reads d 2
is "who is not included has no series" "" "$(of d)"
is "who is has one" 4 "$(of b)"
policy ''

# ---- age
policy 'agent: {min_age: 3600}'
other=$(count '~other')
born e
reads e 9
is "a young one is not shown" "" "$(of e)"
is "nor are its counts the others'" "$other" "$(count '~other')"
policy ''
is "old enough, it has all of them" 9 "$(of e)"
policy 'agent: {min_age: 3600}'
born f
reads f 6
other=$(count '~other')
dies f
more_others() { [ "$(count '~other')" = $((other + 6)) ]; }
ok "one that dies young leaves them to the others" until_ok 5 more_others

# ---- how many
policy 'agent: {max_containers: 1}'
shown() { metrics | grep -c '^nestor_container_info'; }
is "one container has series" 1 "$(shown)"
all=$(all)
policy 'agent: {max_containers: 1000}'
is "nothing got lost by all that" "$all" "$(all)"
dies b
dies d
dies e

# The runtime's record comes later than the cgroup; meanwhile it had the name of one that is dead.
id=$base-x
policy "agent: {max_containers: 1, include: ['*$id']}"
defer rmdir --ignore-fail-on-non-empty /run/runc
defer rm -rf "/run/runc/$id"
born "$id"
reads "$id" 2
is "one has series" 2 "$(of "$id")"
dies "$id"
born "$id"
reads "$id" 3
is "who is called as before adds to them" 5 "$(of "$id")"
mkdir -p "/run/runc/$id"
echo "{\"cgroup_paths\": {\"\": \"$CG/$base/$id\"}}" > "/run/runc/$id/state.json"
renamed() { metrics | grep -q "^nestor_container_info{container=\"$id\""; }
ok "a record that comes later gives it another name" until_ok 5 renamed
is "the dead one makes room for that" "" "$(of "$id")"
is "still one container has series" 1 "$(shown)"
dies "$id"
is "and nothing got lost" $((all + 5)) "$(all)"
policy ''

# ---- a restart remembers names, deaths and who was shown
born g h
reads g 21
reads h 22
agent_stop
dies h
agent_start --policy "$T/policy.d"
is "after a restart the living has its counts" 21 "$(of g)"
is "and he who died meanwhile too" 22 "$(of h)"

# ---- 1000 containers, for two minutes
policy 'agent: {max_containers: 20}'
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$agent_pid/status"; }
entries() { metric 'nestor_bpf_map_entries{map="who_owners"}'; }
for _ in 1 2 3; do # fills the caches of malloc: births, and readings meanwhile
	"$ROOT/build/tests/tools/churn" "$loop" "$CG/$base" 1000 1 > /dev/null &
	churn=$!
	while kill -0 $churn 2> /dev/null; do
		reads g 10
		metrics > /dev/null
	done
	wait $churn
done
# A kernel may end an I/O without running the program, the oftener the busier it is; not always does it say so itself. Such
# are counted apart, when the request is used again.
skipped() { cat "/proc/$agent_pid/fdinfo/"* 2> /dev/null | awk '/^recursion_misses:/ { n += $2 } END { print n + 0 }'; }
lost() { metric "nestor_events_lost_total{room=\"blkio\",reason=\"$1\"}"; } # lost REASON
rss1=$(rss) all=$(all) lost=$(lost completion) strays=$(lost owner) skipped=$(skipped) most=0
"$ROOT/build/tests/tools/churn" "$loop" "$CG/$base" 1000 "${CHURN_SECONDS:-120}" > "$T/churned" &
churn=$!
control=$(of g) more=0
while kill -0 $churn 2> /dev/null; do
	reads g 10
	more=$((more + 10))
	now=$(metrics | grep -o 'container="[^"]*"' | sort -u | grep -vc -e '=""' -e '~other')
	[ "$now" -le $most ] || most=$now
done
wait $churn
# It is quiet now: every request is used once more, so that whatever was lost is known.
for cpu in $(seq 0 $(($(nproc) - 1))); do
	(taskset -p -c "$cpu" $BASHPID > /dev/null && reads g 150)
	more=$((more + 150))
done
births=$(cat "$T/churned")
echo "# $births containers were born and died; resident memory $rss1 KiB before, $(rss) KiB after"
within "many were born" $((${CHURN_SECONDS:-120} * 10)) "$births" 100000000
within "never more of them had series than policy allows" 1 $most 20
lost=$(($(lost completion) - lost)) strays=$(($(lost owner) - strays)) skipped=$(($(skipped) - skipped))
echo "# $lost of $((births + more)) completions were not told, $strays beginnings; the kernel left out $skipped runs of programs"
within "hardly an I/O was lost" 0 $lost $((births / 1000))
within "nor whose it is, but where the kernel says that it left out runs" 0 $strays $((births / 1000 + skipped))
within "he who lived all the time has just his own" $((control + more - lost - strays)) "$(of g)" $((control + more))
within "every read was counted" $((all + more + births - lost)) "$(all)" $((all + more + births))
few_owners() { [ "$(entries)" -le 60 ]; }
ok "the map of owners is as small as before" until_ok 5 few_owners
if [ "$births" -ge 1000 ]; then
	within "and memory" 1 "$(rss)" $((rss1 * 110 / 100))
else # in a VM a few hundred: what malloc keeps has not settled by then
	skip "and memory" "only $births births"
fi
dies g
done_testing

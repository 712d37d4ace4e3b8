# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154,SC2034 # attack.guest.sh has and uses them
# An unprivileged user of the machine, in no container. attack.guest.sh reads this.

user_cannot() { cannot "a user cannot $1" as_user "${@:2}"; }

# ---- what is not theirs to open
user_cannot "look into the pinned maps" ls "$T/bpf/nestor"
user_cannot "reach the control socket" "$NESTORCTL" --run-dir "$T/run" status
user_cannot "open a session of the module" sh -c 'exec 3<>/dev/nestor'
refuses_function() { as_user "$NESTORCTL" gpufn call sha256 buffers=1 length=6 < "$T/in" 2>&1 | grep -q 'no policy names you'; }
ok "attack: a user who is no tenant cannot have a function run" refuses_function
for process in $agent_pid $(agents_own); do
	name=$(tr '\0' ' ' < "/proc/$process/cmdline")
	name=${name%% *} name=${name##*/}
	user_cannot "signal $name" kill -TERM "$process"
	user_cannot "read the memory of $name" head -c 1 "/proc/$process/mem"
	user_cannot "see the descriptors of $name" ls "/proc/$process/fd/"
	user_cannot "renice $name" renice -n 19 -p "$process"
done
ok "attack: a user cannot change the policy over HTTP" [ "$(curl -s -m 20 -o "$T/said" -w '%{http_code}' -X POST -d 'x: 1' "$URL/api/v1/policy")" -ge 400 ]

# ---- who they say they are: they have the pages of the domain's members, tell KSM of them, and have the name of a VM in policy
many=4
for ((i = 0; i < many; i++)); do
	become_user "$T/qemu-system-x86_64" 512 100 8 0 -name db > "$T/impostor" &
	pid[impostor$i]=$!
done
ok "attack: a user's process with a VMM's name is seen" until_ok 20 is_seen "${pid[impostor0]}"
joins_late() { # tells KSM once ksmd runs
	until [ "$(cat $KSM/run)" = 1 ]; do :; done
	MERGEABLE=1 exec "$TOOLS/dups" 512 100 8
}
export -f joins_late
export TOOLS
become_user bash -c joins_late > "$T/joins" &
pid[joins]=$!
ok "attack: a user tells KSM while it merges a domain" until_ok 60 grep -qs ready "$T/joins"
no_more_rounds() { [ "$(cat $KSM/run)" != 1 ] && ctl --json dedup show | jq -e '.[0].refused != ""' > "$T/said"; }
ok "attack: no round goes on while a user's process is mergeable" until_ok 60 no_more_rounds
is "attack: a user who told KSM is merged with nobody" 0 "$(merged "${pid[joins]}")"
for ((i = 0; i < many; i++)); do
	is "attack: a user with the name of a VM in policy is merged with nobody, process $i" 0 "$(merged "${pid[impostor$i]}")"
done
is "attack: a user with the name of a VM in policy owns nothing of its domain" "" \
	"$(ctl --json dedup show | jq -r '.[0].owners[].owner' | grep -vE '/(a|b)$')"

# ---- what they may read, they cannot change
poison() { # poison HOW: in a container with a part of the cache; it becomes a user itself
	(into_cgroup box "$TOOLS/poison" "$1" map "$T/cached/public" "$T/other/user/mine")
}
for how in direct aio; do # the other ways are in tests/cache/poison.sh
	ok "attack: a user tries to poison a cached file, $how" poison $how
	rm -f "$T/other/user/mine"
	is "attack: a cached file has its bytes after a user's poison, $how" "$sum" "$(md5sum < "$T/cached/public")"
done

# ---- processes that nobody can read, or that have more than one wants to read
mkdir "$T/bad" && cp "$TOOLS/badvm" "$T/bad/qemu-system-x86_64"
as_user mkdir "$T/other/user/mount"
become_user "$T/bad/qemu-system-x86_64" stuck "$T/other/user/mount" -name stuck > "$T/said.stuck" 2>&1 &
pid[stuck]=$!
for ((i = 0; i < many; i++)); do
	become_user "$T/bad/qemu-system-x86_64" fds 1000 -name "many$i" &
	pid[many$i]=$!
done
is_stuck() { ! timeout 1 cat "/proc/${pid[stuck]}/cmdline" > "$T/said" 2>&1; }
ok "attack: a user has a process that nobody can read" until_ok 20 is_stuck
answers "a user with a process that nobody can read, and others with 1000 descriptors"
end_of_attackers many{0..3} stuck

# ---- clients that never end
for ((i = 0; i < 40; i++)); do
	exec {idle}<> "/dev/tcp/127.0.0.1/${URL##*:}"
	printf 'GET /metrics HTTP/1.1\r\nHost: local' >&"$idle"
	idles+=("$idle")
done
answers "a user with 40 requests that never end"
for idle in "${idles[@]}"; do exec {idle}>&-; done
end_of_attackers impostor{0..3} joins

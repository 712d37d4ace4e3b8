#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM with the module: an agent with every room at work, a witness who does nothing while others attack, and the attackers,
# one file each. After each the agent answers, and in the end nobody has read, written or had merged what policy does not give.
# /dev/vda is the cached disk, /dev/vdb another one. tests/attack/attack.sh boots it.
. "$(dirname "$0")/../harness/lib.sh"

CG=/sys/fs/cgroup
KSM=/sys/kernel/mm/ksm
export KSM
TOOLS=$ROOT/build/tests/tools
USER_ID=1000 # the unprivileged user; nobody is a tenant of gpufn
SECOND=100 # hundredths, as /proc/uptime counts
export NESTOR_GPUFN_SOCKET=$T/gpufn.sock

# ---- what there is to attack

mkdir -p "$T/policy.d" "$T/cached" "$T/other" $CG/{witness,box,machine.slice,ours/{a,b}}
chmod 755 "$T"
insmod /nestor.ko || exit
cat > "$T/policy.d/all.yaml" << END
agent: {min_age: 0}
blkio: {mode: enforce, limits: [{container: /box, device: vdb, read: 100MB}, {vm: db, device: vdb, read: 7MB}]}
net: {mode: enforce, limits: [{container: /box, egress: 50Mbit}, {vm: db, egress: 60Mbit}]}
cache: {mode: enforce, memory: 32MiB, ssd: none, min_free: 32MiB, pools: [{container: /box, memory: 60}, {container: /witness, memory: 40}]}
dedup: {mode: enforce, merge: ours, interval: 1s, cpu: 100, max_pressure: 100,
	targets: [{domain: ours, container: '/ours/*'}, {domain: ours, vm: db}]}
gpufn: {mode: enforce, cache: $T/cache, functions: $ROOT/gpu/functions, socket: $NESTOR_GPUFN_SOCKET, memory: 16MiB,
	tenants: [{user: root}, {user: nobody}]}
END
agent_start --policy "$T/policy.d" || done_testing
ctl cache attach /dev/vda > "$T/said" 2>&1 || sed 's/^/# /' "$T/said"
[ -e /dev/mapper/vda-nestor ] || dmsetup mknodes
mkfs.ext4 -q -F -b 4096 /dev/mapper/vda-nestor && mount /dev/mapper/vda-nestor "$T/cached"
defer umount "$T/cached"
mkfs.ext4 -q -F -b 4096 /dev/vdb && mount /dev/vdb "$T/other"
defer umount "$T/other"
chmod 755 "$T/cached" "$T/other"
mkdir -m 1777 "$T/cached/user" "$T/other/user"
head -c 16777216 /dev/urandom > "$T/cached/public"
chmod 644 "$T/cached/public"
cp "$(command -v setpriv)" "$T/other/setuid"
chmod 4755 "$T/other/setuid"
sync
sum=$(md5sum < "$T/cached/public")
is "attack: all rooms are up" "" "$(ctl --json rooms | jq -r '.[] | select(.state != "up") | .room')"

# These two become the command: call them in the background, or in a subshell.
into_cgroup() { # into_cgroup PATH COMMAND…
	exec bash -c 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"' - "$CG/$1" "${@:2}"
}
become_user() {
	exec setpriv --reuid $USER_ID --regid $USER_ID --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs "$@"
}
victims() { # victims NAME…: two members of the domain
	local name
	for name; do
		into_cgroup "ours/$name" "$TOOLS/dups" 512 100 8 50 > "$T/$name.ready" &
		pid[$name]=$!
		until_ok 20 grep -qs ready "$T/$name.ready"
	done
}
declare -A pid=()
end_all() { kill -KILL ${pid[@]+"${pid[@]}"} 2> /dev/null; }
defer end_all
victims a b
merged() { cat "/proc/$1/ksm_merging_pages"; }
both_merged() { [ "$(merged "${pid[a]}")" -gt 400 ] && [ "$(merged "${pid[b]}")" -gt 400 ]; }
ok "attack: the two members of a domain are merged" until_ok 60 both_merged

rounds() { metric 'nestor_dedup_rounds_total{domain="ours",result="done"}'; }
more_rounds() { [ "$(rounds)" -ge "$1" ]; }
await_rounds() { until_ok 60 more_rounds $(($(rounds) + 2)); } # one that begins after this, to its end

# Of everything that is counted for the witness
into_cgroup witness sh -c "$TOOLS/directio read $T/cached/public 41; cat $T/cached/public; exec sleep 100000" > "$T/read" &
pid[witness]=$!
figures() { metrics | grep 'container="/witness"' | grep -E '^[a-z_]+(_total|_bucket|_count|_sum)\{' | grep -v '^nestor_pcache_evict'; }
has_figures() { [ "$(figures | grep -c .)" -gt 10 ]; }
ok "attack: the witness has figures" until_ok 20 has_figures
echo hello > "$T/in"
right=$(sha256sum < "$T/in" | cut -d ' ' -f 1)
calls() { [ "$(timeout 40 "$NESTORCTL" gpufn call sha256 buffers=1 length=6 < "$T/in" 2> "$T/call.err" | od -An -tx1 | tr -d ' \n')" = "$right" ]; }
ok "attack: a tenant's function runs" until_ok 60 calls || sed 's/^/# /' "$T/call.err"
figures > "$T/figures"

as_user() { (become_user "$@"); }
cannot() { # cannot TEXT COMMAND…: it is there, and fails
	local text="attack: $1"
	shift
	run "$@"
	ok "$text" [ "$status" != 0 ] && ok "$text: not for want of the program" [[ $status != 12[67] ]] || echo "# $out $err"
}
cp "$TOOLS/dups" "$T/qemu-system-x86_64" # what looks like a VMM
end_of_attackers() { # end_of_attackers NAME…
	local name
	for name; do
		kill -KILL "${pid[$name]}" 2> /dev/null
		wait "${pid[$name]}" 2> /dev/null
	done
}
agents_own() { # the processes that are the agent's: its children, and theirs
	local parents=$agent_pid found
	while found=$(pgrep -P "$parents" | tr '\n' ',') && [ -n "$found" ]; do
		parents=${found%,}
		echo "${parents//,/ }"
	done
}
own() { pgrep -f "^$1( |\$)" | head -n 1; } # own NAME: the agent's process of that name

is_seen() { # is_seen PID: as a VM
	ctl --json vms | jq -e --argjson p "${1:-0}" 'any(.[]; .pid == $p)' > "$T/said"
}

# ---- what holds after each attack

now() { awk '{ printf "%d\n", $1 * 100 }' /proc/uptime; }
status() { ctl status > "$T/said"; }
scrape() { curl -sf -m 30 "$URL/metrics" > "$T/scrape"; }
answers() { # answers ATTACKER: within a second each
	local start
	start=$(now)
	ok "attack: $1: the agent serves its metrics meanwhile" scrape
	within "attack: $1: the agent serves its metrics within a second" 0 $(($(now) - start)) $SECOND
	start=$(now)
	ok "attack: $1: the agent answers nestorctl meanwhile" status
	within "attack: $1: the agent answers nestorctl within a second" 0 $(($(now) - start)) $SECOND
}

for attacker in ${ATTACKERS:-user container qemu taken_over}; do
	# shellcheck source=/dev/null # all are
	. "$(dirname "$0")/$attacker.guest.sh"
	answers "$attacker"
	ok "attack: $attacker: the agent has not been restarted" kill -0 "$agent_pid"
done

is "attack: a cached file has its bytes in the end" "$sum" "$(md5sum < "$T/cached/public")"
figures > "$T/figures.after"
is "attack: the witness has the same figures in the end" "" "$(diff "$T/figures" "$T/figures.after")"
ok "attack: a tenant's function runs in the end" until_ok 60 calls
for name in a b; do
	kill "${pid[$name]}"
	wait "${pid[$name]}"
	is "attack: member $name of a domain has not a wrong byte" 0 $?
done
start=$(now)
agent_stop
within "attack: the agent ends within a second" 0 $(($(now) - start)) $SECOND
is "attack: the agent leaves no process" "" "$(pgrep -f "nestord-.*$T")"
grep -E 'error|killed|died' "$AGENT_LOG" | sort | uniq -c | head -n 20 | sed 's/^/# /'
done_testing

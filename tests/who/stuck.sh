#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 25, lane: machine
# Nothing that a user's process or file can delay delays the agent: one whose memory nobody can read, many with many
# descriptors, a lease on a container's record, a looker that is stopped. And what a process calls itself is no credential.
. "$(dirname "$0")/../harness/lib.sh"

as_user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
chmod 755 "$T"
vmm=$T/qemu-system-test
cp "$ROOT/build/tests/tools/badvm" "$vmm"
mkdir -p "$T/mount" "$T/policy"
chown 65534:65534 "$T/mount"
chmod 700 "$T/policy"

vms() { ctl --json vms | jq -r "$1"; }
has_vm() { [ "$(vms "any(.[]; .vm == \"$1\")")" = true ]; }
is_vouched() { vms ".[] | select(.vm == \"$1\") | .vouched"; }
looks() { metric "nestor_looks_total{end=\"$1\"}"; }
looker() { # the child that is root; by /proc/PID/status, which waits for nobody
	local child
	for child in $(cat "/proc/$agent_pid/task/$agent_pid/children"); do
		! grep -q '^Uid:\s0' "/proc/$child/status" || echo "$child"
	done
}
start_vm() { # start_vm NAME: root's, with three descriptors; its pid is in $vm
	"$vmm" fds 3 -name "$1" &
	vm=$!
	defer kill -KILL $vm
}
answers() { # answers NUMBER COMMAND…: is the agent asked so many times, and answers, while COMMAND is true before and after?
	local i
	for ((i = 0; i < $1; i++)); do
		"${@:2}" && curl -sf -o /dev/null "$URL/metrics" && ctl status > /dev/null && "${@:2}" || return 1
	done
}

# ---- a process that holds the lock of its memory
"${as_user[@]}" "$vmm" stuck "$T/mount" -name evil &
evil=$!
# The server, without which the others go on: /proc/PID/task/PID/children is read without that lock.
# shellcheck disable=SC2046 # its children
end_evil() { kill -KILL "$evil" $(cat "/proc/$evil/task/$evil/children"); }
defer end_evil
is_stuck() { grep -q ') D ' "/proc/$evil/stat"; }
until_ok 5 is_stuck
ok "(stuck: a process holds the lock of its memory)" is_stuck
ok "stuck: the agent starts while a process that it looks at is stuck" agent_start --policy "$T/policy"
ok "stuck: the agent answers while a process that it looks at is stuck" answers 5 is_stuck
ok "stuck: a stuck process is a VM, by its number" until_ok 5 has_vm "user@65534/qemu-$evil"
is "stuck: policy may not name a user's VM" false "$(is_vouched "user@65534/qemu-$evil")"
within "stuck: looks at a stuck process are given up" 1 "$(looks stuck)" 4
start_vm web
ok "stuck: a new VM is found while another is stuck" until_ok 5 has_vm web
is "stuck: policy may name root's VM" true "$(is_vouched web)"
ok "(stuck: the process is still stuck)" is_stuck

# ---- a name that another has
"${as_user[@]}" "$vmm" fds 3 -name web &
thief=$!
defer kill -KILL $thief
ok "names: a user's VM that is called as root's is called after the user" until_ok 5 has_vm user@65534/web
is "names: the VM that has a name keeps it" "$vm" "$(vms '.[] | select(.vm == "web") | .pid')"
echo 'agent: { vmm: { users: [65534] } }' > "$T/policy/vmm.yaml"
chmod 600 "$T/policy/vmm.yaml"
ctl policy reload > /dev/null
is "names: a VM of a user in agent.vmm.users is vouched for, and takes no name" true "$(is_vouched "web:$thief")"
is "names: root's VM keeps its name from a VM that is vouched for later" "$vm" "$(vms '.[] | select(.vm == "web") | .pid')"
rm "$T/policy/vmm.yaml"
ctl policy reload > /dev/null
is "names: a VM whose user left agent.vmm.users is not vouched for" false "$(is_vouched user@65534/web)"

# ---- VMs that are called as libvirt's are, in a cgroup of a user's
cg=/sys/fs/cgroup
[ -e $cg/cgroup.controllers ] || cg=$cg/memory
for dir in "" "/machine.slice" '/machine.slice/machine-qemu\x2d1\x2dfake.scope'; do
	mkdir "$cg/nestor-stuck-$ID$dir"
	defer rmdir "$cg/nestor-stuck-$ID$dir"
done
bash -c 'echo $$ > "$0/cgroup.procs"; exec "$@"' "$cg/nestor-stuck-$ID/machine.slice/machine-qemu\\x2d1\\x2dfake.scope" \
	"${as_user[@]}" "$vmm" fds 3 &
fake=$!
defer kill -KILL $fake
ok "names: a VM in a scope that is called as libvirt's, elsewhere, is called after its user" until_ok 5 has_vm user@65534/fake
is "names: a VM in a scope that is called as libvirt's, elsewhere, is not vouched for" false "$(is_vouched user@65534/fake)"
kill $fake $thief

# ---- many, each with many descriptors
ulimit -n "$(ulimit -Hn)"
fds=$(($(ulimit -n) - 16))
[ $fds -lt 20000 ] || fds=20000
crowd=()
for i in {1..70}; do
	"${as_user[@]}" "$vmm" fds $fds -name "evil$i" &
	crowd+=($!)
	defer kill -KILL $!
done
start_vm late
ok "stuck: a new VM is found beside 70 of a user's with thousands of descriptors each" until_ok 10 has_vm late
users() { [ "$(vms '[.[] | select(.vouched | not)] | length')" = 64 ]; }
ok "stuck: a user has at most 64 VMs" until_ok 10 users
within "stuck: VMs beyond a user's 64 are counted" 1 "$(metric nestor_vms_over_limit_total)" 100000
ok "stuck: the agent answers while 70 VMs have thousands of descriptors each" answers 5 true
kill "${crowd[@]}"

# ---- a container's cgroup that a user makes in a directory of cgroups that is the user's
own=$cg/nestor-stuck-$ID-own
mkdir "$own"
remove_own() { [ ! -d "$own" ] || find "$own" -depth -type d -exec rmdir {} +; }
defer remove_own
chown 65534 "$own"
(cd "$own" && exec "${as_user[@]}" mkdir "crun-shop-$ID.scope" "shop-$ID.service")
name_at() { ctl --json containers | jq -r ".[] | select(.path == \"/nestor-stuck-$ID-own$1\") | .container"; }
is_at() { [ "$(name_at "$1")" = "$2" ]; }
ok "names: a container's cgroup in a user's directory is called after the user" \
	until_ok 5 is_at "/crun-shop-$ID.scope" "user@65534/shop-$ID" || name_at "/crun-shop-$ID.scope"
ok "names: a service's cgroup in a user's directory is called after the user" \
	until_ok 5 is_at "/shop-$ID.service" "user@65534/shop-$ID.service" || name_at "/shop-$ID.service"
ok "names: a user's directory of cgroups keeps its name" until_ok 5 is_at "" "/nestor-stuck-$ID-own" || name_at ""
remove_own # they would count with those below
until_ok 5 is_at "/crun-shop-$ID.scope" ""
until_ok 5 is_at "/shop-$ID.service" ""

# ---- more cgroups than one user may have
chown 65534 "$cg/nestor-stuck-$ID"
remove_many() { (cd "$cg/nestor-stuck-$ID" && rmdir many*); }
defer remove_many
(cd "$cg/nestor-stuck-$ID" && exec "${as_user[@]}" mkdir many{1..1100})
many() { [ "$(ctl --json containers | jq "[.[] | select(.path | startswith(\"/nestor-stuck-$ID/many\"))] | length")" = "$1" ]; }
ok "containers: 1024 cgroups of a user are containers, of 1100" until_ok 10 many 1024 ||
	ctl --json containers | jq "[.[] | select(.path | startswith(\"/nestor-stuck-$ID/many\"))] | length"
within "containers: cgroups beyond a user's 1024 are counted" 76 "$(metric nestor_containers_over_limit_total)" 100000
mkdir "$cg/nestor-stuck-$ID-root"
defer rmdir "$cg/nestor-stuck-$ID-root"
has_roots() { ctl containers | grep -q "nestor-stuck-$ID-root"; }
ok "containers: root's new cgroup is a container beside a user's 1100" until_ok 5 has_roots

# ---- a looker that does not answer
has_looker() { # it starts when it is needed; at the latest for the next look at all VMs
	stopped=$(looker)
	[ -n "$stopped" ]
}
until_ok 10 has_looker
kill -STOP "$stopped"
start_vm later
ok "stuck: the agent answers while the looker is stopped" answers 3 true
ok "stuck: a new VM is found by a new looker after one was stopped" until_ok 10 has_vm later
ok "stuck: a looker that was stopped is killed" [ ! -e "/proc/$stopped" ]
ok "(stuck: the process is stuck to the end)" is_stuck
until_ok 10 has_looker
kill -STOP "$stopped"
"$vmm" fds 3 -name last &
defer kill -KILL $!
agent_signal TERM
is "stuck: SIGTERM ends the agent while its looker is stopped" 0 $?
agent_pid=''
done_testing

# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154,SC2034 # attack.guest.sh has and uses them
# The process of a VM that the system vouches for and policy names, taken over by its guest. attack.guest.sh reads this.

scope='machine.slice/machine-qemu\x2d1\x2ddb.scope'
mkdir "$CG/$scope"
is_owner() { ctl --json dedup show | jq -e '[.[0].owners[].owner] | any(. == "db")' > "$T/said"; }
vm() { # vm COMMAND…: in its scope, in the background
	into_cgroup "$scope" setpriv --reuid 64055 --regid 64055 --clear-groups --inh-caps=-all --bounding-set=-all "$@" > "$T/vm" 2>&1 &
	pid[vm]=$!
}
ctl dedup undo /ours/a /ours/b > "$T/said" 2>&1 # of the user's attack nothing is mergeable any more
vm "$T/qemu-system-x86_64" 512 100 8 0 -name db
ok "attack: a VM that the system vouches for is of its domain" until_ok 60 is_owner
vm_merged() { [ "$(merged "${pid[vm]}")" -gt 400 ]; }
ok "attack: a VM that the system vouches for is merged" until_ok 60 vm_merged
end_of_attackers vm

# ---- it becomes another program whenever the agent looks at it, one of root's among them
# shellcheck disable=SC2016 # the inner shell's
vm bash -c 'for ((i = 0; ; i++)); do
	said=$("$0" --reuid 64055 true 2>&1) && [ -z "$said" ] || echo "wrong: $said"
	case $((i % 3)) in 0) exec -a "$BASH" bash -c true & wait ;; esac
	[ $((i % 50)) != 49 ] || echo turn
done' "$T/other/setuid"
ok "attack: a VM that becomes root's program again and again" until_ok 60 grep -q turn "$T/vm"
ok "attack: rounds go on beside a VM that becomes other programs" await_rounds
is "attack: root's program has its own bytes whenever a VM became it" 0 "$(grep -c wrong "$T/vm")"
end_of_attackers vm

# ---- it stops itself
vm "$T/qemu-system-x86_64" 512 100 8 0 -name db
ok "attack: a VM is of its domain again" until_ok 60 is_owner
kill -STOP "${pid[vm]}"
ok "attack: rounds go on beside a VM that has stopped itself" await_rounds
kill -CONT "${pid[vm]}"

# ---- it takes another VM's name
mkdir "$CG/machine.slice/machine-qemu\\x2d2\\x2dweb.scope"
first_vm=${pid[vm]}
into_cgroup 'machine.slice/machine-qemu\x2d2\x2dweb.scope' "$T/qemu-system-x86_64" 16 0 1 0 -name db > "$T/vm2" &
pid[vm2]=$!
sees_second() { [ "$(ctl --json vms | jq -r --argjson p "${pid[vm2]}" '.[] | select(.pid == $p) | .vm')" != "" ]; }
ok "attack: a second VM that says it has the first one's name is seen" until_ok 20 sees_second
is "attack: a VM keeps its name when another one takes it" db "$(ctl --json vms | jq -r --argjson p "$first_vm" '.[] | select(.pid == $p) | .vm')"
ok "attack: a VM that takes another's name has a name of its own" \
	[ "$(ctl --json vms | jq -r --argjson p "${pid[vm2]}" '.[] | select(.pid == $p) | .vm')" != db ]
end_of_attackers vm vm2
rmdir "$CG"/machine.slice/*.scope

# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154,SC2034 # attack.guest.sh has and uses them
# The root of a container: user 0 with what docker leaves of its capabilities, in namespaces of its own, with its cgroup
# delegated. attack.guest.sh reads this.

CAPABILITIES=-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap
in_box() { # in_box COMMAND…: becomes the command
	# shellcheck disable=SC2016 # the inner shell's
	into_cgroup box unshare -m -p -f -n -i -u -C --mount-proc --kill-child bash -c '
		exec 3>&2 2> /dev/null
		umount /sys/fs/bpf /sys/kernel/debug/tracing /sys/kernel/debug /sys/kernel/tracing /sys/fs/cgroup
		mount -o remount,bind,ro /sys && mount -t cgroup2 cgroup2 /sys/fs/cgroup
		exec 2>&3 "$@"' - setpriv --bounding-set=$CAPABILITIES --inh-caps=$CAPABILITIES --no-new-privs "$@"
}
box() { (in_box "$@"); }
cannot_in_box() { cannot "the root of a container cannot $1" box "${@:2}"; }
run box sh -c 'echo $$; id -u'
is "attack: a container has its own processes and root" "1 0" "${out//$'\n'/ }" || echo "# $err"
cannot_in_box "mount a file system of pinned maps" mount -t bpf none /mnt
cannot_in_box "list the BPF maps" bpftool map show
cannot_in_box "signal the agent" kill -9 "$agent_pid"
cannot_in_box "change KSM" sh -c "echo 2 > $KSM/run"

# ---- names of others, in its own part of the tree
# shellcheck disable=SC2016 # the inner shell's
in_box bash -c '
	cd /sys/fs/cgroup || exit
	mkdir "machine-qemu\\x2d1\\x2ddb.scope" machine.slice "machine.slice/machine-qemu\\x2d2\\x2ddb.scope" witness ours ours/c
	for ((i = 0; i < 300; i++)); do mkdir "box-$i"; done
	"$0" 512 100 8 0 -name db &
	echo $! > "machine.slice/machine-qemu\\x2d2\\x2ddb.scope/cgroup.procs"
	"$0" 512 100 8 0 -name witness &
	echo $! > ours/c/cgroup.procs
	echo ready
	wait' "$T/qemu-system-x86_64" > "$T/box" 2>&1 &
pid[box]=$!
ok "attack: the root of a container makes 300 cgroups" until_ok 60 grep -q "^ready$" "$T/box"
process_in() { head -n 1 "$CG/box/$1/cgroup.procs" 2> /dev/null; }
has_process() { [ -n "$(process_in "$1")" ]; }
scope='machine.slice/machine-qemu\x2d2\x2ddb.scope'
ok "attack: a container has a cgroup with the name of a VM's" has_process "$scope"
ok "attack: a container's process with a VMM's name is seen" until_ok 20 is_seen "$(process_in "$scope")"
ok "attack: rounds go on beside a container that has names of others" await_rounds
is "attack: cgroups of a container own nothing of a domain by their names" "" \
	"$(ctl --json dedup show | jq -r '.[0].owners[].owner' | grep -vE '^/ours/(a|b)$')"
for cgroup in "$scope" ours/c; do
	is "attack: a process in the container's $cgroup is merged with nobody" 0 "$(merged "$(process_in "$cgroup")")"
done
is "attack: only the two containers in policy have a part of the cache" "/box /witness" \
	"$(metrics | sed -n 's/^nestor_cache_entitlement_pages{.*container="\([^"]*\)".*/\1/p' | grep -v '^~' | sort -u | xargs)"
end_of_attackers box
find $CG/box -mindepth 1 -depth -type d -exec rmdir {} +

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 15, lane: machine
# VMs: real QEMU processes are seen as they come and go, with their names and taps; what a guest reads is its VM's,
# whichever way QEMU does it. tests/who/vms_vhost.sh has vhost and macvtap.
. "$(dirname "$0")/../harness/lib.sh"

qemu="qemu-system-x86_64"
tap=nvt$$
vms=$ROOT/build/tests/tools/vms

run_qemu() { # run_qemu OPTION…: a machine that stands still; its pid is in $vm
	"$qemu" -S -display none -machine q35 -accel tcg -m 64 -nodefaults "$@" 2> "$T/qemu.err" &
	vm=$!
	defer kill -KILL $vm
}
end_qemu() {
	kill "$1"
	wait "$1" 2> /dev/null
}
has_vm() { [ "$(metric "nestor_vm_info{vm=\"$1\",vmm=\"qemu\",pid=\"$2\"}")" = 1 ]; }
has_no_vm() { [ -z "$(metric "nestor_vm_info{pid=\"$1\"}")" ]; }
taps_of() { curl -s "$URL/api/v1/vms" | jq -r ".[] | select(.pid == $1) | .taps | join(\" \")"; }
has_taps() { [ "$(taps_of "$1")" = "$2" ]; }
new_tap() { # new_tap NAME
	ip tuntap add dev "$1" mode tap
	defer ip link del "$1"
	ip link set "$1" up
}
netdev() { echo "tap,id=$1,ifname=$2,script=no,downscript=no"; }

# ---- one that is there before the agent
run_qemu -name old
until_ok 5 test -e /proc/$vm/exe
agent_start
old=$vm
ok "VMs: a VM older than the agent is found" until_ok 2 has_vm old "$old"

# ---- birth, name, taps, death
new_tap "$tap"
run_qemu -name guest=we,,b,debug-threads=on -netdev "$(netdev n "$tap")" -device virtio-net-pci,netdev=n
web=$vm
ok "VMs: a new VM is found with its name" until_ok 2 has_vm we,b "$web"
ok "VMs: a VM's tap is found" until_ok 5 has_taps "$web" "$tap"
is "VMs: a VM's tap is no other VM's" "" "$(taps_of "$old")"
is "VMs: nestorctl vms has name, VMM, process and tap" "we,b qemu $web $tap" "$(ctl vms | awk -v pid="$web" '$3 == pid { print $1, $2, $3, $4 }')"
is "VMs: one look finds the index of a VM's tap" "$(cat "/sys/class/net/$tap/ifindex")" \
	"$("$vms" | sed -n "s/^we,b qemu $web .* taps: \([0-9 ]*\) helpers:.*/\1/p")"

run_qemu -name we,,b
second=$vm
ok "VMs: a second VM of the same name has its process id as suffix" until_ok 2 has_vm "we,b:$second" "$second"
end_qemu "$second"
ok "VMs: a killed VM is removed" until_ok 2 has_no_vm "$second"
ok "VMs: the first VM of a name stays after the second was killed" has_vm we,b "$web"

run_qemu
ok "VMs: a VM without a name is named by VMM and process id" until_ok 2 has_vm "qemu-$vm" "$vm"
end_qemu "$vm"

# ---- another program's arguments are no VM; nor is what a VMM runs
bash -c 'exec -a qemu-system-x86_64 tail -f -- /dev/null' &
fake=$!
defer kill -KILL $fake
printf '#!/bin/sh\nexec tail -f /dev/null\n' > "$T/ifup"
chmod +x "$T/ifup"
new_tap "${tap}u"
run_qemu -name up -netdev "tap,id=n,ifname=${tap}u,script=$T/ifup,downscript=no"
runs_script() { script=$(pgrep -P "$vm" tail); }
ok "(VMs: a VMM waits for its script)" until_ok 5 runs_script
ok "VMs: a VMM that waits for its script is a VM" has_vm up "$vm"
ok "VMs: a VMM's script is no VM" has_no_vm "$script"
ok "VMs: a program that sets a VMM's name is no VM" has_no_vm "$fake"
kill "$script" "$vm" "$fake"
wait "$vm" "$fake" 2> /dev/null

# ---- a daemon: QEMU forks twice, and the first process waits for the last
"$qemu" -S -display none -machine q35 -accel tcg -m 64 -nodefaults -name daemon -daemonize -pidfile "$T/pid"
daemon=$(cat "$T/pid")
defer kill -KILL "$daemon"
ok "VMs: a VM that became a daemon is found" until_ok 10 has_vm daemon "$daemon"
kill "$daemon"
ok "VMs: a killed daemon is removed" until_ok 3 has_no_vm "$daemon"

# ---- one whose first processes stay zombies, as nobody waits for them; and one that was up before the agent could look
daemonize() { # daemonize NAME: its pid is in $daemon when its first process has ended
	coproc NOREAP { exec "$ROOT/build/tests/tools/noreap" "$qemu" -S -display none -machine q35 -accel tcg -m 64 -nodefaults \
		-name "$1" -daemonize -pidfile "$T/pid"; }
	noreap=$NOREAP_PID
	defer kill -KILL "$noreap"
	read -rt 60 <&"${NOREAP[0]}"
	daemon=$(cat "$T/pid")
	defer kill -KILL "$daemon"
}
end_daemon() {
	kill "$daemon" "$noreap"
	wait "$noreap" 2> /dev/null
}
daemonize unreaped
ok "VMs: a daemon whose parents are zombies is found" until_ok 3 has_vm unreaped "$daemon"
end_daemon

# As from a script in the background of a shell that ended, or from another PID namespace: the session has no leader.
cat > "$T/leaderless" <<'END'
leader=$$
(
	until ! grep -qs '^State:[^ZX]*$' /proc/$leader/status; do :; done
	exec "$@"
) &
END
setsid -w bash "$T/leaderless" "$qemu" -S -display none -machine q35 -accel tcg -m 64 -nodefaults -name leaderless \
	-daemonize -pidfile "$T/leaderless.pid"
ok "(VMs: a daemon is started from a session without leader)" until_ok 10 test -s "$T/leaderless.pid"
daemon=$(cat "$T/leaderless.pid")
defer kill -KILL "$daemon"
ok "VMs: a daemon from a session without leader is found" until_ok 10 has_vm leaderless "$daemon"
is "VMs: a daemon from a session without leader is one VM" 1 "$(metric 'nestor_vm_info{vm="leaderless"}')"
kill "$daemon"
kill -STOP "$agent_pid"
daemonize quick
kill -CONT "$agent_pid"
ok "VMs: a daemon whose parents have ended is found" until_ok 3 has_vm quick "$daemon"
end_daemon

# ---- a tap that comes later
new_tap "${tap}b"
mkfifo "$T/monitor"
exec 9<> "$T/monitor"
"$qemu" -S -display none -machine q35 -accel tcg -m 64 -nodefaults -name late -monitor stdio < "$T/monitor" > /dev/null 2>&1 &
late=$!
defer kill -KILL $late
ok "VMs: a VM without a tap is found" until_ok 3 has_vm late "$late"
is "VMs: a VM without a tap has none" "" "$(taps_of "$late")"
echo "netdev_add $(netdev hot "${tap}b")" >&9
ok "VMs: a tap that is plugged in is found" until_ok 3 has_taps "$late" "${tap}b"
echo "netdev_del hot" >&9
ok "VMs: a tap that is unplugged is removed" until_ok 3 has_taps "$late" ""
end_qemu $late

# ---- of another network namespace a name says nothing
new_tap "${tap}c"
unshare -n bash -c "ip tuntap add dev ${tap}c mode tap && exec $qemu -S -display none -machine q35 -accel tcg -m 64 \
	-nodefaults -name away -netdev $(netdev n "${tap}c")" 2> /dev/null &
away=$!
defer kill -KILL $away
ok "VMs: a VM in another network namespace is found" until_ok 3 has_vm away "$away"
opened() { grep -qs iff: /proc/$away/fdinfo/*; }
ok "(VMs: a VM in another network namespace has opened a tap)" until_ok 5 opened
is "VMs: a VM in another network namespace has no tap of the host with the same name" "" "$("$vms" | sed -n "s/^away .* taps:\(.*\) helpers:.*/\1/p")"
end_qemu $away

# ---- what looking takes
capabilities() { # capabilities LIST: what vms tells with them of the VM that has a tap
	setpriv --inh-caps=-all --bounding-set="-all,$1" "$vms" | sed -n "s/^\(we,b\) qemu $web .* taps:\(.*\) helpers:.*/\1\2/p"
}
service=$(sed -n 's/^CapabilityBoundingSet=//p' "$ROOT/agent/systemd/nestord.service" | tr ' ' '\n' | sed 's/^CAP_/+/' |
	tr '[:upper:]\n' '[:lower:],')
is "VMs: a VM's tap is found with the unit's capabilities" "we,b $(cat "/sys/class/net/$tap/ifindex")" "$(capabilities "${service%,}")"
is "VMs: without CAP_SYS_PTRACE a VM has a name, and no tap" "we,b" "$(capabilities "$(sed 's/+sys_ptrace,//; s/,$//' <<< "$service")")"
end_qemu "$web"
end_qemu "$old"
ok "VMs: the first of two ended VMs is removed" until_ok 3 has_no_vm "$web"
ok "VMs: the second of two ended VMs is removed" until_ok 3 has_no_vm "$old"

# ---- a guest that reads: four disks, four ways of QEMU, one boot
# shellcheck source=tests/vm/lib.sh
make_guest() { # make_guest INIT: $T/kernel and $T/initramfs, which runs INIT
	local dir release
	dir=$("$ROOT/tests/vm/kernel" 6.12) || return 1
	release=$(cat "$dir/release")
	ln -s "$dir/vmlinuz" "$T/kernel"
	(
		set -e
		# shellcheck source=tests/vm/lib.sh
		. "$ROOT/tests/vm/lib.sh"
		# shellcheck source=tests/vm/initramfs.sh
		. "$ROOT/tests/vm/initramfs.sh"
		tree_new "$T/tree"
		: > "$T/tree/vm/modules"
		for module in virtio_pci virtio_blk; do tree_module "$T/tree" "$dir" "$release" $module yes; done
		install -m 755 "$1" "$T/tree/init"
		tree_pack "$T/tree" "$dir" "$release" "$T/initramfs"
	)
}

cat > "$T/init" <<'END'
#!/bin/busybox sh
export PATH=/usr/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while read -r path params; do insmod "$path"; done < /vm/modules
for disk in vda vdb vdc vdd; do
	until [ -b /dev/$disk ]; do :; done
	dd if=/dev/$disk of=/dev/null bs=64k iflag=direct 2> /dev/null
	dd if=/dev/zero of=/dev/$disk bs=64k count=17 oflag=direct 2> /dev/null
done
for disk in vda vdb vdc vdd; do echo "guest $disk $(cat /sys/block/$disk/stat)" > /dev/console; done
poweroff -f
END
make_guest "$T/init" || ok "(VMs: a guest is made)" false

new_loop() { # new_loop MIB: prints /dev/loopN of a file of its own
	local file
	file=$(mktemp "$T/disk.XXXXXX")
	truncate -s "$1M" "$file"
	losetup --find --show "$file"
}
ways=("aio=threads,cache=none" "aio=native,cache=none" "aio=io_uring,cache=none" "aio=threads,cache=none")
names=("threads" "native" "io_uring" "an iothread")
loops=() drives=()
for i in 0 1 2 3; do
	loops[i]=$(new_loop $((3 + i)))
	defer losetup -d "${loops[i]}"
	drives+=(-drive "if=none,id=d$i,format=raw,file=${loops[i]},${ways[i]}"
		-device "virtio-blk-pci,drive=d$i$([ $i != 3 ] || echo ,iothread=io)")
done
device_bytes() { awk -v f="$1" '{ printf "%.0f\n", $f * 512 }' "/sys/block/${loops[$2]#/dev/}/stat"; } # 3: read, 7: written
ours() { metric "nestor_blkio_bytes_total{device=\"${loops[$2]#/dev/}\",op=\"$1\",vm=\"$3\"$4}"; }
of_containers() { metrics | grep -c "^nestor_blkio_ios_total{device=\"${loops[$1]#/dev/}\",op=\"\(read\|write\)\",vm=\"\""; }
for i in 0 1 2 3; do read0[i]=$(device_bytes 3 $i) write0[i]=$(device_bytes 7 $i); done

"$qemu" -display none -machine q35 -accel tcg -cpu max -m 512 -nodefaults -name worker -no-reboot -object iothread,id=io \
	-kernel "$T/kernel" -initrd "$T/initramfs" -append "console=ttyS0 quiet panic=-1" -serial "file:$T/console" \
	"${drives[@]}" > "$T/qemu.out" 2>&1 &
worker=$!
defer kill -KILL $worker
ok "VMs: a VM with four disks is found" until_ok 3 has_vm worker $worker
wait $worker
is "(VMs: the VM with four disks exits with 0)" 0 $? || sed 's/^/# /' "$T/qemu.out"
# A completion that the kernel did not tell of (nestord.8, events lost) may have been of 64 KiB.
lost=$(($(metric 'nestor_events_lost_total{room="blkio",reason="completion"}') * 65536))
for i in 0 1 2 3; do
	read -r guest_read guest_written < <(awk -v disk="vd$(printf %d $i | tr 0-3 a-d)" \
		'$1 == "guest" && $2 == disk { print $5 * 512, $9 * 512 }' "$T/console")
	read_all=$(($(device_bytes 3 $i) - read0[i])) written_all=$(($(device_bytes 7 $i) - write0[i]))
	within "(VMs: the guest reads its disk, ${names[i]})" $(((3 + i) << 20)) "$guest_read" $(((4 + i) << 20))
	within "VMs: all reads of a guest's disk count for the VM, ${names[i]}" $((read_all - lost)) "$(ours read $i worker '')" $read_all
	within "VMs: bytes read are the guest's own count, ${names[i]}" $((guest_read - lost)) "$(ours read $i worker ',container=""')" \
		$((guest_read + 65536)) # QEMU reads a little at its start
	within "VMs: all writes to a guest's disk count for the VM, ${names[i]}" $((written_all - lost)) "$(ours write $i worker '')" $written_all
	within "VMs: bytes written are the guest's own count, ${names[i]}" $((guest_written - lost)) "$(ours write $i worker ',container=""')" \
		"$guest_written"
	is "VMs: no container has a guest's I/O, ${names[i]}" 0 "$(of_containers $i)"
done
written=$(ours write 0 worker '')
within "VMs: the VM's histogram has its guest's reads" 100 "$(metric 'nestor_blkio_latency_seconds_count{vm="worker",container="",op="read"}')" 100000
ok "VMs: a VM that was shut down is removed" until_ok 3 has_no_vm $worker
is "VMs: the counts of a VM that was shut down stay" "$written" "$(ours write 0 worker '')"

# ---- a cgroup with a VM and nothing else is that VM: what is charged to it, and no thread of the VM does
cg=/sys/fs/cgroup
[ -e $cg/cgroup.controllers ] || cg=$cg/memory
mkdir "$cg/nestor-alone-$ID"
defer rmdir "$cg/nestor-alone-$ID"
bash -c "echo \$\$ > $cg/nestor-alone-$ID/cgroup.procs; exec $qemu -S -display none -machine q35 -accel tcg -m 64 -nodefaults \
	-name alone -drive if=none,id=d,format=raw,file=${loops[0]},cache=writeback -device virtio-blk-pci,drive=d" 2> /dev/null &
alone=$!
defer kill -KILL $alone
ok "VMs: a VM alone in its cgroup is found" until_ok 3 has_vm alone $alone
evictions() { metric "nestor_pcache_evictions_total{$1}"; }
evicted() { # the pages that QEMU read at its start
	blockdev --flushbufs "${loops[0]}"
	[ "$(evictions 'vm="alone"')" -ge 1 ]
}
ok "VMs: pages of a VM alone in its cgroup count for it when another process drops them" until_ok 5 evicted
is "VMs: pages of a VM alone in its cgroup do not count for its cgroup" "" "$(evictions "container=\"/nestor-alone-$ID\"")"
end_qemu $alone

done_testing

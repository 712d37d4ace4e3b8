#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM (cgroup v2): what tests/who/vms.sh cannot show on the machine that runs the tests, which starts this. A QEMU
# in a cgroup like libvirt's, with vhost, a tap of many queues and a macvtap. It runs no guest: its monitor can do I/O.
. "$(dirname "$0")/../harness/lib.sh"

scope='machine.slice/machine-qemu\x2d3\x2dweb.scope'
cgroup=/sys/fs/cgroup/$scope/libvirt/emulator
vms=$ROOT/build/tests/tools/vms
mkdir -p "$cgroup"

ip tuntap add dev tap0 mode tap multi_queue
ip link set tap0 up
ip link add v0 type veth peer name v1
ip link add link v0 name macvtap0 type macvtap
index() { cat "/sys/class/net/$1/ifindex"; }
macvtap=/dev/tap$(index macvtap0)

mkfifo "$T/monitor"
exec 9<> "$T/monitor"
start_qemu() {
	echo $BASHPID > "$cgroup/cgroup.procs"
	exec 8<> "$macvtap"
	exec qemu-system-x86_64 -S -display none -machine q35 -accel tcg -m 64 -nodefaults -monitor stdio \
		-netdev tap,id=n,ifname=tap0,script=no,downscript=no,queues=2,vhost=on \
		-device virtio-net-pci,netdev=n,mq=on,vectors=6,romfile= \
		-netdev tap,id=m,fd=8 -device virtio-net-pci,netdev=m,romfile= \
		-blockdev host_device,node-name=threads,filename=/dev/nullb0,aio=threads,cache.direct=on \
		-blockdev host_device,node-name=native,filename=/dev/nullb1,aio=native,cache.direct=on \
		-blockdev host_device,node-name=io_uring,filename=/dev/nullb2,aio=io_uring,cache.direct=on < "$T/monitor"
}
of_kernel() { awk -v f="$2" '{ printf "%.0f\n", $f * 512 }' "/sys/block/$1/stat"; } # 3: read, 7: written
for i in 0 1 2; do earlier[i]=$(of_kernel nullb$i 3); done # the kernel's look for partitions
agent_start || until_ok 60 agent_is_up # the machine may be busy
start_qemu > "$T/qemu" 2>&1 &
vm=$!
defer kill -KILL $vm

line() { "$vms" | grep "^web qemu $vm "; }
ready() { line | grep -q 'taps: [0-9][0-9]* [0-9]'; }
ok "VMs: a VM without a name has its machine scope's, and two taps" until_ok 60 ready || sed 's/^/# /' "$T/qemu"
is "VMs: a libvirt VM's cgroup is its scope" "/$scope" "$(line | cut -d' ' -f4)"
is "VMs: a tap of two queues and a macvtap are a VM's taps" "$(printf '%s\n' "$(index tap0)" "$(index macvtap0)" | sort -n | xargs)" \
	"$(line | sed 's/.* taps: \(.*\) helpers:.*/\1/')"
seen() { [ "$(metric "nestor_vm_info{vm=\"web\",vmm=\"qemu\",pid=\"$vm\"}")" = 1 ]; }
ok "VMs: the agent has a VM that was there before" until_ok 5 seen

# ---- vhost: kernel threads in 6.1, threads of QEMU in later kernels
helpers=$(line | sed 's/.* helpers:\(.*\)/\1/')
own=$(cat /proc/$vm/task/*/comm | grep -c "^vhost-$vm\$")
echo "# helpers:$helpers; threads of its own: $own"
is "VMs: a vhost worker of each queue is a helper or a thread of QEMU" 2 $(($(wc -w <<< "$helpers") + own))
[ "$KERNEL" != 6.1 ] || is "VMs: with Linux 6.1 vhost workers are helpers" 0 "$own"
vm_value() { bpftool -j map dump name who_vms | jq ".[].formatted | select(.key == $1) | .value"; }
is_known() { [ "$(vm_value "$1")" = "$(vm_value $vm)" ]; }
for tid in $helpers; do
	is "VMs: helper $tid is the VM's vhost thread" "vhost-$vm" "$(cat "/proc/$tid/comm")"
	ok "VMs: BPF charges helper $tid to the VM" until_ok 5 is_known "$tid"
done

# ---- I/O
bytes() { metric "nestor_blkio_bytes_total{device=\"$1\",op=\"$2\",vm=\"web\",container=\"\"}"; }
has_written() { [ "$(of_kernel "$1" 7)" = $((64 << 10)) ]; }
ways=(threads native io_uring)
for i in 0 1 2; do
	disk=nullb$i way=${ways[i]}
	before=$(bytes $disk read)
	echo "qemu-io $way \"read 0 1M\"" >&9
	echo "qemu-io $way \"write 0 64k\"" >&9
	ok "(VMs: QEMU writes, $way)" until_ok 20 has_written $disk
	is "VMs: 1 MiB that QEMU reads counts for the VM, $way" $((1 << 20)) $(($(bytes $disk read) - ${before:-0}))
	is "VMs: all that QEMU read before counts for the VM, $way" $(($(of_kernel $disk 3) - earlier[i])) "$(bytes $disk read)"
	is "VMs: all that QEMU writes counts for the VM, $way" $((64 << 10)) "$(bytes $disk write)"
	is "VMs: no container has QEMU's I/O, $way" "" "$(metric "nestor_blkio_ios_total{device=\"$disk\",vm=\"\"}")"
done

kill $vm
gone() { ! seen; }
ok "VMs: a killed VM is removed" until_ok 5 gone
is "VMs: the counts of a killed VM stay" $((64 << 10)) "$(bytes nullb0 write)"
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 40, lane: vm
# VMs with vhost and macvtap, in a VM of Linux 6.1, where vhost workers are kernel threads; with VMS_KERNELS="6.1 6.12 sid" on
# those too.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

run_vm() { # run_vm KERNEL: a QEMU in a VM
	tests/vm/run "$1" --timeout 600 --tool bash --tool awk --tool jq --tool ip --tool bpftool --tool qemu-system-x86_64 \
		--add /usr/share/seabios --add /usr/share/qemu/kvmvapic.bin \
		--add build/nestord --add build/nestorctl --add build/tests/tools/vms --add tests/harness/lib.sh \
		--add tests/who/vms.guest.sh --module tun --module vhost_net --module macvtap --module veth \
		--module "null_blk:nr_devices=3 gb=1" -- tests/who/vms.guest.sh
	echo $? > "$T/status"
}
for kernel in ${VMS_KERNELS:-6.1}; do
	subtests "$kernel" run_vm "$kernel"
	is "$kernel: the VM ends with status 0 and no kernel warning" 0 "$(cat "$T/status")"
done
done_testing

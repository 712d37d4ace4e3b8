#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 60, lane: vm
# Merging on another kernel than the running one, Debian's 6.12, in a VM. KERNELS: on these, two VMs at a time;
# tests/dedup/kernels_long.sh has all.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

run_vm() { # run_vm KERNEL: $T/KERNEL, its tests' output; and in $T/KERNEL.status how it ended
	tests/vm/run "$1" --timeout 900 --tool bash --tool awk --tool jq --add build/nestord --add build/nestorctl \
		--add build/tests/tools/dups --add build/tests/tools/outsider --add tests/harness/lib.sh --add tests/dedup/lib.sh --add tests/dedup/merge.guest.sh \
		-- tests/dedup/merge.guest.sh > "$T/$1" 2>&1
	echo $? > "$T/$1.status"
}

for kernel in ${KERNELS:-6.12}; do
	[ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n # two at a time
	run_vm "$kernel" &
done
wait
for kernel in ${KERNELS:-6.12}; do
	subtests "$kernel" cat "$T/$kernel"
	is "$kernel: the VM ends well, without a warning of its kernel" 0 "$(cat "$T/$kernel.status")"
done
done_testing

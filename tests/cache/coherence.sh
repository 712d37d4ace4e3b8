#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 240, lane: vm
# The second-level cache on real file systems, in a VM with Debian's kernel 6.12. KERNELS: in one VM after another;
# MODULE: another module; SEED, OPERATIONS and STAGES go into the VM. tests/cache/coherence_long.sh makes 10^5 operations.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

run_vm() { # run_vm KERNEL MODULE
	local cached name modules=(--module dm-mod --module null_blk:nr_devices=0 --module ext4 --module xfs --module btrfs)
	cached=$(tests/vm/kernel "$1")
	for name in dm-crypt xts cts; do
		[ -z "$(find "$cached/lib" -name "$name.ko*")" ] || modules+=(--module "$name")
	done
	tests/vm/run "$1" --mem "${MEM:-1024}" --timeout "${TIMEOUT:-3000}" --disk 400 --disk 64 --disk 32 \
		--tool bash --tool awk --tool dmsetup --tool blockdev --tool mkfs.ext4 --tool mkfs.xfs --tool mkfs.btrfs \
		--tool btrfs --tool xfs_io \
		--add build/nestord --add build/nestorctl --add build/tests/tools/fsfuzz --add build/tests/tools/misuse \
		--add build/tests/cache/programs --add "$2:/nestor.ko" \
		--add tests/harness/lib.sh --add tests/cache/coherence.guest.sh \
		"${modules[@]}" \
		-- bash -c "AGENT_SECONDS=300 SEED=${SEED:-1} OPERATIONS=${OPERATIONS:-12000} STAGES='${STAGES:-}' tests/cache/coherence.guest.sh"
	echo $? > "$T/status"
}

on_kernel() { # on_kernel KERNEL
	local module=${MODULE:-}
	if [ -z "$module" ] && ! module=$(tests/vm/module "$1" 2> "$T/why"); then
		ok "cache: the module builds for $1" false
		sed 's/^/# /' "$T/why"
		return
	fi
	subtests "$1" run_vm "$1" "$module"
	is "cache: $1: the VM ends well, without a warning of its kernel" 0 "$(cat "$T/status")"
}

for kernel in ${KERNELS:-${KERNEL:-6.12}}; do on_kernel "$kernel"; done
done_testing

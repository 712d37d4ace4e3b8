#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 600, lane: vm
# The second-level cache on real file systems, in VMs with Debian's kernels: 10^5 operations in all. KERNEL=debug has it on
# that one alone, with MODULE it is another module; SEED, OPERATIONS and STAGES go into the VM.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

run_vm() { # run_vm KERNEL MODULE OPERATIONS
	local cached name modules=(--module dm-mod --module null_blk:nr_devices=0 --module ext4 --module xfs --module btrfs)
	cached=$(tests/vm/kernel "$1")
	for name in dm-crypt xts cts; do
		[ -z "$(find "$cached/lib" -name "$name.ko*")" ] || modules+=(--module "$name")
	done
	tests/vm/run "$1" --mem "${MEM:-1024}" --timeout "${TIMEOUT:-500}" --disk 400 --disk 64 \
		--tool bash --tool awk --tool dmsetup --tool blockdev --tool mkfs.ext4 --tool mkfs.xfs --tool mkfs.btrfs \
		--tool btrfs --tool xfs_io \
		--add build/nestord --add build/nestorctl --add build/tests/tools/fsfuzz --add build/tests/tools/misuse \
		--add build/tests/cache/programs --add "$2:/nestor.ko" \
		--add tests/harness/lib.sh --add tests/cache/coherence.guest.sh \
		"${modules[@]}" \
		-- bash -c "AGENT_SECONDS=60 SEED=${SEED:-1} OPERATIONS=$3 STAGES='${STAGES:-}' tests/cache/coherence.guest.sh"
	echo $? > "$T/status"
}

on_kernel() { # on_kernel KERNEL OPERATIONS
	local module=${MODULE:-}
	if [ -z "$module" ] && ! module=$(tests/vm/module "$1" 2> "$T/why"); then
		ok "the module builds for $1" false
		sed 's/^/# /' "$T/why"
		return
	fi
	subtests "$1" run_vm "$1" "$module" "${OPERATIONS:-$2}"
	is "$1: the VM ended well, without a warning of its kernel" 0 "$(cat "$T/status")"
}

if [ -n "${KERNEL:-}" ]; then
	on_kernel "$KERNEL" 115000
else
	on_kernel 6.12 86000
	on_kernel sid 15000
fi
done_testing

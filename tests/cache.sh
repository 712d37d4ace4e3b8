#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 420
# The second-level cache on real file systems, in a VM with Debian's 6.12 kernel. KERNEL=debug has it on that one, with
# MODULE it is another module; SEED and OPERATIONS go into the VM.
. "$(dirname "$0")/lib.sh"
cd "$ROOT" || exit 1
kernel=${KERNEL:-6.12}

module=${MODULE:-}
if [ -z "$module" ] && ! module=$(tests/vm/module "$kernel" 2> "$T/why"); then
	ok "the module builds for $kernel" false
	sed 's/^/# /' "$T/why"
	done_testing
fi
modules=(--module dm-mod --module ext4 --module xfs --module btrfs)
cached=$(tests/vm/kernel "$kernel")
for name in dm-crypt xts; do
	[ -z "$(find "$cached/lib" -name "$name.ko*")" ] || modules+=(--module "$name")
done
run_vm() {
	tests/vm/run "$kernel" --mem "${MEM:-1024}" --timeout "${TIMEOUT:-400}" --disk 400 --disk 64 \
		--tool bash --tool awk --tool dmsetup --tool blockdev --tool mkfs.ext4 --tool mkfs.xfs --tool mkfs.btrfs \
		--add build/nestord --add build/nestorctl --add build/tests/tools/fsfuzz --add build/tests/tools/misuse \
		--add build/tests/bpf/misuse.bpf.o --add "$module:/nestor.ko" \
		--add tests/lib.sh --add tests/vm/cache.sh \
		"${modules[@]}" \
		-- bash -c "AGENT_SECONDS=60 SEED=${SEED:-1} OPERATIONS=${OPERATIONS:-115000} tests/vm/cache.sh"
	echo $? > "$T/status"
}
subtests "$kernel" run_vm
is "the VM ended well, without a warning of its kernel" 0 "$(cat "$T/status")"
done_testing

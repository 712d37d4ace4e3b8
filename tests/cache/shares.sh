#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 130, lane: vm
# Who has how much of the second-level cache, in a VM with Debian's 6.12 kernel.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

module=$(tests/vm/module 6.12 2> "$T/why") || { ok "cache: the module builds for 6.12" false; sed 's/^/# /' "$T/why"; done_testing; }
run_vm() {
	tests/vm/run 6.12 --timeout "${TIMEOUT:-180}" --disk 200 --disk 200 \
		--tool bash --tool awk --tool dmsetup --tool mkfs.ext4 --tool fincore \
		--add build/nestord --add build/nestorctl --add "$module:/nestor.ko" --add tests/harness/lib.sh --add tests/cache/shares.guest.sh \
		--module dm-mod --module ext4 -- bash -c "AGENT_SECONDS=60 tests/cache/shares.guest.sh"
	echo $? > "$T/status"
}
subtests 6.12 run_vm
is "cache: the VM ends well, without a warning of its kernel" 0 "$(cat "$T/status")"
done_testing

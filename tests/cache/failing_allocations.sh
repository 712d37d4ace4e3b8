#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 200, lane: vm
# Failing allocations in the module, one of STEP, and CYCLES of its removal under traffic, in a VM with the debug kernel; without
# that kernel (make debug-kernel) they are skipped. tests/cache/failing_allocations_long.sh has every allocation fail.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

if ! tests/vm/kernel debug > /dev/null 2> "$T/why"; then
	skip "failing allocations" "$(cat "$T/why")"
	done_testing
fi
module=$(tests/vm/module debug 2> "$T/why") || { ok "cache: the module builds for the debug kernel" false; sed 's/^/# /' "$T/why"; done_testing; }
run_vm() {
	tests/vm/run debug --mem 2560 --timeout "${TIMEOUT:-3000}" --disk 100 --disk 48 \
		--tool bash --tool awk --tool dmsetup --tool blockdev --tool mkfs.ext4 \
		--add build/nestord --add build/nestorctl --add build/tests/tools/faults \
		--add "$module:/nestor.ko" --add tests/harness/lib.sh --add tests/cache/failing_allocations.guest.sh \
		--module dm-mod --module ext4 \
		-- bash -c "AGENT_SECONDS=300 STEP=${STEP:-13} CYCLES=${CYCLES:-1} tests/cache/failing_allocations.guest.sh"
	echo $? > "$T/status"
}
subtests debug run_vm
is "cache: the VM ends well, without a warning of its kernel" 0 "$(cat "$T/status")"
done_testing

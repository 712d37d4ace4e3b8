#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 90, lane: vm
# Power cuts under the second-level cache, in a VM with Debian's 6.12 kernel; POINTS of them, beside each of which one more is
# that loses what no flush came after.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

module=$(tests/vm/module 6.12 2> "$T/why") || { ok "cache: the module builds for 6.12" false; sed 's/^/# /' "$T/why"; done_testing; }
run_vm() {
	tests/vm/run 6.12 --timeout "${TIMEOUT:-90}" --disk 48 --disk 1500 --disk 48 \
		--tool bash --tool awk --tool dmsetup --tool blockdev --tool mkfs.ext4 --tool e2fsck --tool seq \
		--add build/nestord --add build/nestorctl --add build/tests/tools/durable --add build/tests/tools/logreplay \
		--add "$module:/nestor.ko" --add tests/harness/lib.sh --add tests/cache/power_cuts.guest.sh \
		--module dm-mod --module dm-log-writes --module dm-snapshot --module ext4 --module "brd:rd_nr=1 rd_size=49152" \
		-- bash -c "POINTS=${POINTS:-25} VERSIONS=${VERSIONS:-150} tests/cache/power_cuts.guest.sh"
	echo $? > "$T/status"
}
subtests 6.12 run_vm
is "cache: the VM ends well, without a warning of its kernel" 0 "$(cat "$T/status")"
done_testing

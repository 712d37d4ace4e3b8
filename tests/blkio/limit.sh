#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 140, lane: vm
# Limits, weights and latency targets of block I/O, in a VM with Debian's 6.12 kernel and cgroup v2.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

run_vm() {
	tests/vm/run 6.12 --icount --timeout 900 --tool bash --tool awk --tool jq --tool modprobe \
		--add build/nestord --add build/nestorctl --add build/tests/tools/ioload \
		--add tests/harness/lib.sh --add tests/blkio/limit.guest.sh \
		--module null_blk:nr_devices=0 --module bfq:noload \
		-- tests/blkio/limit.guest.sh
	echo $? > "$T/status"
}
subtests 6.12 run_vm
is "blkio: the VM ends with status 0 and no kernel warning" 0 "$(cat "$T/status")"
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 30, lane: vm
# For how long threads are stopped while calls are put into them, in a VM whose clock counts instructions: the machine's load
# does not matter. One processor, so that emulated ones do not wait for each other.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

run_vm() {
	tests/vm/run 6.12 --icount --cpus 1 --add build/tests/dedup/inject -- build/tests/dedup/inject stops
	echo $? > "$T/status"
}
subtests "dedup" run_vm
is "dedup: the VM ends well, without a warning of its kernel" 0 "$(cat "$T/status")"
done_testing

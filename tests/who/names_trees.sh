#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 140, lane: vm
# Names of containers by the trees of cgroups that runtimes make, in VMs of Linux 6.1 whose memory controller is of version 1,
# with cgroups v1 and hybrid, and what the agent says of all that does not work there.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

run_vm() { # run_vm MODE
	tests/vm/run 6.1 --icount --cgroups "$1" --timeout 600 --tool bash --tool losetup --tool awk --tool unshare \
		--add build/nestord --add build/nestorctl --add build/tests/tools/directio \
		--add tests/harness/lib.sh --add tests/who/names.sh --module loop -- tests/who/names.sh "$1"
	echo $? > "$T/status"
}
for mode in v1 hybrid; do
	subtests "cgroup $mode" run_vm $mode
	is "cgroup $mode: the VM ends with status 0 and no kernel warning" 0 "$(cat "$T/status")"
done
done_testing

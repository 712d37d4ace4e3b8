#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 150, lane: vm
# Names of real containers (podman, runc, crun), and of cgroup trees as other runtimes make them, on cgroup v2, in a VM.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

run_vm() {
	tests/vm/run "${KERNEL:-6.12}" --icount --timeout 600 --mem 2048 --out "$T/out" \
		--tool bash --tool losetup --tool awk --tool jq --tool podman --tool runc --tool crun \
		--tool unshare --add /usr/bin/conmon --add /lib/systemd/systemd \
		--add build/nestord --add build/nestorctl --add build/tests/tools/directio \
		--add tests/harness/lib.sh --add tests/who/names.sh --module loop --module overlay -- tests/who/names.sh
	echo $? > "$T/status"
}
subtests "cgroup v2" run_vm
is "cgroup v2: the VM ends with status 0 and no kernel warning" 0 "$(cat "$T/status")"
done_testing

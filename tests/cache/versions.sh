#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 110, lane: vm
# Agent and module of different versions, in a VM with Debian's 6.12 kernel: those of this tree, and of revision $OLD, the last
# one before the module told its version. What is built of that is kept in build/versions/.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

OLD=2b45928
old=$ROOT/build/versions/$OLD
if ! git cat-file -e "$OLD^{commit}" 2> /dev/null; then
	skip "cache: agent and module of different versions" "no history here, with revision $OLD in it"
	done_testing
fi
build_old() {
	exec 9> "$ROOT/build/versions/.lock"
	flock 9
	[ ! -e "$old/done" ] || return 0
	rm -rf "$old"
	mkdir "$old" && git archive $OLD | tar -x -C "$old" &&
		make -s -C "$old" -j2 build/nestord build/nestorctl &&
		make -s -C "$(tests/vm/kernel 6.12)/headers" M="$old/kfuncs" NESTOR_VERSION=0.1.0 modules &&
		touch "$old/done"
}
mkdir -p build/versions
module=$(tests/vm/module 6.12 2> "$T/why") || { ok "cache: the module builds for 6.12" false; sed 's/^/# /' "$T/why"; done_testing; }
(build_old) > "$T/why" 2>&1 || { ok "cache: revision $OLD builds" false; sed 's/^/# /' "$T/why"; done_testing; }
run_vm() {
	tests/vm/run 6.12 --timeout "${TIMEOUT:-100}" --disk 48 \
		--tool bash --tool awk --tool dmsetup --tool mkfs.ext4 \
		--add build/nestord --add build/nestorctl --add build/tests/tools/session --add "$module:/nestor.ko" \
		--add "$old/build/nestord:/old/nestord" --add "$old/build/nestorctl:/old/nestorctl" \
		--add "$old/kfuncs/nestor.ko:/old/nestor.ko" --add tests/harness/lib.sh --add tests/cache/versions.guest.sh \
		--module dm-mod --module ext4 -- bash -c "AGENT_SECONDS=60 tests/cache/versions.guest.sh"
	echo $? > "$T/status"
}
subtests 6.12 run_vm
is "cache: the VM ends well, without a warning of its kernel" 0 "$(cat "$T/status")"
done_testing

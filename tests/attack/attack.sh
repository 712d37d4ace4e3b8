#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 260, lane: vm
# Attackers beside an agent with every room at work, in a VM whose clock counts instructions: an unprivileged user, the root of a
# container, a VM's QEMU, and whoever has taken over a process of the agent's own.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

module=$(tests/vm/module 6.12 2> "$T/why") || { ok "attack: the module builds for 6.12" false; sed 's/^/# /' "$T/why"; done_testing; }

# PoCL, and what it links functions with.
libraries=/usr/lib/x86_64-linux-gnu
gcc=$(dirname "$(gcc -print-libgcc-file-name)")
pocl=()
for file in /etc/OpenCL /usr/share/pocl /usr/bin/ld $libraries/{libOpenCL.so.1,libpocl.so*,pocl,crt{i,n}.o,lib{c,m}.so,libc_nonshared.a,libmvec.so.1} \
	$libraries/{libgcc_s.so.1,libcurl.so.4} "$gcc"/{libgcc.a,libgcc_s.so,crtbegin.o,crtbeginS.o,crtendS.o}; do
	[ ! -e "$file" ] || pocl+=(--add "$file")
done

run_vm() {
	# PoCL's drivers need each other.
	LD_LIBRARY_PATH=$libraries/pocl tests/vm/run 6.12 --icount --mem 3000 --timeout "${TIMEOUT:-1200}" --disk 200 --disk 100 \
		--tool bash --tool awk --tool bpftool --tool curl --tool dmsetup --tool jq --tool pgrep --tool mkfs.ext4 --tool setpriv --tool unshare "${pocl[@]}" \
		--add build/nestord --add build/nestorctl --add gpu/functions --add "$module:/nestor.ko" \
		--add build/tests/tools/badvm --add build/tests/tools/directio --add build/tests/tools/dups --add build/tests/tools/poison --add build/tests/tools/takeover \
		--add tests/harness/lib.sh --add tests/attack \
		--module dm-mod --module ext4 --module fuse -- env "ATTACKERS=${ATTACKERS:-}" tests/attack/attack.guest.sh
	echo $? > "$T/status"
}
subtests 6.12 run_vm
is "attack: the VM ends well, without a warning of its kernel" 0 "$(cat "$T/status")"
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 10, lane: free
# The module is not built for a kernel with PREEMPT_RT, neither by make nor by DKMS, and the error says why. The headers are
# those of 6.12, told that they are of such a kernel.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

headers=$(tests/vm/kernel 6.12)/headers
cp -r kfuncs "$T/kfuncs"
make -s -C "$headers" M="$T/kfuncs" CONFIG_PREEMPT_RT=y modules > "$T/made" 2>&1
is "module: make fails for a PREEMPT_RT kernel" 2 $?
like "module: the error for a PREEMPT_RT kernel says why and what to do" \
	'nestor: the module cannot run on a PREEMPT_RT kernel: .* Boot a kernel without PREEMPT_RT' "$(cat "$T/made")"
ok "module: nothing is built for a PREEMPT_RT kernel" [ ! -e "$T/kfuncs/nestor.ko" ]
ok "module: DKMS skips PREEMPT_RT kernels" grep -qx 'BUILD_EXCLUSIVE_CONFIG="!CONFIG_PREEMPT_RT"' kfuncs/dkms.conf
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 190, lane: vm, long: yes
# The harness can fail: bugs that a module plants in the debug kernel, each of which ends the run with its name. Without
# the debug kernel (make debug-kernel) there is nothing to plant them in.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

if ! kernel=$(tests/vm/kernel debug 2> "$T/why"); then
	skip "vm: planted bugs" "$(cat "$T/why")"
	done_testing
fi
cp -r tests/vm/planted "$T/planted"
make -C "$kernel/headers" M="$T/planted" modules > "$T/make" 2>&1
ok "vm: a module builds with the headers of the debug kernel" [ -e "$T/planted/planted.ko" ] || tail -n 20 "$T/make" | sed 's/^/# /'

plant() { # plant BUG TIMEOUT
	tests/vm/run debug --mem 2048 --cpus 1 --timeout "$2" --add "$T/planted/planted.ko:/planted.ko" -- insmod /planted.ko "bug=$1" \
		> "$T/$1" 2>&1
	echo $? > "$T/$1.status"
}
plant warning 120 &
plant kasan 120 &
wait
plant leak 120 &
plant hang 60 &
wait
ends() { # ends BUG STATUS PATTERN
	is "vm: planted $1: status" "$2" "$(cat "$T/$1.status")"
	like "vm: planted $1: the message names the bug" "$3" "$(cat "$T/$1")"
}
ends warning 122 "warned: .*WARNING: .*planted_init"
ends kasan 122 "warned: .*KASAN: slab-out-of-bounds in write_behind"
ends leak 122 "warned: .*unreferenced object"
ends hang 123 "no end after 60 seconds"
done_testing

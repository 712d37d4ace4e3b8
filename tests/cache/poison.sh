#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 80, lane: vm
# A user who may only read a file cannot change what others read of it through the cache. The module is built a second time
# without its guard: then others do read the user's bytes.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

run_vm() { # run_vm MODULE [first]
	tests/vm/run 6.12 --timeout 300 --disk 200 --disk 100 --disk 120 --tool bash --tool awk --tool dmsetup --tool mkfs.ext4 \
		--tool mkfs.btrfs --tool btrfs --tool xfs_io \
		--add build/nestord --add build/nestorctl --add build/tests/tools/poison --add "$1:/nestor.ko" \
		--add tests/harness/lib.sh --add tests/cache/poison.guest.sh --module dm-mod --module ext4 --module btrfs --module xts --module cts -- tests/cache/poison.guest.sh "${@:2}"
}

module=$(tests/vm/module 6.12 2> "$T/why") || { ok "cache: the module builds" false; sed 's/^/# /' "$T/why"; done_testing; }
subtests "cache on 6.12" run_vm "$module"

guard='is_read ? !folio_test_uptodate(folio) && !folio_mapped(folio) : folio_test_writeback(folio)'
cp -r "${module%/*}" "$T/kfuncs"
is "cache: the guard stands where this test takes it out" 1 "$(grep -cF "$guard" "$T/kfuncs/cache/page.h")"
GUARD=$guard perl -pi -e 's/\Q$ENV{GUARD}\E/true/' "$T/kfuncs/cache/page.h"
make -s -C "$(tests/vm/kernel 6.12)/headers" M="$T/kfuncs" modules > "$T/make" 2>&1 || sed 's/^/# /' "$T/make"
run_vm "$T/kfuncs/nestor.ko" first > "$T/unguarded" 2>&1
text="cache: without the guard others read the user's bytes"
if grep -qE '^not ok .* direct reads into a mapped file' "$T/unguarded"; then
	ok "$text" true
elif grep -qE '^1\.\.[1-9]' "$T/unguarded"; then
	skip "$text" "the user lost the race each time"
else
	ok "$text" false
	sed 's/^/# /' "$T/unguarded"
fi
done_testing

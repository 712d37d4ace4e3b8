#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 75, lane: vm
# What administrators do to disks of the cache, in a VM: attach what is in use, write to the disk beside the cache, attach by
# other paths, detach the disk that the program itself lies on. The module is built a second time without its guards: then
# stale bytes are read.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

run_vm() { # run_vm MODULE [STAGE…]
	tests/vm/run "${KERNEL:-6.12}" --timeout 300 --disk 200 --disk 48 --tool bash --tool awk --tool dmsetup --tool blockdev \
		--tool mkfs.ext4 --tool xfs_io --tool losetup --tool mkswap --tool swapon --tool swapoff --tool setsid \
		--add build/nestord --add build/nestorctl --add "$1:/nestor.ko" --add tests/harness/lib.sh \
		--add tests/cache/attach.guest.sh --module dm-mod --module ext4 --module loop --append hung_task_panic=0 \
		-- tests/cache/attach.guest.sh "${@:2}"
	echo $? > "$T/status"
}

module=$(tests/vm/module "${KERNEL:-6.12}" 2> "$T/why") || { ok "cache: the module builds" false; sed 's/^/# /' "$T/why"; done_testing; }
subtests "attach" run_vm "$module"
is "cache: attach: the VM ends well, without a warning of its kernel" 0 "$(cat "$T/status")"

cp -r "${module%/*}" "$T/kfuncs"
without() { # without FILE TEXT INSTEAD
	is "cache: the guard stands where this test takes it out, in $1" 1 "$(grep -cF "$2" "$T/kfuncs/cache/$1")"
	FROM=$2 TO=$3 perl -pi -e 's/\Q$ENV{FROM}\E/$ENV{TO}/' "$T/kfuncs/cache/$1"
}
without number.c 'if (number->disk == disk)' 'if (false)'
without dm.c 'if (is_shared(bdev))' 'if (false)'
make -s -C "$(tests/vm/kernel 6.12)/headers" M="$T/kfuncs" modules > "$T/make" 2>&1 || sed 's/^/# /' "$T/make"
run_vm "$T/kfuncs/nestor.ko" behind table > "$T/unguarded" 2>&1
for text in 'no stale byte after a write to the disk while nobody had the device open' 'the target refuses a disk that another mapped device uses'; do
	ok "cache: without a guard of the module a test fails: $text" grep -q "^not ok .*$text" "$T/unguarded" || sed 's/^/# /' "$T/unguarded"
done
done_testing

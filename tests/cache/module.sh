#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 70, lane: vm
# What the module does with interrupts off, and what it leaves on an SSD, in a VM with Debian's 6.12. It runs a second time without
# three of its guards, and then those claims fail.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

run_vm() { # run_vm MODULE [unguarded]
	tests/vm/run 6.12 --timeout 300 --disk 400 --disk 16 --tool bash --tool awk --tool dmsetup --tool blockdev --tool mkfs.xfs \
		--add build/nestord --add build/nestorctl --add "$1:/nestor.ko" --add tests/harness/lib.sh \
		--add tests/cache/module.guest.sh --module dm-mod --module xfs --module aesni-intel --module xts \
		-- tests/cache/module.guest.sh "${@:2}"
	echo $? > "$T/status"
}

module=$(tests/vm/module 6.12 2> "$T/why") || { ok "cache: the module builds" false; sed 's/^/# /' "$T/why"; done_testing; }
subtests 6.12 run_vm "$module"
is "cache: the VM ends well, without a warning of its kernel" 0 "$(cat "$T/status")"

cp -r "${module%/*}" "$T/kfuncs"
take_out() { # take_out TEXT WITH: from the one place where it is
	local file
	file=$(grep -lF -e "$1" "$T"/kfuncs/cache/*.c)
	is "cache: a guard stands where this test takes it out: $1" 1 "$(grep -cF -e "$1" "$file")"
	FROM=$1 TO=$2 perl -pi -e 's/\Q$ENV{FROM}\E/$ENV{TO}/' "$file"
}
take_out 'encrypt ? crypto_skcipher_encrypt(request) : crypto_skcipher_decrypt(request)' \
	'(memcpy(page_address(to), page_address(from), PAGE_SIZE), 0)'
take_out 'min_t(u32, all, PAGES_AT_ONCE)' 'all'
take_out 'io->nr <= PAGES_AT_ONCE' 'true'
make -s -C "$(tests/vm/kernel 6.12)/headers" M="$T/kfuncs" modules > "$T/make" 2>&1 || sed 's/^/# /' "$T/make"
run_vm "$T/kfuncs/nestor.ko" unguarded > "$T/unguarded" 2>&1
for text in "a completion hashes at most 32 pages" "an eviction copies at most 32 pages" "no page on the SSD can be read"; do
	ok "cache: without its guard this fails: $text" grep -qE "^not ok .* $text" "$T/unguarded"
done
[ $failures = 0 ] || sed 's/^/# /' "$T/unguarded"
done_testing

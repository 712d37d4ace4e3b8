#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# How many hits and misses of the page cache we count, and beside us libbpf-tools' cachestat and what bcc's cachestat
# computes, of reads whose number is known: a cold file and then the same file, read from begin to end, on each kernel in a VM. Stores one file per day in
# tests/bench/results/.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1
cachestat=$(command -v cachestat cachestat-libbpf | head -n 1) # Debian 12's name, and that of 13

measure() { # measure KERNEL
	tests/vm/run "$1" --timeout 100 --disk 400 --tool bash --tool awk --tool mkfs.ext4 --tool "${cachestat##*/}" \
		--add build/nestord --add build/nestorctl --add build/tests/tools/filecache --add tests/harness/lib.sh \
		--add tests/pcache/pcache.guest.sh --module ext4 \
		-- env PCACHE_DISK=/dev/vda tests/pcache/pcache.guest.sh errors > "$T/$1"
	sed -n "s/^# \(nestor\|cachestat\|bcc's formula\): /$1: \1: /p; s/^ok .* # SKIP /$1: cachestat: /p; s/^not ok/$1: FAILED:/p" "$T/$1"
}

result=tests/bench/results/pcache-$(date +%F).txt
{
	echo "pcache: hits and misses counted of a file of 20 MB that is read cold, then hot; pages of 4 KiB"
	echo "date: $(date +%F)  kernels: Debian's, emulated (QEMU), 2 CPUs"
	echo "bcc's formula: what its cachestat computes, functions counted with kprobes"
	echo "cachestat: $cachestat, $(dpkg-query -W -f '${Package} ${Version}' "$(dpkg-query -S "$(realpath "$cachestat")" | cut -d: -f1)")"
	for kernel in ${KERNELS:-6.1 6.12 sid}; do measure "$kernel"; done
} | tee "$result"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM: the room pcache and libbpf-tools' cachestat look at the same reads, of which everything is known. The
# latter's figures are only shown. On the disk $PCACHE_DISK, and a null_blk that takes 4 ms. tests/kernels.sh boots
# the VMs.
. "$(dirname "$0")/../lib.sh"

PAGES=5000
CG=/sys/fs/cgroup/nestor-beside
f=$T/mnt/file
of() { metric "nestor_pcache_$1{container=\"/nestor-beside\"}"; }
uses() { # uses HOW FILE NUMBER, in the container
	echo "$*" >&"${INSIDE[1]}"
	read -r <&"${INSIDE[0]}"
}
has_begun() { grep -q MISSES "$T/cachestat" || ! kill -0 "$cachestat" 2> /dev/null; }

mkdir $CG "$T/mnt"
defer rmdir $CG
mkfs.ext4 -q -F "$PCACHE_DISK" > /dev/null 2>&1
mount -t ext4 "$PCACHE_DISK" "$T/mnt"
defer umount "$T/mnt"
agent_start
coproc INSIDE {
	echo $BASHPID > $CG/cgroup.procs
	exec "$ROOT/build/tests/tools/filecache"
}
uses write "$f" $((PAGES * 4096))
uses cold "$f" 0

: > "$T/cachestat"
before=$(of hits_total)
"$(command -v cachestat cachestat-libbpf | head -n 1)" 8 1 > "$T/cachestat" 2>&1 &
cachestat=$!
until_ok 10 has_begun
uses read "$f" 65536
uses read "$f" 65536
wait $cachestat
within "cold file: misses" $((PAGES * 99 / 100)) "$(of misses_total)" $((PAGES * 101 / 100))
within "the same, hot: hits" $((PAGES * 99 / 100)) $(($(of hits_total) - ${before:-0})) $((PAGES * 101 / 100))
read -r hits misses < <(awk '/^ *[0-9]/ { print $1, $2 }' "$T/cachestat")
if [ -n "${misses:-}" ]; then
	ok "cachestat beside it" true
	awk -v n=$PAGES -v h="$hits" -v m="$misses" 'BEGIN { printf "# cachestat: %d hits, %+.1f %%, and %d misses, %+.1f %%, of %d each\n",
		h, (h - n) * 100 / n, m, (m - n) * 100 / n, n }'
else
	skip "cachestat beside it" "it does not run on this kernel: $(grep -v '^ *HITS' "$T/cachestat" | head -n 1)"
fi
eval "exec ${INSIDE[1]}>&-"
wait "$INSIDE_PID"

# A disk that takes 4 ms: a read often comes to a page that is still on its way, and the kernel does not tell of the
# part before it.
mkdir $CG/../nestor-slow
defer rmdir $CG/../nestor-slow
(
	echo $BASHPID > $CG/../nestor-slow/cgroup.procs
	exec dd if=/dev/nullb0 of=/dev/null bs=20k count=1000 status=none
)
accesses=$(ctl pcache show --json | jq '.[] | select(.container == "/nestor-slow") | .accesses')
within "a slow disk: all pages of all reads are accesses" $((PAGES * 99 / 100)) "$accesses" $((PAGES * 101 / 100))
done_testing

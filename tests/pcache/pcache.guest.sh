#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM: the room pcache and libbpf-tools' cachestat look at the same reads, of which everything is known. The
# latter's figures are only shown. On the disk $PCACHE_DISK, and a null_blk that takes 4 ms. tests/core/kernel.sh boots
# the VMs; tests/bench/pcache.sh does so too, with an argument: to tell both errors and nothing else.
. "$(dirname "$0")/../harness/lib.sh"

PAGES=5000
CG=/sys/fs/cgroup/nestor-beside
f=$T/mnt/file
of() { metric "nestor_pcache_$1{container=\"/nestor-beside\"}"; }
uses() { # uses HOW FILE NUMBER, in the container
	echo "$*" >&"${INSIDE[1]}"
	read -r <&"${INSIDE[0]}"
}
of_vms_container() {
	metrics | awk '/^nestor_pcache_(hits|misses)_total\{.*container="\/nestor-vm"/ { n += $NF } END { print n + 0 }'
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
inside=$INSIDE_PID # which bash forgets when it ends
uses write "$f" $((PAGES * 4096))
uses cold "$f" 0

# bcc's cachestat, which needs Python and a compiler, counts these functions on kernels with folios. With kprobes that only
# count and with its formula we have its figures.
tracing=/sys/kernel/tracing
begin_formula() {
	local function
	for function in folio_mark_accessed mark_buffer_dirty filemap_add_folio __folio_mark_dirty; do
		echo "p:nestor/$function $function" >> $tracing/kprobe_events
	done
	echo 1 > $tracing/events/nestor/enable
}
end_formula() { # prints hits and misses
	echo 0 > $tracing/events/nestor/enable
	awk '{ n[$1] = $2 } END { misses = n["filemap_add_folio"] - n["__folio_mark_dirty"]; if (misses < 0) misses = 0
		print n["folio_mark_accessed"] - n["mark_buffer_dirty"] - misses, misses }' $tracing/kprobe_profile
}

: > "$T/cachestat"
before=$(of hits_total)
"$(command -v cachestat cachestat-libbpf | head -n 1)" 8 1 > "$T/cachestat" 2>&1 &
cachestat=$!
until_ok 10 has_begun
[ $# = 0 ] || begin_formula
uses read "$f" 65536
uses read "$f" 65536
[ $# = 0 ] || read -r formula_hits formula_misses < <(end_formula)
wait $cachestat
within "pcache: reading a cold file misses each page" $((PAGES * 99 / 100)) "$(of misses_total)" $((PAGES * 101 / 100))
within "pcache: reading a cached file hits each page" $((PAGES * 99 / 100)) $(($(of hits_total) - ${before:-0})) $((PAGES * 101 / 100))
read -r hits misses < <(awk '/^ *[0-9]/ { print $1, $2 }' "$T/cachestat")
errors() { # errors WHO HITS MISSES: of as many reads
	awk -v who="$1" -v n=$PAGES -v h="$2" -v m="$3" 'BEGIN { printf "# %s: %d hits, %+.1f %%, and %d misses, %+.1f %%, of %d each\n",
		who, h, (h - n) * 100 / n, m, (m - n) * 100 / n, n }'
}
errors nestor $(($(of hits_total) - ${before:-0})) "$(of misses_total)"
if [ -n "${misses:-}" ]; then
	ok "pcache: cachestat runs on the same reads" true
	errors cachestat "$hits" "$misses"
else
	skip "pcache: cachestat runs on the same reads" "it does not run on this kernel: $(grep -v '^ *HITS' "$T/cachestat" | head -n 1)"
fi
eval "exec ${INSIDE[1]}>&-"
wait "$inside"
if [ $# -gt 0 ]; then
	errors "bcc's formula" "$formula_hits" "$formula_misses"
	done_testing
fi
is "pcache: counts are approximate where the kernel has no tracepoints" "$([ "$KERNEL" = 6.1 ] && echo 1 || echo 0)" \
	"$(metric nestor_pcache_approximate)"

# A VM reads its disk's file through the page cache: all of it is the VM's, and nothing its container's.
vm() { metric "nestor_pcache_$1_total{vm=\"reader\",container=\"\"}"; }
is_vm() { [ "$(metric 'nestor_vm_info{vm="reader"}')" = 1 ]; }
mkdir $CG/../nestor-vm
defer rmdir $CG/../nestor-vm
cp "$ROOT/build/tests/tools/filecache" "$T/qemu-system-x86_64"
coproc INSIDE {
	echo $BASHPID > $CG/../nestor-vm/cgroup.procs
	exec "$T/qemu-system-x86_64" -name reader
}
inside=$INSIDE_PID # which bash forgets when it ends
uses cold "$f" 0
ok "pcache: a VM is found" until_ok 10 is_vm
hits=$(vm hits) misses=$(vm misses) container=$(of_vms_container)
uses read "$f" 65536
within "pcache: a VM that reads a cold file misses each page" $((PAGES * 99 / 100)) $(($(vm misses) - ${misses:-0})) $((PAGES * 101 / 100))
within "pcache: a VM that reads a cold file has no hits" 0 $(($(vm hits) - ${hits:-0})) $((PAGES / 100))
hits=$(vm hits) misses=$(vm misses)
uses read "$f" 65536
within "pcache: a VM that reads a cached file hits each page" $((PAGES * 99 / 100)) $(($(vm hits) - hits)) $((PAGES * 101 / 100))
within "pcache: a VM that reads a cached file has no misses" 0 $(($(vm misses) - misses)) $((PAGES / 100))
is "pcache: a VM's pages do not count for its container" "$container" "$(of_vms_container)"
eval "exec ${INSIDE[1]}>&-"
wait "$inside"

# A disk that takes 4 ms: a read often comes to a page that is still on its way, and the kernel does not tell of the
# part before it.
mkdir $CG/../nestor-slow
defer rmdir $CG/../nestor-slow
(
	echo $BASHPID > $CG/../nestor-slow/cgroup.procs
	exec dd if=/dev/nullb0 of=/dev/null bs=20k count=1000 status=none
)
accesses=$(ctl pcache show --json | jq '.[] | select(.container == "/nestor-slow") | .accesses')
within "pcache: all pages of all reads from a slow disk are accesses" $((PAGES * 99 / 100)) "$accesses" $((PAGES * 101 / 100))
done_testing

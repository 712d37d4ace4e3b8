#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What the second-level cache gains and costs a reader: the pages of a file one by one without order, from an ext4 on a
# null_blk that answers as late as a hard disk and as an NVMe drive do; without the cache, through it with nothing in it,
# and with all pages in its memory store. On Debian's 6.12 in a VM, whose processor is emulated, in this order and back.
#	cachehits.sh [ROUNDS]
. "$(dirname "$0")/lib.sh"
if [ "${1:-}" != --inside ]; then
	in_cache_vm cachehits 900 "${1:-3}"
	exit
fi
rounds=$2
ONE=/sys/fs/cgroup/one
mkdir $ONE "$T/mnt"

disk() { # disk NAME NANOSECONDS: a null_blk of 64 MiB, with an ext4 that has a file of 8 MiB
	null_disk "$1" 64 "$2"
	mkfs.ext4 -q -b 4096 "/dev/$1"
	mount "/dev/$1" "$T/mnt"
	dd if=/dev/urandom of="$T/mnt/file" bs=1M count=8 2> /dev/null
	umount "$T/mnt"
}
use() { build/tests/tools/filecache <<< "$1 $T/mnt/file ${2:-0}"; } # by nobody's container
scattered() { # nanoseconds per page, of which none is in the page cache
	[ "$(use cached)" = 0 ] || { echo "pages are cached" >&2 && exit 1; }
	use scattered
}
without() { # without DISK
	mount "/dev/$1" "$T/mnt"
	use cold > /dev/null
	scattered
	umount "$T/mnt"
}
attached() { # attached DISK COMMAND: with the file system on the cached device
	"$NESTORCTL" cache attach "/dev/$1" > /dev/null
	[ -e "/dev/mapper/$1-nestor" ] || dmsetup mknodes
	mount "/dev/mapper/$1-nestor" "$T/mnt"
	$2
	umount "$T/mnt"
	"$NESTORCTL" cache detach "$1" > /dev/null
}
with_nothing() { attached "$1" cold_scattered; }
cold_scattered() { use cold > /dev/null && scattered; }
with_all() { attached "$1" in_store_scattered; }
stored() { metrics | awk '/^nestor_cache_pages{store="memory"/ { n += $NF } END { printf "%d\n", n }'; }
fill() { # a container reads it, and gives its pages back
	(echo $BASHPID > $ONE/cgroup.procs && use read 65536 > /dev/null)
	until [ "$(use cached)" = 0 ]; do echo 8M > $ONE/memory.reclaim 2> /dev/null || :; done
	[ "$(stored)" -ge 2048 ]
}
in_store_scattered() {
	local before
	use cold > /dev/null
	until_ok 20 fill || { echo "not all pages are in the store" >&2 && exit 1; } # its index grows meanwhile
	before=$(hits)
	scattered
	[ $(($(hits) - before)) -ge 2048 ] || { echo "some were no hits" >&2 && exit 1; }
}
hits() { metrics | awk '/^nestor_cache_hits_total/ { n += $NF } END { printf "%d\n", n }'; }

insmod /nestor.ko
printf 'agent: {min_age: 0}\nblkio: {mode: off}\npcache: {mode: off}\nnet: {mode: off}\ncache:\n  mode: enforce\n  memory: 16MiB\n  min_free: 16MiB\n  pools: [{container: /one, memory: 100}]\n' > "$T/policy.yaml"
agent_start --policy "$T/policy.yaml"
disk hdd 5000000
disk nvme 80000
for i in $(seq "$rounds"); do
	for disk in hdd nvme; do
		for case in without with_nothing with_all with_all with_nothing without; do
			$case $disk >> "$T/$disk-$case"
		done
	done
	echo "cachehits: round $i of $rounds" >&2
done
{
	echo "cachehits: microseconds to read a page of 4 KiB, one by one in no order, $((2 * rounds)) times 2048 pages each; mean and 95 % confidence"
	circumstances
	for disk in hdd nvme; do
		while read -r case text; do
			printf '%-4s %-34s %s\n' $disk "$text" "$(awk '{ print $1 / 1000 }' "$T/$disk-$case" | mean_ci %.1f)"
		done <<- 'END'
			without without the cache:
			with_nothing through it, nothing in it:
			with_all through it, all pages in memory:
		END
		awk -v d=$disk '{ s[FILENAME] += $1 } END { a = s[ARGV[1]]; printf "%-4s hits %.1f times faster; without hits %+.1f %%\n",
			d, a / s[ARGV[3]], 100 * (s[ARGV[2]] / a - 1) }' "$T/$disk-without" "$T/$disk-with_nothing" "$T/$disk-with_all"
	done
} | store cachehits

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM: power cuts. All that reaches the disk below the cache is logged; then the disk is put together as it was at
# $POINTS points, and the file system on it has to be whole, with all that was synced. /dev/vda is the disk, /dev/vdb the log,
# /dev/vdc what is put together. tests/cache/power_cuts.sh boots it.
. "$(dirname "$0")/../harness/lib.sh"

CG=/sys/fs/cgroup
MAPPED=/dev/mapper/logged-nestor
durable=$ROOT/build/tests/tools/durable
replay=$ROOT/build/tests/tools/logreplay
mkdir "$T/mnt" $CG/one
defer rmdir $CG/one
insmod /nestor.ko || exit 1
echo 8M > $CG/one/memory.max
printf 'agent: {min_age: 0}\nblkio: {mode: off}\npcache: {mode: off}\nnet: {mode: off}\ncache:\n  mode: enforce\n  memory: 64MiB\n  min_free: 32MiB\n  pools: [{container: /one, memory: 1}]\n' > "$T/policy.yaml"
agent_start --policy "$T/policy.yaml"
sectors=$(blockdev --getsz /dev/vda)
echo "0 $sectors log-writes /dev/vda /dev/vdb" | dmsetup create logged
dmsetup mknodes
ok "cache: power cuts: the disk is attached" "$NESTORCTL" cache attach /dev/mapper/logged
dmsetup mknodes
mkfs.ext4 -q -F -b 4096 $MAPPED
mount $MAPPED "$T/mnt"
(
	echo $BASHPID > $CG/one/cgroup.procs
	for n in $(seq "$VERSIONS"); do
		"$durable" write "$T/mnt" "$n" || exit
		dmsetup message logged 0 mark "$n"
		cat "$T"/mnt/f* > /dev/null
		[ $((n % 7)) != 0 ] || echo 1 > /proc/sys/vm/drop_caches
	done
)
is "cache: power cuts: all versions are written" 0 $?
ok "cache: power cuts: pages come from the store while files are written" [ "$(metrics | awk '/^nestor_cache_hits_total/ { n += $NF } END { print n + 0 }')" -gt 1000 ]
umount "$T/mnt"
ok "cache: power cuts: the disk is detached" "$NESTORCTL" cache detach logged
dmsetup remove logged
agent_stop

# Each point beside the last version that was known to be written before.
"$replay" /dev/vdb > "$T/log"
awk '$2 == "mark" { n = $3 } n && $2 != "mark" { print $1, n }' "$T/log" > "$T/all"
awk -v all="$(wc -l < "$T/all")" -v want="$POINTS" 'int(NR * want / all) > int((NR - 1) * want / all)' "$T/all" > "$T/points"
echo "# $(wc -l < "$T/points") points of $(wc -l < "$T/all") flushes and FUA writes"
bad=0 at=0
whole() { # whole POINT VERSION [SEED]
	dd if=/dev/zero of=/dev/ram0 bs=4096 count=1 2> /dev/null
	echo "0 $sectors snapshot /dev/vdc /dev/ram0 N 8" | dmsetup create crashed && dmsetup mknodes
	[ $# = 2 ] || "$replay" /dev/vdb /dev/mapper/crashed "$at" "$1" "$3"
	mount /dev/mapper/crashed "$T/mnt" && "$durable" check "$T/mnt" "$2"
	local status=$?
	umount "$T/mnt"
	e2fsck -fn /dev/mapper/crashed > "$T/fsck" 2>&1 || { status=1; sed 's/^/# /' "$T/fsck"; }
	dmsetup remove crashed
	return $status
}
dd if=/dev/zero of=/dev/vdc bs=1M count=$((sectors / 2048)) 2> /dev/null
while read -r point version; do
	# What came after the last flush may be lost in part.
	[ $at = 0 ] || whole "$((point - 1))" "$before" "$point" > "$T/said" 2>&1 || { bad=$((bad + 1)); sed "s/^/# before $point: /" "$T/said"; }
	"$replay" /dev/vdb /dev/vdc "$at" "$point"
	at=$point before=$version
	whole "$point" "$version" > "$T/said" 2>&1 || { bad=$((bad + 1)); sed "s/^/# at $point: /" "$T/said"; }
done < "$T/points"
is "cache: power cuts: no point loses synced data or breaks the file system" 0 $bad
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM with the module: a user of a container with a pool, who may only read files of root's on a cached disk, tries to
# have bytes of their own kept in the place of those files. /dev/vda and /dev/vdc are cached disks, /dev/vdb another one.
# tests/cache/poison.sh boots it. With "first" it tries the
# first way alone, until it succeeds or has failed six times.
. "$(dirname "$0")/../harness/lib.sh"

CG=/sys/fs/cgroup
mkdir $CG/one "$T/cached" "$T/other"
defer rmdir $CG/one
insmod /nestor.ko || exit
cat > "$T/policy.yaml" << 'END'
agent: {min_age: 0}
blkio: {mode: off}
pcache: {mode: off}
net: {mode: off}
cache:
  mode: enforce
  memory: 64MiB
  ssd: none
  min_free: 32MiB
  pools:
    - {container: /one, memory: 60}
END
agent_start --policy "$T/policy.yaml"
ctl cache attach /dev/vda > "$T/said" 2>&1 || sed 's/^/# /' "$T/said"
[ -e /dev/mapper/vda-nestor ] || dmsetup mknodes
mkfs.ext4 -q -F -b 4096 -O encrypt /dev/mapper/vda-nestor && mount /dev/mapper/vda-nestor "$T/cached"
defer umount "$T/cached"
mkfs.ext4 -q -F -b 4096 /dev/vdb && mount /dev/vdb "$T/other"
defer umount "$T/other"
chmod 755 "$T" "$T/cached" "$T/other"
mkdir -m 1777 "$T/cached/user" "$T/other/user"
inside() { sh -c "echo \$\$ > $CG/one/cgroup.procs; exec \"\$@\"" sh "$@"; }

attack() { # attack TEXT READ STORE MINE [FILES [CACHED]]: tries it with 12 files of the folder CACHED
	local i wrong=0 other=0 files=${5:-12} cached=${6:-$T/cached}
	for ((i = 1; i <= files; i++)); do
		head -c 262144 /dev/zero | tr '\0' V > "$cached/victim$i"
	done
	chmod 644 "$cached"/victim*
	sync
	echo 3 > /proc/sys/vm/drop_caches
	for ((i = 1; i <= files; i++)); do
		inside "$ROOT/build/tests/tools/poison" "$2" "$3" "$cached/victim$i" "$4/mine$2$3$i"
		case $? in
		0) ;;
		77) skip "$1" "the kernel refuses such a buffer" && return ;;
		*) ok "$1: the attack runs" false ;;
		esac
		[ "$(tr -d V < "$cached/victim$i" | wc -c)" = 0 ] || wrong=$((wrong + 1))
		[ "$(tr -d X < "$4/mine$2$3$i" | wc -c)" = 0 ] || other=$((other + 1))
	done
	is "$1: none of $files files is wrong to others" 0 "$wrong"
	is "$1: none of the user's own $files files is wrong" 0 "$other"
}
attack "cache: direct reads into a mapped file of another disk" direct map "$T/other/user"
if [ "${1:-}" = first ]; then
	for _ in {1..5}; do # it is a race
		[ $failures = 0 ] || break
		attack "cache: direct reads into a mapped file of another disk, again" direct map "$T/other/user"
	done
	done_testing
fi
attack "cache: direct reads into a mapped file of the same disk" direct map "$T/cached/user"
attack "cache: reads by io_uring into a mapped file" ring map "$T/other/user"
attack "cache: reads by io_uring into a registered buffer of a mapped file" fixed map "$T/other/user"
attack "cache: reads by AIO into a mapped file" aio map "$T/other/user" 4
attack "cache: direct reads into a file that process_vm_writev writes to" direct writev "$T/other/user" 4
attack "cache: direct reads into a file that vmsplice and splice write to" direct splice "$T/other/user" 4
attack "cache: direct reads into a file that sendfile writes to" direct sendfile "$T/other/user" 4
attack "cache: direct reads by splice into a mapped file" splice map "$T/other/user" 4

# Files whose writes go through pages of the file system's own.
if [ -e /sys/fs/ext4/features/encryption ]; then
	mkdir "$T/cached/secret"
	key=$(head -c 64 /dev/urandom | xfs_io -c add_enckey "$T/cached" | awk '{ print $NF }')
	xfs_io -c "set_encpolicy $key" "$T/cached/secret"
	chmod 1777 "$T/cached/secret"
	attack "cache: direct reads into a mapped file that the file system encrypts" direct map "$T/cached/secret" 4
else
	skip "cache: direct reads into a mapped file that the file system encrypts" "this kernel's ext4 has no encryption"
fi
ctl cache attach /dev/vdc > "$T/said" 2>&1 || sed 's/^/# /' "$T/said"
[ -e /dev/mapper/vdc-nestor ] || dmsetup mknodes
mkdir "$T/btrfs"
mkfs.btrfs -q -f /dev/mapper/vdc-nestor > "$T/said" 2>&1 && mount -o compress=zlib /dev/mapper/vdc-nestor "$T/btrfs"
chmod 755 "$T/btrfs"
mkdir -m 1777 "$T/btrfs/user"
attack "cache: direct reads into a mapped file that the file system compresses" direct map "$T/btrfs/user" 4
mkdir "$T/btrfs/plain"
btrfs property set "$T/btrfs/plain" compression none
attack "cache: direct reads from btrfs into a mapped file that it compresses" direct map "$T/btrfs/user" 4 "$T/btrfs/plain"

umount "$T/btrfs"
rm "$T"/cached/victim* "$T"/cached/*/mine*
echo 3 > /proc/sys/vm/drop_caches

# What is read and written in ordinary ways is kept as before. A page that the store has no room for at once is dropped.
of() { # of NAME [LABEL]: of /one
	metrics | awk -v n="nestor_cache_$1{" -v l="${2:-}" 'index($0, n) == 1 && /container="\/one"/ && index($0, l) { s += $NF } END { print s + 0 }'
}
kept_and_served() { # kept_and_served TEXT COMMAND…: a file of 2048 pages, in the page cache by COMMAND
	local puts room hits
	inside "${@:2}" > "$T/said" 2>&1
	puts=$(of puts_total) room=$(of drops_total 'reason="no_room"') hits=$(of hits_total)
	echo 1 > /proc/sys/vm/drop_caches
	puts=$(($(of puts_total) - puts)) room=$(($(of drops_total 'reason="no_room"') - room))
	within "cache: $1: pages that are known to be of the disk when they are dropped" 2000 $((puts + room)) 2048
	sum=$(inside md5sum "$T/cached/normal" | cut -d ' ' -f 1)
	is "cache: $1: all that were put are served" "$puts" $(($(of hits_total) - hits))
	echo 1 > /proc/sys/vm/drop_caches
}
kept_and_served "a file that was written" dd if=/dev/urandom of="$T/cached/normal" bs=1M count=8 conv=fsync
is "cache: a file that was served has the bytes of the disk" \
	"$(dd if="$T/cached/normal" iflag=direct bs=1M 2> "$T/said" | md5sum | cut -d ' ' -f 1)" "$sum"
kept_and_served "a file that was read" cat "$T/cached/normal"
done_testing

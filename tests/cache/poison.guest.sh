#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM with the module: a user of a container with a pool, who may only read files of root's on a cached disk, tries to
# have bytes of their own kept in the place of those files. /dev/vda is the cached disk, /dev/vdb another one.
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
mkfs.ext4 -q -F -b 4096 /dev/mapper/vda-nestor && mount /dev/mapper/vda-nestor "$T/cached"
defer umount "$T/cached"
mkfs.ext4 -q -F -b 4096 /dev/vdb && mount /dev/vdb "$T/other"
defer umount "$T/other"
chmod 755 "$T" "$T/cached" "$T/other"
mkdir -m 1777 "$T/cached/user" "$T/other/user"
inside() { sh -c "echo \$\$ > $CG/one/cgroup.procs; exec \"\$@\"" sh "$@"; }

attack() { # attack TEXT HOW FOLDER: tries it with 12 files
	local i wrong=0 bytes
	for i in {1..12}; do
		head -c 262144 /dev/zero | tr '\0' V > "$T/cached/victim$i"
	done
	chmod 644 "$T"/cached/victim*
	sync
	echo 3 > /proc/sys/vm/drop_caches
	for i in {1..12}; do
		inside "$ROOT/build/tests/tools/poison" "$2" "$T/cached/victim$i" "$3/mine$2$i"
		case $? in
		0) ;;
		77) skip "$1" "the kernel refuses such a buffer" && return ;;
		*) ok "$1: the attack runs" false ;;
		esac
		bytes=$(tr -d V < "$T/cached/victim$i" | wc -c)
		wrong=$((wrong + (bytes > 0)))
	done
	is "$1: of 12 files are wrong to others" 0 "$wrong"
}
attack "cache: direct reads into a mapped file of another disk" direct "$T/other/user"
if [ "${1:-}" = first ]; then
	for _ in {1..5}; do # it is a race
		[ $failures = 0 ] || break
		attack "cache: direct reads into a mapped file of another disk, again" direct "$T/other/user"
	done
	done_testing
fi
attack "cache: direct reads into a mapped file of the same disk" direct "$T/cached/user"
attack "cache: reads by io_uring into a mapped file" aio "$T/other/user"
attack "cache: reads by io_uring into a registered buffer of a mapped file" fixed "$T/other/user"

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

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM with the module: what administrators do to disks of the cache. /dev/vda is the disk, /dev/vdb another one.
# tests/cache/attach.sh boots it. With arguments only these stages.
. "$(dirname "$0")/../harness/lib.sh"

CG=/sys/fs/cgroup/one
MNT=$T/mnt
MAPPED=/dev/mapper/vda-nestor
mkdir $CG "$MNT"
defer rmdir $CG
cat > "$T/policy.yaml" << 'END'
agent: {min_age: 0}
blkio: {mode: off}
pcache: {mode: off}
net: {mode: off}
dedup: {mode: off}
cache:
  mode: enforce
  memory: 64MiB
  ssd: none
  min_free: 32MiB
  pools:
    - {container: /one, memory: 100}
END

nodes() { dmsetup mknodes; } # no udev here
attach() { "$NESTORCTL" cache attach "$1" > "$T/said" 2>&1 && nodes; }
detach() { "$NESTORCTL" cache detach "$1" > "$T/said" 2>&1; }
refused() { # refused TEXT PATTERN VERB DISK: fails, and says why
	run "$NESTORCTL" cache "$3" "$4"
	is "cache: $1: status" 1 "$status"
	like "cache: $1: the error says why" "^nestorctl: cannot $3 $4: .*$2" "$err"
}
listed() { "$NESTORCTL" --json cache list | tr -d ' \n'; }
sum() { metrics | awk -v m="^nestor_cache_$1[{]" '$0 ~ m { n += $NF } END { print n + 0 }'; }
inside() { sh -c "echo \$\$ > $CG/cgroup.procs; exec \"\$@\"" sh "$@"; }
linear() { # linear NAME DISK: as LVM and dm-crypt map it
	echo "0 $(blockdev --getsz "$2") linear $2 0" | dmsetup create "$1"
	nodes
}

stage_errors() {
	rmmod nestor
	refused "attach without the module" 'the kernel module nestor is not loaded; load it \(modprobe nestor\)' attach /dev/vda
	insmod /nestor.ko
	mkfs.ext4 -q -F -b 4096 /dev/vda
	mount /dev/vda "$MNT"
	refused "attach of a mounted disk" "/dev/vda is mounted on $MNT; unmount it first" attach /dev/vda
	umount "$MNT"
	mkswap /dev/vdb > "$T/said" 2>&1
	swapon /dev/vdb
	refused "attach of swap space" '/dev/vdb is swap space; swapoff it first' attach /dev/vdb
	swapoff /dev/vdb
	refused "attach of a missing disk" 'No such file or directory' attach /dev/none
	refused "attach of a character device" 'it is not a block device' attach /dev/null
	refused "detach of a disk that is not attached" 'it is not attached; see nestorctl cache list' detach vdb
	is "cache: a refused attach leaves no device behind" 'No devices found' "$(dmsetup ls)"
}

stage_partitions() {
	# one of type 83, from sector 2048 on
	{
		head -c 446 /dev/zero
		printf '\x00\x00\x00\x00\x83\x00\x00\x00\x00\x08\x00\x00\x00\x00\x01\x00'
		head -c 48 /dev/zero
		printf '\x55\xaa'
	} | dd of=/dev/vdb conv=notrunc,fsync 2> "$T/said"
	blockdev --rereadpt /dev/vdb
	refused "attach of a disk with partitions" 'it has partitions; attach one of them, or wipe it' attach /dev/vdb
	linear lv /dev/vdb1
	refused "attach of a disk whose partition is mapped" '/dev/vdb1 is below /dev/mapper/lv' attach /dev/vdb
	dmsetup remove lv
	ok "cache: a partition is attached" attach /dev/vdb1
	refused "attach of a disk whose partition is attached" '/dev/vdb1 is below /dev/mapper/vdb1-nestor' attach /dev/vdb
	ok "cache: a partition is detached by its path" detach /dev/vdb1
	dd if=/dev/zero of=/dev/vdb bs=512 count=1 conv=fsync 2> "$T/said"
	blockdev --rereadpt /dev/vdb
}

stage_paths() {
	mkdir -p /dev/disk/by-id
	ln -s ../../vda /dev/disk/by-id/virtio-one
	ok "cache: a disk is attached by a stable path" attach /dev/disk/by-id/virtio-one
	is "cache: the device is named after the path that was given" /dev/mapper/virtio-one-nestor "$(cat "$T/said")"
	refused "attach of a disk that is attached by another path" 'it is attached already, as /dev/mapper/virtio-one-nestor' attach /dev/vda
	refused "attach of a device of the cache" 'it is a device of the cache itself' attach /dev/mapper/virtio-one-nestor
	ok "cache: a disk is detached by the stable path that was attached" detach /dev/disk/by-id/virtio-one
	is "cache: after the detach by a stable path nothing is attached" '[]' "$(listed)"
	for name in vda /dev/vda virtio-one virtio-one-nestor /dev/mapper/virtio-one-nestor; do
		attach /dev/disk/by-id/virtio-one
		ok "cache: a disk attached by a stable path is detached by $name" detach "$name"
	done
	linear lv /dev/vdb
	ok "cache: a logical volume is attached" attach /dev/mapper/lv
	is "cache: the device of a logical volume has the volume's name" /dev/mapper/lv-nestor "$(cat "$T/said")"
	ok "cache: a logical volume is detached by its path" detach /dev/mapper/lv
	dmsetup remove lv
	linear vda-nestor /dev/vdb
	refused "attach where another device has the name" '/dev/mapper/vda-nestor exists and is another disk' attach /dev/vda
	dmsetup remove vda-nestor
}

stage_read_only() {
	mkfs.ext4 -q -F -b 4096 /dev/vda
	blockdev --flushbufs /dev/vda
	blockdev --setro /dev/vda
	ok "cache: a read-only disk is attached" attach /dev/vda
	is "cache: the mapped device of a read-only disk is read-only" 1 "$(blockdev --getro $MAPPED)"
	is "cache: a write to a read-only disk through the cache fails" 1 \
		"$(dd if=/dev/zero of=$MAPPED bs=4k count=1 conv=fsync 2> "$T/said"; echo $?)"
	mount -r $MAPPED "$MNT"
	ok "cache: a read-only disk that is in use is detached" detach vda
	is "cache: the device of a detached read-only disk is read-only" 1 "$(blockdev --getro $MAPPED)"
	ok "cache: a read-only disk that is in use is attached again" attach /dev/vda
	is "cache: the device of a re-attached read-only disk is read-only" 1 "$(blockdev --getro $MAPPED)"
	umount "$MNT"
	detach vda
	echo "0 $(blockdev --getsz /dev/vda) nestor-cache /dev/vda" | dmsetup create rw 2> "$T/said"
	is "cache: the target refuses a writable table for a read-only disk" 1 $?
	blockdev --setrw /dev/vda
}

# Another mapping of the same disk is there already, as LVM and dm-crypt have it.
stage_beside() {
	linear lv /dev/vda
	refused "attach of a disk that another device uses" '/dev/vda is below /dev/mapper/lv; attach that one' attach /dev/vda
	dmsetup remove lv
}

stage_table() {
	linear lv /dev/vda
	echo "0 $(blockdev --getsz /dev/vda) nestor-cache /dev/vda" | dmsetup create second 2> "$T/said"
	is "cache: the target refuses a disk that another mapped device uses" 1 $?
	dmsetup remove second 2> "$T/said"
	dmsetup remove lv
}

stage_behind() {
	local at hits
	agent_start --policy "$T/policy.yaml"
	attach /dev/vda
	mkfs.ext4 -q -F -b 4096 $MAPPED
	mount $MAPPED "$MNT"
	inside sh -c "yes A | tr -d '\n' | head -c 1048576 > '$MNT/file'; sync '$MNT/file'"
	at=$(xfs_io -r -c 'fiemap -v' "$MNT/file" | awk '$1 == "0:" { split($3, a, "."); print a[1] }')
	echo 1 > /proc/sys/vm/drop_caches
	within "cache: pages of a file are in the store" 256 "$(sum pages)" 400
	umount "$MNT"
	empty() { [ "$(sum pages)" = 0 ]; }
	ok "cache: the store gives back what it had of a device that nobody has open" until_ok 10 empty
	yes B | tr -d '\n' | head -c 1048576 | dd of=/dev/vda bs=512 seek="$at" conv=notrunc,fsync 2> "$T/said"
	mount $MAPPED "$MNT"
	is "cache: no stale byte after a write to the disk while nobody had the device open" 0 "$(inside tr -d B < "$MNT/file" | wc -c)"
	echo 1 > /proc/sys/vm/drop_caches
	hits=$(sum hits_total)
	inside cat "$MNT/file" > "$T/said"
	within "cache: a device that was closed and opened again is cached" 256 $(($(sum hits_total) - hits)) 400
	umount "$MNT"
	# Numbers of devices are used again.
	for _ in {1..300}; do
		true < $MAPPED
	done
	mount $MAPPED "$MNT"
	inside cat "$MNT/file" > "$T/said"
	echo 1 > /proc/sys/vm/drop_caches
	within "cache: a device that was opened and closed 300 times is cached" 256 "$(sum pages)" 400
	umount "$MNT"
	detach vda
	agent_stop
}

stage_self() {
	local turn detacher
	agent_start --policy "$T/policy.yaml"
	attach /dev/vda
	mkfs.ext4 -q -F -b 4096 $MAPPED
	mount $MAPPED "$MNT"
	mkdir -p "$MNT"/{dev,proc,sys,run,tmp,nestor/build}
	cp -a /lib /lib64 /usr /bin /sbin /etc "$MNT/" 2> "$T/said"
	cp "$NESTORCTL" "$MNT/nestor/build"
	umount "$MNT"
	mount $MAPPED "$MNT"
	mount --bind /dev "$MNT/dev"
	mount -t proc proc "$MNT/proc"
	mount -t sysfs sys "$MNT/sys"
	ended() { ! kill -0 "$detacher" 2> /dev/null; }
	for turn in 1 2 3; do
		echo 3 > /proc/sys/vm/drop_caches
		setsid chroot "$MNT" /nestor/build/nestorctl cache detach vda > "$T/said" 2>&1 &
		detacher=$!
		ok "cache: a detach by a program on the device itself ends, turn $turn" until_ok 10 ended ||
			dmsetup resume vda-nestor # or nothing else would end
		wait $detacher
		is "cache: a detach by a program on the device itself: status, turn $turn" 0 $?
		like "cache: a detach by a program on the device itself puts a plain device there, turn $turn" ' linear ' "$(dmsetup table vda-nestor)"
		echo 3 > /proc/sys/vm/drop_caches
		setsid chroot "$MNT" /nestor/build/nestorctl cache attach /dev/vda > "$T/said" 2>&1 &
		detacher=$!
		ok "cache: an attach by a program on the device itself ends, turn $turn" until_ok 10 ended || dmsetup resume vda-nestor
		wait $detacher
		like "cache: an attach by a program on the device itself puts it into the cache, turn $turn" ' nestor-cache ' \
			"$(dmsetup table vda-nestor)"
	done
	umount "$MNT"/{sys,proc,dev} "$MNT"
	detach vda
	agent_stop
}

insmod /nestor.ko || exit 1
[ $# -gt 0 ] || set -- errors partitions paths read_only beside table behind self
for stage in "$@"; do "stage_$stage"; done
# shellcheck disable=SC2317 # until_ok calls it
gone() { rmmod nestor 2> "$T/said"; } # the kernel frees programs a moment later
ok "cache: the module can be removed after all" until_ok 10 gone
done_testing

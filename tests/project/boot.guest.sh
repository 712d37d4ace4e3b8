#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What a booted Debian with a cached disk on /data says of itself, a fact a line; then it ends: tests/project/boot.sh boots it,
# twice.
data=/data/file
export PATH=$PATH:/usr/local/sbin

fact() { echo "$1: $(shift && "$@" 2>&1 | xargs)"; } # fact NAME COMMAND…
table() { dmsetup table vdb-nestor | cut -d ' ' -f 3; }
hits() { nestorctl metrics | awk '/^nestor_cache_hits_total/ { n += $NF } END { print (n > 100 ? "yes" : n) }'; }
recovered() { dmesg | grep -c 'recovery complete'; }
# A container's file, dropped from the page cache and read again.
in_container() { sh -c 'echo $$ > /sys/fs/cgroup/one/cgroup.procs && exec "$@"' - "$@"; }
read_again() {
	echo 1 > /proc/sys/vm/drop_caches
	in_container md5sum < $data
}

# Rooms begin after their service has.
has_room() { nestorctl metrics 2> /dev/null | grep -q '^nestor_room_up{room="cache"} 1'; }
rooms() { nestorctl metrics | awk '/^nestor_room_up/ && !/"gpufn"/ { print $NF }' | sort -u; }

mkdir -p /sys/fs/cgroup/one
exec {never}<> <(:)
for _ in $(seq 50); do has_room || read -rt 0.2 <&$never; done
fact rooms rooms
fact units systemctl is-active nestor-cache@dev-vdb nestord data.mount
journalctl -u nestord -u nestor-cache@dev-vdb -o cat | sed 's/^/log: /'
fact failed systemctl --failed --plain --no-legend
fact source findmnt -no SOURCE /data
fact target table
fact recovered recovered
if [ -e $data ]; then
	fact kept md5sum $data
	fact written cat /data/sum
	systemctl --no-block poweroff
	exit
fi
in_container dd if=/dev/urandom of=$data bs=64k count=64 conv=fsync 2> /dev/null
fact written sh -c "md5sum $data | tee /data/sum"
fact "read again" read_again
fact hits hits
fact stop systemctl stop nestor-cache@dev-vdb
fact "target when stopped" table
fact "still mounted" findmnt -no SOURCE /data
fact "read when stopped" read_again
fact start systemctl start nestor-cache@dev-vdb
fact "target when started" table
fact "read when started" read_again
systemctl --no-block reboot

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 20, lane: machine
# pcache: a file of known size is so many misses, then so many hits, read and mapped; what does not go through the
# cache, or is written, is neither; why pages go; who had what after a restart. tests/pcache/pcache.guest.sh has the rest.
. "$(dirname "$0")/../harness/lib.sh"

CG=/sys/fs/cgroup
[ -e $CG/cgroup.controllers ] || CG=$CG/memory
name=nestor-pcache-$ID
PAGES=5000

# A container with a process that uses files as it is told.
new_container() {
	mkdir $CG/$name
	coproc INSIDE {
		echo $BASHPID > $CG/$name/cgroup.procs
		exec "$ROOT/build/tests/tools/filecache"
	}
	inside=$INSIDE_PID # which bash forgets when it ends
	use cold "$0" 0 > /dev/null # it is there
}
use() { # use HOW FILE NUMBER: prints the answer
	local answer
	echo "$*" >&"${INSIDE[1]}"
	read -r answer <&"${INSIDE[0]}"
	echo "$answer"
}
end_container() {
	eval "exec ${INSIDE[1]}>&-"
	wait "$inside"
	rmdir $CG/$name
}
defer rmdir $CG/$name

of() { metric "nestor_pcache_$1{container=\"/$name\"}"; }
evictions() { metric "nestor_pcache_evictions_total{reason=\"$1\",vm=\"\",container=\"/$name\"}"; }
hits_misses() {
	metrics | awk -v c="vm=\"\",container=\"/$name\"" 'index($0, "nestor_pcache_hits_total{" c) { h = $NF }
		index($0, "nestor_pcache_misses_total{" c) { m = $NF } END { print h + 0, m + 0 }'
}
counted() { # counted HOW FILE NUMBER: sets hits and misses to how many more there are
	local before after
	read -ra before < <(hits_misses)
	use "$@" > /dev/null
	read -ra after < <(hits_misses)
	hits=$((after[0] - before[0])) misses=$((after[1] - before[1]))
}
# The same of a file that was read just now. The kernel may have taken pages back all the same: where it runs DAMON it
# reclaims those that were not used for a while, also with memory to spare. These are no misses that should not be.
counted_again() {
	local gone
	gone=$((PAGES - $(use cached "$2" 0)))
	counted "$@"
	hits=$((hits + gone)) misses=$((misses - gone))
	[ $gone = 0 ] || echo "# $gone pages were taken back meanwhile"
}
percent() { within "$1" $(($2 * (100 - $4) / 100)) "$3" $(($2 * (100 + $4) / 100)); }

# On a disk of its own if $PCACHE_DISK is one: in a VM a file is memory, which a loop device has the reader pay for.
get_disk() { # sets disk
	disk=${PCACHE_DISK:-}
	[ -z "$disk" ] || return 0
	truncate -s 400M "$T/disk"
	disk=$(losetup --find --show --direct-io=on "$T/disk" 2> /dev/null || losetup --find --show "$T/disk")
	defer losetup -d "$disk"
}
mount_new() { # mount_new FSTYPE FORCE: at $T/mnt
	"mkfs.$1" -q "$2" "$disk" > "$T/mkfs.log" 2>&1 && mount -t "$1" "$disk" "$T/mnt" || return 1
	defer umount "$T/mnt"
	f=$T/mnt/file
}
umount_it() { umount "$T/mnt"; }

check_files() { # check_files FSTYPE
	local type=$1 size
	counted write "$f" $((PAGES * 4096))
	is "pcache, $type: writing a new file has no misses" 0 "$misses"
	for size in 4096 16384 $((PAGES * 5000)); do # the last is more than the file has
		use cold "$f" 0 > /dev/null
		counted read "$f" $size
		percent "pcache, $type: reads of $size bytes of a cold file have $PAGES misses" $PAGES "$misses" 1
		within "pcache, $type: reads of $size bytes of a cold file have no hits" 0 "$hits" $((PAGES / 100))
		counted_again read "$f" $size
		within "pcache, $type: reads of $size bytes of a cached file have no misses" 0 "$misses" $((PAGES / 100))
		percent "pcache, $type: reads of $size bytes of a cached file have $PAGES hits" $PAGES "$hits" 1
	done
	use cold "$f" 0 > /dev/null
	counted map "$f" 1
	percent "pcache, $type: a mapped cold file has $PAGES misses" $PAGES "$misses" 1
	within "pcache, $type: a mapped cold file has no hits" 0 "$hits" $((PAGES * 3 / 100))
	counted_again map "$f" 1
	within "pcache, $type: a mapped cached file has no misses" 0 "$misses" $((PAGES / 100))
	percent "pcache, $type: a mapped cached file has $PAGES hits" $PAGES "$hits" 3
}

mkdir "$T/mnt"
get_disk
blockdev --setra 256 "$disk" # 128 KiB, as disks have
agent_start
new_container
mount_new ext4 -F
check_files ext4

# ---- single pages here and there, without readahead
use cold "$f" 0 > /dev/null
counted random "$f" 50
is "pcache: touching 100 pages of a cold file without readahead has 100 misses" 100 "$misses"
is "pcache: touching 100 pages of a cold file has no hits" 0 "$hits"
is "pcache: mincore(2) finds 100 touched pages of a cold file in memory" 100 "$(use cached "$f" 0)"
counted random "$f" 50
is "pcache: touching 100 cached pages has 100 hits" 100 "$hits"

# ---- what is no use of the cache
use cold "$f" 0 > /dev/null
counted direct "$f" 65536
is "pcache: O_DIRECT reads have no misses and no hits" "0 0" "$misses $hits"
mkdir "$T/tmpfs"
mount -t tmpfs -o size=64m tmpfs "$T/tmpfs"
defer umount "$T/tmpfs"
counted write "$T/tmpfs/file" $((8 << 20))
counted map "$T/tmpfs/file" 1
is "pcache: files on tmpfs have no misses and no hits" "0 0" "$misses $hits"

mkdir "$T/mnt/many"
for i in {1..1000}; do : > "$T/mnt/many/$i"; done
umount_it
mount "$disk" "$T/mnt"
misses=$(of misses_total)
is "(pcache: 1000 inodes are read from the disk)" 1000 "$(use list "$T/mnt/many" 0)"
is "pcache: the file system's own blocks are no misses" "$misses" "$(of misses_total)"

# ---- why pages go
use read "$f" 131072 > /dev/null
pages=$(of pages)
gone=$(evictions invalidate)
truncate -s $((PAGES * 2048)) "$f"
percent "pcache: truncated pages count as invalidated" $((PAGES / 2)) $(($(evictions invalidate) - gone)) 1
gone=$(evictions invalidate) reclaimed=$(evictions reclaim)
use cold "$f" 0 > /dev/null
percent "pcache: pages dropped on request count as invalidated" $((PAGES / 2)) $(($(evictions invalidate) - gone)) 1
within "pcache: pages dropped on request do not count as reclaimed" 0 $(($(evictions reclaim) - reclaimed)) $((PAGES / 100))
percent "pcache: a container's pages decrease by those invalidated" $PAGES $((pages - $(of pages))) 1

# ---- nestorctl
like "pcache: nestorctl pcache show has the misses of the metrics" "^$(of misses_total)\$" \
	"$(ctl pcache show --json | jq ".[] | select(.container == \"/$name\") | .misses")"

# ---- a restart of the agent, also a sudden one; a container that is killed and made again
misses=$(of misses_total)
agent_kill
agent_start
is "pcache: counts continue after the agent was killed" "$misses" "$(of misses_total)"
end_container
new_container
use read "$f" 131072 > /dev/null
percent "pcache: a container of the same name continues its series" $((PAGES / 2)) $(($(of misses_total) - misses)) 1

# ---- other file systems
umount_it
for type in xfs btrfs; do
	if command -v "mkfs.$type" > /dev/null && mount_new $type -f; then
		check_files $type
		umount_it
	else
		skip "pcache, $type: reads and mapped files are counted" "this kernel or its tools have none"
	fi
done
# ---- too little memory: a quarter of the file fits
limit() { # limit BYTES
	local file=$CG/$name/memory.max
	[ -e "$file" ] || file=$CG/$name/memory.limit_in_bytes
	echo "$1" > "$file"
}
memory_stat() { awk -v k="$1" '$1 == k { print $2 }' $CG/$name/memory.stat; }
end_container
new_container
mount_new ext4 -F
use write "$f" $((PAGES * 4096)) > /dev/null
use cold "$f" 0 > /dev/null
misses=$(of misses_total) refaults=$(of refaults_total) reclaimed=$(evictions reclaim) pages=$(of pages)
limit $((PAGES * 1024))
use read "$f" 131072 > /dev/null
use read "$f" 131072 > /dev/null
use map "$f" 1 > /dev/null
misses=$(($(of misses_total) - misses)) reclaimed=$(($(evictions reclaim) - reclaimed)) pages=$(($(of pages) - pages))
within "pcache: $PAGES pages read three times in too little memory are evicted two to three times" $((PAGES * 2)) $reclaimed $((PAGES * 3))
percent "pcache: evictions in too little memory are misses less the pages that stay" $((misses - pages)) $reclaimed 2
percent "pcache: refaults are memory.stat's" "$(memory_stat workingset_refault_file)" $(($(of refaults_total) - refaults)) 2
if [ -n "$(memory_stat pgsteal)" ]; then
	percent "pcache: evictions are memory.stat's" "$(memory_stat pgsteal)" $reclaimed 2
else
	skip "pcache: evictions are memory.stat's" "cgroup v1 does not tell them"
fi

end_container
lost() { metrics | awk '/^nestor_events_lost_total\{room="pcache"/ && !/"nested"/ { n += $NF } END { print n + 0 }'; }
is "pcache: no event is lost" 0 "$(lost)"
echo "# nested: $(metric 'nestor_events_lost_total{room="pcache",reason="nested"}')"
done_testing

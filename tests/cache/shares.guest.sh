#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM with the module: containers have the parts of the memory store that the policy gives them, one turnover after
# each change, and lend what they do not use; one that streams goes to the SSD, and the others have more than before. A page
# is in the page cache or in a store, never in both. /dev/vda is the disk, /dev/vdb the SSD. tests/cache/shares.sh boots it.
. "$(dirname "$0")/../harness/lib.sh"

CG=/sys/fs/cgroup
MAPPED=/dev/mapper/vda-nestor
STORE=6144 # pages
policy=$T/policy.yaml
mkdir "$T/mnt" $CG/one $CG/two $CG/three
defer rmdir $CG/one $CG/two $CG/three

say_policy() { # say_policy POOL…
	printf 'agent: {min_age: 0}\nblkio: {mode: off}\npcache: {mode: off}\nnet: {mode: off}\n'
	printf 'cache:\n  mode: enforce\n  memory: %d\n  ssd: /dev/vdb\n  min_free: 32MiB\n  pools:\n' $((STORE * 4096))
	printf '    - {container: /%s}\n' "$@"
}
scrape() { metrics > "$T/metrics"; }
of() { # of CONTAINER METRIC STORE, as last scraped
	awk -v s="nestor_cache_$2{store=\"$3\",vm=\"\",container=\"/$1\"}" '$1 == s { print $NF }' "$T/metrics"
}
reader() { # reader CONTAINER PAUSE: reads its file again and again; a pause after each 64 KiB
	(
		echo $BASHPID > "$CG/$1/cgroup.procs"
		while :; do
			for ((block = 0; block < 768; block++)); do
				dd if="$T/mnt/$1" of=/dev/null bs=64k count=1 skip=$block 2> /dev/null
				[ "$2" = 0 ] || read -rt "$2" <&$never
			done
		done
	) &
	readers[$1]=$!
}
declare -A readers=()
stop_readers() {
	kill "${readers[@]}" 2> /dev/null
	wait "${readers[@]}" 2> /dev/null
	readers=()
}
defer stop_readers

parts() { # parts CONTAINER PERCENT…: are they that, within 2 points?
	local container percent
	scrape
	while [ $# -gt 0 ]; do
		container=$1 percent=$2
		shift 2
		within "cache: $phase: container $container has $percent % of the store" $((percent - 2)) \
			"$(awk -v p="$(of "$container" pages memory)" -v a="$STORE" 'BEGIN { print 100 * p / a }')" $((percent + 2))
	done
}
declare -A put=()
note_puts() { # of all that read
	local name
	scrape
	for name in "${!readers[@]}"; do put[$name]=$(of "$name" puts_total memory); done
}
# Has each put as many pages as the store owes it?
turned_over() {
	local name
	scrape
	for name in "${!readers[@]}"; do
		[ $(($(of "$name" puts_total memory) - put[$name])) -ge "$(of "$name" entitlement_pages memory)" ] || return 1
	done
}
# apply TEXT POOL…: the policy, live; returns when the store has turned over with it
apply() {
	phase=$1
	shift
	say_policy "$@" > "$policy.new"
	mv "$policy.new" "$policy"
	until_ok 20 entitled "$@" || ok "cache: $phase: the policy is in force" false
	note_puts
	until_ok 90 turned_over || ok "cache: $phase: the store turns over" false
}
entitled() { # entitled "NAME, memory: WEIGHT, ssd: WEIGHT"…: does each have what its weight is of all weights?
	local pool sum=0 name weight
	for pool; do
		read -r _ _ weight _ <<< "${pool//,/ }"
		sum=$((sum + weight))
	done
	scrape
	for pool; do
		read -r name _ weight _ <<< "${pool//,/ }"
		[ "$(of "$name" entitlement_pages memory)" = $((STORE * weight / sum)) ] || return 1
	done
}

insmod /nestor.ko || exit 1
mkfs.ext4 -q -F -b 4096 /dev/vda
mount /dev/vda "$T/mnt"
for name in one two three; do dd if=/dev/urandom bs=1M count=48 2> /dev/null > "$T/mnt/$name"; done
dd if=/dev/urandom bs=1M count=16 2> /dev/null > "$T/mnt/small"
umount "$T/mnt"
# As of a disk that takes 255 sectors at a time: where the kernel cuts I/Os there, their parts are no blocks.
echo 127 > /sys/block/vda/queue/max_sectors_kb
for name in one two three; do echo 12M > $CG/$name/memory.max; done
say_policy 'one, memory: 60, ssd: 0' 'two, memory: 40, ssd: 0' > "$policy"
agent_start --policy "$policy"
"$NESTORCTL" cache attach /dev/vda > /dev/null
[ -e $MAPPED ] || dmsetup mknodes
mount $MAPPED "$T/mnt"

# ---- in the page cache or in a store: a file that both together can hold is in them once
stored() { scrape && of one pages memory; }
resident() { fincore -nbo PAGES "$T/mnt/small" | tr -d ' '; }
read_small() { (echo $BASHPID > $CG/one/cgroup.procs && cat "$T/mnt/small" > /dev/null); }
for _ in 1 2 3; do
	read_small
	echo "# resident $(resident), stored $(stored)"
done
within "cache: each page of a file is in the page cache or in the store, not in both" 3900 $(($(resident) + $(stored))) 4160
ok "cache: the page cache has a part of the file" [ "$(resident)" -gt 500 ]
unknown=$(awk '/^nestor_cache_drops_total\{reason="unknown"/ { n += $NF } END { print n + 0 }' "$T/metrics")
ok "cache: pages of a disk whose I/Os end between blocks are known ($unknown unknown)" [ "$unknown" -lt 100 ]

# ---- shares, each from the moment on that all are owed theirs
at_least() { scrape && [ "$(of "$1" pages memory)" -ge $((STORE * $2 / 100)) ]; } # at_least CONTAINER PERCENT
reader one 0
ok "cache: a container borrows the share that another one does not use" until_ok 60 at_least one 97
reader two 0
apply "60:40" 'one, memory: 60, ssd: 0' 'two, memory: 40, ssd: 0'
parts one 60 two 40
reader three 0
apply "50:30:20" 'one, memory: 50, ssd: 0' 'two, memory: 30, ssd: 0' 'three, memory: 20, ssd: 0'
parts one 50 two 30 three 20
apply "60:40 with a third container on the SSD" 'one, memory: 60, ssd: 0' 'two, memory: 40, ssd: 0' 'three, memory: 0, ssd: 100'
parts one 60 two 40 three 0
ok "cache: a container without a share of memory has pages on the SSD" [ "$(of three pages ssd)" -gt 1000 ]
# What is read from the SSD goes to the page cache, and from there to memory if it has a part there.
apply "50:50 with one container in memory and on the SSD" 'one, memory: 50, ssd: 0' 'two, memory: 0, ssd: 0' 'three, memory: 50, ssd: 100'
from_ssd=$(of three hits_total ssd)
comes_round() { scrape && [ $(($(of three hits_total ssd) - from_ssd)) -gt 2000 ]; } # its reader
ok "cache: pages are read from the SSD" until_ok 60 comes_round
parts one 50 two 0 three 50

stop_readers
# ---- the kernel is short of memory, and the agent does not come on: the store gives way before anything is killed
STORE=65536
apply_store() { say_policy 'one, memory: 100, ssd: 0' > "$policy.new" && mv "$policy.new" "$policy"; }
fill_store() { (echo $BASHPID > $CG/one/cgroup.procs && cat "$T/mnt/one" "$T/mnt/two" "$T/mnt/three" > /dev/null); }
is_full() { fill_store && scrape && [ "$(of one pages memory)" -gt 25000 ]; }
apply_store
ok "cache: a store fills with more than 25000 pages" until_ok 60 is_full
held=$(of one pages memory)
sums=$(cd "$T/mnt" && md5sum one two three)
available() { awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo; } # MiB; the store's pages are not among them
available=$(available)
hog=$((available + held * 85 / 25600)) # and 85 % of what the store has
kill -STOP $agent_pid
ok "cache: a program gets $hog MiB where $available are available beside the store" \
	dd if=/dev/zero of=/dev/null bs=${hog}M count=1 2> "$T/said"
given=$(($(available) - available))
kill -CONT $agent_pid
ok "cache: the store shrinks for a program that needs memory ($given MiB of $((held / 256)))" [ $given -gt $((held / 1024)) ]
is "cache: files are unchanged after the store shrank" "$sums" "$(cd "$T/mnt" && md5sum one two three)"
until_ok 5 umount "$T/mnt" # a dd of theirs may still be at it
"$NESTORCTL" cache detach vda > /dev/null
agent_stop
done_testing

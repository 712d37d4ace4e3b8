#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A container that streams beside two that work on what fits: where is it best kept? Its file of 32 MiB is read again and
# again, and so are theirs of 12 MiB each; the memory store has 24 MiB, each container 8 MiB of page cache. On Debian's 6.12
# in a VM, whose processor is emulated and some twenty times slower than a real one; and so are the disk, which serves one
# I/O at a time, and the SSD: 20 ms and 1 ms for each.
#	cachestream.sh [PASSES]
. "$(dirname "$0")/lib.sh"
if [ "${1:-}" != --inside ]; then
	in_cache_vm cachestream 1500 "${1:-10}"
	exit
fi
passes=$2
CG=/sys/fs/cgroup
policy=$T/policy.yaml
mkdir "$T/mnt"

say_policy() { # say_policy MEMORY SSD: the weights of the one that streams; the others have 50 in memory each
	printf 'agent: {min_age: 0}\nblkio: {mode: off}\npcache: {mode: off}\nnet: {mode: off}\n'
	printf 'cache:\n  mode: enforce\n  memory: 24MiB\n  ssd: /dev/ssd\n  min_free: 16MiB\n  pools:\n'
	printf '    - {container: /%s, memory: %d, ssd: %d}\n' one 50 0 two 50 0 stream "$1" "$2"
}
pass() { build/tests/tools/filecache <<< "read $T/mnt/$1 65536" > /dev/null; }
# A container that reads its file until there is $T/over, and then what its passes took, in ms, the first ones not counted
container() { # container NAME CASE
	local began took=()
	echo $BASHPID > "$CG/$1/cgroup.procs"
	until [ -e "$T/over" ]; do
		began=$EPOCHREALTIME
		pass "$1"
		took+=($(((${EPOCHREALTIME/./} - ${began/./}) / 1000)))
		printf '%s\n' "${took[@]:2}" > "$T/$1-$2"
	done
}
# All at once, until the slowest has made its passes
together() { # together CASE
	local name pids=()
	rm -f "$T/over"
	echo 1 > /proc/sys/vm/drop_caches
	for name in one two stream; do
		container $name "$1" &
		pids+=($!)
	done
	passed() { [ "$(wc -l < "$T/stream-$1")" -ge "$passes" ]; } 2> /dev/null
	until_ok 300 passed "$1" || exit 1
	touch "$T/over"
	wait "${pids[@]}"
	echo "cachestream: $1" >&2
}
with() { # with CASE MEMORY SSD
	say_policy "$2" "$3" > "$policy"
	agent_start --policy "$policy"
	"$NESTORCTL" cache attach /dev/hdd > /dev/null
	[ -e /dev/mapper/hdd-nestor ] || dmsetup mknodes
	mount /dev/mapper/hdd-nestor "$T/mnt"
	together "$1"
	umount "$T/mnt"
	"$NESTORCTL" cache detach hdd > /dev/null
	agent_stop
}

insmod /nestor.ko
null_disk hdd 128 20000000 hw_queue_depth=1 submit_queues=1
null_disk ssd 96 1000000
mkfs.ext4 -q -b 4096 /dev/hdd
mount /dev/hdd "$T/mnt"
for file in one=12 two=12 stream=32; do dd if=/dev/urandom of="$T/mnt/${file%=*}" bs=1M count=${file#*=} 2> /dev/null; done
for name in one two stream; do
	mkdir $CG/$name
	echo 8M > $CG/$name/memory.max
done
together nothing
umount "$T/mnt"
with alone 0 0
with memory 50 0
with ssd 0 100
{
	echo "cachestream: milliseconds to read a file once more, $passes times or more; mean and 95 % confidence"
	circumstances
	echo "                                        one of 12 MiB     another of 12     the stream of 32"
	while read -r case text; do
		printf '%-36s' "$text"
		for name in one two stream; do printf '%18s' "$(mean_ci %.0f < "$T/$name-$case")"; done
		echo
	done <<- 'END'
		nothing no cache:
		alone in memory, but for the stream:
		memory in memory, the stream like the others:
		ssd in memory, the stream on the SSD:
	END
	awk '{ s[FILENAME] += $1; n[FILENAME]++ }
		END { for (i = 1; i < 7; i++) m[i] = s[ARGV[i]] / n[ARGV[i]]
		printf "with the stream on the SSD: the others %.2f and %.2f times as fast as without it in the cache, it %.2f times\n",
			m[1] / m[2], m[3] / m[4], m[5] / m[6] }' \
		"$T"/one-alone "$T"/one-ssd "$T"/two-alone "$T"/two-ssd "$T"/stream-nothing "$T"/stream-ssd
} | store cachestream

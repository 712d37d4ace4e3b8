#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM of the debug kernel: the module tests itself; one of STEP allocations fails once that the module's init, a session, an
# attach and puts make; then CYCLES times, when the cache has taken pages, a device is taken out below a mounted file system, the
# module goes and comes, and it is put in again. /dev/vda is the disk, /dev/vdb the SSD. tests/cache/failing_allocations.sh boots it.
. "$(dirname "$0")/../harness/lib.sh"

CG=/sys/fs/cgroup/one
MAPPED=/dev/mapper/vda-nestor
policy=$T/policy.yaml
mkdir "$CG" "$T/mnt"
defer rmdir "$CG"
printf 'agent: {min_age: 0}\nblkio: {mode: off}\npcache: {mode: off}\nnet: {mode: off}\ncache:\n  mode: enforce\n  memory: 8MiB\n  ssd: /dev/vdb\n  pools: [{container: /one, memory: 60, ssd: 30}]\n' > "$policy"

every_allocation() {
	local dir
	for dir in /sys/kernel/debug/fail{slab,_page_alloc}; do
		echo N > "$dir/ignore-gfp-wait"
		echo 0 > "$dir/verbose"
	done
	echo N > /sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem
	echo 0 > /sys/kernel/debug/fail_page_alloc/min-order
}
export STEP
sweep() { # sweep TEXT ARG…: of faults
	local text=$1 started=$SECONDS
	shift
	"$ROOT/build/tests/tools/faults" "$@" > "$T/sweep" 2> "$T/said"
	ok "$text" [ $? = 0 ] || sed 's/^/#   /' "$T/said"
	echo "# $text: $(cat "$T/sweep"), in $((SECONDS - started)) s"
}
# The init of the module, which lets one of its own allocations fail.
sweep_init() {
	local nth=$STEP loaded=0 started=$SECONDS
	while :; do
		if insmod /nestor.ko fail_nth=$nth 2> "$T/said"; then
			[ "$(cat /sys/module/nestor/parameters/fail_nth)" = 0 ] || break
			loaded=$((loaded + 1))
			rmmod nestor
		elif ! grep -q 'out of memory\|annot allocate memory' "$T/said"; then
			break
		fi
		nth=$((nth + STEP))
	done
	rmmod nestor
	echo "# init: $((nth - 1)) allocations; $loaded of their failures did not matter, in $((SECONDS - started)) s"
	[ $nth -gt 5 ]
}
fill() { # fill NAME: a file of 12 MiB whose content its name tells
	awk -v n="$1" 'BEGIN { srand(n); for (i = 0; i < 196608; i++) printf "%063d\n", i * 7919 + n }' > "$T/mnt/$1"
}
sums() { (cd "$T/mnt" && md5sum [12]); }

ok "cache: the module's self-test passes" insmod /nestor.ko selftest=5
dmesg | sed -n 's/.*nestor: selftest: /# /p'
rmmod nestor
every_allocation
ok "the module loads or fails cleanly whichever allocation of its init fails" sweep_init || cat "$T/said"
insmod /nestor.ko || exit 1
sweep "a session opens or fails cleanly whichever allocation fails" session 32 6 /dev/vdb
mkfs.ext4 -q -F -b 4096 /dev/vda
# Without the creation of a device, most of whose allocations are not ours.
dmsetup create faults --notable
sweep "a table loads or fails cleanly whichever allocation fails" table faults /dev/vda
dmsetup remove faults

agent_start --policy "$policy"
"$NESTORCTL" cache attach /dev/vda > /dev/null
[ -e $MAPPED ] || dmsetup mknodes
mount $MAPPED "$T/mnt"
echo $$ > $CG/cgroup.procs
for name in 1 2; do fill $name; done
sync
before=$(sums)
STEP=1 sweep "pages are reclaimed whichever allocation of a put fails" reclaim "$CG" 24M "$T/mnt/1" "$T/mnt/2"
sweep "a file is read whichever allocation of a get fails" read "$T/mnt/1"
is "failed allocations change no byte of a file" "$before" "$(sums)"
ok "the cache served while allocations failed" [ "$(metrics | awk '/^nestor_cache_hits_total/ { n += $NF } END { print n + 0 }')" -gt 1000 ]

# ---- out and in again under traffic
writers() { # until there is a file "enough": files that are written, read, and compared
	while [ ! -e "$T/enough" ]; do
		cp "$T/mnt/1" "$T/mnt/$1" && cmp -s "$T/mnt/1" "$T/mnt/$1" || echo "$1 differs" >> "$T/differs"
	done
}
echo 16M > $CG/memory.max
for name in 3 4; do
	writers $name &
	traffic+=($!)
done
echo $$ > /sys/fs/cgroup/cgroup.procs
gone() { rmmod nestor 2> /dev/null; }
mode() { # mode MODE: of the room, which holds the module while it is on
	sed -i "/^cache:/,\$s/mode: .*/mode: $1/" "$policy"
	ctl policy reload
}
puts() { metrics | awk '/^nestor_cache_puts_total/ { n += $NF } END { print n + 0 }'; }
is_used() { [ "$(puts)" -gt $((used + 100)) ]; }
step() { "$@" > "$T/said" 2>&1 || { echo "failed: $*" >> "$T/said" && return 1; }; }
cycle() {
	used=$(puts)
	step until_ok 300 is_used && step "$NESTORCTL" cache detach vda && step mode off && step until_ok 100 gone &&
		step insmod /nestor.ko && step mode enforce && step "$NESTORCTL" cache attach /dev/vda
}
done=0
while [ $done -lt "$CYCLES" ] && cycle; do
	done=$((done + 1))
	[ $((done % 25)) != 0 ] || echo "# $done cycles, after $SECONDS s"
done
is "$CYCLES times detached, removed, loaded and attached under traffic" "$CYCLES" $done
[ $done = "$CYCLES" ] || sed 's/^/# /' "$T/said"
: > "$T/enough"
wait "${traffic[@]}"
ok "no file differs that was written while the cache was detached and attached" [ ! -e "$T/differs" ]
is "the files from before the cycles are unchanged" "$before" "$(cd "$T/mnt" && md5sum 1 2)"
umount "$T/mnt"
"$NESTORCTL" cache detach vda > /dev/null
agent_stop
ok "the module can be removed" until_ok 100 gone
done_testing

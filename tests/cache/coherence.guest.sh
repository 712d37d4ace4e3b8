#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM with the module: what files read is what was written to them, whatever happens around; and the second-level
# cache had a part in it. /dev/vda is the disk, /dev/vdb the SSD, /dev/vdc has files whose pages are buffers of direct I/O.
# tests/cache/coherence.sh boots it.
. "$(dirname "$0")/../harness/lib.sh"

CG=/sys/fs/cgroup
MNT=$T/mnt
place=$MNT # where files are fuzzed
disk=/dev/vda MAPPED=/dev/mapper/vda-nestor
policy=$T/policy.yaml
mkdir "$MNT" "$T/other"
mkdir $CG/one $CG/two
defer rmdir $CG/one $CG/two

store() { # store MEMORY SSD, of all
	printf 'agent: {min_age: 0}\nblkio: {mode: off}\npcache: {mode: off}\nnet: {mode: off}\ncache:\n  mode: enforce\n  memory: %s\n  ssd: %s\n  min_free: 32MiB\n  pools:\n' "$1" "$2"
	printf '    - {container: /one, memory: 60, ssd: 30}\n    - {container: /two, memory: 40, ssd: 100}\n'
}
nodes() { [ -e $MAPPED ] || dmsetup mknodes; }
attach() { "$NESTORCTL" cache attach "$disk" > "$T/said" 2>&1 && nodes; }
detach() { "$NESTORCTL" cache detach "${disk##*/}" > "$T/said" 2>&1; }
sum() { metrics | awk -v m="^nestor_cache_$1[{]" '$0 ~ m && /'"${2:-}"'/ { n += $NF } END { print n + 0 }'; }
running() { kill -0 "${fuzzers[@]}" 2> /dev/null; }

# What goes on beside: pages are dropped, processes move, the agent dies, the cache is taken out and put in again, another
# program chooses.
disturb() { # disturb TURN
	case $(($1 % 10)) in
	0 | 4) echo 1 > /proc/sys/vm/drop_caches ;;
	1 | 5) echo 16M > $CG/one/memory.reclaim ;;
	2) program head ;; # it is there when the agent is killed
	3) for pid in "${fuzzers[@]}"; do echo "$pid" > $CG/two/cgroup.procs; done ;;
	6)
		hits=$((hits + $(sum hits_total))) # they begin anew with the session
		ssd_hits=$((ssd_hits + $(sum hits_total ssd)))
		transformed=$((transformed + $(sum drops_total transformed)))
		agent_kill
		agent_start --policy "$policy"
		;;
	7)
		detach
		attach
		;;
	8) for pid in "${fuzzers[@]}"; do echo "$pid" > $CG/one/cgroup.procs; done ;;
	9) ctl cache policy reset > "$T/said" ;;
	esac 2> /dev/null
}

# What only btrfs does: blocks move to other places, and snapshots make writes go to new ones.
turn_btrfs() { # turn_btrfs TURN
	case $(($1 % 6)) in
	1) btrfs -q subvolume snapshot "$MNT" "$MNT/snapshot" && snapshots=$((snapshots + 1)) ;;
	3) btrfs -q balance start -d "$MNT" && balances=$((balances + 1)) ;;
	5) btrfs -q subvolume delete "$MNT/snapshot" ;;
	esac 2> /dev/null
}

fuzz() { # fuzz NAME OPERATIONS: in $place, which is in what is mounted on $MNT
	local turn=0 seed status=0
	fuzzers=() hits=0 ssd_hits=0 transformed=0
	for seed in 1 2 3 4; do
		mkdir "$place/$seed"
		"$ROOT/build/tests/tools/fsfuzz" "$place/$seed" "$((SEED * 100 + seed))" $(($2 / 4)) $CG/one "$T/other/$seed" > "$T/fuzz$seed" 2>&1 &
		fuzzers+=($!)
	done
	while running; do
		[ "$1" != btrfs ] || turn_btrfs $turn
		disturb $((turn++))
		read -rt 0.4 <&$never || :
	done 2> /dev/null
	for seed in "${fuzzers[@]}"; do wait "$seed" || status=1; done
	ok "cache: $1: no byte is stale in $2 operations" [ $status = 0 ] || sed 's/^/#   /' "$T"/fuzz?
	hits=$((hits + $(sum hits_total)))
	ssd_hits=$((ssd_hits + $(sum hits_total ssd)))
	transformed=$((transformed + $(sum drops_total transformed)))
	echo "# $1: $hits pages came from the stores, $ssd_hits of them from the SSD; after $turn disturbances; $transformed were refused for not being what the disk has"
}

keep() { # keep NAME: 2 MiB of a file of /one's, dropped from the page cache: into the memory store, if that takes them
	# shellcheck disable=SC2016
	sh -c 'echo $$ > "$1/cgroup.procs" && exec dd if=/dev/urandom of="$2" bs=64k count=32 conv=notrunc,fsync' - $CG/one "$MNT/$1" 2> /dev/null
	echo 1 > /proc/sys/vm/drop_caches
}

# Nothing goes on: what is in the stores is what the metrics say.
shown() { # shown NAME
	local bytes
	keep shown
	bytes=$(ctl --json cache top --once --interval 0.1 | awk '/"memory_bytes"/ { n += $2 } END { print n + 0 }')
	within "cache: $1: cache top shows pages in the stores" 4096 "$bytes" 3145728
	is "cache: $1: cache top and metrics show the same" "$(sum pages memory)" $((bytes / 4096))
}

# ---- a user's own program chooses stores ----

program() { # program NAME: takes it; what was said, in $said
	said=$(ctl cache policy load "$ROOT/build/tests/cache/programs/choose-$1.bpf.o" 2>&1)
}
stored() { # stored: pages that went into memory and to the SSD when a file of 2 MiB was written and dropped
	memory=$(sum puts_total memory) ssd=$(sum puts_total ssd)
	keep file
	memory=$(($(sum puts_total memory) - memory)) ssd=$(($(sum puts_total ssd) - ssd))
}
refuses() { # refuses NAME PATTERN
	program "$1"
	is "cache: program $1 is refused: status" 1 $?
	like "cache: program $1 is refused: the error says why" "$2" "$said"
}

stage_programs() {
	ok "cache: programs: the disk is attached" attach
	mkfs.ext4 -q -F -b 4096 $MAPPED
	mount $MAPPED "$MNT"
	stored
	within "cache: programs: the built-in one puts pages in memory, as policy says" 512 "$memory" 560
	program head
	is "cache: programs: one is loaded" "0 program: head" "$? $said"
	is "cache: programs: metrics name the loaded one" 1 "$(metric 'nestor_cache_program_info{program="head"}')"
	stored
	within "cache: programs: the loaded one puts half of a file in memory" 256 "$memory" 300
	ok "cache: programs: pages that the loaded one refuses are counted" [ "$(sum drops_total unwanted)" -gt 0 ]
	program ssd
	is "cache: programs: a second one replaces the first" "0 program: ssd" "$? $said"
	stored
	within "cache: programs: the second one puts pages on the SSD" 200 "$ssd" 600
	within "cache: programs: the second one puts no page in memory" 0 "$memory" 40
	refuses long 'too long: the verifier walked [0-9]+ instructions, and at most 4096 may be'
	refuses loop 'a function of the kernel that it must not call'
	refuses global 'functions, but for the program, have to be static'
	refuses wild "the kernel refuses it: .*invalid mem access 'scalar'"
	refuses type 'the kernel refuses it: .*cache_choose'
	refuses place 'has to be in the section freplace/cache_choose'
	refuses two 'one program, no more'
	is "cache: programs: a file that is no BPF object is refused" "it is not a BPF object file" \
		"$(ctl cache policy load "$policy" 2>&1 | sed 's/^nestorctl: //')"
	stored
	within "cache: programs: a refused one leaves the loaded one in force" 200 "$ssd" 600
	is "cache: programs: reset brings the built-in one back" "program: built-in" "$(ctl cache policy reset)"
	stored
	within "cache: programs: after reset the built-in one puts pages in memory" 512 "$memory" 560
	umount "$MNT"
	ok "cache: programs: the disk is detached" detach
}

on() { # on NAME OPERATIONS MKFS…: a file system on the cached disk
	local name=$1 operations=$2
	shift 2
	ok "cache: $name: the disk is attached" attach
	"$@" $MAPPED > /dev/null 2>&1
	mount $MAPPED "$MNT"
	fuzz "$name" "$operations"
	ok "cache: $name: pages come from the stores" [ "$hits" -gt $((operations / 20)) ]
	shown "$name"
	umount "$MNT"
	ok "cache: $name: the disk is detached" detach
	ok "cache: $name: the mapped device is gone after the detach" [ ! -e $MAPPED ]
}

SEED=${SEED:-1}
echo "# SEED=$SEED OPERATIONS=$OPERATIONS"
insmod /nestor.ko || exit 1
mkfs.ext4 -q -F -b 4096 -O ^has_journal /dev/vdc && mount /dev/vdc "$T/other"
defer umount "$T/other"
echo 16M > $CG/one/memory.max
echo 16M > $CG/two/memory.max
store 3MiB /dev/vdb > "$policy"
agent_start --policy "$policy"
is "cache: the room is up" 1 "$(metric 'nestor_room_up{room="cache"}')"
is "cache: pins are in the agent's folder" "" "$(find /sys/fs/bpf -maxdepth 1 -name '*lost*')"
rmmod nestor 2> "$T/said"
is "cache: the module cannot be removed while the agent uses it" 1 $?
"$ROOT/build/tests/tools/misuse" "$ROOT/build/tests/cache/programs/misuse.bpf.o" > "$T/misuse"
is "cache: programs that misuse the module's kfunc are refused, a good one is loaded" 0 $?
sed 's/^/# /' "$T/misuse"
ok "cache: at least 20 ways to misuse the module's kfunc are tried" [ "$(grep -c ^good "$T/misuse")" -ge 21 ]

stage_ext4() { on ext4 $((OPERATIONS / 6)) mkfs.ext4 -q -F -b 4096; }
stage_xfs() { on xfs $((OPERATIONS / 6)) mkfs.xfs -q -f; }
stage_btrfs() {
	snapshots=0 balances=0
	on btrfs $((OPERATIONS / 6)) mkfs.btrfs -q -f
	ok "cache: btrfs: snapshots are taken while files change ($snapshots)" [ $snapshots -gt 0 ]
	ok "cache: btrfs: blocks move while files change ($balances times)" [ $balances -gt 0 ]
}

# The plain side of a cipher's disk: cipher NAME DISK
cipher() {
	echo "0 $(blockdev --getsz "$2") crypt aes-xts-plain64 $(printf '00%.0s' {1..63})01 0 $2 0" | dmsetup create "$1"
	dmsetup mknodes # no udev here
}

# What a read brought is changed in place, and so is no block's content.
has_cipher() { dmsetup targets | grep -q ^crypt || { skip "$1" "this kernel has no dm-crypt" && false; }; }
stage_above() {
	has_cipher "cache: cipher above" || return
	ok "cache: cipher above: the disk is attached" attach
	cipher above $MAPPED
	mkfs.ext4 -q -F -b 4096 /dev/mapper/above
	mount /dev/mapper/above "$MNT"
	fuzz "cipher above" $((OPERATIONS / 8))
	ok "cache: cipher above: pages that were decrypted in place are refused" [ $transformed -gt 100 ]
	umount "$MNT"
	dmsetup remove above
	ok "cache: cipher above: the disk is detached" detach
}

stage_below() {
	has_cipher "cache: cipher below" || return
	cipher below /dev/vda
	disk=/dev/mapper/below MAPPED=/dev/mapper/below-nestor
	on "cipher below" $((OPERATIONS / 8)) mkfs.ext4 -q -F -b 4096
	dmsetup remove below
	disk=/dev/vda MAPPED=/dev/mapper/vda-nestor
}

# Files are ciphered by the file system: in place after a read, and in pages of its own for a write.
stage_fscrypt() {
	local key
	if [ ! -e /sys/fs/ext4/features/encryption ]; then
		skip "fscrypt" "this kernel's ext4 has none"
		return
	fi
	ok "cache: fscrypt: the disk is attached" attach
	mkfs.ext4 -q -F -b 4096 -O encrypt $MAPPED
	mount $MAPPED "$MNT"
	place=$MNT/secret
	mkdir "$place"
	key=$(head -c 64 /dev/urandom | xfs_io -c add_enckey "$MNT" | awk '{ print $NF }')
	ok "cache: fscrypt: a folder is encrypted" xfs_io -c "set_encpolicy $key" "$place"
	fuzz fscrypt $((OPERATIONS / 8))
	ok "cache: fscrypt: pages that were decrypted in place are refused" [ $transformed -gt 100 ]
	place=$MNT
	umount "$MNT"
	ok "cache: fscrypt: the disk is detached" detach
}

# A disk that takes its time: reads and writes of the same block are under way at once, and pages go meanwhile.
stage_slow() {
	null_disk slow 200 3000000
	disk=/dev/slow MAPPED=/dev/mapper/slow-nestor
	on "slow disk" $((OPERATIONS / 8)) mkfs.ext4 -q -F -b 4096
	rmdir /sys/kernel/config/nullb/slow
	disk=/dev/vda MAPPED=/dev/mapper/vda-nestor
}

for stage in ${STAGES:-programs ext4 xfs btrfs slow above below fscrypt}; do stage_$stage; done

agent_stop
# shellcheck disable=SC2317 # until_ok calls it
gone() { rmmod nestor 2> "$T/said"; } # the kernel frees programs a moment later
ok "cache: the module can be removed after the agent stopped" until_ok 10 gone
done_testing

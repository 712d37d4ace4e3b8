#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM: sessions of the module, and agents and modules of different versions (/old has those of before). /dev/vda is the
# disk. tests/cache/versions.sh boots it.
. "$(dirname "$0")/../harness/lib.sh"

CG=/sys/fs/cgroup/one
MAPPED=/dev/mapper/vda-nestor
session=$ROOT/build/tests/tools/session
policy=$T/policy.yaml
mkdir "$CG" "$T/mnt"
defer rmdir "$CG"
echo 8M > $CG/memory.max
printf 'agent: {min_age: 0}\nblkio: {mode: off}\npcache: {mode: off}\nnet: {mode: off}\ncache:\n  mode: enforce\n  memory: 32MiB\n  min_free: 32MiB\n  pools: [{container: /one, memory: 60, ssd: 0}]\n' > "$policy"

new() { NESTORD=$ROOT/build/nestord NESTORCTL=$ROOT/build/nestorctl; }
old() { NESTORD=/old/nestord NESTORCTL=/old/nestorctl; }
free_kib() { awk '/^MemFree/ { print $2 }' /proc/meminfo; }
# shellcheck disable=SC2317 # until_ok calls it
gone() { rmmod nestor 2> "$T/said"; } # the kernel frees programs a moment later
attach() { "$ROOT/build/nestorctl" cache attach /dev/vda > "$T/said" 2>&1 && { [ -e $MAPPED ] || dmsetup mknodes; }; }
detach() { "$ROOT/build/nestorctl" cache detach vda > "$T/said" 2>&1; }
# shellcheck disable=SC2016 # the inner shell expands it
read_file() { sh -c 'echo $$ > "$1/cgroup.procs" && exec md5sum "$2"' - $CG "$T/mnt/file" | cut -d' ' -f1; }
up() { metric 'nestor_room_up{room="cache"}'; }
serves() { # serves TEXT: does the cache take what the container's page cache has no room for, and give it back?
	read_file > /dev/null
	is "cache: $1: the file is unchanged" "$sum" "$(read_file)"
	ok "cache: $1: pages come from the store" [ "$(metrics | awk '/^nestor_cache_hits_total/ { n += $NF } END { print n + 0 }')" -gt 2000 ]
}

mkfs.ext4 -q -F -b 4096 /dev/vda
mount /dev/vda "$T/mnt"
dd if=/dev/urandom of="$T/mnt/file" bs=1M count=20 2> /dev/null
sum=$(read_file)
umount "$T/mnt"

# ---- the module of this tree
insmod /nestor.ko && rmmod nestor # what the first time alone takes
before=$(free_kib)
insmod /nestor.ko || exit 1
loaded=$(free_kib)
subtests "sessions" "$session" check
ok "cache: new module: the disk is attached" attach
echo "# MemFree fell by $((before - loaded)) KiB with the module, by $((loaded - $(free_kib))) KiB with the first device"
ok "cache: the index has memory with the first device ($("$session" entries) entries)" [ "$("$session" entries)" -ge 4096 ]
mount $MAPPED "$T/mnt"
new
agent_start --policy "$policy"
is "cache: new agent, new module: the room is up" 1 "$(up)"
serves "new agent, new module"
# Another one beside it.
"$NESTORD" --listen 127.0.0.1:0 --run-dir "$T/run2" --bpffs "$T/bpf/nestor2" --policy "$policy" > "$T/second" 2>&1 &
second=$!
ok "cache: a second agent says that another one commands the cache" until_ok 60 grep -q 'cache: another agent commands' "$T/second"
kill $second
wait $second
serves "new agent, beside a second one"
agent_stop
old
agent_start --policy "$policy"
is "cache: old agent, new module: the room is up" 1 "$(up)"
serves "old agent, new module"
like "cache: old agent, new module: show has the pool's shares" '"memory": *60' "$(ctl --json cache show)"
agent_stop
umount "$T/mnt"
ok "cache: new module: the disk is detached" detach
ok "cache: new module: can be removed" until_ok 20 gone

# ---- the module of before
insmod /old/nestor.ko || exit 1
ok "cache: old module: the disk is attached" attach
mount $MAPPED "$T/mnt"
new
agent_start --policy "$policy"
is "cache: new agent, old module: the room is not up" 0 "$(up)"
like "cache: new agent, old module: the log says why, and what to do" \
	'cache: the loaded kernel module has interface 1 and this agent 2: .*make install module-install; rmmod nestor; modprobe nestor' \
	"$(grep 'cache: ' "$AGENT_LOG")"
is "cache: new agent, old module: the log has one sentence" 1 "$(grep -c 'cache: ' "$AGENT_LOG")"
is "cache: new agent, old module: reads pass through to the disk" "$sum" "$(read_file)"
agent_stop
umount "$T/mnt"
ok "cache: old module: the disk is detached" detach
ok "cache: old module: can be removed" until_ok 20 gone
done_testing

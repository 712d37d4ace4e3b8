#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 110, lane: vm
# The VM harness itself: what goes in and out, how a run may end, what it leaves behind. About 35 s on 2 cores
# where the kernels are cached.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

run=tests/vm/run
export TMPDIR=$T/tmp
mkdir "$TMPDIR"

# boot NAME ARG…: in the background, two at a time; then $T/NAME.{out,err,rc}
boot() {
	local name=$1
	shift
	while [ "$(jobs -pr | wc -l)" -ge 2 ]; do wait -n; done
	(
		"$run" "$@" > "$T/$name.out" 2> "$T/$name.err"
		echo $? > "$T/$name.rc"
	) &
}

ends() { # ends NAME STATUS PATTERN TEXT: the status, and the sentence on stderr
	is "vm: $4: status" "$2" "$(cat "$T/$1.rc")" && like "vm: $4: the message says so" "$3" "$(cat "$T/$1.err")"
}

# gone PID: ended, though perhaps not yet reaped
# shellcheck disable=SC2317 # called by name
gone() { ! grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status"; }

# start NAME [COMMAND [OPTION…]]: a guest that says "up"; run is $pid, its QEMU $qemu, once the command runs
start() {
	"$run" 6.1 "${@:3}" -- sh -c "${2:-echo up; sleep 1000}" > "$T/$1.out" 2> "$T/$1.err" &
	pid=$!
	until_ok 30 grep -qs up "$T/$1.out"
	qemu=$(pgrep -P $pid qemu)
}

# ---- ended from outside
start kill
disown $pid # the shell need not tell
kill -KILL $pid
ok "vm: a run killed by SIGKILL leaves no QEMU" until_ok 5 gone "${qemu:?}"
start term
kill -TERM $pid
wait $pid
is "vm: a run ended by SIGTERM: status" 143 $?
ok "vm: a run ended by SIGTERM leaves no QEMU" until_ok 5 gone "${qemu:?}"
is "vm: runs ended by SIGKILL or SIGTERM leave no folder" "" "$(ls "$TMPDIR")"

# ---- a clock that counts instructions: for half a second the guest looks at it, and tells the longest step
# shellcheck disable=SC2016 # for the guest's shell
start clock 'cs() { read -r up _ < /proc/uptime; up=${up%.*}${up#*.}; }
	echo up; cs; last=$up end=$((up + 50)) most=0
	while [ $up -lt $end ]; do cs; [ $((up - last)) -le $most ] || most=$((up - last)); last=$up; done
	echo $most; sleep 300; cs; echo $((up - last))' --icount
kill -STOP "${qemu:?}"
read -rt 2 <&$never || true
kill -CONT "$qemu"
wait $pid
within "vm: --icount: the guest's clock stands still while QEMU is stopped: hundredths of a second" 0 "$(sed -n 2p "$T/clock.out")" 10
within "vm: --icount: 300 s of sleep are 300 s to the guest and less than 120 s here" 30000 "$(sed -n 3p "$T/clock.out")" 30010

# ---- ended by themselves
# shellcheck disable=SC2016 # for the guest's shell
boot rich 6.1 --add tests/vm/init --add tests/vm/lib.sh:/else/where --tool bash --disk 16 --out "$T/out" \
	--module "null_blk:nr_devices=3 queue_mode=0" --module brd:noload -- bash -c '
	echo "$NESTOR_VM $KERNEL $PWD $UID"; echo "$1" >&2
	ls init tests/vm/init /else/where /dev/vda /dev/nullb* /sys/module/brd 2> /dev/null | xargs
	cat /sys/block/vda/size
	awk "\$2 ~ /^.(proc|dev.shm|sys.(fs|kernel).*)$/ { print \$3 }" /proc/mounts | xargs
	diff /sys/fs/cgroup/cgroup.controllers /sys/fs/cgroup/cgroup.subtree_control && echo all controllers
	modprobe brd && ls -d /sys/module/brd
	setsid sleep 1000 &
	mkdir /out/folder; echo back > /out/folder/file
	exit 7' bash "it's \"one\" argument"
boot big 6.1 --out "$T/big" -- sh -c 'head -c 4194304 /dev/urandom | tee /out/data'
for kernel in 6.1 6.12 sid; do boot $kernel $kernel -- uname -r; done
# Prints the types below /sys/fs/cgroup, the names that version 1 has, and the controllers that version 2 has left.
# shellcheck disable=SC2016 # for the guest's shell
cgroups='awk "index(\$2, \"/sys/fs/cgroup\") == 1 { print \$3 }" /proc/mounts | sort | uniq -c | xargs
	cd /sys/fs/cgroup && ls -d memory cpu,cpuacct blkio pids systemd unified 2> /dev/null | xargs
	for file in unified/cgroup.controllers cgroup.controllers; do [ ! -e $file ] || cat $file; done'
for cgroups_are in v1 hybrid; do boot $cgroups_are 6.1 --cgroups $cgroups_are -- sh -c "$cgroups"; done
boot cgroups 6.1 --cgroups v3 -- true
boot signal 6.1 -- sh -c 'kill -SEGV $$'
boot crash 6.1 -- sh -c 'echo c > /proc/sysrq-trigger'
boot warning 6.1 -- sh -c 'echo "<4>WARNING: CPU: 0 PID: 1 at planted" > /dev/kmsg'
boot taint 6.1 -- sh -c 'dmesg -n 1; echo 512 > /proc/sys/kernel/tainted'
boot hang 6.1 --timeout 4 -- sleep 1000
boot off 6.1 -- poweroff -f
boot module 6.1 --module null_blk:bs=7 -- true
boot kernel 5.4 -- true
boot option 6.1 --colour -- true
boot nothing 6.1 --
boot missing 6.1 --add no/such/file -- true
wait

is "vm: the command's status comes back" 7 "$(cat "$T/rich.rc")"
is "vm: a command has its arguments, files, modules, disks and mounts" "1 6.1 /nestor 0
it's \"one\" argument
/dev/nullb0 /dev/nullb1 /dev/nullb2 /dev/vda /else/where tests/vm/init
32768
proc tmpfs cgroup2 bpf debugfs tracefs
all controllers
/sys/module/brd" "$(cat "$T/rich.out")"
is "vm: cgroups v1: a hierarchy for each controller, and no other" "0 13 cgroup 1 tmpfs
blkio cpu,cpuacct memory pids systemd" "$(cat "$T/v1.rc") $(cat "$T/v1.out")"
is "vm: cgroups hybrid: an empty v2 hierarchy beside v1's" "0 13 cgroup 1 cgroup2 1 tmpfs
blkio cpu,cpuacct memory pids systemd unified" "$(cat "$T/hybrid.rc") $(cat "$T/hybrid.out")"
is "vm: files in /out come back" back "$(cat "$T/out/folder/file")"
is "vm: 4 MiB of output come back" "4194304 $(sha256sum < "$T/big/data")" "$(stat -c %s "$T/big.out") $(sha256sum < "$T/big.out")"
for kernel in 6.1 6.12 sid; do
	is "vm: $kernel boots" "0 $(cat "$(tests/vm/kernel $kernel)/release")" "$(cat "$T/$kernel.rc" "$T/$kernel.out" | xargs)"
done
ends signal 119 'status 139, killed by SIGSEGV' "a command that is killed"
ends crash 121 'crashed: .*sysrq triggered crash' "a crash"
ends warning 122 'warned: .*at planted' "a warning"
ends taint 122 'taint flags are 512' "a warning that the console did not show"
ends hang 123 'no end after 4 seconds' "a hang"
ends off 124 'ended without a report' "no report"
ends module 120 'cannot load null_blk' "a module that does not load"
ends kernel 120 "unknown kernel '5.4'" "an unknown kernel"
ends cgroups 120 "wants v1, hybrid or v2, not 'v3'" "cgroups of another kind"
ends option 120 "unknown option '--colour'" "an unknown option"
ends nothing 120 'no command' "no command"
ends missing 120 'no/such/file does not exist' "a file that is not there"
is "vm: runs leave no folder" "" "$(ls "$TMPDIR")"
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM whose clock counts instructions (cgroup v2 with the io controller, module null_blk): limits, weights and
# latency targets of block I/O are in force and exact, hold while no agent runs, and leave what was there before.
# tests/blkio/limit.sh boots it.
. "$(dirname "$0")/../harness/lib.sh"

CG=/sys/fs/cgroup
load=$ROOT/build/tests/tools/ioload
policy=$T/policy.yaml
mount -t configfs configfs /sys/kernel/config

disk() { # disk NAME ATTRIBUTE=VALUE…: makes a null_blk
	local dir=/sys/kernel/config/nullb/$1 word
	mkdir "$dir"
	shift
	for word in size=256 submit_queues=1 "$@" power=1; do echo "${word#*=}" > "$dir/${word%%=*}"; done
}
cgroup() { mkdir -p "$CG/$1"; }
number() { cat "/sys/block/$1/dev"; }
value() { # value FILE DISK CGROUP: what its line for the disk says, "" if there is none
	sed -n "s/^$(number "$2") //p" "$CG/$3/$1"
}
max() { value io.max fast "$1"; }

limits() { # limits MODE RULE…: the policy from now on
	local mode=$1
	shift
	{
		printf 'agent: {min_age: 0}\nblkio:\n  mode: %s\n  limits:\n' "$mode"
		printf '    - {%s}\n' "$@"
	} > "$T/new.yaml"
	mv "$T/new.yaml" "$policy"
}
reload() { ctl policy reload > /dev/null; }
rate() { # rate FIELD OP SIZE THREADS SECONDS CGROUP: 1 bytes, 2 I/Os a second, 4 p99 in us
	"$load" "$2" "/dev/${DISK:-fast}" "$3" "$4" 0.5 "$5" "$CG/$6" | cut -d' ' -f"$1"
}
rate_is() { # rate_is TEXT WANTED FIELD OP SIZE CGROUP
	local got
	got=$(rate "$3" "$4" "$5" 8 2 "$6")
	within "$1 is held within 5 % ($got)" $(($2 * 95 / 100)) "$got" $(($2 * 105 / 100))
}
actions() { metric "nestor_blkio_actions_total{action=\"$1\",result=\"$2\"}"; }

disk fast irqmode=1 hw_queue_depth=128
for c in a b plain pod pod/x; do cgroup $c; done
echo -io > $CG/cgroup.subtree_control # as on a machine where nobody has needed it
before=$(cd $CG && grep -s . cgroup.subtree_control ./*/cgroup.subtree_control)

# ---- monitor: nothing is touched
limits monitor 'container: /a, device: fast, read: 8MiB'
agent_start --policy "$policy"
ok "blkio: mode monitor sets no limit" test ! -e $CG/a/io.max
is "blkio: mode monitor changes no file of a cgroup" "$before" "$(cd $CG && grep -s . cgroup.subtree_control ./*/cgroup.subtree_control)"
ok "blkio: mode monitor counts the limits that enforce would set" [ "$(actions set monitored)" -gt 0 ]
is "blkio: mode monitor sets and restores nothing" "0 0" "$(actions set 'done') $(actions restore 'done')"

# ---- rates
limits enforce 'container: /a, device: fast, read: 8MiB'
reload
is "blkio: a limit of policy is in io.max" "rbps=8388608 wbps=max riops=max wiops=max" "$(max a)"
is "blkio: a limit is a metric" 8388608 "$(metric 'nestor_blkio_limit{vm="",container="/a",device="fast",kind="read_bytes"}')"
for mib in 1 10 100 1000; do
	limits enforce "container: /a, device: fast, read: ${mib}MiB"
	reload
	size=$((mib * 4096 < 1048576 ? mib * 4096 : 1048576))
	rate_is "blkio: a read limit of $mib MiB/s" $((mib << 20)) 1 read $size a
done
limits enforce 'container: /a, device: fast, write: 20MiB, read_iops: 300'
reload
rate_is "blkio: a write limit of 20 MiB/s" $((20 << 20)) 1 write 65536 a
rate_is "blkio: a limit of 300 reads a second" 300 2 read 4096 a

# ---- only what policy names; who and what comes later
is "blkio: cgroups that no rule names keep their limits" "" "$(max b)$(max plain)$(max pod)"
limits enforce 'container: "/late*", device: fast, read: 5MiB' 'container: "/late*", device: later, write: 6MiB' \
	'container: /pod/x, device: fast, read_iops: 77'
reload
is "blkio: a removed rule restores the former io.max" "" "$(max a)"
is "blkio: a container below another container is limited" "rbps=max wbps=max riops=77 wiops=max" "$(max pod/x)"
is "blkio: a limited container's parent has the io controller on" io "$(grep -ow io $CG/pod/cgroup.subtree_control)"
cgroup late1
has_max() { [ "$(value io.max "$1" "$2")" = "$3" ]; }
ok "blkio: a container that starts later is limited" until_ok 2 has_max fast late1 "rbps=5242880 wbps=max riops=max wiops=max"
disk later irqmode=1
ok "blkio: a disk that appears later is limited" until_ok 2 has_max later late1 "rbps=max wbps=6291456 riops=max wiops=max"
rmdir /sys/kernel/config/nullb/later
disk later irqmode=1
ok "blkio: a disk that is pulled out and plugged in again is limited" until_ok 2 has_max later late1 "rbps=max wbps=6291456 riops=max wiops=max"

# ---- a VM is limited if it is alone in its cgroup
cp "$(command -v bash)" "$T/qemu-system-x86_64"
# shellcheck disable=SC2317 # deferred
run_vm() { # run_vm NAME CGROUP
	cgroup "$2"
	(
		echo $BASHPID > "$CG/$2/cgroup.procs"
		exec "$T/qemu-system-x86_64" -c 'read -r < "$0"' "$T/fifo" -name "$1"
	) &
	defer kill $!
}
mkfifo "$T/fifo"
run_vm guest1 machine1
run_vm guest2 b
has_vms() { [ "$(metric nestor_vm_info)" = 2 ]; }
until_ok 5 has_vms
"$load" read /dev/fast 4096 1 0 1000 $CG/b > /dev/null &
neighbour=$!
until_ok 5 grep -qx $neighbour $CG/b/cgroup.procs
limits enforce 'vm: "guest*", device: fast, read: 3MiB'
reload
is "blkio: a VM alone in its cgroup is limited" "rbps=3145728 wbps=max riops=max wiops=max" "$(max machine1)"
is "blkio: a VM that shares its cgroup is not limited" "" "$(max b)"
is "blkio: a VM that cannot be limited is a metric" 1 "$(metric nestor_blkio_limits_refused)"
like "blkio: the log says why a VM is not limited" "guest2 is not limited on fast: it is not alone in its cgroup /b" "$(cat "$AGENT_LOG")"
kill $neighbour
is "blkio: the io controller is off again when no rule names a container any more" "" "$(cat $CG/pod/cgroup.subtree_control)"

# ---- 100 reloads under load: never a moment without a limit
limits enforce 'container: /a, device: fast, read: 10MiB'
reload
"$load" read /dev/fast 65536 4 0 1000 $CG/a > "$T/load" &
neighbour=$!
(
	n=0 gaps=0
	trap 'echo "$n $gaps" > "$T/gaps"; exit' TERM
	while :; do
		read -r _ value _ < $CG/a/io.max || value=''
		case $value in rbps=10485760 | rbps=11534336) ;; *) gaps=$((gaps + 1)) ;; esac
		n=$((n + 1))
	done
) &
watcher=$!
reloads() { metric nestor_policy_reloads_total; }
was=$(reloads)
sets=$(actions set 'done')
for i in $(seq 50); do
	limits enforce "container: /a, device: fast, read: $((10 + i % 2))MiB" # which is noticed, and read
	reload
done
kill $watcher
wait $watcher
read -r looks gaps < "$T/gaps"
within "blkio: io.max is read at least 500 times during 100 reloads ($looks)" 500 "$looks" 1e9
within "blkio: 100 reloads under load succeed" 99 $(($(reloads) - was)) 101
is "blkio: 100 reloads under load leave no moment without the limit" 0 "$gaps"
within "blkio: a reload writes only changed values" 50 $(($(actions set 'done') - sets)) 52
kill $neighbour
wait $neighbour
within "blkio: under 100 reloads at most 11 MiB/s are read" 1 "$(cut -d' ' -f1 "$T/load")" $((1151 * 10486))

# ---- kill -9 leaves limits in force; a later agent puts back exactly what was there before Nestor
limits enforce 'container: nobody, device: fast, read: 1MiB'
reload
echo +io > $CG/cgroup.subtree_control
echo "$(number fast) wbps=7340032 wiops=1234" > $CG/a/io.max
echo "$(number fast) riops=4321" > $CG/b/io.max
echo "$(number fast) rbps=1048576" > $CG/plain/io.max
former_a=$(max a) former_b=$(max b) former_plain=$(max plain)
limits enforce 'container: /a, device: fast, read: 9MiB' 'container: /b, device: fast, read_iops: 500, weight: 300'
reload
is "blkio: io.max values that policy does not set are kept" "rbps=9437184 wbps=7340032 riops=max wiops=1234" "$(max a)"
is "blkio: a weight of policy is in io.weight" 300 "$(value io.weight fast b)"
is "blkio: a weight switches the kernel's cost model on" enable=1 "$(value io.cost.qos fast . | cut -d' ' -f1)"
agent_kill
is "blkio: kill -9 leaves the limit" "rbps=9437184 wbps=7340032 riops=max wiops=1234" "$(max a)"
within "blkio: the limit holds after kill -9" $((8 << 20)) "$(rate 1 read 65536 4 2 a)" $((10 << 20))
agent_start --policy "$policy"
is "blkio: a new agent leaves a limit as it is" 0 "$(actions set 'done')"
"$load" read /dev/fast 4096 4 0 1000 $CG/plain > /dev/null &
neighbour=$!
until_ok 5 grep -qx $neighbour $CG/plain/cgroup.procs
begin=$EPOCHREALTIME
agent_stop
within "blkio: the agent ends within a second of SIGTERM under I/O" 0 "$(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')" 1
kill $neighbour
is "blkio: a clean stop leaves the limit" "rbps=9437184 wbps=7340032 riops=max wiops=1234" "$(max a)"
echo "$(number fast) riops=600" > $CG/b/io.max
limits off 'container: /a, device: fast, read: 9MiB'
agent_start --policy "$policy"
is "blkio: mode off restores the former io.max" "$former_a $former_plain" "$(max a) $(max plain)"
is "blkio: mode off keeps an io.max that another program changed" "rbps=max wbps=max riops=600 wiops=max" "$(max b)"
like "blkio: the log names an io.max that another program changed" "io.max of /b for fast was changed by somebody else" "$(cat "$AGENT_LOG")"
is "blkio: mode off restores the former weight" "" "$(value io.weight fast b)"
is "blkio: mode off switches the cost model off" enable=0 "$(value io.cost.qos fast . | cut -d' ' -f1)"
ok "blkio: mode off leaves no file of former values" test ! -e "$T/run/settings.json"
echo "$(number fast) $former_b" > $CG/b/io.max

limits enforce 'container: "/[ab]", device: fast, read: 9MiB'
reload
is "blkio: mode enforce after off sets the limit again" "rbps=9437184" "$(max b | cut -d' ' -f1)"
limits monitor 'container: "/[ab]", device: fast, read: 9MiB'
reload
is "blkio: mode monitor after enforce restores the former io.max" "$former_a $former_b" "$(max a) $(max b)"
limits enforce 'container: "/[ab]", device: fast, read: 9MiB'
reload
mount -o remount,ro $CG
limits enforce 'container: nobody, device: fast, read: 9MiB'
reload
is "blkio: an io.max that cannot be restored stays" "rbps=9437184" "$(max b | cut -d' ' -f1)"
like "blkio: the log names an io.max that cannot be restored" "cannot put back io.max of /b for fast to .*, and will try again: " "$(cat "$AGENT_LOG")"
mount -o remount,rw $CG
agent_kill
agent_start --policy "$policy"
is "blkio: the next agent restores an io.max that could not be restored" "$former_a $former_b" "$(max a) $(max b)"
limits enforce 'container: "/[ab]", device: fast, read: 9MiB'
reload
agent_kill
ctl reset > "$T/reset" 2>&1
is "blkio: nestorctl reset without an agent restores the former io.max" "$former_a $former_b" "$(max a) $(max b)"

# ---- weights 1:2:4, on a disk whose model of costs the administrator gave the kernel
for c in w1 w2 w4 db noisy; do cgroup $c; done
echo +io > $CG/cgroup.subtree_control
# null_blk arms the timer of its bandwidth while that runs, if another CPU has the time to, of which the kernel warns.
for cpu in /sys/devices/system/cpu/cpu[1-9]*/online; do [ ! -e "$cpu" ] || echo 0 > "$cpu"; done
disk shared irqmode=1 mbps=2 hw_queue_depth=256 # 512 pages of 4 KiB a second
echo "$(number shared) ctrl=user model=linear rbps=1000000000 rseqiops=200 rrandiops=200 wbps=1000000000 wseqiops=200 wrandiops=200" \
	> $CG/io.cost.model
echo "$(number shared) ctrl=user rpct=0 rlat=5000 wpct=0 wlat=5000 min=100 max=100" > $CG/io.cost.qos
former=$(value io.cost.qos shared .)
limits enforce 'container: /w1, device: shared, weight: 50' 'container: /w2, device: shared, weight: 100' \
	'container: /w4, device: shared, weight: 200'
agent_start --policy "$policy"
pids=()
for w in 1 2 4; do
	"$load" read /dev/shared 4096 24 2 6 $CG/w$w > "$T/w$w" &
	pids+=($!)
done
wait "${pids[@]}"
read -r _ one _ < "$T/w1"
read -r _ two _ < "$T/w2"
read -r _ four _ < "$T/w4"
echo "# I/Os a second of weights 1, 2, 4: $one $two $four"
within "blkio: weights 1:2 share a disk 1:2 within 10 %" $((one * 180 / 100)) "$two" $((one * 220 / 100))
within "blkio: weights 1:4 share a disk 1:4 within 10 %" $((one * 360 / 100)) "$four" $((one * 440 / 100))

# ---- a latency target
target() { # target MODE
	{
		printf 'agent: {min_age: 0}\nblkio:\n  mode: %s\n' "$1"
		printf '  limits:\n    - {container: "/nois*", device: shared, read: 1TB}\n'
		printf '  targets:\n    - {container: /db, device: shared, p99: 80ms}\n'
	} > "$T/new.yaml"
	mv "$T/new.yaml" "$policy"
	reload
}
target monitor
is "blkio: a policy without weights restores the former cost model" "$former" "$(value io.cost.qos shared .)"
"$load" read /dev/shared 5120 240 0 1000 $CG/noisy > /dev/null &
neighbour=$!
is_noisy() { [ "$(metric 'nestor_blkio_ios_total{device="shared",op="read",container="/noisy"}')" -ge 240 ]; }
ok "(blkio: a noisy neighbour reads from the disk)" until_ok 10 is_noisy
DISK=shared rate 4 read 4096 2 3 db > "$T/p99" &
protected=$!
# While it lasts: the agent tells of the last seconds.
sees() { metric 'nestor_blkio_target_p99_seconds{container="/db"}' | awk '{ exit !($1 >= 0.4 && $1 <= 0.78) }'; }
ok "blkio: a noisy neighbour raises the metric p99 to five times the target" until_ok 10 sees ||
	echo "#   got: $(metric 'nestor_blkio_target_p99_seconds{container="/db"}')"
wait $protected
p99=$(cat "$T/p99")
within "blkio: in mode monitor a noisy neighbour raises p99 to five times the target ($p99 us)" 400000 "$p99" 1e9
ok "blkio: mode monitor counts that enforce would lower the neighbour" [ "$(actions lower monitored)" -gt 0 ]
is "blkio: mode monitor lowers no neighbour" 0 "$(metric 'nestor_blkio_target_lowered{device="shared"}')"
target enforce
"$load" read /dev/shared 4096 2 6 8 $CG/db > "$T/db" & # the first seconds are for getting there
db=$!
is_lowered() { [ "$(metric 'nestor_blkio_target_lowered{device="shared"}')" = 1 ]; }
ok "blkio: mode enforce lowers a noisy neighbour" until_ok 8 is_lowered
wait $db
read -r _ ios _ p99 < "$T/db"
echo "# $ios I/Os a second of it, the neighbour's $(value io.max shared noisy)"
within "blkio: a latency target of 80 ms is held within 20 % ($p99 us)" 1000 "$p99" 96000
is "blkio: the protected container's io.max is unchanged" "" "$(value io.max shared db)"
cap=$(value io.max shared noisy)
agent_kill
is "blkio: a killed agent leaves the neighbour lowered" "$cap" "$(value io.max shared noisy)"
agent_start --policy "$policy"
ok "blkio: a new agent takes over the lowered neighbour" is_lowered
is_freed() { [ "$(metric 'nestor_blkio_target_lowered{device="shared"}')" = 0 ]; }
raised() { [ "$(actions raise 'done')" -ge 2 ]; }
ok "blkio: the neighbour is raised step by step while the protected container is idle" until_ok 8 raised
limits enforce 'container: nobody, device: shared, read: 1MiB'
reload
is "blkio: a policy without targets restores the neighbour's io.max" "" "$(value io.max shared noisy)"
kill $neighbour
done_testing

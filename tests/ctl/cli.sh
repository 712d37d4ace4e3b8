#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 60, lane: free
# The command line of nestord and nestorctl: arguments, exit statuses, refusals, signals, systemd's protocols.
# shellcheck source=tests/harness/lib.sh
. "$(dirname "$0")/../harness/lib.sh"

TOOLS=$ROOT/build/tests/tools
cp "$NESTORD" "$NESTORCTL" "$T" # another user may not reach where they were built
chmod 711 "$T"
mkdir "$T/policy.d"

# refused TEXT STATUS PATTERN COMMAND…: just one line on stderr, nothing on stdout
refused() {
	local text=$1 want=$2 pattern=$3
	shift 3
	run "$@"
	is "$text: exits with $want" "$want" "$status"
	like "$text: the error says why" "$pattern" "$err"
	is "$text: the error is one line" "1 0" "$(wc -l < "$T/err") $(wc -c < "$T/out")"
}

# shellcheck disable=SC2317 # this and others below are called by refused and until_ok
other() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }

# A second agent: start2 LOG COMMAND…; its process is $second
second=''
start2() {
	local log=$1
	shift
	: > "$log"
	"$@" > "$log" 2>&1 &
	second=$!
	until_ok 10 started2 "$log"
}
# shellcheck disable=SC2317
started2() { grep -q 'metrics: http' "$1" || ! kill -0 "$second" 2> /dev/null; }
stop2() { # stop2 SIGNAL
	[ -n "$second" ] || return 0
	kill "-$1" "$second" 2> /dev/null
	wait "$second"
	status=$?
	second=''
}
bpffs_mount
defer stop2 KILL

pins() { (cd "$T/bpf/nestor" 2> /dev/null && find . -type f | sort); }

# ---- nestord: arguments ----

run "$NESTORD" --help
is "nestord --help: exits with 0" 0 "$status"
like "nestord --help: prints the usage" '^Usage: nestord' "$out"
is "nestord --help: prints nothing on stderr" "" "$err"
run "$NESTORD" --version
is "nestord --version: exits with 0" 0 "$status"
like "nestord --version: prints the version" '^nestord [0-9]+\.[0-9]+\.[0-9]+ \(.*\)$' "$out"
run "$NESTORD" --frobnicate
is "nestord with an unknown option: exits with 1" 1 "$status"
like "nestord with an unknown option: the error names the option" "frobnicate" "$err"
like "nestord with an unknown option: the error points to --help" "nestord --help" "$err"
run "$NESTORD" --policy
is "nestord with an option without its argument: exits with 1" 1 "$status"
like "nestord with an option without its argument: the error names the option" "policy" "$err"

own=(--run-dir "$T/own" --bpffs "$T/bpf/own" --listen 127.0.0.1:0)
refused "nestord with an argument" 1 "frob.*no arguments" "$NESTORD" frob
refused "nestord --log-level" 1 "loud: must be error, warning, info or debug" "$NESTORD" --log-level loud
refused "nestord --http-user nobody-has" 1 "nobody-has: there is no such user" "$NESTORD" --http-user nobody-has
refused "nestord --http-user root" 1 "must not be root" "$NESTORD" --http-user root
refused "nestord --policy with a missing file" 1 "missing.yaml: No such file" "$NESTORD" "${own[@]}" --policy "$T/missing.yaml"
for address in 127.0.0.1 127.0.0.1: 127.0.0.1:65536 127.0.0.1:http localhost:0 '[::1:0' 999.0.0.1:0; do
	refused "nestord --listen $address" 1 "--listen .*: " "$NESTORD" "${own[@]}" --listen "$address"
done
printf 'blkio:\n  mode: loud\n' > "$T/bad.yaml"
refused "nestord with a wrong policy" 1 "bad.yaml:2:9: .*loud.*off, monitor" "$NESTORD" "${own[@]}" --policy "$T/bad.yaml"
refused "nestord --check with a wrong policy" 1 "bad.yaml:2:9: " "$NESTORD" --check --policy "$T/bad.yaml"
refused "nestord --run-dir in a missing directory" 1 "cannot make $T/no/run" "$NESTORD" --bpffs "$T/bpf/own" --run-dir "$T/no/run"

# ---- nestord: who starts it, and where ----

refused "nestord as another user" 1 "must run as root.*sudo" other "$T/nestord"
refused "nestord --check as another user" 1 "must run as root.*sudo" other "$T/nestord" --check
caps=$(sed -n 's/^CapabilityBoundingSet=//p' "$ROOT/agent/systemd/nestord.service" | tr 'A-Z ' 'a-z\n' | sed 's/cap_//' | sort)
for cap in $caps; do
	refused "nestord without cap_$cap" 1 "^nestord: ${cap^^}|^nestord: CAP_${cap^^} is missing, which is needed to [a-z]" \
		setpriv --bounding-set "-$cap" --inh-caps "-$cap" "$NESTORD" --check
done

refused "nestord --bpffs on another file system" 1 "$T/plain is not on a bpffs" "$NESTORD" "${own[@]}" --bpffs "$T/plain"
mkdir -m 0700 "$T/bpf/planted"
chown 65534 "$T/bpf/planted"
refused "nestord --bpffs in a directory of another user" 1 "$T/bpf/planted belongs to uid 65534" "$NESTORD" "${own[@]}" --bpffs "$T/bpf/planted"
chown 0 "$T/bpf/planted"
chmod 0750 "$T/bpf/planted"
refused "nestord --bpffs in a directory that other users can read" 1 "$T/bpf/planted .*mode 0750" "$NESTORD" "${own[@]}" --bpffs "$T/bpf/planted"
rmdir "$T/bpf/planted"
ln -s "$T/bpf" "$T/bpf/planted"
refused "nestord --bpffs with a symbolic link" 1 "cannot open $T/bpf/planted" "$NESTORD" "${own[@]}" --bpffs "$T/bpf/planted"
rm "$T/bpf/planted"

# ---- nestorctl without an agent ----

run "$NESTORCTL" --help
is "nestorctl --help: exits with 0" 0 "$status"
like "nestorctl --help: prints the usage" '^Usage: nestorctl' "$out"
run "$NESTORCTL" --version
is "nestorctl --version: exits with 0" 0 "$status"
like "nestorctl --version: prints the version" '^nestorctl [0-9]+\.[0-9]+\.[0-9]+ \(.*\)$' "$out"
run "$NESTORCTL" --frobnicate
is "nestorctl with an unknown option: exits with 2" 2 "$status"
like "nestorctl with an unknown option: the error points to --help" "nestorctl --help" "$err"
run "$NESTORCTL" --run-dir
is "nestorctl with an option without its argument: exits with 2" 2 "$status"
refused "nestorctl with an unknown word" 2 "there is no command frob it; see nestorctl --help" "$NESTORCTL" frob it
refused "nestorctl with a noun and an unknown verb" 2 "blkio takes show; see nestorctl --help" "$NESTORCTL" blkio frob
refused "nestorctl policy without a verb" 2 "policy takes show, check FILE or reload; see" "$NESTORCTL" policy
refused "nestorctl with a word after a complete command" 2 "rooms takes no argument; see" "$NESTORCTL" rooms frob
refused "nestorctl without a command" 2 "command is missing" "$NESTORCTL"
while read -r words; do
	# shellcheck disable=SC2086
	refused "nestorctl $words" 2 "see nestorctl --help" "$NESTORCTL" $words
done <<-END
	frob
	frob frob
	rooms frob
	containers frob
	vms frob
	top frob
	--once rooms
	status frob
	metrics frob
	reset frob
	blkio
	blkio frob
	blkio show frob
	policy
	policy frob
	policy show frob
	policy reload frob
	policy check
	policy check a b
END
refused "nestorctl with a very long word" 2 "too long" ctl "$(printf '%0300d' 1)" show

refused "nestorctl cache policy load without an agent" 3 "no agent answers" ctl cache policy load "$T/bad.yaml"
commands=("rooms" "status" "policy show" "policy reload" "metrics" "containers" "top --once --interval 0.1" "cache top --once --interval 0.1"
	"blkio show")
for command in "${commands[@]}"; do
	# shellcheck disable=SC2086
	refused "nestorctl $command without an agent" 3 "no agent answers at $T/run" ctl $command
done
refused "nestorctl with a very long --run-dir" 3 "no agent answers" "$NESTORCTL" --run-dir "/$(printf '%0300d' 1)" rooms
echo 'blkio: { mode: off }' > "$T/good.yaml"
run ctl policy check "$T/good.yaml"
is "nestorctl policy check accepts a good file" "0 good" "$status ${out##* }"
run ctl --json policy check "$T/good.yaml"
is "nestorctl --json policy check accepts a good file" true "$(jq .valid <<< "$out")"
refused "nestorctl policy check of a wrong file" 1 "bad.yaml:2:9: " ctl policy check "$T/bad.yaml"
run ctl --json policy check "$T/bad.yaml"
is "nestorctl --json policy check rejects a wrong file" "1 false" "$status $(jq .valid <<< "$out")"
refused "nestorctl policy check of a missing file" 1 "No such file" ctl policy check "$T/missing.yaml"
run ctl reset
is "nestorctl reset removes nothing before the first agent" "0 maps_removed: 0" "$status $out"
run ctl --json reset
is "nestorctl --json reset removes nothing before the first agent" 0 "$(jq .maps_removed <<< "$out")"
refused "nestorctl reset on another file system" 1 "not on a bpffs" "$NESTORCTL" --run-dir "$T/run" --bpffs "$T/policy.d" reset

# ---- with an agent ----

# shellcheck disable=SC2317 # deferred
disk_off() { losetup -j "$T/disk" | cut -d: -f1 | xargs -r losetup -d; }
truncate -s 16M "$T/disk"
defer disk_off # before it is there: a signal may come in between
loop=$(losetup --find --show "$T/disk")
name=${loop#/dev/}
read_one() { dd if="$loop" of=/dev/null bs=4k count=1 iflag=direct status=none; }
count() { metric "nestor_blkio_ios_total{device=\"$name\",op=\"read\"}"; }

agent_start --policy "$T/policy.d"
read_one
is "nestord: only root can read the pins and their directory" "600 700" "$(find "$T/bpf/nestor" -printf '%m\n' | sort -u | paste -sd ' ')"
is "nestord: only root can read the run directory and its socket" "700 600" "$(stat -c %a "$T/run" "$T/run/control.sock" | paste -sd ' ')"

for command in "${commands[@]}"; do
	# shellcheck disable=SC2086
	run ctl $command
	is "nestorctl $command: exits with 0 and no error" "0 " "$status $err"
	ok "nestorctl $command: prints something" [ -n "$out" ]
	# shellcheck disable=SC2086
	run ctl --json $command
	is "nestorctl --json $command: exits with 0 and no error" "0 " "$status $err"
	ok "nestorctl --json $command: prints JSON" [ -n "$(jq -e . "$T/out")" ]
done
run ctl --json vms
is "nestorctl --json vms: prints an array, also without VMs" "0 array" "$status $(jq -r type "$T/out")"
# shellcheck disable=SC2317
as_many() { [ "$(metrics | grep -vc '^#')" = "$(ctl --json metrics | jq length)" ]; }
ok "nestorctl --json metrics has as many series as the text" until_ok 5 as_many # between the two others may do I/O for the first time
is "nestorctl --json metrics has values with their labels" 1 "$(ctl --json metrics | jq ".[] | select(.name == \"nestor_room_up\" and .labels.room == \"blkio\").value")"
refused "nestorctl show of an unknown room" 1 "there is no room frob" ctl frob show
refused "nestorctl as another user" 1 "not allowed to ask the agent at $T/run; try sudo" \
	other "$T/nestorctl" --run-dir "$T/run" --bpffs "$T/bpf/nestor" rooms
refused "nestorctl reset as another user" 1 "only root can" other "$T/nestorctl" --run-dir "$T/run" --bpffs "$T/bpf/nestor" reset
is "nestorctl reset as another user removes nothing" 1 "$(count)"

printf 'blkio:\n  mode: loud\n' > "$T/policy.d/bad.yaml"
refused "nestorctl policy reload of a wrong policy" 1 "bad.yaml:2:9: " ctl policy reload
like "nestorctl status has the place of a policy error" "bad.yaml:2:9: " "$(ctl --json status | jq -r .policy_error)"
# a name that is no UTF-8, which JSON cannot hold, is in the message then
rm "$T/policy.d/bad.yaml"
printf 'blkio:\n  mode: loud\n' > "$T/policy.d/"$'bad\xff.yaml'
LC_ALL=C refused "nestorctl policy reload of a file with a non-ASCII name" 1 "bad.*:2:9: " ctl policy reload
run ctl --json status
is "nestorctl status prints JSON after an error in a file with a non-ASCII name" "0 false" "$status $(jq .policy_last_reload_successful <<< "$out")"
is "nestord answers /healthz with a wrong policy" 200 "$(curl -s --noproxy '*' -o /dev/null -w '%{http_code}' "$URL/healthz")"
rm "$T/policy.d/"$'bad\xff.yaml'
echo 'blkio: { mode: off }' > "$T/policy.d/bad.yaml"
run ctl policy reload
is "nestorctl policy reload of a good policy exits with 0" 0 "$status"
refused "nestorctl show of a room that is off" 1 "blkio is down: off by policy" ctl blkio show
rm "$T/policy.d/bad.yaml"
run ctl policy reload
is "nestord: a room that was off and on keeps its counts" 1 "$(count)"

before=$(pins)
run "$NESTORD" --check
is "nestord --check beside an agent: exits with 0" 0 "$status"
like "nestord --check beside an agent: prints that a room is up" '^blkio +up$' "$out"
is "nestord --check beside an agent: leaves the pins as they are" "$before" "$(pins)"
is "nestord --check beside an agent: the agent keeps its counts" 1 "$(count)"
run "$NESTORD" --check --policy "$T/good.yaml"
is "nestord --check with a room off: exits with 0" 0 "$status"
like "nestord --check with a room off: prints why the room is off" '^blkio +down: off by policy$' "$out"

run ctl --json reset
is "nestorctl reset of a running agent removes all maps" "0 $(pins | wc -l)" "$status $(jq .maps_removed <<< "$out")"
is "nestorctl reset of a running agent clears its counts" "" "$(count)"
read_one
is "nestord counts again after a reset" 1 "$(count)"
refused "nestorctl reset while an agent with another --run-dir uses the pins" 1 "$T/bpf/nestor is in use by an agent.*--run-dir" \
	"$NESTORCTL" --run-dir "$T/elsewhere" --bpffs "$T/bpf/nestor" reset
is "nestorctl reset of pins in use removes none" "$before" "$(pins)"

# ---- the cache, without its module ----

refused "nestorctl cache without a verb" 2 "cache takes show, top, list, attach DISK, detach NAME or policy" "$NESTORCTL" cache
refused "nestorctl cache attach without a disk" 2 "cache takes" "$NESTORCTL" cache attach
refused "nestorctl cache with an unknown verb" 2 "cache takes" "$NESTORCTL" cache remove vdb
refused "nestorctl cache attach of a missing file" 1 "/nowhere: No such file" "$NESTORCTL" cache attach /nowhere
refused "nestorctl cache attach of a directory" 1 "is not a block device" "$NESTORCTL" cache attach "$T"
refused "nestorctl cache detach of a disk that is not attached" 1 "it is not attached; see nestorctl cache list|device-mapper does not answer" "$NESTORCTL" cache detach nowhere
refused "nestorctl cache attach without the kernel module" 1 "the kernel module nestor is not loaded|device-mapper does not answer" \
	"$NESTORCTL" cache attach "$loop"
refused "nestorctl gpu without a verb" 2 "gpu takes list or bench" "$NESTORCTL" gpu
refused "nestorctl gpu with an unknown verb" 2 "gpu takes" "$NESTORCTL" gpu frob
run "$NESTORCTL" --json gpu list
is "nestorctl --json gpu list exits with 0 on every machine" 0 "$status"
is "nestorctl --json gpu list prints each device with driver and units" true "$(jq 'type == "array" and all(.[]; .device and .driver and .units > 0)' <<< "$out")"
run "$NESTORCTL" --json gpu bench
is "nestorctl --json gpu bench exits with 0" 0 "$status"
is "nestorctl --json gpu bench has all rates of all devices and of one CPU" true "$(jq 'length > 0 and all(.[]; .failed == "" and
	.resident_bytes_per_second > 0 and .copied_bytes_per_second > 0) and (.[:-1] | all(.within_bytes_per_second > 0))' <<< "$out")"
refused "nestorctl gpufn without a verb" 2 "gpufn takes show, call FUNCTION .*, check DIR .*, profile DIR .*, simulate FILE or generate KIND" "$NESTORCTL" gpufn
refused "nestorctl gpufn call without a function" 2 "gpufn takes" "$NESTORCTL" gpufn call
refused "nestorctl gpufn call without a broker" 3 "Couldn't connect" "$NESTORCTL" --run-dir "$T/none" gpufn call blur width=1 height=1
refused "nestorctl gpufn call with a word that is no NAME=VALUE" 1 "'frob' is not NAME=VALUE" "$NESTORCTL" gpufn call blur frob
refused "nestorctl gpufn check for 0 seconds" 2 "seconds are a whole number, 1 to 100000" "$NESTORCTL" gpufn check gpu/functions 0
refused "nestorctl gpufn profile for 1x seconds" 2 "seconds are a whole number, 1 to 100000" "$NESTORCTL" gpufn profile gpu/functions 1x
refused "nestorctl gpufn profile of a missing directory" 1 "/nowhere: No such file" "$NESTORCTL" gpufn profile /nowhere
refused "nestorctl gpufn check of a missing directory" 1 "/nowhere: No such file" "$NESTORCTL" gpufn check /nowhere
refused "nestorctl gpufn simulate of a missing file" 1 "/nowhere: No such file" "$NESTORCTL" gpufn simulate /nowhere
refused "nestorctl gpufn generate of an unknown kind" 1 "'frob' is none of: poisson, bursty, functions" "$NESTORCTL" gpufn generate frob 1 1 1
refused "nestorctl gpufn generate of 0 tasks" 1 "'0' is no number of tasks" "$NESTORCTL" gpufn generate poisson 0 1 1
refused "nestorctl gpufn generate with load NaN" 1 "'nan' is no load" "$NESTORCTL" gpufn generate poisson 1 nan 1
refused "nestorctl gpufn generate with seed 0.5" 1 "'0.5' is no seed" "$NESTORCTL" gpufn generate poisson 1 1 0.5
trace() { # trace TEXT EXPECTED: a trace that has an error
	printf '%b' "$1" > "$T/trace"
	refused "nestorctl gpufn simulate of the trace '$1'" 1 "$2" "$NESTORCTL" gpufn simulate "$T/trace"
}
trace '' 'trace: has no task'
trace 'tusk 1 2 3\n' 'trace:1: neither task, overhead, slice nor capacity'
trace '# a\ntask 1 2\n' 'trace:2: task wants ARRIVAL WORK DEADLINE'
trace 'task 1 2 3 4\n' 'trace:1: task wants'
trace 'task 1 nan 3\n' 'trace:1: task wants'
trace 'task -1 2 3\n' 'trace:1: task wants'
trace 'task 1 0 3\n' 'trace:1: a task has some work'
trace 'task 3 1 2\n' 'trace:1: the deadline is before the arrival'
trace 'task 3 1 4\ntask 2 1 4\n' 'trace:2: tasks come in the order'
trace 'slice 0\n' 'trace:1: slice wants'
trace 'capacity 1 1 1 2\n' 'trace:1: capacity wants'
"$NESTORCTL" gpufn generate poisson 300 0.5 7 > "$T/trace"
run "$NESTORCTL" --json gpufn simulate "$T/trace"
is "nestorctl gpufn simulate accepts the output of gpufn generate" 0 "$status"
is "nestorctl gpufn simulate: each rule has all tasks, and none beats the bound" true "$(jq '.most_in_time as $most | .rules | length == 7 and
	all(.[]; .in_time + .late + .dropped == 300 and .in_time <= $most)' <<< "$out")"
refused "nestorctl dedup without a verb" 2 "dedup takes show, report WHOSE... or undo WHOSE...; see" "$NESTORCTL" dedup
refused "nestorctl dedup report without an argument" 2 "dedup takes" "$NESTORCTL" dedup report
refused "nestorctl dedup undo without an argument" 2 "dedup takes" "$NESTORCTL" dedup undo
refused "nestorctl dedup undo of a word" 1 "'frob' is neither the number of a process nor the path of a cgroup" "$NESTORCTL" dedup undo frob
refused "nestorctl dedup report of a word" 1 "'frob' is neither the number of a process nor the path of a cgroup" "$NESTORCTL" dedup report frob
refused "nestorctl dedup report of a missing cgroup" 1 "there is no cgroup /nowhere" "$NESTORCTL" dedup report /nowhere
refused "nestorctl dedup report of a process twice" 1 "process $$ is among those of $$ and of $$" "$NESTORCTL" dedup report $$ $$
refused "nestorctl dedup report of a missing process" 1 "there is no process 999999999" "$NESTORCTL" dedup report 999999999
run "$NESTORCTL" --json dedup report $$ $agent_pid
is "nestorctl --json dedup report of two processes exits with 0" 0 "$status"
is "nestorctl --json dedup report has each owner's pages, common pages and the time" true "$(jq '(.owners | length) == 2 and
	all(.owners[]; .present_bytes >= .zero_bytes + .own_bytes) and (.pairs | length) == 1 and .seconds.read > 0 and
	.left_out.ended_processes == 0' <<< "$out")"
refused "nestorctl cache policy without a verb" 2 "cache policy takes load FILE or reset" "$NESTORCTL" cache policy
refused "nestorctl cache policy load without a file" 2 "cache policy takes" "$NESTORCTL" cache policy load
refused "nestorctl cache policy load of a missing file" 1 "/nowhere: No such file" ctl cache policy load /nowhere
refused "nestorctl cache policy load with the room off" 1 "cache is down: off by policy" ctl cache policy load "$T/good.yaml"
refused "nestorctl cache policy reset with the room off" 1 "cache is down: off by policy" ctl cache policy reset
run "$NESTORCTL" cache list
like "nestorctl cache list prints no disk, or why device-mapper does not answer" '^0  $|^1  .*device-mapper does not answer' "$status $out $err"

# ---- two agents ----

refused "nestord with the --run-dir of another agent" 1 "$T/run is in use by another nestord.*--run-dir" \
	"$NESTORD" "${own[@]}" --run-dir "$T/run"
refused "nestord with the --bpffs of another agent" 1 "$T/bpf/nestor is in use by another nestord.*--bpffs" \
	"$NESTORD" "${own[@]}" --bpffs "$T/bpf/nestor"
refused "nestord with the --listen of another agent" 1 "cannot listen on ${URL#http://}: Address already in use" \
	"$NESTORD" "${own[@]}" --listen "${URL#http://}"
is "nestord keeps its counts when a second agent is refused" 1 "$(count)"
start2 "$T/second.log" "$NESTORD" "${own[@]}" --policy "$T/policy.d"
read_one
is "two agents: all rooms that policy wants are up" "up" \
	"$({ ctl --json rooms; "$NESTORCTL" --run-dir "$T/own" --json rooms; } |
		jq -r '.[] | select(.reason != "off by policy").state' | sort -u)"
is "two agents: each has counts of its own" "2 1" "$(count) $("$NESTORCTL" --run-dir "$T/own" metrics |
	sed -n "s/^nestor_blkio_ios_total{device=\"$name\",op=\"read\".* //p")"
stop2 TERM
is "two agents: the second one exits with 0" 0 "$status"
is "two agents: the first one counts on after the second one ends" 2 "$(count)"

# ---- the end, and after ----

fio --name=io --filename="$loop" --rw=randrw --bs=4k --direct=1 --ioengine=psync --thread --numjobs=2 --time_based --runtime=20 \
	--size=8m --output="$T/fio" > /dev/null 2>&1 &
load=$!
defer kill -KILL $load
# shellcheck disable=SC2317
runs() { [ "$(count)" -gt 500 ]; }
ok "(nestord counts over 500 reads before SIGTERM)" until_ok 5 runs
agent_signal TERM # tests/blkio/limit.guest.sh shows how long that takes
is "nestord exits with 0 after SIGTERM under I/O" 0 $?
agent_pid=''
kill $load
wait $load 2> /dev/null
is "nestord leaves no socket and no HTTP directory after SIGTERM" "" "$(ls "$T/run")"
ok "nestord leaves its pins after SIGTERM" [ -n "$(pins)" ]
refused "nestorctl after the agent was stopped" 3 "no agent answers" ctl rooms
agent_start
ok "nestord continues its counts after a stop and a start" [ "$(count)" -gt 500 ]
agent_kill
refused "nestorctl after the agent was killed" 3 "no agent answers at $T/run: Connection refused" ctl rooms
run ctl reset
is "nestorctl reset without an agent removes all maps" "0 maps_removed: $(wc -l <<< "$before")" "$status $out"
ok "nestorctl reset without an agent leaves no pin and no directory" [ ! -e "$T/bpf/nestor" ]

# ---- what systemd does ----

# A network of its own, so that any port is free there. The capabilities are the unit's, with no new ones to be had.
keep=+${caps//$'\n'/,+}
in_net=(nsenter --net="$T/net" --)
touch "$T/net"
defer umount "$T/net"
unshare --net="$T/net" true
"${in_net[@]}" ip link set lo up
start2 "$T/caps.log" "${in_net[@]}" setpriv --bounding-set "-all,$keep" --no-new-privs \
	"$NESTORD" --run-dir "$T/own" --bpffs "$T/bpf/own"
like "nestord serves 127.0.0.1:6378 by default with the unit's capabilities" 'metrics: http://127\.0\.0\.1:6378/metrics' "$(< "$T/caps.log")"
like "nestord answers HTTP with the unit's capabilities" 'nestor_room_up{room="blkio"} 1' "$("${in_net[@]}" curl -s --noproxy '*' http://127.0.0.1:6378/metrics)"
stop2 TERM
is "nestord exits with 0 with the unit's capabilities" 0 "$status"

"$TOOLS/notifylisten" "$T/notify" > "$T/notified" &
defer kill -KILL $!
until_ok 5 [ -S "$T/notify" ]
start2 "$T/notify.log" env NOTIFY_SOCKET="$T/notify" "$NESTORD" "${own[@]}" --policy "$T/policy.d"
ok "sd_notify: nestord sends READY=1 at start" until_ok 5 grep -qx READY=1 "$T/notified"
kill -HUP "$second"
# shellcheck disable=SC2317
ready_again() { [ "$(grep -cx READY=1 "$T/notified")" = 2 ]; }
ok "sd_notify: nestord sends READY=1 again after SIGHUP" until_ok 5 ready_again
is "sd_notify: nestord sends RELOADING=1 with the time before READY=1" "READY=1 RELOADING=1 MONOTONIC_USEC=N READY=1" \
	"$(sed 's/=[0-9]\{2,\}$/=N/' "$T/notified" | paste -sd ' ')"
stop2 TERM
ok "sd_notify: nestord sends STOPPING=1 at its end" until_ok 5 grep -qx STOPPING=1 "$T/notified"

# activate OPTION…: nestord behind a socket of systemd's, in the network of its own
activate() {
	: > "$T/activated.log"
	"${in_net[@]}" systemd-socket-activate "$@" "$NESTORD" "${own[@]}" --listen 127.0.0.1:1 > "$T/activated.log" 2>&1 &
	second=$!
}
# shellcheck disable=SC2317
asked() { "${in_net[@]}" curl -s --noproxy '*' --max-time 10 -o "$T/answer" http://127.0.0.1:7777/metrics; }
# shellcheck disable=SC2317
refuses() { # refuses udp|tcp: it has been woken, and has ended
	"${in_net[@]}" bash -c "echo > /dev/$1/127.0.0.1/7777" 2> /dev/null
	grep -q 'socket activation passed' "$T/activated.log"
}
if command -v systemd-socket-activate > /dev/null; then
	activate -l 127.0.0.1:7777
	ok "socket activation: the first connection is answered" until_ok 10 asked
	like "socket activation: the first connection gets metrics" 'nestor_room_up{room="blkio"} 1' "$(< "$T/answer")"
	like "socket activation: nestord serves the socket that was passed, not --listen" 'metrics: http://127\.0\.0\.1:7777/metrics' "$(< "$T/activated.log")"
	stop2 TERM
	is "socket activation: nestord exits with 0" 0 "$status"
	activate -l 127.0.0.1:7777 -l 127.0.0.1:7778
	until_ok 10 refuses tcp
	wait "$second"
	is "socket activation with two sockets: nestord exits with 1" 1 $?
	like "socket activation with two sockets: the error says why" 'passed 2 sockets; one is served' "$(< "$T/activated.log")"
	activate -d -l 127.0.0.1:7777
	until_ok 10 refuses udp
	wait "$second"
	is "socket activation with a datagram socket: nestord exits with 1" 1 $?
	like "socket activation with a datagram socket: the error says why" 'not a listening stream socket' "$(< "$T/activated.log")"
	second=''
else
	skip "socket activation" "systemd-socket-activate is not installed"
fi
# ---- what it may do, once it runs: the capabilities of kernel.c's list, and CAP_SETPCAP for its HTTP process
agent_start
mask=0
for bit in 2 6 7 8 12 18 19 21 38 39; do mask=$((mask | 1 << bit)); done
is "nestord keeps exactly the capabilities that it needs" "$(printf '%016x' $mask)" \
	"$(awk '$1 == "CapEff:" { print $2 }' "/proc/$agent_pid/status")"
agent_stop

done_testing

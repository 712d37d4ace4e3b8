# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For tests in shell: TAP output, an agent of one's own, clean-up that happens also after a signal.
#
#	. "$(dirname "$0")/lib.sh"
#	agent_start
#	is "one room" 1 "$(metric 'nestor_room_up{room="blkio"}')"
#	done_testing

set -u
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
NESTORD=${NESTORD:-$ROOT/build/nestord}
NESTORCTL=${NESTORCTL:-$ROOT/build/nestorctl}
T=$(mktemp -d "${TMPDIR:-/tmp}/nestor-test.XXXXXX")
# Part of the name of whatever is no file below $T, such as a cgroup: tests/run knows by it who left one behind.
# shellcheck disable=SC2034 # for the tests
ID=${NESTOR_TEST_ID:-$$}
# Never has anything to read: a pause that needs no process. Opened once: bash may stumble over a signal that comes while
# it reads what <() holds.
exec {never}<> <(:)
tests=0 failures=0
agent_pid=''

# Undo, last first: defer COMMAND ARG…
deferred=()
defer() { deferred+=("$(printf '%q ' "$@")"); }
cleanup() {
	local i
	trap - EXIT
	trap '' TERM INT HUP # timeout sends a second one
	agent_kill 2> /dev/null
	for ((i = ${#deferred[@]} - 1; i >= 0; i--)); do eval "${deferred[i]}" > /dev/null 2>&1; done
	rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 143' TERM INT HUP

ok() { # ok TEXT COMMAND…: passes if the command succeeds
	local text=$1
	shift
	tests=$((tests + 1))
	if "$@"; then
		echo "ok $tests - $text"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $text"
		return 1
	fi
}

is() { # is TEXT EXPECTED GOT
	ok "$1" [ "$2" = "$3" ] || echo "#   expected: $2, got: $3"
}

within() { # within TEXT LOW VALUE HIGH, numbers that may have fractions
	ok "$1" awk -v l="$2" -v v="${3:-nan}" -v h="$4" 'BEGIN { exit !(v + 0 == v && v >= l && v <= h) }' ||
		echo "#   expected: $2 to $4, got: $3"
}

like() { # like TEXT PATTERN GOT
	ok "$1" grep -qE -- "$2" <<< "$3" || echo "#   expected a match of: $2, got: $3"
}

# run COMMAND...: its status, and what it says, in $status, $out and $err
# shellcheck disable=SC2034 # who calls it wants them
run() {
	status=0
	"$@" > "$T/out" 2> "$T/err" < /dev/null || status=$?
	out=$(< "$T/out") err=$(< "$T/err")
}

skip() { # skip TEXT REASON
	tests=$((tests + 1))
	echo "ok $tests - $1 # SKIP $2"
}

subtests() { # subtests PREFIX COMMAND…: another test's results as this one's own
	local prefix=$1 line kind text seen=0 ended=0
	shift
	while IFS= read -r line; do
		if [[ $line =~ ^(not )?ok\ [0-9]+\ -\ (.*) ]]; then
			kind=${BASH_REMATCH[1]} text=${BASH_REMATCH[2]}
			tests=$((tests + 1)) seen=$((seen + 1))
			[ -z "$kind" ] || failures=$((failures + 1))
			echo "${kind}ok $tests - $prefix: $text"
		elif [[ $line =~ ^1\.\.([0-9]+) ]]; then
			is "$prefix: ran to its end" "$seen" "${BASH_REMATCH[1]}"
			seen=0 ended=1
		else
			echo "# ${line#\# }"
		fi
	done < <("$@" 2>&1)
	[ $ended = 1 ] && [ $seen = 0 ] || ok "$prefix: ran to its end" false
}

done_testing() {
	echo "1..$tests"
	[ $failures -eq 0 ]
	exit
}

# until_ok SECONDS COMMAND…: tries again until it succeeds; for events that nobody announces. Others may have the
# processors: it waits five times as long, but where the clock counts our instructions.
until_ok() {
	local end=$((SECONDS + $1 * 5))
	[ -z "${NESTOR_ICOUNT:-}" ] || end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		read -rt 0.05 <&$never || true
	done
}

# ---- an agent of one's own: run directory, bpffs, port ----

bpffs_mount() {
	[ -d "$T/bpf" ] && return
	mkdir "$T/bpf"
	defer umount "$T/bpf"
	mount -t bpf bpf "$T/bpf" -o mode=0700
}

# agent_start [OPTION…]: returns when it is up; AGENT_LOG, URL
agent_start() {
	bpffs_mount
	AGENT_LOG=$T/agent.log
	: > "$AGENT_LOG"
	"$NESTORD" --listen 127.0.0.1:0 --run-dir "$T/run" --bpffs "$T/bpf/nestor" "$@" >> "$AGENT_LOG" 2>&1 &
	agent_pid=$!
	if ! until_ok "${AGENT_SECONDS:-60}" agent_is_up; then
		echo "# the agent did not start:"
		sed 's/^/#   /' "$AGENT_LOG"
		return 1
	fi
	# shellcheck disable=SC2034 # for the tests
	URL=$(sed -n 's/.*metrics: \(http.*\)\/metrics/\1/p' "$AGENT_LOG")
}

agent_is_up() {
	grep -q 'metrics: http' "$AGENT_LOG" || ! kill -0 "$agent_pid" 2> /dev/null || return 1
	grep -q 'metrics: http' "$AGENT_LOG"
}

agent_signal() { # agent_signal SIGNAL: and waits for its end
	kill "-$1" "$agent_pid"
	wait "$agent_pid" 2> /dev/null
}

agent_stop() {
	agent_signal TERM
	agent_pid=''
}

agent_kill() {
	[ -n "$agent_pid" ] || return 0
	agent_signal KILL
	agent_pid=''
}

ctl() { "$NESTORCTL" --run-dir "$T/run" --bpffs "$T/bpf/nestor" "$@"; }

metrics() { ctl metrics; }

# metric 'name{label="value",…}': sum of the values of all series of that name that have at least these labels; "" if none
metric() {
	metrics | awk -v want="$1" '
		BEGIN { name = want; sub(/\{.*/, "", name); n = index(want, "{") ? split(substr(want, length(name) + 2, length(want) - length(name) - 2), labels, ",") : 0 }
		{ series = $0; sub(/ [^ ]*$/, "", series); this = series; sub(/\{.*/, "", this)
		  if (this != name) next
		  for (i = 1; i <= n; i++) if (!index(series, labels[i])) next
		  sum += $NF; found = 1 }
		END { if (found) printf "%.15g\n", sum }'
}

# null_disk NAME MIB NANOSECONDS [SETTING=VALUE…]: in a VM, /dev/NAME, a null_blk with memory that answers that late
null_disk() {
	local dir=/sys/kernel/config/nullb/$1 setting
	[ -d "${dir%/*}" ] || mount -t configfs none /sys/kernel/config
	mkdir "$dir"
	for setting in "size=$2" memory_backed=1 irqmode=2 "completion_nsec=$3" "${@:4}" power=1; do
		echo "${setting#*=}" > "$dir/${setting%=*}"
	done
}

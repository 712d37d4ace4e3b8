#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 40, lane: free
# Nothing that another process delays stops the agent: each of its own processes and of its peers is stopped in turn, or is
# slow on purpose, and meanwhile the agent answers. Times below end a test that hangs; they decide nothing else.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1
stuck=$ROOT/build/tests/tools/stuck
chmod 755 "$T"

answers() { # answers WHILE: over the control socket
	ok "core: the agent answers $1" [ "$(timeout 30 "$NESTORCTL" --run-dir "$T/run" --json status | grep -c '"pid"')" = 1 ]
}
serves() { curl -sfm 30 -o /dev/null "$URL/metrics"; }
children() { cat "/proc/$agent_pid/task/$agent_pid/children"; } # not pgrep(1): it reads what others may block
child() { # child NAME: the agent's process of that name
	local pid
	for pid in $(children); do ! grep -q "^$1" "/proc/$pid/cmdline" || echo "$pid"; done
}
has_child() { [ -n "$(child "$1")" ]; }
is_another() { local now; now=$(child "$1"); [ -n "$now" ] && [ "$now" != "$2" ]; } # is_another NAME PID
starts_stuck() { # starts_stuck KIND ARGUMENT…: in $!, until the test ends
	"$stuck" "$@" > "$T/stuck.out" &
	defer kill -KILL $!
	until_ok 10 grep -q ready "$T/stuck.out" || echo "# stuck $* did not start"
}
has_ended() { ! kill -0 "$1" 2> /dev/null; }
ends_by_term() { # ends_by_term WHILE: SIGTERM ends the agent, and all of its processes end
	local all
	all=$(children)
	kill -TERM "$agent_pid"
	ok "core: SIGTERM ends the agent $1" until_ok 10 has_ended "$agent_pid"
	agent_kill 2> /dev/null
	for pid in $all; do
		until_ok 5 has_ended "$pid" || echo "# process $pid is left: $(tr '\0' ' ' < "/proc/$pid/cmdline")"
	done
	is "core: no process of the agent is left after SIGTERM $1" "" "$(for pid in $all; do has_ended "$pid" || echo "$pid"; done)"
}

mkdir "$T/policy.d"
policy() { # policy TEXT: an editor's way
	echo "$1" > "$T/policy.d/.new"
	mv "$T/policy.d/.new" "$T/policy.d/one.yaml"
}
rooms_off='blkio: { mode: off }
net: { mode: off }
pcache: { mode: off }
cache: { mode: off }'
gpufn="gpufn: { mode: enforce, cache: $T/cache, socket: $T/gpufn.sock, tenants: [ { user: root } ] }"
policy "$rooms_off
$gpufn"

# ---- standard error is a pipe that is full ----

mkfifo "$T/stderr"
exec {full}<> "$T/stderr"
dd if=/dev/zero of="$T/stderr" oflag=nonblock bs=4096 count=4096 2> /dev/null
bpffs_mount
AGENT_LOG=/dev/null
"$NESTORD" --listen 127.0.0.1:0 --run-dir "$T/run" --bpffs "$T/bpf/nestor" --policy "$T/policy.d" 2>&$full &
agent_pid=$!
is_there() { timeout 30 "$NESTORCTL" --run-dir "$T/run" status > /dev/null 2>&1; }
ok "core: the agent starts while nobody reads its standard error" until_ok 20 is_there
within "core: messages that nobody reads are counted" 1 "$(metric nestor_log_messages_dropped_total)" 1000
ends_by_term "while nobody reads its standard error"
exec {full}>&-

# ---- standard error is closed ----

"$NESTORD" --listen 127.0.0.1:0 --run-dir "$T/run" --bpffs "$T/bpf/nestor" --policy "$T/policy.d" 2>&- &
agent_pid=$!
ok "core: the agent starts with standard error closed" until_ok 20 is_there
is "core: standard error of the agent's processes is /dev/null where its own was closed" "/dev/null" \
	"$(for pid in $(children); do readlink "/proc/$pid/fd/2"; done | sort -u)"
agent_stop

# ---- its own processes are stopped ----

"$ROOT/build/tests/tools/notifylisten" "$T/notify" > "$T/notified" &
manager=$!
defer kill -KILL $manager
until_ok 10 [ -S "$T/notify" ]
export NOTIFY_SOCKET=$T/notify WATCHDOG_USEC=100000
agent_start --policy "$T/policy.d"
unset NOTIFY_SOCKET WATCHDOG_USEC
ok "core: the agent has an HTTP process and a broker" until_ok 10 has_child nestord-gpufn
httpd=$(child nestord-httpd) broker=$(child nestord-gpufn)
kill -STOP "$httpd" "$broker"
answers "while its HTTP process and its broker are stopped"

# ---- the service manager ----

feedings() { grep -cx WATCHDOG=1 "$T/notified"; }
is_fed() { [ "$(feedings)" -gt "$1" ]; } # is_fed N: more often than that
ok "core: the agent's loop feeds the watchdog of its service manager" until_ok 10 is_fed 3
kill -STOP "$agent_pid"
fed=$(feedings)
read -rt 0.5 <&$never # several times as long as between two feedings
within "core: the watchdog is not fed while the agent's loop stands still" "$fed" "$(feedings)" $((fed + 1))
kill -CONT "$agent_pid"
ok "core: the watchdog is fed again when the agent's loop goes on" until_ok 10 is_fed $((fed + 1))
kill -STOP $manager
for i in {1..20}; do ctl policy reload; done > /dev/null # each sends two messages; a queue has room for ten or so
answers "while its service manager does not read"
kill -CONT $manager

# ---- clients ----

starts_stuck silent "$T/run/control.sock" 100
answers "while 100 clients of the control socket say nothing"
starts_stuck deaf "$T/run/control.sock" 100
answers "while 100 clients of the control socket do not read"

# ---- policy ----

starts_stuck lease "$T/policy.d/one.yaml"
run timeout 30 "$NESTORCTL" --run-dir "$T/run" policy reload
is "core: a policy file on which a process holds a lease is refused at once" 1 "$status"
answers "while a process holds a lease on its policy"
kill -KILL $! && wait $! 2> /dev/null
mkfifo "$T/policy.d/two.yaml"
run timeout 30 "$NESTORCTL" --run-dir "$T/run" policy reload
like "core: a FIFO in place of a policy is refused" "not a regular file" "$err"
answers "while its policy is a FIFO"
rm "$T/policy.d/two.yaml"
for i in {1..3000}; do : > "$T/policy.d/.$i"; done
answers "while its policy's directory changes thousands of times"
rm -f "$T"/policy.d/.[0-9]*

# ---- the processes that are stopped, later ----

ok "core: an HTTP process that is silent is replaced" until_ok 30 is_another nestord-httpd "$httpd"
ok "core: the HTTP process that replaces a silent one serves" until_ok 10 serves
kill -CONT "$broker"
starts_stuck pipe "$broker" 3
answers "while its broker sent a pipe in place of a text"
ok "core: a broker that sent a pipe is replaced" until_ok 10 is_another nestord-gpufn "$broker"
within "core: a message with a pipe is counted as refused" 1 "$(metric nestor_peer_messages_refused_total)" 1
kill -STOP "$(child nestord-httpd)" "$(child nestord-gpufn)"
ends_by_term "while its HTTP process and its broker are stopped"
done_testing

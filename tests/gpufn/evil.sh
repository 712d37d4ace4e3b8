#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 25, lane: free
# An executor that was taken over: a function's code makes system calls of its own. It may talk to the broker as it likes, and
# harms nobody but its own call: others' calls go on, and broker and agent live.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1
# shellcheck source=tests/harness/gpufn.sh
. tests/harness/gpufn.sh
cp tests/gpufn/evil.cl "$T/functions/"
cat > "$T/functions/evil.yaml" <<- END
	doc: does what the first byte says
	arguments:
	  - { name: in, kind: input, type: uint8, count: n }
	  - { name: out, kind: output, type: uint64, count: n }
	  - { name: n, kind: scalar, type: uint32, min: 1, max: 1000 }
	kernels:
	  - { name: evil, group: 1, groups: 1 }
	sliceable: false
	checks:
	  - n=64
END
cat > "$T/policy.d/gpufn.yaml" <<- END
	gpufn:
	  mode: enforce
	  functions: $T/functions
	  cache: $T/cache
	  socket: $NESTOR_GPUFN_SOCKET
	  slice_limit: 2s
	  tenants: [ { user: root }, { user: nobody } ]
	blkio: { mode: off }
	cache: { mode: off }
	dedup: { mode: off }
	net: { mode: off }
	pcache: { mode: off }
END
agent_start --policy "$T/policy.d" || done_testing
ok "gpufn: evil: the broker answers" until_ok 20 answers

cp build/nestorctl "$T/nestorctl"
head -c 30 /dev/zero > "$T/image"
good() { "$T/nestorctl" gpufn call grey width=10 height=1 < "$T/image" > /dev/null 2> "$T/good.err" || { sed "s/^/# /" "$T/good.err"; false; }; }
evil() { # evil DEED [TEXT]: $status, $err, and $T/result
	status=0
	printf '%s\0%0200d' "$1${2:-}" 0 | head -c 64 | as nobody timeout 60 "$T/nestorctl" gpufn call evil n=64 > "$T/result" 2> "$T/err" || status=$?
	err=$(< "$T/err")
}
first=$(broker)
ok "gpufn: evil: a good call of another tenant" good

# ---- what it tells the broker
harmless() { # harmless DEED TEXT PATTERN
	evil "$1"
	is "gpufn: an executor that $2 loses its call" 1 "$status"
	like "gpufn: an executor that $2: its caller is told why" "$3" "$err"
	ok "gpufn: another tenant's call goes on beside an executor that $2" good
}
harmless f 'reports slices of others' 'is not believed any more: a report is about another order'
harmless h 'sends half a report' 'is not believed any more: a report has the wrong size'
harmless l 'sends more than a report' 'is not believed any more: a report has the wrong size'
harmless d 'sends a descriptor' 'is not believed any more: a descriptor came with a report'
harmless 0 'sends nothing' 'closed its socket'
harmless s 'ends its sending side and goes on' 'closed its socket'
harmless c 'closes its socket and goes on' 'closed its socket'
harmless e 'exits' 'ended with status 3'
# ---- what it tries with others
evil t
is "gpufn: an executor that tries forbidden system calls ends its call well" 0 "$status"
od -An -v -w8 -td8 "$T/result" | tr -d ' ' > "$T/tries"
ok "gpufn: an executor tries 40 forbidden system calls" [ "$(head -1 "$T/tries")" -ge 40 ]
is "gpufn: an executor can make none of the forbidden system calls" "" \
	"$(sed -n "2,$(($(head -1 "$T/tries") + 1))p" "$T/tries" | grep -vnx -- -1 | xargs)"
evil r "/proc/$agent_pid/stat"
is "gpufn: an executor does not see a process outside of it" -2 "$(od -An -N8 -td8 "$T/result" | tr -d ' ')"
evil r /proc/1/stat
ok "gpufn: an executor sees itself" [ "$(od -An -N8 -td8 "$T/result")" -gt 0 ]
processes() { pgrep -f "^nestord-gpufn-executor .*$T/" | sort; }
processes > "$T/before"
evil k
child=$(comm -13 "$T/before" <(processes))
ok "gpufn: an executor can start a process" [ -n "$child" ]
evil e
ended() { [ ! -e "/proc/$child" ]; }
ok "gpufn: a process that an executor started ends with it" until_ok 5 ended

forged() { [ "$(metric 'nestor_gpufn_executors_total{event="forged"}')" = 4 ]; }
ok "gpufn: evil: false reports are counted" until_ok 5 forged
is "gpufn: evil: the broker is the same" "$first" "$(broker)"
agent_stop
done_testing

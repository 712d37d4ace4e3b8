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
evil() { # evil DEED: $status, $err, and $T/result
	status=0
	printf "$1%063d" 0 | as nobody "$T/nestorctl" gpufn call evil n=64 > "$T/result" 2> "$T/err" || status=$?
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
harmless 0 'sends nothing' 'died of signal 9'
harmless s 'ends its sending side and goes on' 'died of signal 9'
harmless c 'closes its socket and goes on' 'died of signal 9'
harmless e 'exits' 'ended with status 3'
forged() { [ "$(metric 'nestor_gpufn_executors_total{event="forged"}')" = 4 ]; }
ok "gpufn: evil: false reports are counted" until_ok 5 forged
is "gpufn: evil: the broker is the same" "$first" "$(broker)"
agent_stop
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 30, lane: free
# GPU functions: the library's directory is replaced as deployments do it, old descriptions never run with new code, and compiling
# is not running.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1
# shellcheck source=tests/harness/gpufn.sh
. tests/harness/gpufn.sh

cat > "$T/policy.d/gpufn.yaml" <<- END
	gpufn:
	  mode: enforce
	  functions: $T/current/functions
	  cache: $T/cache
	  socket: $NESTOR_GPUFN_SOCKET
	  slice_limit: 3s
	  tenants:
	    - { user: root }
	    - { user: nobody }
	blkio: { mode: off }
	cache: { mode: off }
	dedup: { mode: off }
	net: { mode: off }
	pcache: { mode: off }
END
library() { # library DIRECTORY TIMES: copy gives its input so many times, and TIMES - 1 added
	mkdir "$1"
	chmod 755 "$1"
	bytes_function "$1" copy "if (i < $2 * n) out[i] = in[i % n] + $2 - 1;"
	sed -i "s/count: n, per/count: $2 * n, per/; s/(n + 63)/($2 * n + 63)/" "$1/copy.yaml"
}
call() { # $code, and what comes back in $T/result
	curl_as root '/v1/functions/copy?n=6' --data-binary ABCDEF
}
gives() { call && [ "$code $(cat "$T/result")" = "$1" ]; }
mkdir -m 755 "$T/release1" "$T/release2"
ln -s release1 "$T/current"
library "$T/release1/functions" 1
agent_start --policy "$T/policy.d" || done_testing
ok "gpufn: library: the broker answers" until_ok 20 answers
ok "gpufn: library: a function of the first directory runs" until_ok 10 gives "200 ABCDEF"

# ---- another directory takes the name
# Before the broker takes it up a tenant's first call starts a process, which finds the new one: the call waits in the socket of
# the stopped broker when the directory is replaced.
kill -STOP "$(broker)"
printf 'POST /v1/functions/copy?n=6 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 6\r\n\r\nABCDEF' > "$T/request"
setpriv --reuid 65534 --regid 65534 --clear-groups build/tests/tools/httpraw "$NESTOR_GPUFN_SOCKET" < "$T/request" > "$T/raw" &
caller=$!
sent() { grep -q poll "/proc/$caller/wchan"; }
ok "gpufn: library: a call waits for the stopped broker" until_ok 10 sent
library "$T/release1/fresh" 2
mv "$T/release1/functions" "$T/release1/old"
mv "$T/release1/fresh" "$T/release1/functions"
kill -CONT "$(broker)"
wait $caller
is "gpufn: library: a call is refused if its process finds another function than the broker has read" 503 "$(head -1 "$T/raw" | cut -d' ' -f2)"
like "gpufn: library: a call that is refused for another function says so" 'copy has changed meanwhile; try again' "$(cat "$T/raw")"
ok "gpufn: library: a directory that is renamed into the place of the old one is taken up" until_ok 10 gives "200 BCDEFGBCDEFG"
library "$T/release2/functions" 3
ln -s release2 "$T/next"
mv -T "$T/next" "$T/current"
answers_of=
taken_up() { # and until then the old one, whole
	call
	answers_of="$answers_of$code $(cat "$T/result")|"
	[[ $answers_of = *'|200 CDEFGHCDEFGHCDEFGH|' ]]
}
call
answers_of="$code $(cat "$T/result")|"
ok "gpufn: library: a directory above that is another one is taken up" until_ok 10 taken_up
is "gpufn: library: while a directory is replaced no answer mixes old and new" "" \
	"$(tr '|' '\n' <<< "$answers_of" | grep -vE '^(200 BCDEFGBCDEFG|200 CDEFGHCDEFGHCDEFGH|)$|has changed')"
(until [ -e "$T/quiet" ]; do echo x >> "$T/release2/functions/notes.txt" && read -rt 0.05 <&"$never"; done) &
noise=$!
rm -r "$T/release2/functions/"copy.*
bytes_function "$T/release2/functions" copy 'if (i < n) out[i] = in[i];'
ok "gpufn: library: a change is taken up while other files change all the time" until_ok 10 gives "200 ABCDEF"
touch "$T/quiet"
wait $noise

# ---- compiling
code_of() { local j; for ((j = 0; j < $1; j++)); do echo -n "x = x * $((2 * j + 3)) + in[x % n];"; done; }
bytes_function "$T/release2/functions" large "uint x = 1; $(code_of 60) if (i < n) out[i] = x;"
known() { curl_as root /v1/functions/large && [ "$code" = 200 ]; }
ok "gpufn: library: a function whose compiling takes long is added" until_ok 10 known
curl_as root '/v1/functions/large?n=6&wait=0' --data-binary ABCDEF
id=$(jq .call "$T/result")
state() { curl_as root "/v1/calls/$id" && [ "$(jq -r .state "$T/result")" = "$1" ]; }
ok "gpufn: a call whose function is being compiled says so" until_ok 5 state compiles
ok "gpufn: a call ends after its function was compiled" until_ok 30 state "done"
is "gpufn: compiling is counted by itself, not as the device's time" true "$(jq '.compile_seconds > .device_seconds' "$T/result")"
compiled() { [ "$(metric 'nestor_gpufn_compile_seconds_total{tenant="user:root"}')" != 0 ]; }
ok "gpufn: metrics count the time of compiling" until_ok 5 compiled

# ---- ends that are told
bytes_function "$T/release2/functions" spin 'while (in[0]) if (i < n) ((volatile __global uchar *)out)[i] = 1;'
known() { curl_as root /v1/functions/spin && [ "$code" = 200 ]; }
ok "gpufn: library: a function that does not end is added" until_ok 10 known
curl_as root '/v1/functions/spin?n=6' --data-binary ABCDEF
like "gpufn: an executor that is killed for its time: the answer says so" '^500 .*it did not end within 3 s' "$code $(cat "$T/result")"

done_testing

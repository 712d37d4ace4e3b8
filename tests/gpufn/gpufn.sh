#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 110, lane: free
# GPU functions as their callers have them, on PoCL's device: right outputs, tenants whom the kernel names, deadlines, and
# everything that callers and functions may do wrong, which costs nobody else anything.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1
# shellcheck source=tests/harness/gpufn.sh
. tests/harness/gpufn.sh

function_of_bytes spin 'while (in[0]) if (i < n) ((volatile __global uchar *)out)[i] = 1;'
function_of_bytes crash 'if (i < n) out[i + ((ulong)in[0] << 44)] = in[i];'
function_of_bytes keep 'if (i < n) out[i] = i & 1 ? out[i] : in[0];'
function_of_bytes slow 'uint x = in[0]; for (uint j = 0; j < 2000; j++) x = x * 1664525 + 1013904223; if (i < n) out[i] = x >> 24;'
function_of_bytes broken 'this is not C'

# policy MODE SHARE
policy() {
	cat > "$T/policy.d/.new" <<- END
		gpufn:
		  mode: $1
		  share: $2
		  functions: $T/functions
		  cache: $T/cache
		  socket: $NESTOR_GPUFN_SOCKET
		  slice_limit: 1s
		  memory: 64MiB
		  queue: 8
		  tenants:
		    - { user: root, weight: 3, priority: 2 }
		    - { user: nobody, weight: 1 }
		    - { user: 2, weight: 1, queue: 2000 }
		    - { container: "/nestor-gpufn-$ID*", name: boxes, weight: 1 }
		blkio: { mode: off }
		cache: { mode: off }
		dedup: { mode: off }
		net: { mode: off }
		pcache: { mode: off }
	END
	mv "$T/policy.d/.new" "$T/policy.d/gpufn.yaml"
}
restart_with() { # restart_with POLICY…: another policy, which is in force when it returns
	policy "$@"
	ctl policy reload > /dev/null
	[ "$1" = off ] || until_ok 10 current
}

policy enforce deadline
agent_start --policy "$T/policy.d" || done_testing
ok "gpufn: the broker answers" until_ok 20 answers

# call WHO FUNCTION ARGUMENT…: inputs are $T/in; status, $out a file's checksum, $err
cp build/nestorctl "$T/nestorctl"
call() {
	local user=$1
	shift
	status=0
	as "$user" "$T/nestorctl" gpufn call "$@" < "$T/in" > "$T/result" 2> "$T/err" || status=$?
	err=$(< "$T/err")
}
# ---- outputs
head -c 100000 /dev/urandom > "$T/in"
chmod 644 "$T/in"
call root sha256 buffers=1 length=100000
is "gpufn: sha256 of a file: status" 0 "$status"
is "gpufn: sha256 of a file is what sha256sum says" "$(sha256sum < "$T/in" | cut -d' ' -f1)" "$(od -An -v -tx1 "$T/result" | tr -d ' \n')"
head -c 3000000 /dev/urandom > "$T/in"
curl_as root "/v1/functions/grey?width=1000&height=1000" --data-binary @"$T/in" -D "$T/head"
first=$(md5sum < "$T/result")
curl_as root "/v1/functions/grey?width=1000&height=1000" --data-binary @"$T/in" -D "$T/head2"
is "gpufn: a repeated call has the same outputs" "$first" "$(md5sum < "$T/result")"
is "gpufn: outputs have the size that follows from the call's scalars" 1000000 "$(stat -c %s "$T/result")"
like "gpufn: a call is cut into two slices or more" 'Nestor-Slices: ([2-9]|[1-9][0-9]+)' "$(cat "$T/head")"
curl_as root /v1/functions
is "gpufn: the list has all functions" 18 "$(jq length "$T/result")"
curl_as root /v1/functions/sgemm
is "gpufn: a function is described with its arguments" "6 a" "$(jq -r '"\(.arguments | length) \(.arguments[0].name)"' "$T/result")"

# ---- who calls
echo hello > "$T/in"
call nobody slow n=6
is "gpufn: a second tenant has the same functions" 0 "$status"
call 1 grey width=1 height=2
is "gpufn: a user who is no tenant is refused: status" 1 "$status"
like "gpufn: a user who is no tenant is refused: the error says why" 'no policy names you' "$err"
curl_as 1 "/v1/functions/grey?width=1&height=2&tenant=user:root" --data-binary @"$T/in"
is "gpufn: a request cannot choose its tenant" 403 "$code"
group=/sys/fs/cgroup/nestor-gpufn-$ID-a
[ -e /sys/fs/cgroup/cgroup.controllers ] || group=/sys/fs/cgroup/memory/${group##*/}
mkdir "$group"
defer rmdir "$group"
in_group() {
	bash -c "echo \$\$ > $group/cgroup.procs && exec setpriv --reuid 1 --regid 1 --clear-groups $T/nestorctl gpufn call slow n=6" \
		< "$T/in" > "$T/result" 2> "$T/err"
}
ok "gpufn: a process in a tenant's cgroup can call" until_ok 15 in_group
ok "gpufn: a call from a tenant's cgroup is counted for that tenant" until_ok 5 tenant_has boxes "done" 1

# A connection stays, and policy does not: it changes while the first of two calls on it is under way.
head -c 2000000 /dev/zero > "$T/in"
as nobody curl -s --unix-socket "$NESTOR_GPUFN_SOCKET" -w '%{http_code} %{num_connects}\n' -o /dev/null --data-binary @"$T/in" \
	"http://x/v1/functions/slow?n=2000000" --next -s --unix-socket "$NESTOR_GPUFN_SOCKET" -o /dev/null -w '%{http_code} %{num_connects}\n' http://x/v1/functions > "$T/answers" &
caller=$!
ok "gpufn: a tenant's call is queued" until_ok 10 tenant_has user:nobody queued 1
sed '/user: nobody/d' "$T/policy.d/gpufn.yaml" > "$T/policy.d/.new" && mv "$T/policy.d/.new" "$T/policy.d/gpufn.yaml"
ctl policy reload > /dev/null
ok "gpufn: the broker gets a policy while a call runs" until_ok 10 current
wait $caller
is "gpufn: a tenant removed from policy ends its running call, and the next is refused" "200 1 403 0" "$(xargs < "$T/answers")"
restart_with enforce deadline
echo hello > "$T/in"

# ---- what callers do wrong
bad() { # bad TEXT STATUS PATTERN PATH OPTION…
	curl_as root "$4" "${@:5}"
	is "gpufn: $1: status $2" "$2" "$code"
	like "gpufn: $1: the answer says why" "$3" "$(cat "$T/result")"
}
six=(--data-binary @"$T/in")
bad "an unknown function" 404 "there is no function 'frob'" /v1/functions/frob "${six[@]}"
bad "a function's name with a path" 404 "there is no function" /v1/functions/..%2fgrey "${six[@]}"
bad "a call without scalars" 400 "width is missing" /v1/functions/grey "${six[@]}"
bad "a scalar too many" 400 "has no scalar 'depth'" "/v1/functions/grey?width=1&height=2&depth=1" "${six[@]}"
bad "a scalar that is no number" 400 "'NaN' is no number" "/v1/functions/grey?width=NaN&height=2" "${six[@]}"
bad "an image of width 0" 400 "0 is not within" "/v1/functions/grey?width=0&height=2" "${six[@]}"
bad "inputs that are too short" 400 "the inputs are 6 bytes, and these numbers want 60" "/v1/functions/grey?width=10&height=2" "${six[@]}"
bad "a call beyond the tenant's memory" 429 "it wants 120000000 bytes" "/v1/functions/grey?width=10000&height=1500" -X POST -H 'Content-Length: 45000000'
bad "a call beyond all memory" 400 "is too large|not 1 to" "/v1/functions/sha256?buffers=1073741824&length=1073741824" "${six[@]}"
bad "a request without Content-Length" 411 "Content-Length" "/v1/functions/grey?width=1&height=2" "${six[@]}" -H 'Transfer-Encoding: chunked'
for deadline in NaN inf 0 -1 1e999 soon ''; do
	bad "a deadline of '$deadline'" 400 "is no number of seconds above 0" "/v1/functions/grey?width=1&height=2&deadline=$deadline" "${six[@]}"
done
bad "a priority of 4" 400 "priority: '4' is not 0 to 3" "/v1/functions/grey?width=1&height=2&priority=4" "${six[@]}"
bad "a priority above the tenant's" 403 "calls of user:root may have up to 2" "/v1/functions/grey?width=1&height=2&priority=3" "${six[@]}"
bad "a wait of 'yes'" 400 "wait: 'yes' is neither 0 nor 1" "/v1/functions/grey?width=1&height=2&wait=yes" "${six[@]}"
bad "a kernel that does not compile" 500 "broken does not compile|not compile" "/v1/functions/broken?n=6" "${six[@]}"
bad "an unknown path" 404 "there are /v1/functions" /v2
bad "an unknown method" 405 "takes GET" /v1/functions -X PUT
bad "an unknown call" 404 "has no such call" /v1/calls/999999
call root grey width=1
is "nestorctl gpufn call: a missing scalar: status" 1 "$status"
like "nestorctl gpufn call: a missing scalar is named" 'height is missing' "$err"
call root grey 'width=1&height=2'
like "nestorctl gpufn call: an argument that is not NAME=VALUE is refused" "is not NAME=VALUE" "$err"
NESTOR_GPUFN_SOCKET=$T/none call root grey width=1 height=2
is "nestorctl gpufn call: no broker at the socket: status" 3 "$status"

# ---- deadlines
head -c 1000000 /dev/zero > "$T/in"
call root slow n=1000000
is "gpufn: a long call: status" 0 "$status"
curl_as root "/v1/functions/slow?n=1000000&deadline=0.0005" "${six[@]}"
is "gpufn: a deadline that cannot be met is refused" 503 "$code"
within "gpufn: a refusal names the earliest deadline that can be met" 0.0005 "$(jq .earliest_seconds "$T/result")" 60
earliest=$(jq .earliest_seconds "$T/result")
curl_as root "/v1/functions/slow?n=1000000&deadline=$(awk "BEGIN { print $earliest * 10 + 1 }")" "${six[@]}"
is "gpufn: a call with a later deadline is accepted" 200 "$code"
ok "gpufn: a call that is refused for its deadline is counted" until_ok 5 tenant_has user:root refused_early 1

# ---- without waiting
curl -sN --max-time 60 --unix-socket "$NESTOR_GPUFN_SOCKET" http://x/v1/events > "$T/events" &
listener=$!
ok "gpufn: a listener of events is answered" until_ok 5 grep -q 'calls that end' "$T/events"
curl_as root "/v1/functions/slow?n=1000000&wait=0" "${six[@]}"
is "gpufn: a call without waiting is accepted" 202 "$code"
id=$(jq .call "$T/result")
ok "gpufn: a listener of events gets the end of a call" until_ok 20 grep -q "\"call\":$id,.*\"state\":\"done\"" "$T/events"
curl_as nobody "/v1/calls/$id"
is "gpufn: a tenant does not see another tenant's call" 404 "$code"
curl_as root "/v1/calls/$id"
is "gpufn: a tenant sees the state of its own call" "done" "$(jq -r .state "$T/result")"
curl_as root "/v1/calls/$id/result"
is "gpufn: a tenant gets the outputs of its own call" "200 1000000" "$code $(stat -c %s "$T/result")"
curl_as root "/v1/calls/$id" -X DELETE
curl_as root "/v1/calls/$id/result"
is "gpufn: outputs of a deleted call are gone" 404 "$code"
kill $listener

# ---- what functions do wrong
ok "gpufn: calls that ended hold no memory" until_ok 5 tenant_has user:root memory_bytes 0
echo hello > "$T/in"
call nobody crash n=6
like "gpufn: a function that crashes is reported to its caller" 'died of signal 11, Segmentation fault' "$err"
# One that does not end, while another tenant goes on.
call root slow n=6
as nobody "$T/nestorctl" gpufn call spin n=6 < "$T/in" > /dev/null 2> "$T/spin.err" &
spinner=$!
spins() { [ "$(executors)" -ge 2 ] && [ "$(tenant user:nobody queued)" = 1 ]; }
ok "gpufn: a function that does not end runs" until_ok 10 spins
in_time=0
for ((i = 0; i < 20; i++)); do
	call root slow n=6 deadline=30
	in_time=$((in_time + (status == 0)))
done
is "gpufn: 20 calls of another tenant end well beside one that does not end" 20 "$in_time"
wait $spinner
like "gpufn: a function that does not end is killed" 'did not end within 1 s' "$(cat "$T/spin.err")"
call nobody slow n=6
is "gpufn: a tenant can call again after its function was killed" 0 "$status"
# One that takes no orders any more, but has a thousand callers: more than its socket holds.
curl_as 2 "/v1/functions/spin?n=6&wait=0" --data-binary @"$T/in"
is "gpufn: a second function that does not end is accepted" 202 "$code"
many() { as 2 curl -s -o /dev/null --unix-socket "$NESTOR_GPUFN_SOCKET" --data-binary @"$T/in" "http://x/v1/functions/slow?n=6&wait=0&deadline=[1000-2000]"; }
many &
crowd=$!
call root slow n=6 deadline=30
is "gpufn: a tenant is served while another one sends a thousand calls" 0 "$status"
wait $crowd
call root slow n=6 deadline=30
is "gpufn: a tenant is served after another one sent a thousand calls" 0 "$status"
# Memory of one is not another's.
head -c 1000000 /dev/zero | tr '\0' 'S' > "$T/in"
call root keep n=1000000
is "gpufn: a call that leaves its inputs in memory ends well" 0 "$status"
head -c 1000000 /dev/zero | tr '\0' 'n' > "$T/in"
call nobody keep n=1000000
is "gpufn: a call finds no inputs of another tenant's earlier call" "0 500000" "$(tr -dc 'S' < "$T/result" | wc -c) $(tr -dc '\0' < "$T/result" | wc -c)"
call root keep n=1000000
is "gpufn: a call finds no inputs of the same tenant's earlier call" 0 "$(tr -dc 'S' < "$T/result" | wc -c)"

# ---- floods, and callers who go
head -c 500000 /dev/zero > "$T/in"
for ((i = 0; i < 12; i++)); do
	curl -s -o "$T/flood$i" -w '%{http_code}\n' --unix-socket "$NESTOR_GPUFN_SOCKET" --data-binary @"$T/in" \
		"http://x/v1/functions/slow?n=500000&wait=0" >> "$T/codes"
done
is "gpufn: of 12 calls at once 8 are accepted, as policy says" 8 "$(grep -c 202 "$T/codes")"
is "gpufn: of 12 calls at once 4 are refused" 4 "$(grep -c 429 "$T/codes")"
echo hello > "$T/in"
call nobody slow n=6 deadline=30
is "gpufn: a tenant is served while another one's queue is full" 0 "$status"
mapfile -t flood < <(jq '.call // empty' "$T"/flood*)
worked_off() { # by the calls themselves: what the tenant's counts say may be a second old
	local id
	for id in "${flood[@]}"; do
		curl_as root "/v1/calls/$id" && [ "$(jq -r .state "$T/result")" = "done" ] || return 1
	done
}
ok "gpufn: all accepted calls of a full queue end" until_ok 60 worked_off
for id in "${flood[@]}"; do curl_as root "/v1/calls/$id" -X DELETE; done
ok "gpufn: a queue that was full is empty after its calls ended" until_ok 5 tenant_has user:root queued 0
cancelled=$(tenant user:root cancelled)
head -c 5000000 /dev/zero > "$T/in"
curl -s --unix-socket "$NESTOR_GPUFN_SOCKET" --data-binary @"$T/in" "http://x/v1/functions/slow?n=5000000" > /dev/null &
caller=$!
busy() { [ "$(tenant user:root queued)" = 1 ]; }
ok "gpufn: a long call runs" until_ok 10 busy
kill -9 $caller
ok "gpufn: a call whose caller dies is cancelled" until_ok 10 tenant_has user:root cancelled $((cancelled + 1))
ok "gpufn: a cancelled call holds no memory" until_ok 10 tenant_has user:root memory_bytes 0

# ---- shares
restart_with enforce equal
head -c 200000 /dev/zero > "$T/in"
flood() { # flood USER: 8 calls at a time, until $T/enough is there
	local pids=() i
	for i in 1 2 3 4 5 6 7 8; do
		(until [ -e "$T/enough" ]; do
			as "$1" curl -s -o /dev/null --unix-socket "$NESTOR_GPUFN_SOCKET" --data-binary @"$T/in" \
				"http://x/v1/functions/slow?n=200000"
		done) &
		pids+=($!)
	done
	wait "${pids[@]}"
}
used() { # both of one moment
	ctl --json gpufn show | jq -r '[.tenants[] | {(.tenant): .device_seconds}] | add | "\(."user:root") \(."user:nobody")"'
}
more() { # more SECONDS SINCE: has the device run for so long since USED was that? $now is what it is
	now=$(used)
	awk -v more="$1" -v since="$2" -v now="$now" 'BEGIN { split(since, a, " "); split(now, b, " "); exit !(b[1] + b[2] - a[1] - a[2] > more) }'
}
start=$(used)
flood root & one=$!
flood nobody & other=$!
ok "gpufn: shares: two tenants start to use the device" until_ok 20 more 1 "$start"
start=$now
ok "gpufn: shares: two tenants use the device for 8 s" until_ok 60 more 8 "$start"
shares=$(awk -v a="$start" -v b="$now" 'BEGIN { split(a, x, " "); split(b, y, " "); print (y[1] - x[1]) / (y[2] - x[2]) }')
touch "$T/enough"
wait $one $other
within "gpufn: shares: two tenants have device time by their weights, 3 to 1" 2.5 "$shares" 3.5
echo "# $shares"

# ---- the library changes
restart_with enforce deadline
printf hello > "$T/in"
function_of_bytes fresh 'if (i < n) out[i] = in[i] ^ 0x20;'
known() { curl_as root "/v1/functions/$1" && [ "$code" = "$2" ]; }
ok "gpufn: library: an added function is found" until_ok 10 known fresh 200
call root fresh n=5
is "gpufn: library: an added function runs" HELLO "$(cat "$T/result")"
profile() { # profile FUNCTION KEY: of what is known of how long it takes
	ctl --json gpufn show | jq -r --arg f "$1" "[.devices[].profiles[] | select(.function == \$f) | .$2] | first"
}
learnt() { [[ $(profile "$1" slices) =~ ^[1-9] ]]; }
ok "gpufn: library: an added function gets a profile" until_ok 5 learnt fresh
source=$(profile fresh source)
curl_as root "/v1/functions/fresh?n=5&wait=0" "${six[@]}"
kept=$(jq .call "$T/result")
ended() { curl_as root "/v1/calls/$kept" && [ "$(jq -r .state "$T/result")" = "done" ]; }
ok "gpufn: library: the result of a call without waiting is kept" until_ok 10 ended
echo 'doc: [' > "$T/functions/worse.yaml"
function_of_bytes fresh 'if (i < n) out[i] = in[i];'
does() { call root fresh n=5 && [ "$(cat "$T/result")" = "$1" ]; }
ok "gpufn: library: a changed function runs its new code" until_ok 10 does hello
forgot() { learnt fresh && [ "$(profile fresh source)" != "$source" ]; }
ok "gpufn: library: a changed function gets a new profile" until_ok 5 forgot
function_of_bytes fresh 'if (i < n) out[i] = in[i] + 1;'
ok "gpufn: library: a function can change while an earlier result is kept" until_ok 10 does ifmmp
curl_as root "/v1/calls/$kept/result"
is "gpufn: library: a kept result is unchanged after the function changed" "200 HELLO" "$code $(cat "$T/result")"
like "gpufn: library: a description with an error is logged with its place" 'worse.yaml:2:1' "$(cat "$AGENT_LOG")"
head -c 400000 /dev/zero > "$T/in"
curl -s -o "$T/slowly" -w '%{http_code}' --limit-rate 100k --unix-socket "$NESTOR_GPUFN_SOCKET" --data-binary @"$T/in" \
	"http://x/v1/functions/slow?n=400000" > "$T/code" &
caller=$!
comes() { [ "$(tenant user:root memory_bytes)" -ge 1200000 ]; }
ok "gpufn: library: a call with slow inputs has memory before they arrive" until_ok 5 comes
printf hello > "$T/in"
function_of_bytes later 'if (i < n) out[i] = in[i];'
ok "gpufn: library: a function is added while slow inputs arrive" until_ok 3 known later 200
wait $caller
is "gpufn: library: a call is refused if functions change while its inputs arrive" 503 "$(< "$T/code")"
like "gpufn: library: a call that is refused for changed functions is told why" 'functions have changed while the inputs came' "$(cat "$T/slowly")"
rm "$T/functions/fresh.yaml"
ok "gpufn: library: a removed function is gone" until_ok 10 known fresh 404

# ---- metrics
metrics > "$T/metrics"
ok "gpufn: metrics are well-formed" promtool check metrics < "$T/metrics"
is "gpufn: metrics count crashes and kills of executors" "1 1" \
	"$(($(metric 'nestor_gpufn_executors_total{event="killed"}') >= 2)) $(($(metric 'nestor_gpufn_executors_total{event="died"}') > 0))"
within "gpufn: metrics count calls that ended well" 20 "$(metric 'nestor_gpufn_calls_total{tenant="user:root",result="done"}')" 100000
is "gpufn: metrics have entitlements by weight" "0.5 0.166667" \
	"$(metric 'nestor_gpufn_entitlement_ratio{tenant="user:root"}') $(metric 'nestor_gpufn_entitlement_ratio{tenant="user:nobody"}' | xargs printf '%.6f')"

# ---- the page
# shellcheck source=tests/harness/webdriver.sh
. "$(dirname "$0")/../harness/webdriver.sh"
mkdir -p build/page
browser_start || ok "Chromium starts" false
open_page "$URL/"
shown() { js_true "return document.querySelectorAll('#panel-gpufn table tbody tr').length === 4 && !document.querySelector('#panel-gpufn').hidden"; }
ok "gpufn: the page has a row for each tenant" until_ok 30 shown
slices() { call root slow n=5 && js_true "return document.querySelectorAll('#panel-gpufn svg rect').length > 0"; }
ok "gpufn: the page draws slices by time" until_ok 30 slices
like "gpufn: the page's slices have titles" '^[a-z]+ of user:(root|nobody), call [0-9]+, ' "$(js "return document.querySelector('#panel-gpufn svg rect title').textContent")"
js "document.querySelector('#panel-gpufn').scrollIntoView()" > /dev/null
screenshot build/page/gpufn.png
is "gpufn: the page has no error on the console" "" "$(console_errors)"

# ---- ends
echo hello > "$T/in"
kill -9 "$(broker)"
ok "gpufn: a killed broker is started again" until_ok 20 answers
ok "gpufn: a broker that started again has the profiles" until_ok 5 learnt slow
curl_as root "/v1/functions/slow?n=1000000&deadline=0.0005" --data-binary @<(head -c 1000000 /dev/zero)
is "gpufn: a broker that started again refuses a deadline that cannot be met" 503 "$code"
call root slow n=6
is "gpufn: a broker that started again serves calls" 0 "$status"
is "gpufn: a broker that started again leaves no executor of the killed one" 1 "$(executors)"
restart_with 'off' deadline
gone() { [ ! -e "$NESTOR_GPUFN_SOCKET" ] && [ "$(executors)" = 0 ] && [ -z "$(broker)" ]; }
ok "gpufn: mode off leaves no socket, broker or executor" until_ok 10 gone
is "gpufn: mode off leaves no file in the cache" "" "$(ls "$T/cache/gpufn")"
restart_with enforce deadline
ok "gpufn: the broker answers when enforced again" until_ok 20 answers
ok "gpufn: profiles survive mode off" until_ok 5 learnt slow
call root slow n=6
agent_kill
processes() { [ "$(executors)" = 0 ] && [ -z "$(broker)" ]; }
ok "gpufn: a killed agent leaves no broker or executor" until_ok 10 processes
agent_start --policy "$T/policy.d" || done_testing
ok "gpufn: the broker of the next agent answers" until_ok 20 answers
is "gpufn: the next agent removes files of the killed one" 1 "$(find "$T/cache/gpufn" -mindepth 1 -maxdepth 1 | wc -l)"
restart_with monitor deadline
for ((i = 0; i < 12; i++)); do
	curl -s -o /dev/null -w '%{http_code}\n' --unix-socket "$NESTOR_GPUFN_SOCKET" --data-binary @"$T/in" \
		"http://x/v1/functions/slow?n=6&wait=0" >> "$T/codes2"
done
is "gpufn: monitor refuses no call" 12 "$(grep -c 202 "$T/codes2")"
agent_stop
ok "gpufn: a stopped agent leaves no socket, broker or executor" gone

# ---- unlike devices: three of PoCL's, of which two are made slower
is "gpufn: profiles are kept in a file" slow "$(jq -r '.[] | select(.function == "slow") | .function' "$T/cache/gpufn-profiles.json")"
echo '[{"device": 1' > "$T/cache/gpufn-profiles.json"
policy enforce deadline
export POCL_DEVICES="pthread pthread pthread" POCL_MAX_PTHREAD_COUNT=1 NESTOR_GPUFN_SPEEDS="1 0.5 0.25"
agent_start --policy "$T/policy.d"
ok "gpufn: three devices: the broker answers" until_ok 20 answers
like "gpufn: a file of profiles with an error is logged with its line" 'gpufn-profiles.json: line [12]: .*; how long functions take is learnt anew' \
	"$(cat "$AGENT_LOG")"
head -c 300000 /dev/urandom > "$T/in"
for i in 1 2 3 4 5; do
	curl_as root "/v1/functions/slow?n=300000" --data-binary @"$T/in" -D "$T/head$i"
	md5sum < "$T/result"
done > "$T/sums"
is "gpufn: three devices: outputs are the same on each, and in parts on all" 1 "$(sort -u "$T/sums" | wc -l)"
is "gpufn: three devices: a call uses all once their speeds are known" "1 1 1 3 3" \
	"$(grep -h Nestor-Devices "$T"/head[12345] | tr -dc '0-9\n' | tr '\n' ' ' | sed 's/ $//')"
speeds=$(ctl --json gpufn show | jq -r '[.devices[].profiles[] | select(.function == "slow") | .group_nanoseconds] | "\(.[1] / .[0]) \(.[2] / .[0])"')
# How exactly is for tests/bench/profiles.sh: on a busy machine each measures something else.
ok "gpufn: three unlike devices are known in the order of their speeds ($speeds)" \
	awk -v s="$speeds" 'BEGIN { split(s, a, " "); exit !(1 < a[1] && a[1] < a[2]) }'
agent_stop
done_testing

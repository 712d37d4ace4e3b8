#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 25, lane: free
# GPU functions: whom the broker takes for which tenant, however many there are, what all of them may have together, and what
# a request may say.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1
# shellcheck source=tests/harness/gpufn.sh
. tests/harness/gpufn.sh

policy() { # policy MODE
	cat > "$T/policy.d/.new" <<- END
		gpufn:
		  mode: $1
		  functions: $T/functions
		  cache: $T/cache
		  socket: $NESTOR_GPUFN_SOCKET
		  memory: 64MiB
		  memory_all: 96MiB
		  tenants:
		    - { user: root }
		    - { user: nobody }
		    - { user: 2 }
		    - { container: "/nestor-tenants-$ID-*" }
		    - { container: "shop-$ID" }
		blkio: { mode: off }
		cache: { mode: off }
		dedup: { mode: off }
		net: { mode: off }
		pcache: { mode: off }
	END
	mv "$T/policy.d/.new" "$T/policy.d/gpufn.yaml"
}
groups=/sys/fs/cgroup
[ -e $groups/cgroup.controllers ] || groups=$groups/memory
in_group() { # in_group CGROUP COMMAND…: as a user who is no tenant
	bash -c 'echo $$ > "$1/cgroup.procs" && shift && exec setpriv --reuid 1 --regid 1 --clear-groups "$@"' - "$@"
}
remove_groups() { for group in "$groups/nestor-tenants-$ID"*; do rmdir "$group"; done; }
defer remove_groups

function_of_bytes copy 'if (i < n) out[i] = in[i];'
function_of_bytes slow 'uint x = in[0]; for (uint j = 0; j < 2000; j++) x = x * 1664525 + 1013904223; if (i < n) out[i] = x >> 24;'
policy enforce
agent_start --policy "$T/policy.d" || done_testing
ok "gpufn: the broker of many tenants answers" until_ok 20 answers

# ---- many containers, born while the broker does not listen: more than its socket could take a message each
births=400
kill -STOP "$(broker)"
for ((i = 1; i <= births; i++)); do mkdir "$groups/nestor-tenants-$ID-$i"; done
born() { [ "$(ctl --json containers | jq -r '.[].container' | grep -c "^/nestor-tenants-$ID-")" = $births ]; }
ok "gpufn: the agent finds 400 containers while the broker is stopped" until_ok 20 born
kill -CONT "$(broker)"
ok "gpufn: a broker that was stopped gets all tenants" until_ok 10 current
refused=0
for i in 1 100 200 300 350 360 370 380 390 $births; do
	code=$(in_group "$groups/nestor-tenants-$ID-$i" curl -s -o "$T/result" -w '%{http_code}' --unix-socket "$NESTOR_GPUFN_SOCKET" http://x/v1/functions)
	[ "$code" = 200 ] || refused=$((refused + 1))
done
is "gpufn: of 400 containers that are born at once none is refused" 0 $refused

# ---- a tenant's name, of a cgroup that root makes and of one that a user makes
own=$groups/nestor-delegated-$ID
mkdir "$own"
remove_own() { find "$own" -depth -type d -exec rmdir {} +; }
defer remove_own
code_in() { in_group "$own/$1" curl -s -o "$T/result" -w '%{http_code}' --unix-socket "$NESTOR_GPUFN_SOCKET" http://x/v1/functions; }
gets() { [ "$(code_in "$1")" = "$2" ]; }
mkdir "$own/crun-shop-$ID.scope"
chown 1 "$own/crun-shop-$ID.scope"
ok "gpufn: a container of a tenant's name is the tenant, whoever owns its own cgroup" until_ok 10 gets "crun-shop-$ID.scope" 200
rmdir "$own/crun-shop-$ID.scope"
chown 1 "$own"
(cd "$own" && exec setpriv --reuid 1 --regid 1 --clear-groups mkdir "crun-shop-$ID.scope")
is_users() { ctl --json containers | jq -e "any(.[]; .container == \"user@1/shop-$ID\")" > "$T/result"; }
ok "gpufn: (a user's container of a tenant's name is called after the user)" until_ok 10 is_users
ok "gpufn: a user's container of a tenant's name is not the tenant" until_ok 10 gets "crun-shop-$ID.scope" 403

# ---- who made a connection, when that cannot be asked any more
raw() { build/tests/tools/httpraw "$NESTOR_GPUFN_SOCKET"; }
list='GET /v1/functions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
status_of() { head -1 "$1" | cut -d' ' -f2; }
# orphan WHO COMMAND…: of a connection whose process ends before the broker looks; the command runs in between, with its number
orphan() {
	local user=$1
	shift
	kill -STOP "$(broker)"
	# shellcheck disable=SC2059
	printf "$list" | as "$user" build/tests/tools/httpraw --orphan "$NESTOR_GPUFN_SOCKET" > "$T/orphan" &
	wait $!
	"$@" $!
	kill -CONT "$(broker)"
	until_ok 10 test -s "$T/orphan"
}
orphan nobody true
is "gpufn: a connection whose process has ended is no tenant's" 403 "$(status_of "$T/orphan")"
inherit() { # inherit PID: a process of a tenant's container gets the number
	local i
	for ((i = 0; i < 200; i++)); do
		echo $(($1 - 1)) > /proc/sys/kernel/ns_last_pid
		(echo $BASHPID > "$groups/nestor-tenants-$ID-1/cgroup.procs" && exec tail -f /dev/null) &
		heir=$!
		[ $heir != "$1" ] || break
		kill $heir
		wait $heir 2> /dev/null
	done
	until_ok 5 grep -q "nestor-tenants-$ID-1" "/proc/$heir/cgroup"
}
heir=
orphan 1 inherit
if kill -0 "$heir" 2> /dev/null; then
	is "gpufn: a connection does not pass to the tenant whose process gets the number of the one that made it" 403 "$(status_of "$T/orphan")"
	kill "$heir"
	wait "$heir" 2> /dev/null
else
	skip "gpufn: a connection does not pass to the tenant whose process gets the number of the one that made it" "no process got the number"
fi

# ---- users are tenants outside of containers alone
curl_as root /v1/functions
is "gpufn: root in no container is the tenant that policy has for root" 200 "$code"
code=$(unshare --pid --fork curl -s -o "$T/result" -w '%{http_code}' --unix-socket "$NESTOR_GPUFN_SOCKET" http://x/v1/functions)
is "gpufn: root in a PID namespace of its own is not the tenant that policy has for root" 403 "$code"
id=$(printf "%064d" 1)
mkdir "$groups/nestor-other-$ID" "$groups/nestor-other-$ID/$id"
defer rmdir "$groups/nestor-other-$ID"
defer rmdir "$groups/nestor-other-$ID/$id"
code=$(bash -c 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"' - "$groups/nestor-other-$ID/$id" curl -s -o "$T/result" -w '%{http_code}' --unix-socket "$NESTOR_GPUFN_SOCKET" http://x/v1/functions)
is "gpufn: root in a container of a runtime is not the tenant that policy has for root" 403 "$code"

# ---- memory of all: asked for before the inputs come
upload() { # upload UID BYTES: what takes its time to come
	head -c "$2" /dev/zero > "$T/in$1"
	setpriv --reuid "$1" --regid "$1" --clear-groups curl -s -o /dev/null --limit-rate 1k --unix-socket "$NESTOR_GPUFN_SOCKET" \
		--data-binary @"$T/in$1" "http://x/v1/functions/copy?n=$2" &
	uploads+=($!)
}
has_reserved() { [ "$(gpufn_show .memory_bytes)" = "$1" ]; }
ask() { # ask USER BYTES: $code, without sending them
	curl_as "$1" "/v1/functions/copy?n=$2" -X POST -H "Content-Length: $2" -H 'Expect: 100-continue' --max-time 5
}
for mode in enforce monitor; do
	policy $mode
	ctl policy reload > /dev/null
	ok "gpufn: mode $mode is in force" until_ok 10 current
	ask root 40000000
	[ $mode = monitor ] || is "gpufn: enforce refuses a call beyond the tenant's memory" 429 "$code"
	ask root 90000000
	[ $mode = enforce ] || is "gpufn: monitor refuses a call that is larger than all may be" 413 "$code"
	[ $mode = enforce ] || like "gpufn: monitor says what all calls may have" 'more than user:root may have of the 100663296 for all calls' "$(cat "$T/result")"
	uploads=()
	# Of each byte of input there are four: input and output, on the device and beside.
	if [ $mode = enforce ]; then upload 0 15000000 && reserved=60000000; else upload 0 11000000 && upload 65534 11000000 && reserved=88000000; fi
	ok "gpufn: $mode: memory is reserved before the inputs come" until_ok 10 has_reserved "$reserved"
	ask 2 12000000
	is "gpufn: $mode refuses an upload for which all calls have no room left" 503 "$code"
	like "gpufn: $mode says that all calls have no room left" 'all calls have [0-9]+ of the 100663296 that they may have' "$(cat "$T/result")"
	kill "${uploads[@]}"
	wait "${uploads[@]}" 2> /dev/null
	ok "gpufn: $mode: an upload that is broken off holds no memory" until_ok 10 has_reserved 0
done

is "gpufn: metrics count calls for which all calls had no room left" 1 "$(($(metric 'nestor_gpufn_refused_total{tenant="user:2",reason="ceiling"}') >= 2))"
is "gpufn: metrics have the memory that all calls may have" 100663296 "$(metric nestor_gpufn_memory_limit_bytes)"

# ---- what a request says of its inputs and numbers
post() { # post FUNCTION?NUMBERS HEADERS INPUTS: $code; the client ends its sending side
	printf 'POST /v1/functions/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%b\r\n\r\n%b' "$1" "$2" "$3" | raw > "$T/raw"
	code=$(status_of "$T/raw")
}
six='Content-Length: 6'
post 'copy?n=6' "$six" ABCDEF
is "gpufn: a client that ends its sending side at once gets its outputs" "200 ABCDEF" "$code $(tail -c 6 "$T/raw")"
post 'slow?n=200000' 'Content-Length: 200000' "$(printf '%0200000d' 0)"
is "gpufn: a client that ends its sending side while its call runs gets its outputs" 200 "$code"
post 'copy?n=6' "$six\r\nTransfer-Encoding: chunked" '2\r\nAB\r\n0\r\n\r\n'
is "gpufn: Transfer-Encoding beside Content-Length is refused" 400 "$code"
like "gpufn: Transfer-Encoding beside Content-Length: the answer says why" 'Transfer-Encoding beside Content-Length' "$(cat "$T/raw")"
post 'copy?n=6' "$six\r\nContent-Length: 2" ABCDEF
is "gpufn: two Content-Lengths are refused" 400 "$code"
post 'copy?n=6' 'Content-Length: +6' ABCDEF
is "gpufn: a Content-Length with a sign is refused" 400 "$code"
bad() { # bad TEXT PATTERN NUMBERS
	post "copy?$3" "$six" ABCDEF
	is "gpufn: $1 is refused" 400 "$code"
	like "gpufn: $1 is refused with its reason" "$2" "$(cat "$T/raw")"
}
bad "a number with a blank before it" "n: ' 6' is no number" 'n=%206'
bad "a number with a tab before it" 'is no number' 'n=%096'
bad "a number with a NUL" 'n: has a NUL character' 'n=6%00'
bad "a scalar that is given twice" 'n is given twice' 'n=6&n=6'
bad "a deadline that is given twice" 'deadline is given twice' 'n=6&deadline=9&deadline=9'
bad "a deadline with a blank before it" 'is no number of seconds' 'n=6&deadline=%209'

# ---- the end, while somebody listens
curl -sN --max-time 60 --unix-socket "$NESTOR_GPUFN_SOCKET" http://x/v1/events > "$T/events" &
listener=$!
ok "gpufn: a listener of events is answered before the broker stops" until_ok 5 grep -q 'calls that end' "$T/events"
policy 'off'
ctl policy reload > /dev/null
wait $listener
is "gpufn: a listener's stream ends when the broker stops" 0 $?
is "gpufn: a broker that stops with a listener removes its files" "" "$(ls "$T/cache/gpufn")"

done_testing

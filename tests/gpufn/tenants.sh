#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 20, lane: free
# GPU functions: whom the broker takes for whose tenant, however many there are, and what all of them may have together.
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
		  tenants:
		    - { user: root }
		    - { container: "/nestor-tenants-$ID-*" }
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

done_testing

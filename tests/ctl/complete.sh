#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 20, lane: free
# Completion in bash: the commands, options, keys and rooms that there are, functions, and names of files.
# shellcheck source=tests/harness/lib.sh
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1
export NESTORCTL

# same TEXT A B: two lists; prints what differs
same() {
	ok "$1" [ "$2" = "$3" ] || diff <(echo "$2") <(echo "$3") | sed -n 's/^[<>]/# &/p'
}

# offers_of RUN_DIR WORD…: for the last word, with the agent of that directory to ask
offers_of() {
	bash -c '. agent/ctl/nestorctl.bash
		run_dir=$1
		shift
		asked() { "$NESTORCTL" --run-dir "$run_dir" "$@"; }
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_nestorctl asked
		printf "%s\n" "${COMPREPLY[@]}" | LC_ALL=C sort -u' - "$1" nestorctl "${@:2}"
}
offers() { offers_of "$T/none" "$@"; } # with no agent
completes() { # completes TEXT EXPECTED WORD…
	local text=$1 want=$2
	shift 2
	is "completion offers $text" "$want" "$(offers "$@" | paste -sd ' ')"
}

# ---- the commands of --help ----

commands=$("$NESTORCTL" --help | sed -nE '1,2d; /^$/q; s/^  ([a-zA-Z][^ ]*( [^ ]+)*)   .*/\1/p' | sed -E 's/( \[?[A-Z=]+\]?(\.\.\.)?)+$//')
rooms=$(sed -n 's/^#define ROOMS(X) //p' agent/rooms.h | sed 's/X(\([a-z]*\))/\1/g' | tr ' ' '\n')
# Each room has ROOM show.
commands=$({ grep -v ^ROOM <<< "$commands"; sed 's/$/ show/' <<< "$rooms"; } | LC_ALL=C sort)
# commands_from WORD…: all that completion leads to. Behind a command it offers what its argument may be.
commands_from() {
	local words word
	mapfile -t words < <(offers "$@" "")
	[ -n "${words[0]}" ] || echo "$*"
	for word in "${words[@]}"; do
		if grep -qxF -- "${*}${*:+ }$word" <<< "$commands"; then
			echo "${*}${*:+ }$word"
		elif [ -n "$word" ]; then
			commands_from "$@" "$word"
		fi
	done
}
same "completion leads to exactly the commands of --help" "$commands" "$(commands_from | LC_ALL=C sort)"
same "completion offers the options of --help" "$("$NESTORCTL" --help | grep -oE -- '--[a-z-]+' | LC_ALL=C sort -u)" "$(offers --)"
is "completion's script names no room and no command" "" "$(grep -wnE "$(sed 's/ .*//' <<< "$commands" | sort -u | paste -sd '|')" agent/ctl/nestorctl.bash)"

# ---- words ----

completes "commands that begin with r" "reset rooms" r
completes "the verbs of policy" "check reload show" policy ""
completes "the verbs of policy after options with values" "check reload show" --json --run-dir /x policy ""
completes "the verb of a room" "show" blkio ""
completes "the verb of an unknown room" "show" frob ""
completes "nothing after a complete command" "" blkio show ""
completes "no word after top" "" top ""
completes "an option of top" "--sort" top --s
completes "an option of cache top" "--sort" cache top --s
completes "no option of top after status" "" status --s
completes "no option as the value of --count" "" top --count -

# ---- values ----

# keys WORD…: as the message about a wrong one has them
keys() { "$NESTORCTL" --sort '' "$@" 2>&1 | sed 's/.*one of //; s/, /\n/g' | LC_ALL=C sort; }
same "completion offers the keys of top --sort" "$(keys top)" "$(offers --sort "")"
same "completion offers the keys of cache top --sort" "$(keys cache top)" "$(offers cache top --sort "")"
completes "the keys of cache top --sort that begin with mem" "memevict memhit memory memput memshare" cache top --sort mem
completes "the kinds of gpufn generate" "bursty functions poisson" gpufn generate ""
completes "nothing after a kind of gpufn generate" "" gpufn generate poisson ""
completes "the functions of gpufn call" "sgemm sha256 sobel" gpufn call s
completes "a file for policy check" "agent/policy/policy.h" policy check agent/policy/poli
completes "a file for cache policy load" "agent/policy/policy.h" cache policy load agent/policy/poli
completes "a file for cache attach" "agent/policy/policy.h" cache attach agent/policy/poli
completes "a file for gpufn simulate" "agent/policy/policy.h" gpufn simulate agent/policy/poli
completes "a directory for --run-dir" "agent" --run-dir agen
completes "a directory for gpufn check" "agent" gpufn check agen
completes "a directory for gpufn profile" "agent" gpufn profile agen
mapped() { find /dev/mapper -name '*-nestor' -printf '%f\n' 2> /dev/null | LC_ALL=C sort; }
same "completion offers attached disks for cache detach" "$(mapped)" "$(offers cache detach "")"

# ---- rooms of an agent ----

agent_start
same "completion offers the rooms of an agent that answers" "$(ctl --json rooms | jq -r '.[].room' | LC_ALL=C sort)" \
	"$(offers_of "$T/run" "" | grep -xF "$rooms")"
same "completion offers the rooms of the agent at a typed --run-dir" "$(ctl --json rooms | jq -r '.[].room' | LC_ALL=C sort)" \
	"$(offers --run-dir "$T/run" "" | grep -xF "$rooms")"
agent_stop
done_testing

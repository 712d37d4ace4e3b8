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
	is "completion: $text" "$want" "$(offers "$@" | paste -sd ' ')"
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
same "completion leads to the commands of --help, and to no others" "$commands" "$(commands_from | LC_ALL=C sort)"
same "completion: the options of --help" "$("$NESTORCTL" --help | grep -oE -- '--[a-z-]+' | LC_ALL=C sort -u)" "$(offers --)"
is "the script names no room and no command" "" "$(grep -wnE "$(sed 's/ .*//' <<< "$commands" | sort -u | paste -sd '|')" agent/ctl/nestorctl.bash)"

# ---- words ----

completes "a beginning" "reset rooms" r
completes "policy" "check reload show" policy ""
completes "behind options with values" "check reload show" --json --run-dir /x policy ""
completes "a room" "show" blkio ""
completes "a room that only an agent may know" "show" frob ""
completes "behind that nothing" "" blkio show ""
completes "top takes no word" "" top ""
completes "options of top's" "--sort" top --s
completes "options of cache top's" "--sort" cache top --s
completes "no such options elsewhere" "" status --s
completes "no option as an option's value" "" top --count -

# ---- values ----

# keys WORD…: as the message about a wrong one has them
keys() { "$NESTORCTL" --sort '' "$@" 2>&1 | sed 's/.*one of //; s/, /\n/g' | LC_ALL=C sort; }
same "completion: the keys of --sort" "$(keys top)" "$(offers --sort "")"
same "completion: those of cache top" "$(keys cache top)" "$(offers cache top --sort "")"
completes "a key's beginning" "memevict memhit memory memput memshare" cache top --sort mem
completes "kinds of traces" "bursty functions poisson" gpufn generate ""
completes "behind the first argument nothing" "" gpufn generate poisson ""
completes "functions" "sgemm sha256 sobel" gpufn call s
completes "a file to check" "agent/policy/policy.h" policy check agent/policy/poli
completes "a program to load" "agent/policy/policy.h" cache policy load agent/policy/poli
completes "a disk" "agent/policy/policy.h" cache attach agent/policy/poli
completes "a trace" "agent/policy/policy.h" gpufn simulate agent/policy/poli
completes "a directory" "agent" --run-dir agen
completes "a directory to check" "agent" gpufn check agen
completes "one to profile" "agent" gpufn profile agen
mapped() { find /dev/mapper -name '*-nestor' -printf '%f\n' 2> /dev/null | LC_ALL=C sort; }
same "completion: attached disks" "$(mapped)" "$(offers cache detach "")"

# ---- rooms of an agent ----

agent_start
same "completion: the rooms of an agent that answers" "$(ctl --json rooms | jq -r '.[].room' | LC_ALL=C sort)" \
	"$(offers_of "$T/run" "" | grep -xF "$rooms")"
same "one whose --run-dir is typed" "$(ctl --json rooms | jq -r '.[].room' | LC_ALL=C sort)" \
	"$(offers --run-dir "$T/run" "" | grep -xF "$rooms")"
agent_stop
done_testing

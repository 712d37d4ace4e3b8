# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Completion of nestorctl(1) in bash: commands, rooms, options, and files where a file is asked for.

# Rooms of the agent that runs, if it answers at once, else those there are; $1 is nestorctl as it was typed.
_nestorctl_rooms() {
	local rooms
	rooms=$(timeout 0.5 "$1" --json rooms 2> /dev/null | sed -n 's/.*"room": "\([a-z]*\)".*/\1/p')
	echo "${rooms:-blkio pcache net cache dedup gpufn}"
}

# GPU functions, beside the program: as it was installed, or where it was built. Those of a policy only root may ask for.
_nestorctl_functions() {
	local program dir
	program=$(type -P "$1") || return
	for dir in "${program%/*}"/../{share/nestor,gpu}/functions; do
		[ -d "$dir" ] || continue
		(cd "$dir" && compgen -G '*.yaml') | sed 's/\.yaml$//'
		return
	done
}

# The words of the command so far, without options and their values.
_nestorctl_words() {
	local i
	words=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--run-dir | --bpffs | --interval | --sort | --filter | --count) i=$((i + 1)) ;;
		-*) ;;
		*) words+=("${COMP_WORDS[i]}") ;;
		esac
	done
}

_nestorctl_offer() { # _nestorctl_offer WORDS: those that begin as what is typed
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "${COMP_WORDS[COMP_CWORD]}")
}

_nestorctl_option() { # _nestorctl_option OPTION: its value
	case $1 in
	--run-dir | --bpffs)
		compopt -o filenames 2> /dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "${COMP_WORDS[COMP_CWORD]}")
		;;
	--sort)
		_nestorctl_words
		if [ "${words[*]}" = "cache top" ]; then
			_nestorctl_offer "memory memshare ssd ssdshare gets hit memhit ssdhit memput ssdput memevict ssdevict demotions
				drops vm container"
		else
			_nestorctl_offer "reads writes rbytes wbytes p50 p99 hit evictions refaults cached rx tx rxpackets txpackets
				retransmits migration vm container"
		fi
		;;
	--interval | --filter | --count) COMPREPLY=() ;;
	*) return 1 ;;
	esac
}

_nestorctl() {
	local words options="--json --run-dir --bpffs --version --help"
	COMPREPLY=()
	_nestorctl_option "${COMP_WORDS[COMP_CWORD - 1]}" && return
	_nestorctl_words
	if [[ ${COMP_WORDS[COMP_CWORD]} == -* ]]; then
		case ${words[*]} in
		'' | top | 'cache top') options+=" --interval --sort --filter --count --once" ;;
		esac
		_nestorctl_offer "$options"
		return
	fi
	case ${words[*]} in
	'') _nestorctl_offer "rooms status containers vms top policy metrics gpu reset $(_nestorctl_rooms "$1")" ;;
	policy) _nestorctl_offer "show check reload" ;;
	'policy check' | 'cache policy load' | 'gpufn simulate')
		compopt -o filenames 2> /dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
		;;
	gpu) _nestorctl_offer "list bench" ;;
	gpufn) _nestorctl_offer "show call check profile simulate generate" ;;
	'gpufn call') _nestorctl_offer "$(_nestorctl_functions "$1")" ;;
	'gpufn check' | 'gpufn profile')
		compopt -o filenames 2> /dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "${COMP_WORDS[COMP_CWORD]}")
		;;
	'gpufn generate') _nestorctl_offer "poisson bursty functions" ;;
	dedup) _nestorctl_offer "show report undo" ;;
	cache) _nestorctl_offer "show top list attach detach policy" ;;
	'cache policy') _nestorctl_offer "load reset" ;;
	'cache attach')
		compopt -o filenames 2> /dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
		;;
	'cache detach') _nestorctl_offer "$(cd /dev/mapper 2> /dev/null && ls -d ./*-nestor 2> /dev/null | sed 's|^\./||')" ;;
	rooms | status | containers | vms | top | metrics | reset | *' '*) ;;
	*) _nestorctl_offer show ;;
	esac
}

complete -F _nestorctl nestorctl

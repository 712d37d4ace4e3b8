# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Completion of nestorctl(1) in bash. What a word may be, the program says; names of files bash finds itself.

_nestorctl() {
	local kind
	mapfile -t COMPREPLY < <("$1" --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2> /dev/null)
	case ${COMPREPLY[0]-} in
	:file) kind=-f ;;
	:directory) kind=-d ;;
	*) return ;;
	esac
	compopt -o filenames 2> /dev/null
	mapfile -t COMPREPLY < <(compgen "$kind" -- "${COMP_WORDS[COMP_CWORD]}")
}

complete -F _nestorctl nestorctl

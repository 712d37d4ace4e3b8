#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: agent/install.sh install|uninstall|list PART PREFIX [DESTDIR], for make: see agent/install.tsv. "list" prints mode, source and
# destination of each file.
set -eu
cd "$(dirname "$0")/.."
verb=$1 part=$2 prefix=$3 destdir=${4:-}

list() {
	local of mode source to file base stem
	while IFS=$'\t' read -r of mode source to; do
		[ "$of" = "$part" ] || continue
		[[ $to == /* ]] || to=$prefix/$to
		# shellcheck disable=SC2086 # a pattern
		for file in $source; do
			[ "$file" = - ] || [ "$verb" = uninstall ] || [ -e "$file" ] || { echo "install: $source is not there" >&2 && return 1; }
			base=${source##*/}
			stem=${file##*/}
			stem=${stem#"${base%%\**}"}
			stem=${stem%"${base##*\*}"}
			case $to in
			*\**) printf '%s\t%s\t%s\n' "$mode" "$file" "${to/\*/$stem}" ;;
			*/) printf '%s\t%s\t%s\n' "$mode" "$file" "$to$([ "$file" = - ] || echo "${file##*/}")" ;;
			*) printf '%s\t%s\t%s\n' "$mode" "$file" "$to" ;;
			esac
		done
	done < agent/install.tsv
}

install_one() { # install_one MODE SOURCE DESTINATION
	echo "install $2 $destdir$3"
	case $2 in
	-) install -d -m "$1" "$destdir$3" ;;
	*.service) sed "s|/@PREFIX@|$prefix|" "$2" | install -D -m "$1" /dev/stdin "$destdir$3" ;;
	*) install -D -m "$1" "$2" "$destdir$3" ;;
	esac
}

# With it go folders that are Nestor's own, once they are empty.
remove_one() { # remove_one SOURCE DESTINATION
	local dir=$destdir${2%/*}
	[ "$1" != - ] || return 0
	echo "remove $destdir$2"
	rm -f "$destdir$2"
	while [[ ${dir#"$destdir"} == */nestor* ]]; do
		rmdir "$dir" 2> /dev/null || return 0
		dir=${dir%/*}
	done
}

umask 022
files=$(list)
case $verb in
list) echo "$files" ;;
install) while IFS=$'\t' read -r mode source to; do install_one "$mode" "$source" "$to"; done <<< "$files" ;;
uninstall) while IFS=$'\t' read -r mode source to; do remove_one "$source" "$to"; done <<< "$files" ;;
esac

# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What a test has left behind, and its removal. Whatever a test makes bears TMPDIR, a folder of its own, in its path, its
# arguments or its environment; or, where there is no path, NESTOR_TEST_ID in its name.

readonly cgroups=/sys/fs/cgroup
# Never has anything to read: a pause that needs no process.
exec {never}<> <(:)

# processes_with TMPDIR. Whoever reads what a process was started with waits for it if it is stuck in its memory, as tests have it:
# then they are read one by one, and the stuck ones are known by their program.
processes_with() {
	local proc found
	# The folder comes by standard input: grep itself must not have it in its arguments. Zombies have neither file.
	# shellcheck disable=SC2062 # these are files
	found=$(timeout 5 grep -lsaF -f - /proc/[0-9]*/environ /proc/[0-9]*/cmdline <<< "$1")
	if [ $? != 124 ]; then
		cut -d/ -f3 <<< "$found" | sort -un
		return
	fi
	for proc in /proc/[0-9]*; do
		timeout 1 grep -qsaF -f - "$proc/environ" "$proc/cmdline" <<< "$1" || [[ $(readlink "$proc/exe") == "$1"/* ]] || continue
		echo "${proc#/proc/}"
	done
}

# leftovers TMPDIR ID: a line each, "KIND NAME"
leftovers() {
	local proc
	for proc in $(processes_with "$1"); do
		echo "process $proc $(timeout 1 tr '\0' ' ' 2> /dev/null < "/proc/$proc/cmdline")"
	done
	grep -F "$1" /proc/self/mounts | cut -d' ' -f2 | tac | sed 's/^/mount /'
	dmsetup ls 2> /dev/null | awk -v id="$2" 'index($1, id) { print "device-mapper " $1 }'
	losetup -nO NAME,BACK-FILE 2> /dev/null | grep -F "$1" | sed 's/^/loop /'
	find $cgroups -maxdepth 4 -depth -type d -name "*$2*" -printf 'cgroup %p\n' 2> /dev/null
	find "$1" -mindepth 1 -maxdepth 1 -printf 'file %p\n' 2> /dev/null
}

# remove_leftovers TMPDIR ID
remove_leftovers() {
	local kind name rest
	while read -r kind name rest; do
		case $kind in
		process) kill -KILL "$name" ;;
		mount) umount -l "$name" ;;
		device-mapper) dmsetup remove --force "$name" ;;
		loop) losetup -d "$name" ;;
		cgroup) find "$name" -depth -type d -exec sh -c 'xargs -rn 1 kill -KILL < "$1/cgroup.procs"; rmdir "$1"' - {} \; ;;
		file) ! mountpoint -q "$name" && rm -rf --one-file-system "$name" ;;
		esac
	done < <(leftovers "$@") > /dev/null 2>&1
}

# clear_away TMPDIR ID: what takes a moment to end is tried again
clear_away() {
	local i
	for ((i = 0; i < 100; i++)); do
		remove_leftovers "$@"
		[ -n "$(leftovers "$@")" ] || return 0
		read -rt 0.1 <&$never || true
	done
}

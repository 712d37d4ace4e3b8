# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the scripts of this folder share. Sourced, never run.

vm=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck disable=SC2034 # root is for the scripts that source this
root=$(cd "$vm/../.." && pwd -P)

# 120 is the harness's own failure; a command's status never is.
readonly E_HARNESS=120

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit "$E_HARNESS"
}

# Kernels and downloads live here; see ./kernel --help.
cache_dir() {
	local dir=${NESTOR_VM_CACHE:-$root/build/vm}

	mkdir -p "$dir" || die "cannot create the cache folder $dir"
	(cd "$dir" && pwd -P)
}

# Stop early, and with the package's name, where a program is missing.
need() {
	command -v "$1" >/dev/null || die "$1 is missing (Debian package $2)"
}

# kernel_image DIR: what QEMU boots of a cached kernel; unpacked, if that boots
kernel_image() {
	if [ -e "$1/vmlinux" ]; then echo "$1/vmlinux"; else echo "$1/vmlinuz"; fi
}

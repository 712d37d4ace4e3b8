# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Builds the guest's file system as a folder, and packs it. Sourced by run
# after lib.sh. Not compressed: QEMU hands it over at memory speed, and the
# emulated guest would pay for every byte it unpacks.

# tree_new TREE: busybox and its applets, merged /usr as on the host, so that
# the libraries' paths are right whichever way a program names them.
tree_new() {
	local tree=$1 dir busybox

	need busybox busybox-static
	mkdir -p "$tree"/{usr/{bin,sbin,lib,lib64},proc,sys,dev,run,tmp,out,root,etc,mnt,var/tmp,nestor,vm}
	for dir in bin sbin lib lib64; do
		ln -s "usr/$dir" "$tree/$dir"
	done
	busybox=$(realpath "$(command -v busybox)")
	tree_copy "$tree" "$busybox" "$busybox"
	[ "$busybox" = /usr/bin/busybox ] || ln -s "$busybox" "$tree/usr/bin/busybox"
	busybox --install -s "$tree/usr/bin"
	# shellcheck disable=SC2154 # of lib.sh
	install -m 755 "$vm/init" "$tree/init"

	cat >"$tree/etc/passwd" <<-EOF
		root:x:0:0:root:/root:/bin/sh
		nestor:x:990:990:Nestor:/nonexistent:/usr/sbin/nologin
		nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
	EOF
	cat >"$tree/etc/group" <<-EOF
		root:x:0:
		nestor:x:990:
		nogroup:x:65534:
	EOF
	echo '127.0.0.1 localhost nestor-vm' >"$tree/etc/hosts"
}

# tree_copy TREE SRC DEST: a file or folder, with what its programs link to.
tree_copy() {
	local tree=$1 src=$2 dest=$1$3 file magic

	[ -e "$src" ] || die "$src does not exist"
	mkdir -p "$(dirname "$dest")"
	if [ -d "$src" ]; then
		mkdir -p "$dest"
		cp -a "$src/." "$dest/"
	else
		# Never write through a busybox link.
		cp -L --preserve=mode,timestamps --remove-destination "$src" "$dest"
	fi
	while IFS= read -r -d '' file; do
		magic=
		LC_ALL=C read -r -N 4 magic <"$file" || true
		[ "$magic" != $'\x7fELF' ] || tree_libraries "$tree" "$file"
	done < <(find -H "$src" -type f -size +0 -print0 2>/dev/null)
}

# ldd prints "name => path (addr)" and, for the loader, "path (addr)".
tree_libraries() {
	local tree=$1 file=$2 list lib

	list=$(ldd "$file" 2>/dev/null) || return 0
	[[ $list != *'not found'* ]] || die "$file needs a library that is not here: ${list//$'\n'/;}"
	while read -r lib; do
		[ ! -e "$tree$lib" ] || continue
		mkdir -p "$(dirname "$tree$lib")"
		cp -L --preserve=mode,timestamps "$lib" "$tree$lib"
	done < <(sed -nE 's,^(.*=>)?[[:space:]]*(/[^ ]+) \(0x.*,\2,p' <<<"$list")
}

# tree_module TREE KERNEL_DIR RELEASE NAME LOAD [PARAMS]: a module and what it
# depends on, unpacked, as busybox can only load plain ones.
tree_module() {
	local tree=$1 kernel=$2 release=$3 name=$4 load=$5 params=${6:-} list kind path plain

	list=$(modprobe -C /dev/null -d "$kernel" -S "$release" --show-depends "$name" 2>/dev/null) ||
		die "kernel $release has no module $name"
	while read -r kind path _; do
		[ "$kind" = insmod ] || continue
		plain=/lib/modules/$release/${path#*"/lib/modules/$release/"}
		plain=${plain%.[xz]*}
		[ -e "$tree$plain" ] || unpack_module "$path" "$tree$plain"
		[ "$load" = no ] || grep -qsF "$plain " "$tree/vm/modules" || echo "$plain " >>"$tree/vm/modules"
	done <<<"$list"

	# The module itself is the last line, unless it is there without them.
	[ "$params" ] || return 0
	[[ ${list##*$'\n'} == insmod* ]] || die "$name is built in: --append '$name.PARAM=VALUE' sets its parameters"
	[ "$(tail -n 1 "$tree/vm/modules")" = "$plain " ] ||
		die "--module $name:$params must come before the modules that need it"
	sed -i '$d' "$tree/vm/modules"
	echo "$plain $params" >>"$tree/vm/modules"
}

unpack_module() {
	mkdir -p "$(dirname "$2")"
	case $1 in
	*.xz) xz -dc "$1" >"$2" ;;
	*.zst) zstd -dcq "$1" >"$2" ;;
	*) cp "$1" "$2" ;;
	esac
}

# tree_pack TREE KERNEL_DIR RELEASE IMAGE
tree_pack() {
	local tree=$1 lib=lib/modules/$3

	# So that modprobe works in the guest, too.
	if [ -d "$tree/$lib" ]; then
		cp "$2/$lib"/modules.{builtin,builtin.modinfo,order} "$tree/$lib/"
		depmod -b "$tree" "$3"
	fi
	(cd "$tree" && find . -print0 | cpio -o0 -H newc -R 0:0 --quiet) >"$4"
}

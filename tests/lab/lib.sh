# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Starts a lab, host VMs with real KVM guests inside, and talks to its machines. Sourced by tests/lab/lab and
# by tests. Set LAB_TMP to a folder of yours first.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/lib.sh"
# A pause, as in tests/harness/lib.sh.
[ "${never:-}" ] || exec {never}<> <(:)
# shellcheck source=tests/vm/initramfs.sh
. "$vm/initramfs.sh"
# shellcheck source=tests/lab/parse.sh
. "$root/tests/lab/parse.sh"

lab_labsh=$root/build/tests/tools/labsh
lab_host_tools=(bash ip grep tail tr sed qemu-system-x86_64)
lab_firmware=(/usr/share/qemu/{qboot.rom,pvh.bin,linuxboot_dma.bin,kvmvapic.bin})
declare -A lab_pid=() lab_port=()

# What guests have, besides a kernel: a change of one of them makes their initramfs anew.
lab_guest_files=(build/nestord build/nestorctl build/tests/tools/{labsh,ioload,flow,netio,directio,filecache}
	tests/lab/{guest,agent.sh,parse.sh,policy.yaml})
lab_guest_modules=(virtio_pci virtio_console virtio_blk virtio_net vmw_vsock_virtio_transport ext4 sch_fq)

# lab_guest_image KERNEL: makes the initramfs of guests with that kernel, unless it is there and new; prints its folder
lab_guest_image() {
	local cache=$root/build/lab/$1 kernel release file module tree=$LAB_TMP/tree
	local -a inputs

	kernel=$("$vm/kernel" "$1") || return
	release=$(cat "$kernel/release")
	inputs=("${lab_guest_files[@]/#/$root/}" "$vm/init" "$vm/initramfs.sh" "$root/tests/lab/lib.sh" "$kernel/release")
	if [ -e "$cache/initramfs" ] && [ -z "$(find "${inputs[@]}" -newer "$cache/initramfs" -print -quit)" ]; then
		echo "$cache"
		return
	fi
	tree_new "$tree"
	for file in "${lab_guest_files[@]}"; do tree_copy "$tree" "$root/$file" "/nestor/$file"; done
	for file in bash ip; do tree_copy "$tree" "$(command -v $file)" /usr/bin/$file; done
	: > "$tree/vm/modules"
	for module in "${lab_guest_modules[@]}"; do tree_module "$tree" "$kernel" "$release" "$module" yes; done
	printf 'KERNEL=%s\nOUT=0\nNET=0\nCGROUPS=v2\n' "$1" > "$tree/vm/env"
	echo exec tests/lab/guest > "$tree/vm/command"
	tree_pack "$tree" "$kernel" "$release" "$LAB_TMP/initramfs"
	rm -r "$tree"
	mkdir -p "$cache"
	cp "$(kernel_image "$kernel")" "$cache/image.$$"
	mv "$LAB_TMP/initramfs" "$cache/initramfs.$$"
	# At once: another lab may be reading the old ones.
	mv "$cache/image.$$" "$cache/image"
	mv "$cache/initramfs.$$" "$cache/initramfs"
	echo "$cache"
}

# The description itself goes into a second archive, which the kernel unpacks after the first.
lab_description_image() { # lab_description_image FILE IMAGE
	mkdir -p "$LAB_TMP/extra/nestor/tests/lab"
	cp "$1" "$LAB_TMP/extra/nestor/tests/lab/description"
	(cd "$LAB_TMP/extra" && find . -print0 | cpio -o0 -H newc -R 0:0 --quiet) > "$2"
	rm -r "$LAB_TMP/extra"
}

# lab_host_image HOST: what its host VM has besides a kernel, guests of these kernels included; made and kept like theirs
lab_host_image() {
	local guest kernel file image tree=$LAB_TMP/tree
	local -A kernels=()
	local -a inputs=("$root/tests/lab/host" "$vm/verdict.sh" "$(command -v qemu-system-x86_64)")

	for guest in $(lab_guests_of "$1"); do kernels[${lab_kernel[$guest]}]=yes; done
	image=$root/build/lab/host$(printf -- '-%s' "${!kernels[@]}").cpio
	for kernel in "${!kernels[@]}"; do
		kernels[$kernel]=$(lab_guest_image "$kernel") || return
		inputs+=("${kernels[$kernel]}/initramfs")
	done
	if [ -e "$image" ] && [ -z "$(find "${inputs[@]}" -newer "$image" -print -quit)" ]; then
		echo "$image"
		return
	fi
	tree_new "$tree"
	for file in "${lab_host_tools[@]}"; do tree_copy "$tree" "$(command -v "$file")" "/usr/bin/$file"; done
	for file in "${lab_guest_files[@]}" tests/lab/host tests/vm/verdict.sh; do
		tree_copy "$tree" "$root/$file" "/nestor/$file"
	done
	for file in "${lab_firmware[@]}"; do tree_copy "$tree" "$file" "$file"; done
	for kernel in "${!kernels[@]}"; do
		mkdir -p "$tree/lab/$kernel"
		ln "${kernels[$kernel]}"/{image,initramfs} "$tree/lab/$kernel/" 2> /dev/null ||
			cp "${kernels[$kernel]}"/{image,initramfs} "$tree/lab/$kernel/"
	done
	tree_pack "$tree" '' none "$image.$$"
	rm -r "$tree"
	mv "$image.$$" "$image"
	echo "$image"
}

# lab_start_host NAME: in the background; $lab_pid[NAME]
lab_start_host() {
	local host=$1 other guest image disk=a log=$LAB_TMP/$1
	local -a args=() disks=()

	for guest in $(lab_guests_of "$host"); do
		if [ "${lab_disk[$guest]}" = 0 ]; then
			disks+=("$guest:")
		else
			disks+=("$guest:/dev/vd$disk")
			args+=(--disk "${lab_disk[$guest]}")
			disk=$(tr a-y b-z <<< "$disk")
		fi
	done
	for other in "${lab_hosts[@]}"; do # of two, the other one
		[ "$other" = "$host" ] || args+=(--link "$LAB_TMP/wire-$host:$LAB_TMP/wire-$other")
	done
	image=$(lab_host_image "$host") || return
	# Ends with us, be that by kill -9.
	setpriv --pdeathsig TERM "$vm/run" "${lab_kernel[$host]}" --timeout "${LAB_TIMEOUT:-600}" --mem "${lab_memory[$host]}" --cpus "${lab_cpus[$host]}" \
		--base "$image" --add "$LAB_TMP/description:/nestor/tests/lab/description" \
		--add "$LAB_TMP/description.cpio:/lab/description.cpio" --forward 7000 --forward "${LAB_PAGE:+$LAB_PAGE:}6378" \
		--module kvm-amd --module vhost_vsock --module vhost_net --module tun --module sch_fq \
		--append "kfence.sample_interval=100 mitigations=off" "${args[@]}" -- tests/lab/host "$host" "${disks[@]}" \
		> "$log.out" 2> "$log.err" < /dev/null &
	lab_pid[$host]=$!
}

# What became of a host that has ended: its own words
lab_tell() {
	sed "s/^/$1: /" "$LAB_TMP/$1.out" "$LAB_TMP/$1.err" >&2
}

# lab_start FILE: starts all, and returns when all answer; not 0 when one failed, after saying why. KERNEL=debug has all machines
# that name no other on that kernel.
lab_start() {
	local host port

	lab_parse "$1" # what is wrong is said of the file as it is
	{ [ -z "${KERNEL:-}" ] || echo "kernel $KERNEL" && cat "$1"; } > "$LAB_TMP/description"
	lab_parse "$LAB_TMP/description"
	lab_description_image "$LAB_TMP/description" "$LAB_TMP/description.cpio"
	for host in "${lab_hosts[@]}"; do lab_start_host "$host" || return; done
	for host in "${lab_hosts[@]}"; do
		until grep -qx 'lab: up' "$LAB_TMP/$host.out"; do
			if ! kill -0 "${lab_pid[$host]}" 2> /dev/null; then
				lab_tell "$host"
				return 1
			fi
			read -rt 0.05 <&$never || :
		done
		for port in 7000 6378; do
			read -r "lab_port[$host$port]" < <(sed -n "s/^run: \(.*\) is the guest's port $port\$/\1/p" "$LAB_TMP/$host.err")
		done
	done
}

# lab_run MACHINE COMMAND [ARG…]: its output, its exit status; stdin is the command's. 125: it could not be asked
lab_run() {
	local machine=$1 host=$1 cid=0
	shift
	if [ -n "${lab_host_of[$machine]:-}" ]; then
		host=${lab_host_of[$machine]} cid=$(lab_cid "$machine")
	fi
	"$lab_labsh" run "${lab_port[${host}7000]}" "$cid" "$@"
}

lab_put() { tar -cC "$(dirname "$2")" "$(basename "$2")" | lab_run "$1" tar -xC "$3"; } # lab_put MACHINE PATH FOLDER
lab_get() { lab_run "$1" tar -cC "$(dirname "$2")" "$(basename "$2")" < /dev/null | tar -xC "$3"; } # the other way round
lab_metrics() { lab_run "$1" wget -qO- http://127.0.0.1:6378/metrics < /dev/null; }

# lab_stop: 0 if no machine's kernel warned, none was lost, and all ended as they should
lab_stop() {
	local host bad=0

	for host in "${!lab_pid[@]}"; do lab_run "$host" sh -c 'echo end > /run/lab-end' < /dev/null 2> /dev/null || :; done
	for host in "${!lab_pid[@]}"; do
		wait "${lab_pid[$host]}" || { bad=1 && lab_tell "$host"; }
		unset "lab_pid[$host]"
	done
	return $bad
}

# At once, and whatever they do
lab_kill() {
	[ ${#lab_pid[@]} = 0 ] || kill "${lab_pid[@]}" 2> /dev/null || :
	wait "${lab_pid[@]}" 2> /dev/null || :
	lab_pid=()
}

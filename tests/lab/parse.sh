# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # who sources this uses what is set here
# Reads the description of a lab. Sourced outside, in hosts and in guests.
#
# A description has a line for each machine and container; "#" begins a comment:
#
#	kernel K
#	host NAME [memory=MIB] [cpus=N] [kernel=K]
#	guest NAME [memory=MIB] [cpus=N] [kernel=K] [disk=MIB] [iothread=yes] [network=user|tap|vhost|none]
#	container GUEST NAME COMMAND...
#
# Machines below a line "kernel" have that one unless they say otherwise; without one it is 6.12. Two hosts at most, joined
# by a wire. A guest belongs to the host above it. Its disk is /dev/vda. One on the debug kernel has 768 MiB more than it
# says, which that takes for itself, and its host as much more for each such guest. A container is a cgroup of that
# name, whose COMMAND is started with the guest and may use what a shell understands.

readonly lab_debug_memory=768

declare -A lab_host_of lab_kernel lab_memory lab_cpus lab_disk lab_iothread lab_network
lab_forget() {
	lab_default_kernel=6.12
	lab_hosts=()
	lab_guests=() # of all hosts, in order
	lab_containers=() # "GUEST NAME COMMAND..."
	lab_host_of=() lab_kernel=() lab_memory=() lab_cpus=() lab_disk=() lab_iothread=() lab_network=()
}

lab_bad() {
	echo "lab: $1:$2: $3" >&2
	exit 120
}

lab_is_kernel() { [[ $1 = 6.12 || $1 = sid || $1 = 6.1 || $1 = debug ]]; }

# lab_options WHERE LINE NAME OPTION...
lab_options() {
	local file=$1 line=$2 name=$3 option value
	shift 3
	[[ $name =~ ^[a-z][a-z0-9]{0,9}$ ]] || lab_bad "$file" "$line" "'$name' is no name: a letter, and up to 9 letters or digits"
	[ -z "${lab_memory[$name]:-}" ] || lab_bad "$file" "$line" "a second '$name'"
	lab_memory[$name]=256 lab_cpus[$name]=1 lab_kernel[$name]=$lab_default_kernel
	lab_disk[$name]=0 lab_iothread[$name]=no lab_network[$name]=user
	for option; do
		value=${option#*=}
		case $option in
		memory=* | cpus=* | disk=*)
			[[ $value =~ ^[1-9][0-9]{0,6}$ ]] || lab_bad "$file" "$line" "$option: wants a number above 0"
			;;&
		memory=*) lab_memory[$name]=$value ;;
		cpus=*) lab_cpus[$name]=$value ;;
		disk=*) lab_disk[$name]=$value ;;
		kernel=*)
			lab_is_kernel "$value" || lab_bad "$file" "$line" "$option: there are no such kernels"
			lab_kernel[$name]=$value
			;;
		iothread=yes | iothread=no) lab_iothread[$name]=$value ;;
		network=user | network=tap | network=vhost | network=none) lab_network[$name]=$value ;;
		*) lab_bad "$file" "$line" "cannot read '$option'" ;;
		esac
	done
	[ "${lab_kernel[$name]}" != debug ] || lab_memory[$name]=$((lab_memory[$name] + lab_debug_memory))
}

# shellcheck disable=SC2094 # lab_bad just names the file
lab_parse() { # lab_parse FILE
	local number=0 kind rest host
	local -a words

	lab_forget
	[ -r "$1" ] || lab_bad "$1" 0 "cannot be read"
	while read -r kind rest; do
		number=$((number + 1))
		read -ra words <<< "$rest"
		case $kind in
		'' | '#'*) ;;
		kernel)
			lab_is_kernel "$rest" || lab_bad "$1" $number "there is no kernel '$rest'"
			lab_default_kernel=$rest
			;;
		host)
			lab_options "$1" $number "${words[@]:-}"
			lab_hosts+=("${words[0]}")
			;;
		guest)
			[ ${#lab_hosts[@]} -gt 0 ] || lab_bad "$1" $number "a guest needs a host above it"
			lab_options "$1" $number "${words[@]:-}"
			lab_guests+=("${words[0]}")
			host=${lab_hosts[-1]}
			lab_host_of[${words[0]}]=$host
			[ "${lab_kernel[${words[0]}]}" != debug ] || lab_memory[$host]=$((lab_memory[$host] + lab_debug_memory))
			;;
		container)
			[ ${#words[@]} -ge 3 ] || lab_bad "$1" $number "a container has a guest, a name and a command"
			[ -n "${lab_host_of[${words[0]}]:-}" ] || lab_bad "$1" $number "there is no guest '${words[0]}' above"
			lab_containers+=("$rest")
			;;
		*) lab_bad "$1" $number "'$kind' is no host, guest or container" ;;
		esac
	done < "$1"
	[ ${#lab_hosts[@]} -gt 0 ] || lab_bad "$1" $number "there is no host"
	[ ${#lab_hosts[@]} -le 2 ] || lab_bad "$1" $number "there are more than two hosts"
}

lab_guests_of() { # lab_guests_of HOST: their names
	local guest

	for guest in "${lab_guests[@]}"; do
		[ "${lab_host_of[$guest]}" != "$1" ] || echo "$guest"
	done
}

lab_index() { # lab_index NAME LIST...: from 1 on
	local i=1 name=$1
	shift
	for other; do
		[ "$other" != "$name" ] || break
		i=$((i + 1))
	done
	echo $i
}

# Numbers of a host, of a guest among all, and what follows from them.
lab_host_nr() { lab_index "$1" "${lab_hosts[@]}"; }
lab_guest_nr() { lab_index "$1" "${lab_guests[@]}"; }
lab_cid() { echo $((100 + $(lab_guest_nr "$1"))); }
lab_net() { echo "10.$(lab_host_nr "${lab_host_of[$1]}").$(lab_guest_nr "$1")"; } # its tap's, .1 the host and .2 the guest

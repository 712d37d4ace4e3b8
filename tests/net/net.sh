#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 40, lane: machine
# net on the running kernel: exact counts over veth between two network namespaces, containers that accept, die and
# come back, sockets older than the agent, retransmissions, migrations, the tap of a VM.
. "$(dirname "$0")/../harness/lib.sh"

netio=$ROOT/build/tests/tools/netio
me=nestor-net-$ID
A=$me-a B=$me-b # two containers, each in a network namespace of that name
rules="net: {migration: [{kind: other, mark: 77}, {kind: criu, process: 'cr[i]u*'}, {kind: cloud-hypervisor, container: '*$me-c*'}]}"

# ---- containers: cgroups of the hierarchy that tasks are known by

groups=$(awk '$3 == "cgroup" && $4 ~ /(^|,)memory(,|$)/ { print $2; exit }' /proc/mounts)
[ -n "$groups" ] || groups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)

container_new() { # container_new NAME
	mkdir "$groups/$1"
	defer rmdir "$groups/$1"
}

enter() { # enter CONTAINER COMMAND…: becomes it, in the network namespace of that name if there is one
	echo $BASHPID > "$groups/$1/cgroup.procs"
	[ ! -e "/run/netns/$1" ] || exec ip netns exec "$@"
	exec "${@:2}"
}
inside() { (enter "$@"); }

total() { # total METRIC CONTAINER [DIRECTION]
	metric "nestor_net_$1_total{vm=\"\",container=\"/$2\"${3:+,direction=\"$3\"}}"
}

# ---- the other end: started in the background; its port when it has one

listener() { # listener CONTAINER NETIO-ARG…: $port, and $peer to wait for
	: > "$T/port"
	enter "$1" "$netio" "${@:2}" > "$T/port" &
	peer=$!
	until_ok 5 test -s "$T/port"
	port=$(cat "$T/port")
}

link_two() {
	ip netns add $A && defer ip netns del $A
	ip netns add $B && defer ip netns del $B
	ip -n $A link add eth0 type veth peer name eth0 netns $B
	ip -n $A addr add 10.9.8.1/24 dev eth0
	ip -n $B addr add 10.9.8.2/24 dev eth0
	ip -n $A addr add fd98::1/64 dev eth0 nodad
	ip -n $B addr add fd98::2/64 dev eth0 nodad
	ip -n $A link set eth0 up
	ip -n $B link set eth0 up
	ip -n $A link set lo up
	# Datagrams to an address that has to be looked up first may be dropped.
	ip -n $A neigh replace 10.9.8.2 dev eth0 lladdr "$(mac $B)" nud permanent
	ip -n $A neigh replace fd98::2 dev eth0 lladdr "$(mac $B)" nud permanent
}

mac() { ip netns exec "$1" cat /sys/class/net/eth0/address; }

segments() { # segments NETNS FIELD…: sum of these fields of the kernel's own TCP statistics
	local netns=$1
	shift
	ip netns exec "$netns" cat /proc/net/snmp /proc/net/netstat | awk -v want=" $* " '
		!/^Tcp/ { next }
		++line % 2 { split($0, name); next }
		{ for (i = 2; i <= NF; i++) if (index(want, " " name[i] " ")) sum += $i }
		END { print sum + 0 }'
}

stop_jobs() {
	# shellcheck disable=SC2046 # numbers
	kill $(jobs -p) && wait $(jobs -p)
}

container_new $A
container_new $B
container_new $me-c1
defer stop_jobs
link_two
echo "$rules" > "$T/policy.yaml"
agent_start --policy "$T/policy.yaml"

# ---- UDP: every datagram, every header
listener $B udp-sink 10.9.8.2 211
inside $A "$netio" udp-source 10.9.8.2 "$port" 211 1000
wait $peer
is "net: UDP: 211 sent packets are counted" 211 "$(total packets $A tx)"
is "net: UDP: bytes of 211 sent packets include IP and UDP headers" $((211 * 1028)) "$(total bytes $A tx)"
is "net: UDP: 211 received packets are counted" 211 "$(total packets $B rx)"
is "net: UDP: bytes of 211 received packets include IP and UDP headers" $((211 * 1028)) "$(total bytes $B rx)"
listener $B udp-sink fd98::2 101
inside $A "$netio" udp-source fd98::2 "$port" 101 700
wait $peer
is "net: UDP over IPv6: bytes include headers of 48" $((211 * 1028 + 101 * 748)) "$(total bytes $B rx)"

# What a socket in TIME-WAIT answers is nobody's: an acknowledgement, if the other end sends its FIN again.
all_counted() {
	packets=$(($(total packets $A tx) - tx))
	late=$(($(segments $A OutSegs RetransSegs) - kernel - packets))
	[ $late -ge 0 ] && [ $late -le $(($(segments $B RetransSegs) - fins)) ] &&
		[ $((packets + late)) = $(($(total packets $B rx) - rx)) ]
}

# ---- TCP: as many segments as the kernel counts; each has a header of 20 + 20 + 12 (timestamps), a first one 8 more
tcp() { # tcp TEXT ADDRESS HEADER [CONNECTIONS [BYTES]]
	local count=${4:-1} each=${5:-$((20 << 20))} tx rx bytes_tx bytes_rx kernel again fins packets late least most
	tx=$(total packets $A tx) rx=$(total packets $B rx) bytes_tx=$(total bytes $A tx) bytes_rx=$(total bytes $B rx)
	kernel=$(segments $A OutSegs RetransSegs) again=$(segments $A RetransSegs) fins=$(segments $B RetransSegs)
	listener $B sinks "$2" "$count"
	inside $A "$netio" sources "$2" "$port" "$count" "$each"
	wait $peer
	# The last acknowledgement may come after the last byte.
	ok "net: $1: as many segments are sent as the kernel counts, and as many received" until_ok 5 all_counted
	again=$(($(segments $A RetransSegs) - again)) # the machine may be busy
	least=$((count * (each + 8) + packets * $3)) most=$((count * (each + 8) + packets * $3 + again * (1500 - $3)))
	within "net: $1: sent bytes are the payload and each segment's header" $least $(($(total bytes $A tx) - bytes_tx)) $most
	within "net: $1: received bytes are the payload and each segment's header" $((least + late * $3)) $(($(total bytes $B rx) - bytes_rx)) $((most + late * $3))
	echo "# $packets segments"
}
tcp "TCP" 10.9.8.2 52
tcp "TCP over IPv6" fd98::2 72
ip -n $A link set eth0 gso_max_segs 1
tcp "TCP without segmentation offload" 10.9.8.2 52
ip -n $A link set eth0 gso_max_segs 65535
# A kernel of two CPUs may show us a first segment twice, once the listener's and once the connection's.
tcp "many short connections" 10.9.8.2 52 1000 3000

# ---- an accepted socket is its listener's
before=$(total bytes $B tx) again=$(segments $B RetransSegs)
listener $B serve 10.9.8.2 $((3 << 20))
inside $A "$netio" fetch 10.9.8.2 "$port"
wait $peer
again=$(($(segments $B RetransSegs) - again))
within "net: bytes that an accepted socket sends are its server's" $((3 << 20)) $(($(total bytes $B tx) - before)) \
	$(((3 << 20) * 105 / 100 + again * 1500))

# ---- retransmissions, over a router that loses what its link cannot carry at once
lossy() {
	ip netns add $me-r && defer ip netns del $me-r
	ip -n $A link add eth1 type veth peer name eth0 netns $me-r
	ip -n $B link add eth1 type veth peer name eth1 netns $me-r
	ip -n $A addr add 10.9.9.1/24 dev eth1
	ip -n $me-r addr add 10.9.9.2/24 dev eth0
	ip -n $me-r addr add 10.9.10.2/24 dev eth1
	ip -n $B addr add 10.9.10.1/24 dev eth1
	ip -n $A link set eth1 up
	ip -n $B link set eth1 up
	ip -n $me-r link set eth0 up
	ip -n $me-r link set eth1 up
	ip -n $A route add 10.9.10.0/24 via 10.9.9.2
	ip -n $B route add 10.9.9.0/24 via 10.9.10.2
	ip netns exec $me-r sysctl -qw net.ipv4.ip_forward=1
	ip netns exec $me-r tc qdisc add dev eth1 root tbf rate 80mbit burst 8k limit 16k
}
if lossy 2> /dev/null; then
	before=$(segments $A RetransSegs)
	ours=$(total retransmits $A)
	root=$(total bytes '' tx)
	listener $B sink 10.9.10.1
	inside $A "$netio" source 10.9.10.1 "$port" $((8 << 20))
	wait $peer
	lost=$(($(segments $A RetransSegs) - before))
	ok "(net: segments are lost)" [ $lost -gt 0 ]
	is "net: retransmits are as many as the kernel counts" $lost $(($(total retransmits $A) - ours))
	within "net: forwarded packets count for no container" 0 $(($(total bytes '' tx) - root)) 100000
	echo "# $lost segments"
else
	skip "net: retransmits are as many as the kernel counts" "this kernel has no tbf"
fi

# ---- a socket that is older than the agent
listener $B sink 10.9.8.2
enter $A "$netio" source 10.9.8.2 "$port" $((1 << 40)) &
source=$!
grown() { [ "$(total bytes $A tx)" -gt $((before + (1 << 20))) ]; }
before=$(total bytes $A tx)
ok "(net: a connection sends before the restart)" until_ok 5 grown
kill -STOP "$source"
agent_stop
agent_start --policy "$T/policy.yaml"
before=$(total bytes $A tx)
ok "net: a connection's counts are kept over a restart" [ "$before" -gt $((1 << 20)) ]
kill -CONT "$source"
ok "net: a connection older than the agent counts for its container" until_ok 5 grown
kill "$source"
wait "$source" "$peer" 2> /dev/null

# ---- killed and made again under the same name
before=$(total bytes $A tx)
until_ok 5 rmdir "$groups/$A" 2> /dev/null
mkdir "$groups/$A"
listener $B udp-sink 10.9.8.2 10
inside $A "$netio" udp-source 10.9.8.2 "$port" 10 1000
wait $peer
within "net: a container that is created again continues its series" $((before + 10 * 1028)) "$(total bytes $A tx)" \
	$((before + 10 * 1028 + 1000)) # what the killed one's connection had still to say

# ---- migrations: by mark, process and container
migrated() { metric "nestor_net_migration_bytes_total{kind=\"$1\",direction=\"$2\"}"; }
send() { # send CONTAINER PROGRAM BYTES [MARK]; $most: that it takes, with headers and what had to be sent again
	local again
	again=$(segments $A RetransSegs)
	listener $B sink 10.9.8.2
	inside "$1" ip netns exec $A "$2" source 10.9.8.2 "$port" "$3" "${@:4}"
	wait $peer
	most=$(($3 * 105 / 100 + ($(segments $A RetransSegs) - again) * 1500))
}
cp "$netio" "$T/criu"
before=$(total bytes $A tx)
is "net: no migration bytes are counted before a migration" "0 0 0" "$(migrated other tx) $(migrated criu tx) $(migrated cloud-hypervisor tx)"
send $A "$netio" $((1 << 20)) 77
within "net: a marked socket's bytes count as migration" $((1 << 20)) "$(migrated other tx)" $most
is "net: a marked socket's bytes count for the container, too" "$(migrated other tx)" $(($(total bytes $A tx) - before))
send $A "$T/criu" $((2 << 20))
within "net: bytes of a process named criu count as migration" $((2 << 20)) "$(migrated criu tx)" $most
inside $me-c1 "$netio" udp-source 127.0.0.1 9 1 1 # a rule of containers takes hold when the name is known
named() { [ -n "$(total packets $me-c1 tx)" ]; }
until_ok 5 named
send $me-c1 "$netio" $((3 << 20))
within "net: bytes of a container that policy names count as migration" $((3 << 20)) "$(migrated cloud-hypervisor tx)" $most
within "net: a migration's sender receives acknowledgements only" 1 "$(migrated criu rx)" $(((2 << 20) * 5 / 100))

# ---- the tap of a VM: a stand-in that sends frames of known size, and gets some
vm() { metric "nestor_net_$1_total{vm=\"$me-$2\",container=\"\",direction=\"$3\"}"; }
tap=nnt$$
stand_in() { # stand_in COMMAND: has it done
	echo "$1" >&"$orders"
	read -rt 60 _ <&"$answers"
}
mkfifo "$T/orders" "$T/answers"
exec {orders}<> "$T/orders" {answers}<> "$T/answers"
cp "$netio" "$T/qemu-system-x86_64"
"$T/qemu-system-x86_64" tap $tap -name $me-tap < "$T/orders" > "$T/answers" &
tap_vm=$!
read -rt 60 _ <&"$answers"
sysctl -qw net.ipv6.conf.$tap.disable_ipv6=1
ip addr add 10.9.7.1/24 dev $tap
ip link set $tap up
ip neigh replace 10.9.7.2 dev $tap lladdr 02:00:00:00:00:02 nud permanent
taps_of() { ctl vms --json | jq -r ".[] | select(.vm == \"$me-$1\") | .taps[]"; }
is_watched() { [ "$(taps_of tap)" = $tap ]; }
ok "net: a VM and its tap are found" until_ok 10 is_watched || sed 's/^/# /' "$AGENT_LOG"
stand_in "frames 57 500"
stand_in "gso 44840 1460" # 44800 bytes in 31 segments
"$netio" udp-source 10.9.7.2 9 13 300
is "net: a VM's frames are counted, a large one by its segments" $((57 + 31)) "$(vm packets tap tx)"
is "net: a VM's sent bytes are the IP bytes of its frames" $((57 * 500 + 44800 + 31 * 40)) "$(vm bytes tap tx)"
is "net: frames to a VM are counted" 13 "$(vm packets tap rx)"
is "net: a VM's received bytes are the IP bytes of its frames" $((13 * 328)) "$(vm bytes tap rx)"
exec {orders}>&- {answers}>&-
kill $tap_vm
wait $tap_vm 2> /dev/null

no_loss() { is "net: no event is lost" 0 "$(metric 'nestor_events_lost_total{room="net"}')"; }
if ! command -v qemu-system-x86_64 > /dev/null; then
	skip "net: migration bytes of QEMU agree with its own count" "there is no QEMU"
	no_loss
	done_testing
fi

# ---- a real migration of QEMU: guests that stand still, one with 32 MiB of memory that is not empty
qemu() { # qemu NAME OPTION…: its monitor reads $T/NAME.in and writes $T/NAME.out
	mkfifo "$T/$1.in"
	exec {monitor}<> "$T/$1.in"
	qemu-system-x86_64 -S -display none -machine q35 -accel tcg -m 64 -nodefaults -name "$me-$1" -monitor stdio \
		"${@:2}" <&"$monitor" >> "$T/$1.out" 2>&1 &
}
ask() { # ask NAME COMMAND PATTERN: asks the monitor until its last answer fits
	: > "$T/$1.out"
	echo "$2" > "$T/$1.in"
	until_ok 2 grep -qE "$3" "$T/$1.out"
}
head -c $((32 << 20)) /dev/urandom > "$T/memory"
qemu src -device loader,file="$T/memory",addr=0x1000000,force-raw=on
qemu dst -incoming defer
two_vms() { [ "$(metric "nestor_vm_info{vm=\"$me-src\"}")$(metric "nestor_vm_info{vm=\"$me-dst\"}")" = 11 ]; }
ok "(net: two VMs are found)" until_ok 10 two_vms
echo "migrate_incoming tcp:127.0.0.1:0" > "$T/dst.in"
ok "(net: a VM waits for a migration)" until_ok 10 ask dst "info migrate" "tcp:127.0.0.1:[1-9]"
port=$(sed -n 's/.*tcp:127.0.0.1:\([1-9][0-9]*\).*/\1/p' "$T/dst.out" | head -1)
echo "net: {migration: [{kind: qemu, process: 'qemu-system-*', port: $port}]}" > "$T/policy.yaml"
in_force() { [ "$(ctl policy show --json | jq ".net.migration[0].port")" = "$port" ]; }
ok "(net: policy has the migration's port)" until_ok 5 in_force
echo "migrate -d tcp:127.0.0.1:$port" > "$T/src.in"
ok "(net: the migration completes)" until_ok 20 ask src "info migrate" "status: completed"
ram=$(($(sed -n 's/^transferred ram: \([0-9]*\) kbytes.*/\1/p' "$T/src.out" | head -1) * 1024))
ok "(net: the VM's whole memory is sent)" [ $ram -gt $((32 << 20)) ]
arrived() { [ "$(migrated qemu tx)" -ge $ram ] && [ "$(migrated qemu tx)" = "$(migrated qemu rx)" ]; }
ok "(net: QEMU's last bytes have arrived)" until_ok 5 arrived
within "net: migration bytes of QEMU agree with its own count ($ram)" $ram "$(migrated qemu tx)" $((ram * 103 / 100))
is "net: received migration bytes are the sent ones" "$(migrated qemu tx)" "$(migrated qemu rx)"
within "net: migration bytes count for the VM that sends" $ram "$(vm bytes src tx)" $((ram * 103 / 100))
within "net: migration bytes count for the VM that receives" $ram "$(vm bytes dst rx)" $((ram * 103 / 100))
no_loss
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM (cgroup v2): what tests/net/net.sh cannot show on the machine that runs the tests: a macvtap, and what an
# agent that was killed leaves behind, which on Linux 6.1 are filters of traffic control. tests/core/kernel.sh boots the VMs.
. "$(dirname "$0")/../harness/lib.sh"

netio=$ROOT/build/tests/tools/netio
cp "$netio" "$T/qemu-system-x86_64"

vm() { metric "nestor_net_$1_total{vm=\"$2\",container=\"\",direction=\"$3\"}"; }
stand_in() { # stand_in NAME TAP: a process that is taken for a VM; $vm
	mkfifo "$T/$1.in" "$T/$1.out"
	exec {orders}<> "$T/$1.in" {answers}<> "$T/$1.out"
	"$T/qemu-system-x86_64" tap "$2" -name "$1" < "$T/$1.in" > "$T/$1.out" &
	vm=$!
	defer kill $vm
	read -rt 60 _ <&"$answers"
}
order() {
	echo "$1" >&"$orders"
	read -rt 60 _ <&"$answers"
}
has_tap() { [ "$(ctl vms --json | jq -r ".[] | select(.vm == \"$1\") | .taps[]")" = "$2" ]; }
filters() { tc filter show dev "$1" ingress | grep -c net_tap_; }
clsact() { tc qdisc show dev "$1" | grep -c clsact; }

ip link add v0 type veth peer name v1
ip link add link v0 name macvtap0 type macvtap mode bridge
for link in v0 v1 macvtap0; do
	sysctl -qw net.ipv6.conf.$link.disable_ipv6=1
	ip link set $link up
done
ip addr add 10.9.6.1/24 dev v1
ip neigh replace 10.9.6.2 dev v1 lladdr "$(cat /sys/class/net/macvtap0/address)" nud permanent
for tap in tap0 tap1; do
	ip tuntap add dev $tap mode tap vnet_hdr
	sysctl -qw net.ipv6.conf.$tap.disable_ipv6=1
	ip link set $tap up
done
tc qdisc add dev tap1 clsact # somebody else's

agent_start

# ---- a macvtap is on the VM's side of the wire
stand_in mv /dev/tap"$(cat /sys/class/net/macvtap0/ifindex)"
ok "net: the VM's macvtap is found" until_ok 10 has_tap mv macvtap0
order "frames 37 500"
"$netio" udp-source 10.9.6.2 9 13 300
is "net: packets that a VM sends by macvtap are counted" "37 $((37 * 500))" "$(vm packets mv tx) $(vm bytes mv tx)"
is "net: packets that a VM receives by macvtap are counted" "13 $((13 * 328))" "$(vm packets mv rx) $(vm bytes mv rx)"
kill $vm

# ---- an agent that is killed, one that ends
stand_in a tap0
first=$vm
stand_in b tap1
ok "net: the first of two VMs' taps is found" until_ok 10 has_tap a tap0
ok "net: the second of two VMs' taps is found" until_ok 10 has_tap b tap1
[ "$KERNEL" = 6.1 ] && expected=1 || expected=0
is "net: a tap has a filter on kernels without tcx links" "$expected" "$(filters tap0)"
agent_kill
is "net: a killed agent leaves the tap's filter" "$expected" "$(filters tap0)"
kill "$first" $vm
wait "$first" $vm 2> /dev/null
agent_start
is "net: the next agent removes the filter of a stopped VM's tap" "0 0" "$(filters tap0) $(filters tap1)"
stand_in c tap0
stand_in d tap1
ok "net: the tap of the first VM after the agent's restart is found" until_ok 10 has_tap c tap0
ok "net: the tap of the second VM after the agent's restart is found" until_ok 10 has_tap d tap1
order "frames 5 100"
is "net: frames of a VM after the agent's restart are counted" 500 "$(vm bytes d tx)"
agent_stop
is "net: an agent that ends leaves no filter" "0 0" "$(filters tap0) $(filters tap1)"
is "net: an agent that ends leaves another program's clsact" 1 "$(clsact tap1)"
ip link del tap0
done_testing

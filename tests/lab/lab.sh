#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 240, lane: vm
# The lab: a host VM with real KVM guests inside. What the host's agent says of its VMs is what these counted themselves,
# and their own agents tell their containers apart. A guest that crashes is named; nothing is left of a lab.
. "$(dirname "$0")/../harness/lib.sh"
LAB_TMP=$T/lab
mkdir "$LAB_TMP"
# shellcheck source=tests/lab/lib.sh
. "$ROOT/tests/lab/lib.sh"
defer lab_kill
if ! command -v qemu-system-x86_64 > /dev/null; then
	skip "lab: a host with KVM guests" "there is no QEMU"
	done_testing
fi

cat > "$T/two" <<'END'
host h1 memory=2560 cpus=1
guest a disk=64 iothread=yes network=vhost
container a front true
guest b disk=64 network=user
container b back true
END

# ---- descriptions that are wrong
says() { bash -c '. "$1"; lab_parse "$2"' - "$ROOT/tests/lab/parse.sh" "$T/wrong" 2>&1; }
wrong() { # wrong TEXT EXPECTED
	printf '%s\n' "$1" > "$T/wrong"
	like "lab: a description with '$1' is refused" "$2" "$(says)"
}
wrong "guest a" "wrong:1: a guest needs a host above it"
wrong "host h1 memory=0" "wrong:1: memory=0: wants a number above 0"
wrong "host h-1" "wrong:1: 'h-1' is no name"
wrong "host h1 kernel=5.4" "wrong:1: kernel=5.4: there are no such kernels"
wrong "machine h1" "wrong:1: 'machine' is no host, guest or container"
wrong "kernel 5.4" "wrong:1: there is no kernel '5.4'"
wrong "# nothing" "there is no host"

# ---- two levels
start=$SECONDS
ok "lab: a host and two guests boot, and agents answer" lab_start "$T/two"
echo "# after $((SECONDS - start)) s"
value() { # value MACHINE SERIES: from its /metrics
	lab_metrics "$1" | awk -v s="$2" 'index($0, s " ") == 1 { print $NF }'
}
run() { lab_run "$@" < /dev/null; }
is "lab: a guest has the name of its description" a "$(run a hostname)"
run a sh -c 'exit 7'
is "lab: a command's status comes back" 7 $?
is "lab: a command's input and output pass" "$(md5sum < "$ROOT/tests/lab/lab.sh")" "$(lab_run b md5sum < "$ROOT/tests/lab/lab.sh")"
lab_put b "$ROOT/tests/lab/lab.sh" /tmp
mkdir "$T/back"
lab_get b /tmp/lab.sh "$T/back"
ok "lab: a file is copied into a guest and back" cmp -s "$ROOT/tests/lab/lab.sh" "$T/back/lab.sh"
like "lab: guests run under KVM" "KVM" "$(run a dmesg | grep Hypervisor)"

# ---- disks: what the guest's kernel counted, the host has under the VM's name
in_container() { run "$1" sh -c "echo \$\$ > /sys/fs/cgroup/$2/cgroup.procs; exec $3"; }
directio=build/tests/tools/directio
of_guest() { run "$1" awk -v f="$2" '{ printf "%.0f\n", $f * 512 }' /sys/block/vda/stat; } # 3: read, 7: written
bytes() { value h1 "nestor_blkio_bytes_total{device=\"$1\",op=\"$2\",vm=\"$3\",container=\"\"}" | grep . || echo 0; }
declare -A was=() # before: QEMU looks at a disk when it opens it, which no guest counts
for disk in "a vda" "b vdb"; do
	read -r guest device <<< "$disk"
	was[$guest]="$(of_guest "$guest" 3) $(of_guest "$guest" 7) $(bytes "$device" read "$guest") $(bytes "$device" write "$guest")"
done
in_container a front "$directio write /dev/vda 64" > /dev/null
in_container a front "$directio read /dev/vda 32" > /dev/null
in_container b back "$directio write /dev/vda 16" > /dev/null
in_container b back "$directio read /dev/vda 8" > /dev/null
same() { # same GUEST DEVICE TEXT: what its kernel counted and the host
	local -a past
	read -ra past <<< "${was[$1]}"
	is "lab: disk of guest $1 $3: host and guest count the same bytes read" $(($(of_guest "$1" 3) - past[0])) $(($(bytes "$2" read "$1") - past[2]))
	is "lab: disk of guest $1 $3: host and guest count the same bytes written" $(($(of_guest "$1" 7) - past[1])) $(($(bytes "$2" write "$1") - past[3]))
}
same a vda "with an iothread"
same b vdb "without an iothread"
of_container() { value "$1" "nestor_blkio_bytes_total{device=\"vda\",op=\"$2\",vm=\"\",container=\"/$3\"}"; }
is "lab: the agent in guest a counts bytes of its container" "$((64 * 4096)) $((32 * 4096))" "$(of_container a write front) $(of_container a read front)"
is "lab: the agent in guest b counts bytes of its container" $((16 * 4096)) "$(of_container b write back)"

# ---- network: IP bytes of datagrams through vhost-net
netio=build/tests/tools/netio
ips() { # ips DIRECTION: of the guest's device, without Ethernet's headers
	run a awk '{ print }' "/sys/class/net/eth0/statistics/$1_bytes" "/sys/class/net/eth0/statistics/$1_packets" | xargs |
		awk '{ print $1 - 14 * $2 }'
}
net() { value h1 "nestor_net_bytes_total{direction=\"$1\",vm=\"${2:-a}\",container=\"\"}"; }
run h1 sh -c "$netio udp-sink $(lab_net a).1 100 > /tmp/port &"
has_port() { run h1 test -s /tmp/port; }
until_ok 10 has_port
run a ping -c 1 -W 5 "$(lab_net a).1" > /dev/null # its neighbour: what waits for that may be dropped
tx=$(ips tx) host_tx=$(net tx)
run a $netio udp-source "$(lab_net a).1" "$(run h1 cat /tmp/port)" 100 1000
is "lab: vhost-net: guest a sends 100 datagrams" 0 $?
all_sent() { ips=$(($(ips tx) - tx)) && [ "$ips" -ge $((100 * 1028)) ]; } # virtio-net counts what its host has taken
ok "lab: vhost-net: guest a counts IP bytes of all 100 datagrams" until_ok 5 all_sent
grown=$(($(net tx) - ${host_tx:-0}))
within "lab: vhost-net: the host counts as many IP bytes as guest a ($ips)" $((ips - 200)) $grown $((ips + 200))
# User networking: QEMU itself sends what the guest does, from sockets of its own, but for what it loses now and then: the host's
# kernel counts what it sends.
run h1 sh -c "$netio udp-sink 127.0.0.1 100 > /tmp/port-b &"
has_port() { run h1 test -s /tmp/port-b; }
until_ok 10 has_port
run b ping -c 1 -W 5 10.0.2.2 > /dev/null # its neighbour, as above
sent() { run h1 awk '$1 == "Udp:" && $5 ~ /^[0-9]+$/ { print $5 }' /proc/net/snmp; }
tx=$(net tx b) were_sent=$(sent)
run b $netio udp-source 10.0.2.2 "$(run h1 cat /tmp/port-b)" 100 1000
by_qemu() { grown=$(($(net tx b) - ${tx:-0})) && [ $grown -ge $((100 * 1028)) ]; }
until_ok 5 by_qemu
within "lab: user network: QEMU of guest b sends 90 of 100 datagrams or more" 90 $(($(sent) - were_sent)) 100
is "lab: user network: the host counts IP bytes that QEMU of guest b sends" $((($(sent) - were_sent) * 1028)) $grown

# ---- memory: what both guests have is merged by the host's kernel, by one round
qemu() { run h1 build/nestorctl --json vms | jq -r ".[] | select(.vm == \"$1\").pid"; }
qemus=$(qemu a)\ $(qemu b)
# shellcheck disable=SC2086 # two numbers
report() { run h1 build/nestorctl --json dedup report $qemus 2> /dev/null; }
potential=$(report | jq .potential_bytes)
within "lab: dedup: guests with the same kernel have duplicates" $((8 << 20)) "${potential:-0}" $((400 << 20))
owners=$(printf '{"name":"%s","pid":%s},' a "${qemus% *}" b "${qemus#* }")
run h1 mkdir -p /run/ksm
round() { # the process that does rounds, as the room starts it
	lab_run h1 bash -c 'exec -a nestord-dedup build/nestord /run/ksm' > "$T/round" \
		<<< "{\"owners\":[${owners%,}],\"percent\":100,\"device\":1,\"merge\":true,\"leave_huge\":false}"
}
ok "lab: dedup: a round over both guests ends" round
echo "# $(jq -c '.merge // .' "$T/round")"
report > "$T/after"
left=$(jq .potential_bytes "$T/after") merged=$(jq .merged_bytes "$T/after")
echo "# potential $potential; then merged $merged, left $left"
within "lab: dedup: at least 95 % of the guests' duplicates are merged" $(((merged + left) * 95 / 100)) "$merged" $((400 << 20))
within "lab: dedup: 8 MiB or more of the guests' duplicates are merged" $((8 << 20)) "$merged" $((400 << 20))

ok "lab: all machines end well" lab_stop
is "lab: a stopped lab leaves no process" "" "$(pgrep -fa "$T" | grep -v tests/lab/lab.sh)"

# ---- two hosts on a wire, of other kernels; then a guest of one crashes, and one of the other warns
cat > "$T/bad" <<'END'
host h1 memory=1536
guest c network=vhost
host h2 memory=1536
guest d kernel=sid network=tap
END
start=$SECONDS
ok "lab: two hosts with a guest each boot" lab_start "$T/bad"
echo "# after $((SECONDS - start)) s"
is "lab: a guest boots the kernel of its description" "$(cat "$("$vm/kernel" sid)/release")" "$(run d uname -r)"
run d sh -c "$netio udp-sink $(lab_net d).2 100 > /tmp/port &"
has_port() { run d test -s /tmp/port; }
until_ok 10 has_port
run c ping -c 1 -W 5 "$(lab_net d).2" > /dev/null
is "lab: a guest reaches a guest of another host" 0 $?
moved() { value "$1" "nestor_net_bytes_total{direction=\"$2\",vm=\"$3\",container=\"\"}"; }
tx=$(moved h1 tx c) rx=$(moved h2 rx d)
run c $netio udp-source "$(lab_net d).2" "$(run d cat /tmp/port)" 100 1000
all_arrived() { [ $(($(moved h2 rx d) - ${rx:-0})) -ge $((100 * 1028)) ]; }
ok "lab: the receiving host counts a datagram's bytes for its VM" until_ok 5 all_arrived
within "lab: the sending host counts a datagram's bytes for its VM" $((100 * 1028)) $(($(moved h1 tx c) - ${tx:-0})) $((100 * 1028 + 400))
run d sh -c 'echo "<4>WARNING: CPU: 0 PID: 1 at planted" > /dev/kmsg'
run c sh -c 'echo c > /proc/sysrq-trigger' 2> /dev/null
lab_stop 2> "$T/said"
is "lab: a guest that crashes fails the lab" 1 $?
like "lab: a guest that crashes is named, with the reason" "guest c: the kernel crashed: .*sysrq" "$(cat "$T/said")"
like "lab: a guest whose kernel warns is named, with the warning" "guest d: the kernel warned: .*at planted" "$(cat "$T/said")"
done_testing

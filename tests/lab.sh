#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 240
# The lab: a host VM with real KVM guests inside. What the host's agent says of its VMs is what these counted themselves,
# and their own agents tell their containers apart. A guest that crashes is named; nothing is left of a lab.
. "$(dirname "$0")/lib.sh"
LAB_TMP=$T/lab
mkdir "$LAB_TMP"
# shellcheck source=tests/lab/lib.sh
. "$ROOT/tests/lab/lib.sh"
defer lab_kill
if ! command -v qemu-system-x86_64 > /dev/null; then
	skip "the lab" "there is no QEMU"
	done_testing
fi

cat > "$T/two" <<'END'
host h1 memory=2560 cpus=2
guest a disk=64 iothread=yes network=vhost
container a front sleep 1000000
guest b disk=64 network=user
container b back sleep 1000000
END

# ---- descriptions that are wrong
says() { bash -c '. "$1"; lab_parse "$2"' - "$ROOT/tests/lab/parse.sh" "$T/wrong" 2>&1; }
wrong() { # wrong TEXT EXPECTED
	printf '%s\n' "$1" > "$T/wrong"
	like "a lab that says '$1'" "$2" "$(says)"
}
wrong "guest a" "wrong:1: a guest needs a host above it"
wrong "host h1 memory=0" "wrong:1: memory=0: wants a number above 0"
wrong "host h-1" "wrong:1: 'h-1' is no name"
wrong "host h1 kernel=5.4" "wrong:1: cannot read 'kernel=5.4'"
wrong "machine h1" "wrong:1: 'machine' is no host, guest or container"
wrong "# nothing" "there is no host"

# ---- two levels
start=$SECONDS
ok "a host and two guests are up, and agents answer" lab_start "$T/two"
echo "# after $((SECONDS - start)) s"
value() { # value MACHINE SERIES: from its /metrics
	lab_metrics "$1" | awk -v s="$2" 'index($0, s " ") == 1 { print $NF }'
}
run() { lab_run "$@" < /dev/null; }
is "a guest is called as it was named" a "$(run a hostname)"
run a sh -c 'exit 7'
is "a command's status arrives" 7 $?
is "and its input and output" "$(md5sum < "$ROOT/tests/lab.sh")" "$(lab_run b md5sum < "$ROOT/tests/lab.sh")"
lab_put b "$ROOT/tests/lab.sh" /tmp
mkdir "$T/back"
lab_get b /tmp/lab.sh "$T/back"
ok "a file goes in and comes back" cmp -s "$ROOT/tests/lab.sh" "$T/back/lab.sh"
like "guests run under KVM" "KVM" "$(run a dmesg | grep Hypervisor)"

# ---- disks: what the guest's kernel counted, the host has under the VM's name
in_container() { run "$1" sh -c "echo \$\$ > /sys/fs/cgroup/$2/cgroup.procs; exec $3"; }
directio=build/tests/tools/directio
in_container a front "$directio write /dev/vda 64" > /dev/null
in_container a front "$directio read /dev/vda 32" > /dev/null
in_container b back "$directio write /dev/vda 16" > /dev/null
of_guest() { run "$1" awk -v f="$2" '{ printf "%.0f\n", $f * 512 }' /sys/block/vda/stat; } # 3: read, 7: written
bytes() { value h1 "nestor_blkio_bytes_total{device=\"$1\",op=\"$2\",vm=\"$3\",container=\"\"}"; }
is "a, with an iothread: bytes read" "$(of_guest a 3)" "$(bytes vda read a)"
is "a: bytes written" "$(of_guest a 7)" "$(bytes vda write a)"
is "b, without: bytes read" "$(of_guest b 3)" "$(bytes vdb read b)"
is "b: bytes written" "$(of_guest b 7)" "$(bytes vdb write b)"
of_container() { value "$1" "nestor_blkio_bytes_total{device=\"vda\",op=\"$2\",vm=\"\",container=\"/$3\"}"; }
is "a's agent has its container's" "$((64 * 4096)) $((32 * 4096))" "$(of_container a write front) $(of_container a read front)"
is "b's agent has its own's" $((16 * 4096)) "$(of_container b write back)"

# ---- network: IP bytes of datagrams through vhost-net
netio=build/tests/tools/netio
ips() { # ips DIRECTION: of the guest's device, without Ethernet's headers
	run a awk '{ print }' "/sys/class/net/eth0/statistics/$1_bytes" "/sys/class/net/eth0/statistics/$1_packets" | xargs |
		awk '{ print $1 - 14 * $2 }'
}
net() { value h1 "nestor_net_bytes_total{direction=\"$1\",vm=\"a\",container=\"\"}"; }
run h1 sh -c "$netio udp-sink $(lab_net a).1 100 > /tmp/port &"
has_port() { run h1 test -s /tmp/port; }
until_ok 10 has_port
tx=$(ips tx) host_tx=$(net tx)
run a $netio udp-source "$(lab_net a).1" "$(run h1 cat /tmp/port)" 100 1000
is "(100 datagrams were sent)" 0 $?
ips=$(($(ips tx) - tx)) grown=$(($(net tx) - ${host_tx:-0}))
within "a: IP bytes sent, by the host ($ips by the guest)" $((ips - 200)) $grown $((ips + 200))
ok "of all 100" [ "$ips" -ge $((100 * 1028)) ]

ok "all end as they should" lab_stop
is "no process is left of it" "" "$(pgrep -fa "$T" | grep -v lab.sh)"

# ---- one that crashes
cat > "$T/one" <<'END'
host h1 memory=2048 cpus=2
guest c network=none
END
lab_hosts=() lab_guests=() lab_host_of=() lab_memory=()
ok "another lab is up" lab_start "$T/one"
run c sh -c 'echo c > /proc/sysrq-trigger' 2> /dev/null
lab_stop 2> "$T/said"
is "a lab with a guest that crashed fails" 1 $?
like "and names it, and why" "guest c: the kernel crashed: .*sysrq" "$(cat "$T/said")"
done_testing

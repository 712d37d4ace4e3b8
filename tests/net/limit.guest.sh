#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM whose clock counts instructions (cgroup v2, Linux 6.12): limits of network traffic, measured. Three
# containers, each with a network namespace of its own, send to a fourth namespace. tests/net/limit.sh boots the VM;
# tests/bench/net.sh boots one with the machine's clock, with arguments: the rates to measure instead.
. "$(dirname "$0")/../harness/lib.sh"

CG=/sys/fs/cgroup
flow=$ROOT/build/tests/tools/flow
WINDOW=100 # milliseconds
mkdir -p /run/netns

pause() { read -rt "$1" <> <(:) || true; } # the time that is measured over

# ---- containers a, b, c, and the other end

in_container() { # in_container NAME COMMAND…: in its cgroup and its namespace
	local name=$1
	shift
	echo $BASHPID > "$CG/nl-$name/cgroup.procs"
	exec ip netns exec "nl-$name" "$@"
}

number=0
new_container() { # new_container NAME: address 10.0.N.1, the other end has 10.0.N.2
	number=$((number + 1))
	mkdir "$CG/nl-$1"
	ip netns add "nl-$1"
	ip link add eth0 netns "nl-$1" type veth peer name "peer$1" netns sink
	ip -n "nl-$1" addr add "10.0.$number.1/24" dev eth0
	ip -n sink addr add "10.0.$number.2/24" dev "peer$1"
	ip -n "nl-$1" link set eth0 up
	ip -n sink link set "peer$1" up
	(in_container "$1" sleep 1000) &
	until_ok 5 enters "$1" $!
	eval "sink_$1=10.0.$number.2"
}
enters() { [ "$(ip netns identify "$2")" = "nl-$1" ]; }

ip netns add sink
ip -n sink link set lo up
for name in a b c; do new_container $name; done

# Ports 5001 to 5003 take TCP, 6001 to 6003 UDP, 7001 is a migration's.
for port in 5001 5002 5003 6001 6002 6003 7001; do
	protocol=tcp
	[ "${port#6}" = "$port" ] || protocol=udp
	ip netns exec sink "$flow" recv $protocol $port $WINDOW >> "$T/$port" &
done
listens() { [ "$(ip netns exec sink cat /proc/net/tcp /proc/net/udp | grep -cE ':(1389|138A|138B|1771|1772|1773|1B59) ')" = 7 ]; }
ok "(all receivers listen)" until_ok 10 listens

send() { # send CONTAINER PORT SECONDS [RATE]: until it has ended
	local sink=sink_$1 protocol=tcp
	[ "${2#6}" = "$2" ] || protocol=udp
	(in_container "$1" "$flow" send $protocol "${!sink}" "$2" "$3" "${@:4}" > /dev/null)
}

begin() { # begin CONTAINER PORT: sends until it is ended; $sender
	local sink=sink_$1 protocol=tcp
	[ "${2#6}" = "$2" ] || protocol=udp
	forget "$2"
	in_container "$1" "$flow" send $protocol "${!sink}" "$2" 1000 > /dev/null &
	sender=$!
	until_ok 10 test -s "$T/$2"
}

end() { # end PID…
	kill "$@"
	wait "$@" 2> /dev/null
}

forget() { for port; do : > "$T/$port"; done; }

# Bytes on the wire for one that was counted. A full frame has 1514 for 1472 of UDP's and 1448 of TCP's payload.
overhead() {
	case $1 in
	tap0) echo 1 ;;
	6*) echo 1.028533 ;;
	*) echo 1.045580 ;;
	esac
}
bits() { # bits PORT FROM_MS TO_MS: bits a second on the wire in that time
	awk -v from="$2" -v to="$3" -v f="$(overhead "$1")" '
		$1 >= from && $1 < to { n += $2 } END { printf "%.0f\n", (to > from ? n * 8000 * f / (to - from) : 0) }' "$T/$1"
}
first() { awk 'NR == 1 { print $1 }' "$T/$1"; }
last() { awk 'END { print $1 }' "$T/$1"; }

# From a window that had some to the last one that had: right also where packets are as large as many windows.
steady() { # steady PORT: the rate without the first 300 ms
	bits "$1" "$(awk 'NR == 1 { start = $1 } $1 >= start + 300 { print $1; exit }' "$T/$1")" "$(last "$1")"
}

# What came too much, at its worst, in percent of one window: sum up to then, less what the limit allowed since the start.
excess() { # excess PORT RATE
	awk -v rate="$2" -v w=$WINDOW -v f="$(overhead "$1")" '
		BEGIN { worst = -1e9 } NR == 1 { start = $1 }
		{ n += $2 * 8 * f; e = n - rate * ($1 + w - start) / 1000; if (e > worst) worst = e }
		END { printf "%.1f\n", 100 * worst / (rate * w / 1000) }' "$T/$1"
}

# Never more than PERCENT above what is expected. Less may be while TCP is still growing: the best of three counts.
near() { # near TEXT EXPECTED PERCENT COMMAND…: it measures, and prints bits a second
	local text=$1 expected=$2 percent=$3 try got best=0
	shift 3
	for try in 1 2 3; do
		got=$("$@")
		[ "$got" -le "$best" ] || best=$got
		[ "$best" -lt $((expected * (100 - percent) / 100)) ] || break
	done
	within "net: $text: within $percent %" $((expected * (100 - percent) / 100)) "$best" $((expected * (100 + percent) / 100))
	echo "# $text: $(awk -v g="$best" -v e="$expected" 'BEGIN { printf "%.3f Mbit/s, %+.1f %%", g / 1e6, 100 * (g / e - 1) }'), try $try"
}

measure() { # measure CONTAINER PORT SECONDS [RATE]: bits a second of that sending
	forget "$2"
	send "$@"
	steady "$2"
}

# ---- policy

policy() { # policy: standard input is the section net; returns when it is in force
	{ echo net:; sed 's/^/  /'; } > "$T/policy/new"
	mv "$T/policy/new" "$T/policy/net.yaml"
	ctl policy reload > /dev/null
}
limit_a() { # limit_a MODE LINE…: limits of container a
	local mode=$1
	shift
	{ echo "mode: $mode"; echo "limits:"; echo '  - container: "/nl-a"'; printf '    %s\n' "$@"; } | policy
}
counter() { metric "nestor_net_limit_${1}_total{container=\"/nl-a\",mode=\"$2\"}"; }
attached() { bpftool cgroup show "$CG/nl-$1" 2> /dev/null | grep -c netlimit; }
qdisc() { ip netns exec "nl-$1" tc qdisc show dev eth0; }

mkdir -m 700 "$T/policy"
umask 077
before=$(qdisc a)
agent_start --policy "$T/policy"
is "net: limits are possible with cgroup v2 and Linux 6.12" 1 "$(metric nestor_net_limit_possible)"

# ---- accuracy
accuracy() { # accuracy RATE PORT SECONDS
	limit_a enforce "egress: $1"
	near "egress, $([ "${2#6}" = "$2" ] && echo TCP || echo UDP), $1 bit/s" "$1" 5 measure a "$2" "$3"
}
limit_a enforce "egress: 1000000"
held() { [ "$(metric 'nestor_net_limit_devices{means="delay"}')" = 1 ]; }
ok "net: a limited container's device has fq" until_ok 10 held
if [ $# -gt 0 ]; then
	for rate; do
		for port in 5001 6001; do accuracy "$rate" $port 4; done
	done | grep '^#'
	exit
fi
accuracy 1000000 6001 3
accuracy 1000000 5001 5
accuracy 10000000 6001 2
accuracy 10000000 5001 3
accuracy 100000000 5001 2
ok "net: at least 100 packets are delayed where fq delays" [ "$(counter delayed enforce)" -gt 100 ]
is "net: no packet is dropped where fq delays" 0 "$(counter dropped enforce)"

# The other way round: the container receives.
ip netns exec nl-a true
in_container a "$flow" recv tcp 5009 $WINDOW >> "$T/5009" &
receiver=$!
receives() { grep -qs ':1391 ' /proc/$receiver/net/tcp; }
until_ok 5 receives
measure_in() { # measure_in SECONDS
	forget 5009
	ip netns exec sink "$flow" send tcp 10.0.1.1 5009 "$1" > /dev/null
	steady 5009
}
for rate in 10000000 100000000; do
	limit_a enforce "ingress: $rate"
	near "ingress, TCP, $rate bit/s" $rate 5 measure_in 8 # long: its queue may hold a megabit
done
kill $receiver

# ---- who is not named
is "net: a container that no rule names has no program" 0 "$(attached b)"
is "net: a container that no rule names keeps its qdisc" "$before" "$(qdisc b)"

# ---- 100 reloads under load
within_limit() { # within_limit TEXT PORT RATE
	local worst
	worst=$(excess "$2" "$3")
	ok "net: $1: at most 5 % more than the limit is sent" awk -v e="$worst" 'BEGIN { exit !(e <= 5) }'
	echo "# $1: at its worst $worst % of a window too much"
}
reloads() { metric 'nestor_policy_reloads_total{result="success"}'; }
limit_a enforce "egress: 10000000"
was=$(reloads)
begin a 6001
for i in {1..50}; do
	limit_a enforce "egress: 10000000" "ingress: ${i}00000000"
	limit_a enforce "egress: 10000000"
done
ok "(net: the sender runs during 100 reloads)" kill -0 $sender
ok "net: 100 reloads under load succeed" [ $(($(reloads) - was)) -ge 100 ]
end $sender
within_limit "100 reloads under load" 6001 10000000

# ---- death
link() { bpftool link show pinned "$T"/bpf/nestor/netlimit_send_* | head -n 1; }
was=$(link)
begin a 6001
agent_kill
pause 1
end $sender
within_limit "a killed agent" 6001 10000000
near "a limit after the agent was killed" 10000000 5 measure a 6001 2
begin a 6001
agent_start --policy "$T/policy"
is "net: a new agent takes over the pinned link" "$was" "$(link)"
pause 1
end $sender
within_limit "a new agent that takes over" 6001 10000000
agent_stop
is "net: a clean stop leaves the programs attached" 2 "$(attached a)"

# ---- removal
undone() { # undone TEXT
	is "net: $1 detaches the programs" "0 0" "$(attached a) $(bpftool link show | grep -c netlimit)"
	is "net: $1 removes the pins" "" "$(cd "$T/bpf/nestor" && echo netlimit_send_* netlimit_recv_* | grep -v '\*')"
	is "net: $1 restores the former qdisc" "$before" "$(qdisc a)"
}
echo 'net: { mode: enforce }' > "$T/policy/net.yaml"
agent_start --policy "$T/policy"
undone "a rule removed while no agent ran"
limit_a enforce "egress: 10000000"
ok "net: a rule that is added again limits again" until_ok 10 held
echo 'mode: enforce' | policy
undone "a removed rule"
limit_a enforce "egress: 10000000"
ok "net: a rule that is added a third time limits again" until_ok 10 held
agent_kill
echo 'net: { mode: off }' > "$T/policy/net.yaml"
agent_start --policy "$T/policy"
undone "mode off after a kill"

# ---- monitor
limit_a monitor "egress: 1000000"
near "mode monitor limits nothing" 5000000 10 measure a 6001 2 5000000
ok "net: mode monitor counts the packets that enforce would delay" [ "$(counter delayed monitor)" -gt 100 ]
is "net: mode monitor leaves the qdisc as it is" "$before" "$(qdisc a)"

# ---- a qdisc that somebody configured
ip netns exec nl-a tc qdisc add dev eth0 root handle 17: pfifo limit 500
limit_a enforce "egress: 10000000"
dropping() { [ "$(metric 'nestor_net_limit_devices{means="drop"}')" = 1 ]; }
ok "net: an administrator's qdisc is a metric" until_ok 10 dropping
like "net: an administrator's qdisc stays" "pfifo 17: root" "$(qdisc a)"
near "with an administrator's qdisc the limit holds, by drops" 10000000 5 measure a 6001 2 20000000
ip netns exec nl-a tc qdisc del dev eth0 root

# ---- shares: 1 to 2 to 4
LINK=40000000
policy <<- EOP
	mode: enforce
	link: $LINK
	limits:
	  - container: "/nl-a"
	    weight: 100
	  - container: "/nl-b"
	    weight: 200
	  - container: "/nl-c"
	    weight: 400
EOP
held3() { [ "$(metric 'nestor_net_limit_devices{means="delay"}')" = 3 ]; }
ok "net: the devices of three limited containers have fq" until_ok 10 held3
begin a 5001
senders=$sender
begin b 5002
senders="$senders $sender"
begin c 5003
now_ms() { awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime; } # CLOCK_MONOTONIC, as nothing suspends
between() { # between PORT FROM_MS SECONDS: waits for what it measures
	until_ok 20 reached $(($2 + $3 * 1000))
	bits "$1" "$2" $(($2 + $3 * 1000))
}
reached() { [ "$(now_ms)" -gt $(($1 + 2 * WINDOW)) ]; }
from=$(($(now_ms) / WINDOW * WINDOW + 5 * WINDOW))
near "a weight of 1 in 7" $((LINK / 7)) 10 between 5001 $from 3
near "a weight of 2 in 7" $((LINK * 2 / 7)) 10 between 5002 $from 3
near "a weight of 4 in 7" $((LINK * 4 / 7)) 10 between 5003 $from 3
# shellcheck disable=SC2086
end ${senders#* } $sender
soon() { # soon PORT MS SECONDS: from then on
	between "$1" $(($(now_ms) / WINDOW * WINDOW + $2)) "$3"
}
near "a container has all of an idle link" $LINK 10 soon 5001 300 2
end ${senders%% *}

# ---- a migration yields to tenants
policy <<- EOP
	mode: enforce
	link: $LINK
	limits:
	  - container: "/nl-a"
	    weight: 3900
	  - migration: other
	    weight: 100
	migration:
	  - kind: other
	    port: 7001
EOP
# From the host's own namespace, as a VMM sends: by a device that carries a default route.
ip link add up0 type veth peer name down0 netns sink
ip addr add 10.0.9.1/24 dev up0
ip -n sink addr add 10.0.9.2/24 dev down0
ip link set up0 up
ip -n sink link set down0 up
ip route add default via 10.0.9.2
migration_held() { tc qdisc show dev up0 | grep -q 'qdisc fq 6378:'; }
ok "net: the host's device has fq for a migration" until_ok 10 migration_held
"$flow" send tcp 10.0.9.2 7001 1000 > /dev/null &
migration=$!
until_ok 10 test -s "$T/7001"
near "a migration has all of an idle link" $LINK 10 soon 7001 100 1
begin a 5001
start=$(first 5001)
near "a tenant has the link beside a migration" $LINK 10 soon 5001 100 3 # long: one packet of 64 KiB is 0.5 Mbit
end $sender
stop=$(last 5001)
within "net: a migration yields within 100 ms to a tenant that sends" 0 "$(bits 7001 $((start + WINDOW)) "$stop")" $((LINK / 20))
for ((ms = start - 200; ms <= start + 400; ms += WINDOW)); do
	echo "# $((ms - start)) ms: migration $(bits 7001 $ms $((ms + WINDOW))), tenant $(bits 5001 $ms $((ms + WINDOW))) bit/s"
done
near "a migration has the link again after the tenant stops" $LINK 10 soon 7001 2000 1 # TCP needs a while to grow again
end $migration

# ---- a VM, by its tap
new_tap() { # new_tap NAME NET: the VM has address 2 of the net, we have 1
	ip tuntap add "$1" mode tap
	ip addr add "$2.1/24" dev "$1"
	ip link set "$1" up
	ip neigh add "$2.2" lladdr 02:00:00:00:00:00 dev "$1"
}
cp "$flow" "$T/qemu-system-x86_64"
new_vm() { # new_vm NAME TAP NET PORT: sends more than any limit there; $vm
	"$T/qemu-system-x86_64" tap "$2" $WINDOW "$3.2" "$3.1" "$4" -name "guest=$1" >> "$T/$2" &
	vm=$!
}
new_tap tap0 10.0.8
tap_before=$(tc qdisc show dev tap0)
"$flow" recv udp 6004 $WINDOW >> "$T/6004" &
receiver=$!
new_vm web tap0 10.0.8 6004
policy <<- EOP
	mode: enforce
	limits:
	  - vm: web
	    egress: 10000000
	    ingress: 20000000
EOP
tap_held() { tc qdisc show dev tap0 | grep -q 'qdisc fq 6378:'; }
ok "net: a limited VM's tap has fq" until_ok 15 tap_held
measure_vm() { # measure_vm: what it sends
	forget 6004
	pause 2
	steady 6004
}
near "a VM's egress limit" 10000000 5 measure_vm
measure_to_vm() {
	forget tap0
	"$flow" send udp 10.0.8.2 6005 2 > /dev/null
	steady tap0
}
near "a VM's ingress limit" 20000000 5 measure_to_vm
ok "net: dropped packets of a VM count for the VM" [ "$(metric 'nestor_net_limit_dropped_total{vm="web",direction="egress"}')" -gt 100 ]
agent_kill
near "a VM's egress limit after the agent was killed" 10000000 5 measure_vm
agent_start --policy "$T/policy"
near "a VM's egress limit with a new agent" 10000000 5 measure_vm
echo 'mode: enforce' | policy
is "net: a removed rule of a VM detaches the program" 0 "$(bpftool net show dev tap0 | grep -c netlimit)"
is "net: a removed rule of a VM restores the former qdisc" "$tap_before" "$(tc qdisc show dev tap0)"
end $vm

# ---- shares of taps, beside a container: 1 to 2 to 4
new_tap tap1 10.0.7
"$flow" recv udp 6005 $WINDOW >> "$T/6005" &
second_receiver=$!
new_vm web tap0 10.0.8 6004
vms=$vm
new_vm db tap1 10.0.7 6005
policy <<- EOP
	mode: enforce
	link: $LINK
	limits:
	  - vm: web
	    weight: 100
	  - vm: db
	    weight: 200
	  - container: "/nl-c"
	    weight: 400
EOP
taps_held() { [ "$(tc qdisc show | grep -c 'qdisc fq 6378: dev tap[01] ')" = 2 ]; }
ok "net: the taps of two limited VMs have fq" until_ok 15 taps_held
begin c 5003
near "a VM's weight of 1 in 7" $((LINK / 7)) 10 soon 6004 500 3
near "a VM's weight of 2 in 7" $((LINK * 2 / 7)) 10 soon 6005 0 2
near "a container's weight of 4 in 7 beside VMs" $((LINK * 4 / 7)) 10 soon 5003 0 2
end $sender
# shellcheck disable=SC2086 # two
end $vms $vm $receiver $second_receiver

echo 'mode: off' | policy
is "net: mode off leaves no program" 0 "$(bpftool link show | grep -c netlimit)"
is "net: mode off leaves no fq on the host's device" 0 "$(tc qdisc show dev up0 | grep -c fq)"
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 250, lane: vm
# Limits of network traffic: measured in a VM with Linux 6.12; and on the running machine, if it cannot have them, that
# the agent says why and goes on.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

mkdir -m 700 "$T/policy"
(umask 077 && echo 'net: { mode: enforce, limits: [ { container: nobody, egress: 1000000 } ] }' > "$T/policy/net.yaml")
agent_start --policy "$T/policy"
case $(ctl status | awk '/^cgroups:/ { print $2 }') in
v1 | hybrid)
	is "net: limits are not possible with cgroup v1" 0 "$(metric nestor_net_limit_possible)"
	like "net: the log says why limits are not possible" "no limits: containers are in cgroups of version 1" "$(cat "$AGENT_LOG")"
	;;
*) is "net: limits are possible with cgroup v2" 1 "$(metric nestor_net_limit_possible)" ;;
esac
is "net: the room is up whether limits are possible or not" 1 "$(metric 'nestor_room_up{room="net"}')"
agent_stop

run_vm() {
	tests/vm/run 6.12 --icount --timeout 900 --tool bash --tool ip --tool tc --tool awk --tool bpftool \
		--add build/nestord --add build/nestorctl --add build/tests/tools/flow --add tests/harness/lib.sh --add tests/net/limit.guest.sh \
		--module veth --module sch_fq --module tun -- tests/net/limit.guest.sh
	echo $? > "$T/status"
}
subtests "6.12" run_vm
is "net: the VM ends with status 0 and no kernel warning" 0 "$(cat "$T/status")"
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 40, lane: machine
# Two VMs with the same kernel, one of whose QEMUs has a filter of system calls: their memory is compared and merged while they
# run, huge pages split for that, and they know nothing of it. One with share=on, which cannot be merged, is counted as such.
. "$(dirname "$0")/../harness/lib.sh"

KSM=/sys/kernel/mm/ksm
if [ ! -w $KSM/run ]; then
	skip "dedup: merging of VMs" "this kernel has no KSM"
	done_testing
fi
if ! command -v qemu-system-x86_64 > /dev/null; then
	skip "dedup: merging of VMs" "there is no QEMU"
	done_testing
fi
is "dedup: KSM is off before the test" 0 "$(cat $KSM/run)"
before=$(cd $KSM && grep -s . run pages_to_scan sleep_millisecs smart_scan advisor_mode)

declare -A run vm port
# The guest ends when it is called, well if its kernel had nothing to warn of.
starts() { # starts NAME [OPTION]
	"$ROOT/tests/vm/run" 6.12 "${@:2}" --mem 256 --cpus 1 --timeout 140 --forward 99 -- sh -c 'echo booted; nc -l -p 99' \
		> "$T/$1" 2>&1 < /dev/null &
	run[$1]=$!
	defer kill "${run[$1]}"
}
has_booted() {
	grep -q booted "$T/$1" || return
	port[$1]=$(sed -n "s/^run: 127.0.0.1:\([0-9]*\) is.*/\1/p" "$T/$1")
	vm[$1]=$(pgrep -P "${run[$1]}" qemu-system)
}
starts a
starts b --sandbox
for name in a b; do ok "dedup: VM $name boots" until_ok 100 has_booted "$name"; done

is "dedup: QEMU of VM b has a seccomp filter" 2 "$(awk '/^Seccomp:/ { print $2 }' "/proc/${vm[b]}/status")"

report() { ctl --json dedup report "${vm[a]}" "${vm[b]}"; }
report > "$T/before"
potential=$(jq .potential_bytes "$T/before") huge=$(jq '[.owners[].huge_bytes] | add' "$T/before")
echo "# present: $(jq -c '[.owners[].present_bytes]' "$T/before"), potential $potential, of which in huge pages: $huge, common: $(jq '.pairs[0].common_bytes' "$T/before")"
within "dedup: VMs with the same kernel have 8 MiB or more of duplicates" $((8 << 20)) "$potential" $((512 << 20))

mkdir "$T/policy.d"
cat > "$T/policy.d/dedup.yaml" <<- END
	dedup:
	  mode: enforce
	  merge: ours
	  interval: 1s
	  cpu: 100
	  max_pressure: 100
	  huge: split
	  targets:
	    - {domain: ours, vm: "qemu-${vm[a]}"}
	    - {domain: ours, vm: "qemu-${vm[b]}"}
END
agent_start --policy "$T/policy.d"
merges() { [ "$(metric 'nestor_dedup_rounds_total{domain="ours",result="done"}')" -ge 2 ] 2> /dev/null; }
ok "dedup: two rounds over both VMs end" until_ok 100 merges
agent_stop
report > "$T/after"
left=$(jq .potential_bytes "$T/after") merged=$(jq .merged_bytes "$T/after")
echo "# merged: $merged, left: $left, changing: $(jq -c '[.owners[].changing_bytes]' "$T/after")"
# Of what is the same and does not change, by a comparison of all pages.
within "dedup: at least 95 % of the VMs' duplicates are merged" $(((merged + left) * 95 / 100)) "$merged" $((512 << 20))
is "dedup: an agent that stops restores the settings of KSM" "$before" "$(cd $KSM && grep -s . run pages_to_scan sleep_millisecs smart_scan advisor_mode)"

# Its memory is there as soon as it has a machine.
qemu-system-x86_64 -S -M q35,memory-backend=m -accel tcg -nodefaults -display none -m 64 \
	-object memory-backend-memfd,id=m,size=64M,share=on > /dev/null 2>&1 &
shared=$!
defer kill -KILL $shared
has_memory() { grep -q memfd "/proc/$shared/maps"; }
until_ok 20 has_memory
within "dedup: memory of a VM with share=on is counted as left out" 1 "$(ctl --json dedup report $shared | jq .left_out.shared_mappings)" 9

ends() { # it is called until it answers: QEMU takes calls before the guest does
	(exec 3<> "/dev/tcp/127.0.0.1/${port[$1]}") 2> /dev/null
	! kill -0 "${run[$1]}" 2> /dev/null
}
for name in a b; do
	until_ok 30 ends "$name"
	wait "${run[$name]}"
	is "dedup: VM $name ends well, without a warning of its kernel" 0 $?
done
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 700, lane: vm
# blkio on Debian's kernels 6.1, 6.12 and sid's, in VMs: it loads, attaches and counts truly, and their verifiers
# walk no more than 10 % more instructions than tests/core/verified-instructions.tsv has. After a change that is worth
# it: tests/core/kernels.sh --update
#
# A kernel takes about 200 s of processor time. A VM has as long as the test has: one that was ended sooner, because others
# used the machine, lacked half of its results.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1
table=tests/core/verified-instructions.tsv
verified=build/tests/tools/verified
cachestat=$(command -v cachestat cachestat-libbpf | head -n 1) # Debian 12's name, and that of 13

run_vm() { # run_vm KERNEL: $T/KERNEL, its tests' output; $T/KERNEL.out/verified; and in $T/KERNEL.status how it ended
	tests/vm/run "$1" --timeout 450 --disk 128 --disk 400 --out "$T/$1.out" \
		--tool bash --tool fio --tool dmsetup --tool losetup --tool awk --tool jq --tool mdadm --tool mkfs.ext4 \
		--tool mkfs.xfs --tool blockdev --tool "${cachestat##*/}" --module xfs --add build/tests/tools/filecache \
		--add tests/pcache/pcache.sh --add tests/pcache/pcache.guest.sh \
		--add build/nestord --add build/nestorctl --add build/tests/tools/directio --add $verified --add build/bpf \
		--add build/tests/tools/churn --add tests/harness/lib.sh --add tests/who/who.sh --add tests/blkio/blkio.sh --add tests/blkio/blkio.guest.sh \
		--module loop --module dm_mod --module md_mod --module raid1 --module ext4 --module sd_mod --module mq-deadline \
		--module "null_blk:nr_devices=1 gb=1 irqmode=2 completion_nsec=4000000 submit_queues=1" \
		--module "scsi_debug:dev_size_mb=8 max_queue=1 delay=1" \
		-- bash -c "$verified build/bpf/*/*.bpf.o > /out/verified; bad=\$?
			export PCACHE_DISK=/dev/vdb
			for t in tests/blkio/blkio.sh tests/blkio/blkio.guest.sh tests/who/who.sh tests/pcache/pcache.sh tests/pcache/pcache.guest.sh; do CHURN_SECONDS=5 \$t || bad=1; done; exit \$bad" > "$T/$1" 2>&1
	echo $? > "$T/$1.status"
}

run_net() { # run_net KERNEL: the same for the room net, in $T/net-KERNEL and $T/net-KERNEL.status
	tests/vm/run "$1" --timeout 450 --tool bash --tool awk --tool jq --tool ip --tool tc --tool sysctl \
		--add build/nestord --add build/nestorctl --add build/tests/tools/netio \
		--add tests/harness/lib.sh --add tests/net/net.sh --add tests/net/net.guest.sh \
		--module veth --module tun --module macvtap --module sch_tbf --module sch_ingress --module cls_bpf \
		-- bash -c "tests/net/net.sh; bad=\$?; tests/net/net.guest.sh && exit \$bad" > "$T/net-$1" 2>&1
	echo $? > "$T/net-$1.status"
}

check_verified() { # check_verified KERNEL FILE: lines "program instructions"
	local program insns was
	# Those with a "?" are for some kernels: for which, the table says.
	within "$1: all programs load" "$(cat bpf/*/*.bpf.c | grep -c '^SEC("[^.?]')" "$(grep -c . "$2")" \
		"$(cat bpf/*/*.bpf.c | grep -c '^SEC("[^.]')"
	[ "$1" = running ] ||
		is "$1: the same as ever" "$(awk -v k="$1" '$1 == k { print $2 }' $table | sort)" "$(cut -d ' ' -f 1 "$2" | sort)"
	while read -r program insns; do
		if [ "$1" = running ]; then # a kernel of any version: far below the limit of a million will do
			within "running: $program: $insns instructions" 1 "$insns" 250000
			continue
		fi
		was=$(awk -v k="$1" -v p="$program" '$1 == k && $2 == p { print $3 }' $table)
		within "$1: $program: $insns instructions, $was in the table" 1 "$insns" $((${was:-0} * 110 / 100))
	done < "$2"
}

mkdir "$T/running.out"
$verified build/bpf/*/*.bpf.o > "$T/running.out/verified"
for kernel in ${KERNELS:-6.1 6.12 sid}; do
	for job in run_vm run_net; do
		[ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n # two at a time
		$job "$kernel" &
	done
done
wait
if [ "${1:-}" = --update ]; then
	for kernel in 6.1 6.12 sid; do sed "s/^/$kernel\t/; s/ /\t/" "$T/$kernel.out/verified"; done | sort > $table
	exit
fi
for kernel in ${KERNELS:-6.1 6.12 sid} running; do
	check_verified "$kernel" "$T/$kernel.out/verified"
	[ "$kernel" != running ] || continue
	for vm in $kernel net-$kernel; do
		subtests "$vm" cat "$T/$vm"
		is "$vm: the VM ended well, without a warning of its kernel" 0 "$(cat "$T/$vm.status")"
	done
done
done_testing

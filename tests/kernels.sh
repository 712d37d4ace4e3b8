#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 240
# blkio on Debian's kernels 6.1, 6.12 and sid's, in VMs: it loads, attaches and counts truly, and their verifiers
# walk no more than 10 % more instructions than tests/verified-instructions.tsv has. After a change that is worth
# it: tests/kernels.sh --update
. "$(dirname "$0")/lib.sh"
cd "$ROOT" || exit 1
table=tests/verified-instructions.tsv
verified=build/tests/tools/verified

run_vm() { # run_vm KERNEL: its tests' output, $T/KERNEL.out/verified, and in $T/KERNEL.status how it ended
	tests/vm/run "$1" --timeout 200 --disk 128 --out "$T/$1.out" \
		--tool bash --tool fio --tool dmsetup --tool losetup --tool awk --tool jq --tool mdadm --tool mkfs.ext4 \
		--add build/nestord --add build/nestorctl --add build/tests/tools/directio --add $verified --add build/bpf \
		--add tests/lib.sh --add tests/blkio.sh --add tests/vm/blkio.sh \
		--module loop --module dm_mod --module md_mod --module raid1 --module ext4 --module sd_mod \
		--module "null_blk:nr_devices=1 gb=1 irqmode=2 completion_nsec=4000000 submit_queues=1" \
		--module "scsi_debug:dev_size_mb=8 max_queue=1 delay=1" \
		-- bash -c "$verified build/bpf/*.bpf.o > /out/verified && tests/blkio.sh; bad=\$?; tests/vm/blkio.sh && exit \$bad"
	echo $? > "$T/$1.status"
}

check_verified() { # check_verified KERNEL FILE: lines "program instructions"
	local program insns was
	is "$1: all programs load" "$(grep -c 'SEC("tp_btf' bpf/*.bpf.c)" "$(grep -c . "$2")"
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
$verified build/bpf/*.bpf.o > "$T/running.out/verified"
for kernel in 6.1 6.12 sid; do
	run_vm $kernel > "$T/$kernel" 2>&1 &
	[ $kernel = 6.1 ] || wait # two at a time
done
wait
if [ "${1:-}" = --update ]; then
	for kernel in 6.1 6.12 sid; do sed "s/^/$kernel\t/; s/ /\t/" "$T/$kernel.out/verified"; done | sort > $table
	exit
fi
for kernel in 6.1 6.12 sid running; do
	check_verified $kernel "$T/$kernel.out/verified"
	[ $kernel != running ] || continue
	subtests $kernel cat "$T/$kernel"
	is "$kernel: the VM ended well, without a warning of its kernel" 0 "$(cat "$T/$kernel.status")"
done
done_testing

# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# All rooms on one of Debian's kernels: kernel-6.1.sh and others source this, with the kernel's name. In one VM: programs
# load and attach, rooms count truly, and the kernel's verifier walks no more than 10 % more instructions than
# tests/core/verified-instructions.tsv has. After a change that is worth it: tests/core/kernel-6.1.sh --update
. "$(dirname "${BASH_SOURCE[0]}")/../harness/lib.sh"
cd "$ROOT" || exit 1
kernel=$1
table=tests/core/verified-instructions.tsv
verified=build/tests/tools/verified
cachestat=$(command -v cachestat cachestat-libbpf | head -n 1) # Debian 12's name, and that of 13
run_in_vm=(tests/net/net.sh tests/net/net.guest.sh tests/blkio/blkio.sh tests/blkio/blkio.guest.sh tests/who/who.sh
	tests/pcache/pcache.sh tests/pcache/pcache.guest.sh)

run_vm() { # the tests' output; $T/vm/verified; and in $T/status how it ended
	local one
	local -a add=()
	for one in "${run_in_vm[@]}" tests/harness/lib.sh build/nestord build/nestorctl build/bpf $verified \
		build/tests/tools/{netio,directio,churn,filecache}; do add+=(--add "$one"); done
	for one in bash awk jq ip tc sysctl fio dmsetup losetup mdadm mkfs.ext4 mkfs.xfs blockdev "${cachestat##*/}"; do add+=(--tool "$one"); done
	for one in veth tun macvtap sch_tbf sch_ingress cls_bpf loop dm_mod md_mod raid1 ext4 xfs sd_mod mq-deadline \
		"null_blk:nr_devices=1 gb=1 irqmode=2 completion_nsec=4000000 submit_queues=1" \
		"scsi_debug:dev_size_mb=8 max_queue=1 delay=1"; do add+=(--module "$one"); done
	# shellcheck disable=SC2016 # for the guest's shell
	tests/vm/run "$kernel" --timeout 1200 --disk 128 --disk 400 --out "$T/vm" "${add[@]}" -- bash -c '
		"$1" build/bpf/*/*.bpf.o > /out/verified || bad=1
		for test in "${@:2}"; do CHURN_BIRTHS=300 PCACHE_DISK=/dev/vdb $test || bad=1; done
		exit ${bad:-0}' bash $verified "${run_in_vm[@]}"
	echo $? > "$T/status"
}

check_verified() { # lines "program instructions"
	local program insns was
	# Those with a "?" are for some kernels: for which, the table says.
	within "$kernel: all BPF programs load" "$(cat bpf/*/*.bpf.c | grep -c '^SEC("[^.?]')" "$(grep -c . "$T/vm/verified")" \
		"$(cat bpf/*/*.bpf.c | grep -c '^SEC("[^.]')"
	is "$kernel: the table names the BPF programs that load" "$(awk -v k="$kernel" '$1 == k { print $2 }' $table | sort)" \
		"$(cut -d ' ' -f 1 "$T/vm/verified" | sort)"
	while read -r program insns; do
		was=$(awk -v k="$kernel" -v p="$program" '$1 == k && $2 == p { print $3 }' $table)
		within "$kernel: $program: the verifier walks $insns instructions, $was in the table" 1 "$insns" $((${was:-0} * 110 / 100))
	done < "$T/vm/verified"
}

update() { # puts what was counted into the table
	{ awk -v k="$kernel" '$1 != k' $table; sed "s/^/$kernel\t/; s/ /\t/" "$T/vm/verified"; } | sort > "$T/table"
	cp "$T/table" $table
}

subtests "$kernel" run_vm
is "$kernel: the VM ends with status 0 and no kernel warning" 0 "$(cat "$T/status")"
if [ "${2:-}" = --update ]; then update; else check_verified; fi
done_testing

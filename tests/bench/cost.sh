#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What BPF programs cost, by the kernel's own statistics: those of blkio per direct 4 KiB read from a loop device, and
# those of pcache per 4 KiB read from the page cache; beside libbpf-tools' biolatency and cachestat and one-liners of
# bpftrace. And programs that do nothing, which is what the statistics cost themselves: it is in all figures, and the last
# column is without it. Each runs alone, in the order A B … B A, so that a drift of the machine hits all alike.
#	cost.sh [ROUNDS]   on the running kernel
#	cost.sh --vm       on Debian's 6.12 in a VM, whose processor is emulated: compare its figures with each other alone
. "$(dirname "$0")/lib.sh"
biolatency=$(command -v biolatency biolatency-libbpf | head -n 1) # Debian 12's names, and those of 13
cachestat=$(command -v cachestat cachestat-libbpf | head -n 1)

if [ "${1:-}" = --vm ]; then
	tests/vm/run 6.12 --timeout 900 --mem 2048 --disk 256 --module ext4 --tool mkfs.ext4 --out "$T/out" \
		--tool bash --tool awk --tool jq --tool join --tool bpftool --tool losetup \
		--tool "${biolatency##*/}" --tool "${cachestat##*/}" --tool bpftrace --tool ps --module loop \
		--add build/nestord --add build/nestorctl --add build/tests/tools/directio --add build/tests/tools/emptyprogs \
		--add build/tests/tools/filecache --add tests/harness/lib.sh --add tests/bench/lib.sh --add tests/bench/cost.sh \
		-- bash -c 'mkfs.ext4 -q /dev/vda && mkdir -p tests/bench/results /disk && mount -t ext4 /dev/vda /disk &&
			TMPDIR=/disk tests/bench/cost.sh 5 && cp tests/bench/results/* /out'
	status=$?
	cp "$T"/out/cost-* tests/bench/results/
	exit $status
fi
rounds=${1:-5} ios=4000

rooms() { printf 'blkio: {mode: %s}\npcache: {mode: %s}\nnet: {mode: off}\n' "$1" "$2" > "$T/policy.yaml"; }

# How each is started, in the background or not; pid is whom to stop.
start_nothing() { background build/tests/tools/emptyprogs block_rq_issue block_rq_complete block_bio_queue; }
start_blkio() { rooms monitor off && agent_start --policy "$T/policy.yaml"; }
start_biolatency() { background "$biolatency" 1000; }
start_bpftrace-io() {
	background bpftrace -e 'tracepoint:block:block_rq_issue { @start[args->dev, args->sector] = nsecs; }
		tracepoint:block:block_rq_complete /@start[args->dev, args->sector]/ {
			@us = hist((nsecs - @start[args->dev, args->sector]) / 1000); delete(@start[args->dev, args->sector]); }'
}
start_pcache() { rooms off monitor && agent_start --policy "$T/policy.yaml"; }
start_cachestat() { background "$cachestat" 1000; }
start_bpftrace-cache() {
	background bpftrace -e 'kprobe:folio_mark_accessed { @hits = count(); } kprobe:filemap_add_folio { @misses = count(); }'
}

background() {
	"$@" > "$T/log" 2>&1 &
	pid=$!
}
stop() {
	agent_kill
	[ -z "$pid" ] || kill -KILL "$pid" && wait "$pid"
	pid=''
} 2> /dev/null

# Its programs: others on this machine may come and go meanwhile.
ids() { cat "/proc/${pid:-$agent_pid}"/fdinfo/* 2> /dev/null | awk '$1 == "prog_id:" { print $2 }' | sort -u; }
# It attaches one after the other: wait until no more come.
settled() {
	local was=$seen
	seen=$(ids)
	[ -n "$seen" ] && [ "$was" = "$seen" ]
}
# bpftrace loads all before it attaches the first; each of our one-liners has two probes.
attached() { [ "$(bpftool perf show -j | jq "map(select(.pid == $pid)) | length")" = 2 ]; }
settled_or_dead() { settled || ! kill -0 "${pid:-$agent_pid}" 2> /dev/null; }
stats() {
	bpftool prog show -j | jq -r --argjson ids "[$(paste -sd, <<< "$seen")]" \
		'.[] | select(.id as $i | $ids | index($i)) | "\(.id) \(.name) \(.run_time_ns // 0) \(.run_cnt // 0)"'
}

io() { build/tests/tools/directio read "$loop" $ios; }
cached() { echo "read $T/file 4096" | build/tests/tools/filecache > /dev/null; }

# measure SUBJECT WORKLOAD EVENTS: appends to $T/SUBJECT: ns per event, runs per event; and each program's
measure() {
	local subject=$1 workload=$2 events=$3
	[ ! -e "$T/$subject.absent" ] || return
	seen=''
	"start_$subject"
	until_ok 120 settled_or_dead
	[[ $subject != bpftrace* ]] || { until_ok 60 attached && seen=$(ids); }
	if [ -z "$seen" ]; then
		touch "$T/$subject.absent"
		stop
		return
	fi
	$workload
	stats > "$T/stats0"
	$workload
	stats > "$T/stats1"
	stop
	join <(sort "$T/stats0") <(sort "$T/stats1") | awk -v n="$events" -v s="$subject" -v programs="$T/programs" '
		{ ns = $6 - $3; runs = $7 - $4; t += ns; r += runs; if (runs > n / 100) print s, $2, ns / runs, runs / n >> programs }
		END { print t / n, r / n }' >> "$T/$subject"
}

report() { # report SUBJECT UNIT
	local floor
	if [ -e "$T/$1.absent" ]; then
		printf '%-16s does not run on this kernel\n' "$1"
		return
	fi
	floor=$(awk '{ t += $1; r += $2 } END { print t / r }' "$T/nothing")
	printf '%-16s %16s ns per %s in %.1f runs; without the statistics %s\n' "$1" "$(cut -d ' ' -f 1 "$T/$1" | mean_ci)" \
		"$2" "$(awk '{ r += $2 } END { print r / NR }' "$T/$1")" "$(awk -v f="$floor" '{ print $1 - f * $2 }' "$T/$1" | mean_ci)"
}

new_loop
dd if=/dev/zero of="$T/file" bs=1M count=16 status=none
old=$(cat /proc/sys/kernel/bpf_stats_enabled)
defer sh -c "echo $old > /proc/sys/kernel/bpf_stats_enabled"
echo 1 > /proc/sys/kernel/bpf_stats_enabled
pid='' seen=''
defer stop
on_disk=(nothing blkio biolatency bpftrace-io) in_cache=(pcache cachestat bpftrace-cache)
for _ in $(seq "$rounds"); do
	for i in 0 1 2 3 3 2 1 0; do measure "${on_disk[i]}" io $ios; done
	for i in 0 1 2 2 1 0; do measure "${in_cache[i]}" cached 4096; done
done
{
	echo "cost: CPU time of BPF programs, $((2 * rounds)) times each; mean and 95 % confidence interval"
	circumstances
	for subject in "${on_disk[@]}"; do report "$subject" "I/O"; done
	for subject in "${in_cache[@]}"; do report "$subject" "cached read"; done
	echo "per run of each program, and runs per event:"
	sort -k 1,2 "$T/programs" | awk '{ k = $1 " " $2; t[k] += $3; r[k] += $4; n[k]++ }
		END { for (k in n) printf "  %-40s %5.0f ns %6.2f\n", k, t[k] / n[k], r[k] / n[k] }' | sort
} | store cost

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM (cgroup v2 with all controllers, virtio disk /dev/vda): what tests/blkio/blkio.sh cannot show on the
# machine that runs the tests. tests/core/kernel.sh boots the VMs.
. "$(dirname "$0")/../harness/lib.sh"

CG=/sys/fs/cgroup
io=$ROOT/build/tests/tools/directio

slot() { # slot NANOSECONDS: number of the bucket with the smallest bound that holds it
	awk -v ns="$1" 'BEGIN { us = 1; for (i = 0; us * 1000 < ns; i++) us *= 2; print i }'
}

quantile_slot() { # quantile_slot Q LABELS: bucket that our histogram has the quantile in
	metrics | awk -v q="$1" -v want="$2" '
		index($0, "nestor_blkio_latency_seconds_bucket{" want) == 1 { n[++i] = $NF }
		END { for (j = 1; j <= i; j++) if (n[j] >= q * n[i]) { print j - 1; exit } }'
}

in_container() { # in_container NAME COMMAND…
	local name=$1
	shift
	mkdir -p "$CG/nestor-$name"
	(
		echo $BASHPID > "$CG/nestor-$name/cgroup.procs"
		exec "$@"
	)
}

reads() { # reads DEVICE COUNT [FIO OPTIONS]
	local device=$1 count=$2
	shift 2
	fio --name=r --filename="$device" --rw=randread --bs=4k --direct=1 --ioengine=psync --number_ios="$count" \
		--size=16m --norandommap --output-format=json "$@" 2> /dev/null
}

ios() { metric "nestor_blkio_ios_total{$1}"; }

agent_start
mkfs.ext4 -q -O ^has_journal /dev/vda
mkdir "$T/mnt"

# ---- percentiles: not below the 4 ms that the device takes, nor above fio's own, which include more
null=/dev/nullb0
reads $null 400 > "$T/fio.json"
for q in 50 99; do
	fio_slot=$(slot "$(jq ".jobs[0].read.clat_ns.percentile[\"$q.000000\"]" "$T/fio.json")")
	ours=$(quantile_slot 0.$q 'device="nullb0",op="read",stage="total",')
	within "blkio: p$q is between the device's time and fio's (bucket $fio_slot)" "$(slot 4000000)" "$ours" $((fio_slot + 1))
done
is "blkio: 400 reads of fio are counted as 400" 400 "$(ios 'device="nullb0",op="read"')"

# ---- two containers at once, with and without the io controller
for controller in +io -io; do
	echo $controller > $CG/cgroup.subtree_control
	in_container a$controller "$io" read $null 101 &
	in_container b$controller "$io" write $null 211 8192
	wait $!
	is "blkio, $controller: of two containers at once 101 reads are the reader's" 101 "$(ios "op=\"read\",container=\"/nestor-a$controller\"")"
	is "blkio, $controller: of two containers at once no read is the writer's" "" "$(ios "device=\"nullb0\",op=\"read\",container=\"/nestor-b$controller\"")"
	is "blkio, $controller: of two containers at once 211 writes are the writer's" 211 "$(ios "device=\"nullb0\",op=\"write\",container=\"/nestor-b$controller\"")"
	is "blkio, $controller: of two containers at once the bytes of 211 writes are the writer's" $((211 * 8192)) \
		"$(metric "nestor_blkio_bytes_total{device=\"nullb0\",op=\"write\",container=\"/nestor-b$controller\"}")"
	is "blkio, $controller: of two containers at once 211 writes are in the writer's histogram" 211 \
		"$(metric "nestor_blkio_latency_seconds_count{vm=\"\",container=\"/nestor-b$controller\",op=\"write\"}")"
done

# ---- buffered writes belong to who wrote, not to who writes back
source_count() { metric "nestor_blkio_owner_total{source=\"$1\"}"; }
mount -t ext4 /dev/vda "$T/mnt"
defer umount "$T/mnt"
for controller in +io -io; do
	echo $controller > $CG/cgroup.subtree_control
	blkcg=$(source_count blkcg) folio=$(source_count folio)
	in_container w$controller dd if=/dev/zero of="$T/mnt/w$controller" bs=64k count=128 status=none
	sync
	within "blkio, $controller: 8 MiB of writeback are charged to the writer" $((8 << 20)) \
		"$(metric "nestor_blkio_bytes_total{device=\"vda\",op=\"write\",container=\"/nestor-w$controller\"}")" $((9 << 20))
	if [ $controller = +io ]; then
		ok "blkio, $controller: the owner of writeback is found by blkcg" [ "$(source_count blkcg)" -gt "$blkcg" ]
	else
		ok "blkio, $controller: the owner of writeback is found by the first folio" [ "$(source_count folio)" -gt "$folio" ]
	fi
done
echo +io > $CG/cgroup.subtree_control

# ---- md: counts at its own layer and at each disk below
new_half() { # new_half NUMBER: prints a loop device
	truncate -s 24M "$T/md$1"
	losetup --find --show "$T/md$1"
}
half0=$(new_half 0)
half1=$(new_half 1)
defer losetup -d "$half0" "$half1"
mdadm --build /dev/md0 --level=1 --raid-devices=2 --assume-clean "$half0" "$half1" > /dev/null 2>&1
defer mdadm --stop /dev/md0
"$io" write /dev/md0 41
is "blkio: 41 writes to an md device are counted at its own layer" 41 "$(ios 'device="md0",op="write"')"
is "blkio: 41 writes to an md device are counted at each disk below" "41 41" \
	"$(ios "device=\"${half0#/dev/}\",op=\"write\"") $(ios "device=\"${half1#/dev/}\",op=\"write\"")"

# ---- merges: requests and bytes as the kernel's own statistics have them
kernel_reads() { awk '{ print $1, $3 * 512 }' /sys/block/vda/stat; }
our_reads() { echo "$(ios 'device="vda",op="read"')" "$(metric 'nestor_blkio_bytes_total{device="vda",op="read"}')"; }
umount "$T/mnt"
read -r ios0 bytes0 < <(our_reads)
read -r kernel_ios0 kernel_bytes0 < <(kernel_reads)
dd if=/dev/vda of=/dev/null bs=1M count=16 status=none
read -r ios1 bytes1 < <(our_reads)
read -r kernel_ios1 kernel_bytes1 < <(kernel_reads)
is "blkio: buffered sequential reads are as many requests as the kernel counts" $((kernel_ios1 - kernel_ios0)) $((ios1 - ios0))
is "blkio: buffered sequential reads are as many bytes as the kernel counts" $((kernel_bytes1 - kernel_bytes0)) $((bytes1 - bytes0))

# ---- a SCSI disk that refuses to queue more than one command (requeues), then one that is pulled out
sd=''
for path in /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/*; do sd=${path##*/}; done
depth32() { # depth32 FIO OPTION…
	fio --name=q --filename="/dev/$sd" --rw=randread --bs=4k --direct=1 --ioengine=libaio --iodepth=32 --size=7m \
		--norandommap "$@" > /dev/null 2>&1
}
before=$(ios "device=\"$sd\",op=\"read\"")
scheduler() { echo "$1" > "/sys/block/$sd/queue/scheduler"; }
scheduler none # it would join neighbours
depth32 --number_ios=300
is "blkio: a requeued read counts once" 300 $(($(ios "device=\"$sd\",op=\"read\"") - ${before:-0}))

# Neighbours in any order, while the disk is busy: the kernel joins what it has queued, and a request that was joined
# with an older one begins when that began.
merged() { awk '{ print $2 }' "/sys/block/$sd/stat"; }
lost_completions() { metric 'nestor_events_lost_total{room="blkio",reason="completion"}'; }
scheduler mq-deadline
echo 64 > "/sys/block/$sd/queue/nr_requests"
before_lost=$(lost_completions) before_merged=$(merged)
fio --name=m --filename="/dev/$sd" --rw=randread --bs=4k --direct=1 --ioengine=libaio --iodepth=64 --size=512k \
	--loops=10 > /dev/null 2>&1
ok "blkio: the kernel merges at least 100 reads: $(($(merged) - before_merged))" [ $(($(merged) - before_merged)) -ge 100 ]
is "blkio: no merged read counts as lost" "$before_lost" "$(lost_completions)"
scheduler none

depth32 --time_based --runtime=60 &
has_more() { [ "$(ios "device=\"$sd\",op=\"read\"")" -gt $((${before:-0} + 400)) ]; }
ok "blkio: reads are in flight when a disk is pulled out" until_ok 10 has_more
echo 1 > "/sys/block/$sd/device/delete"
wait $!
in_flight() { metric 'nestor_bpf_map_entries{map="blkio_inflight"}'; }
nothing_in_flight() { [ "$(in_flight)" = 0 ]; }
ok "blkio: a disk that is pulled out leaves nothing in flight" until_ok 5 nothing_in_flight

# ---- a container that dies and comes back goes on in its series; one that stays away ends in ~other
rmdir $CG/nestor-a+io $CG/nestor-b+io
in_container a+io "$io" read $null 13
is "blkio: a container started again continues its series" 114 "$(ios 'op="read",container="/nestor-a+io"')"
printf 'agent: {linger: 0}\n' > "$T/policy.yaml"
agent_stop
agent_start --policy "$T/policy.yaml"
is "blkio: an agent's restart keeps the series of a stopped container's name" 114 "$(ios 'op="read",container="/nestor-a+io"')"
is "blkio: a removed container's counts are in ~other after an agent's restart" 211 "$(ios 'device="nullb0",op="write",container="~other"')"
is "blkio: a removed container has no series after an agent's restart" "" "$(ios 'container="/nestor-b+io"')"
is "blkio: no event is lost in the VM" 0 "$(metric 'nestor_events_lost_total{room="blkio"}')"

# ---- more containers than max_containers
printf 'agent: {linger: 0, max_containers: 3}\n' > "$T/policy.yaml"
three_containers() { [ "$(ctl policy show --json | jq .agent.max_containers)" = 3 ]; }
ok "blkio: a policy with max_containers 3 is in force" until_ok 5 three_containers
ctl reset > /dev/null
for i in 1 2 3 4 5 6 7; do
	in_container many$i "$io" read $null 5
done
series=$(metrics | grep -c 'nestor_blkio_ios_total{device="nullb0",op="read",vm="",container="/nestor-many')
within "blkio: with max_containers 3 at most 3 containers have series" 1 "$series" 3
is "blkio: with max_containers 3 the remaining counts are in ~other" 35 "$(ios 'device="nullb0",op="read"')"
done_testing

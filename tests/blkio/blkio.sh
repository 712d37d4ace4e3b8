#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 20, lane: machine
# blkio on the running kernel: exact counts on a loop device, dm above it, two containers, errors, removal.
. "$(dirname "$0")/../harness/lib.sh"

new_loop() { # new_loop MIB: prints /dev/loopN of a file of its own
	local file
	file=$(mktemp "$T/disk.XXXXXX")
	truncate -s "$1M" "$file"
	losetup --find --show --direct-io=on "$file" 2> /dev/null || losetup --find --show "$file"
}

io() { "$ROOT/build/tests/tools/directio" "$@"; } # io read|write DEVICE COUNT

count() { metric "nestor_blkio_ios_total{device=\"$1\",op=\"$2\"}"; }
bytes() { metric "nestor_blkio_bytes_total{device=\"$1\",op=\"$2\"}"; }

loop=$(new_loop 32)
defer losetup -d "$loop"
name=${loop#/dev/}
agent_start

# 23 and 31: primes, so that a wrong factor shows
io read "$loop" 23
io write "$loop" 31
is "blkio: 23 reads are counted" 23 "$(count "$name" read)"
is "blkio: 23 reads of 4 KiB are counted in bytes" $((23 * 4096)) "$(bytes "$name" read)"
is "blkio: 31 writes are counted" 31 "$(count "$name" write)"
is "blkio: 31 writes of 4 KiB are counted in bytes" $((31 * 4096)) "$(bytes "$name" write)"
is "blkio: 23 reads are in the histogram of stage total" 23 \
	"$(metric "nestor_blkio_latency_seconds_count{device=\"$name\",op=\"read\",stage=\"total\"}")"
for stage in queue device; do
	is "blkio: 23 reads are in the histogram of stage $stage" 23 \
		"$(metric "nestor_blkio_latency_seconds_count{device=\"$name\",op=\"read\",stage=\"$stage\"}")"
done
is "blkio: 23 reads are in the histogram's last bucket" 23 \
	"$(metric "nestor_blkio_latency_seconds_bucket{device=\"$name\",op=\"read\",stage=\"total\",le=\"+Inf\"}")"
is "blkio: successful reads count no errors" 0 "$(metric "nestor_blkio_errors_total{device=\"$name\"}")"

check_flush() { # check_flush DEVICE NAME: writes there, and flushes
	local flushes
	dd if=/dev/zero of="$1" bs=4k count=3 conv=fsync status=none
	flushes=$(count "$2" flush)
	within "blkio: $2: a flush is counted" 1 "$flushes" 10
	is "blkio: $2: a flush has no owner" "$flushes" "$(metric "nestor_blkio_ios_total{device=\"$2\",op=\"flush\",container=\"\"}")"
}
check_flush "$loop" "$name"

# device-mapper above the loop device: once per layer, and once for the container
if dmsetup create nestor-test-$ID --table "0 $((32 * 2048)) linear $loop 0" 2> /dev/null; then
	defer dmsetup remove nestor-test-$ID
	dm=dm-$(dmsetup info -c --noheadings -o minor nestor-test-$ID) # no udev makes names in a VM
	before=$(count "$name" read)
	all_before=$(metric 'nestor_blkio_latency_seconds_count{vm="",op="read"}')
	vda_before=$(metric "nestor_blkio_ios_total{op=\"read\"}")
	io read "/dev/$dm" 37
	is "blkio: 37 reads of a dm device are counted at its own layer" 37 "$(count "$dm" read)"
	is "blkio: 37 reads of a dm device are counted at the disk below" 37 $(($(count "$name" read) - before))
	is "blkio: a dm device has a device stage" 37 "$(metric "nestor_blkio_latency_seconds_count{device=\"$dm\",op=\"read\",stage=\"device\"}")"
	is "blkio: a dm device has no queue stage" "" "$(metric "nestor_blkio_latency_seconds_count{device=\"$dm\",stage=\"queue\"}")"
	layers=$(($(metric 'nestor_blkio_ios_total{op="read"}') - vda_before))
	containers=$(($(metric 'nestor_blkio_latency_seconds_count{vm="",op="read"}') - all_before))
	is "blkio: containers' histograms count the top layer of a dm device alone" 37 $((layers - containers))

	check_flush "/dev/$dm" "$dm" # a bio, which has a submitter; a disk's own flush request has none

	dmsetup suspend nestor-test-$ID
	dmsetup load nestor-test-$ID --table "0 $((32 * 2048)) error"
	dmsetup resume nestor-test-$ID
	io read "/dev/$dm" 1 2> /dev/null
	ok "blkio: a failed read of a dm device is an error" [ "$(metric "nestor_blkio_errors_total{device=\"$dm\",op=\"read\"}")" -ge 1 ]
	dmsetup remove nestor-test-$ID
	is "blkio: counts of a removed dm device stay" 37 \
		$(($(count "$dm" read) - $(metric "nestor_blkio_errors_total{device=\"$dm\",op=\"read\"}")))
else
	skip "blkio: reads of a dm device are counted at each layer" "this kernel has none; the VMs show it"
fi

# a device that goes away under load leaves nothing in flight
gone=$(new_loop 32)
io read "$gone" 100
losetup -d "$gone"
nothing_in_flight() { [ "$(metric 'nestor_bpf_map_entries{map="blkio_inflight"}')" = 0 ]; }
ok "blkio: a device removed under load leaves nothing in flight" until_ok 5 nothing_in_flight
# Whatever this machine does besides: the kernel may leave out programs, seldom; nothing is lost by us.
lost() { metric "nestor_events_lost_total{room=\"blkio\"$1}"; }
is "blkio: no event is lost for lack of map entries" 0 $(($(lost '') - $(lost ',reason="completion"') - $(lost ',reason="owner"')))

# kernel memory on a machine of 128 CPUs: per-CPU maps grow with the CPUs, the others do not
cpus=$(awk -F- '{ print $NF + 1 }' /sys/devices/system/cpu/possible)
memory=0
for fdinfo in /proc/"$agent_pid"/fdinfo/*; do
	one=$(awk -v cpus="$cpus" '/^map_type/ { t = $2 } /^memlock/ { m = $2 }
		END { printf "%d", (t == 5 || t == 6) ? m * 128 / cpus : m }' "$fdinfo" 2> /dev/null)
	memory=$((memory + ${one:-0})) # a descriptor may be gone by now
done
within "blkio: kernel memory of all maps on 128 CPUs is at most 64 MiB" 1 $memory $((64 << 20))
echo "# $((memory >> 10)) KiB"
done_testing

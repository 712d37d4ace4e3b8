#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# How near to its limit what a container sends is, for rates of 1 Mbit/s to 10 Gbit/s, as far as an emulated machine with
# two processors goes. Stores one file per day and kernel in tests/bench/results/.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1
kernel=${1:-6.12}

result=tests/bench/results/net-$(date +%F)-$kernel.txt
{
	echo "net: what a container sends, limited; best of three times 4 s each, bits of Ethernet frames"
	echo "far below the limit: that is what the emulated machine can do"
	echo "date: $(date +%F)  kernel: Debian $kernel, emulated (QEMU), 2 CPUs"
	echo "processor: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) CPUs"
	tests/vm/run "$kernel" --timeout 500 --tool bash --tool ip --tool tc --tool awk --tool bpftool \
		--add build/nestord --add build/nestorctl --add build/tests/tools/flow --add tests/harness/lib.sh --add tests/net/limit.guest.sh \
		--module veth --module sch_fq --module tun \
		-- tests/net/limit.guest.sh 1000000 10000000 100000000 1000000000 10000000000 |
		sed -n 's/^# \(egress\)/\1/p'
} | tee "$result"

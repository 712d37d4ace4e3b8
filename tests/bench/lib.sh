# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What benchmarks share: where their figures go, means with confidence, containers by the hundred.
. "$(dirname "${BASH_SOURCE[0]}")/../harness/lib.sh"
cd "$ROOT" || exit 1

# store NAME: what it is fed goes to the terminal and to one file per benchmark, day and kernel
store() { tee "tests/bench/results/$1-$(date +%F)-$(uname -r).txt"; }

circumstances() { # circumstances [SEED]
	echo "date: $(date +%F)  kernel: $(uname -r)  revision: $(git describe --always --dirty 2> /dev/null || echo unknown)"
	echo "processor: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) CPUs"
	echo "seed: ${1:-none, nothing is random}"
}

# Numbers, one a line: their mean and half of its 95 % confidence interval (Student's t)
mean_ci() {
	awk -v fmt="${1:-%.0f}" 'BEGIN { split("12.71 4.30 3.18 2.78 2.57 2.45 2.36 2.31 2.26 2.23 2.20 2.18 2.16 2.14 2.13 2.12 2.11 2.10 2.09", t, " ") }
		{ s += $1; q += $1 * $1; n++ }
		END { if (n < 2) { print "too few"; exit }
		  m = s / n; v = (q - n * m * m) / (n - 1); df = n - 1
		  printf fmt " +- " fmt "\n", m, (df in t ? t[df] : 2.0) * sqrt(v > 0 ? v / n : 0) }'
}

# The hierarchy that tasks are known by: the memory controller's on a v1 or hybrid host.
CG=/sys/fs/cgroup
[ -e $CG/cgroup.controllers ] || CG=$CG/memory
BASE=nestor-bench-$$

containers_base() {
	mkdir "$CG/$BASE"
	defer rmdir "$CG/$BASE"
	defer find "$CG/$BASE" -mindepth 1 -type d -delete
}

# containers_more FROM TO DEVICE: containers FROM to TO, each of which reads and writes DEVICE once
containers_more() {
	local i
	for i in $(seq "$1" "$2"); do
		mkdir "$CG/$BASE/c$i"
		(
			echo $BASHPID > "$CG/$BASE/c$i/cgroup.procs"
			build/tests/tools/directio write "$3" 1
			exec build/tests/tools/directio read "$3" 1
		)
	done
}

loop=''
new_loop() { # sets loop
	truncate -s 32M "$T/disk"
	loop=$(losetup --find --show "$T/disk")
	defer losetup -d "$loop"
}

agent_pids() { # of the agent and its HTTP process
	echo "$agent_pid $(ps -o pid= --ppid "$agent_pid")"
}

cpu_ns() { # cpu_ns PID…: time on a CPU so far
	local pid sum=0 ns
	for pid; do
		read -r ns _ < "/proc/$pid/schedstat"
		sum=$((sum + ns))
	done
	echo $sum
}

# in_cache_vm NAME SECONDS ARG…: tests/bench/NAME.sh --inside ARG… in a VM with the module, on Debian's 6.12; its figures come here
in_cache_vm() {
	local name=$1 module
	module=$(tests/vm/module 6.12) || return
	tests/vm/run 6.12 --timeout "$2" --out "$T/out" --tool bash --tool awk --tool dmsetup --tool blockdev --tool mkfs.ext4 \
		--module dm-mod --module ext4 --module "null_blk:nr_devices=0" \
		--add "$module:/nestor.ko" --add build/nestord --add build/nestorctl --add build/tests/tools/filecache \
		--add tests/harness/lib.sh --add tests/bench/lib.sh --add "tests/bench/$name.sh" \
		-- bash -c "mkdir -p tests/bench/results; tests/bench/$name.sh --inside ${*:3} && cp tests/bench/results/* /out" &&
		cp "$T/out/$name"-* tests/bench/results/
}

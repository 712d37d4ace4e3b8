#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM with the module: how much it does with interrupts off, counted by ftrace, and what is on the SSD. /dev/vda is the
# cached disk, /dev/vdb the SSD. tests/cache/module.sh boots it. With "unguarded" it ends where guards are shown.
. "$(dirname "$0")/../harness/lib.sh"

CG=/sys/fs/cgroup
MAPPED=/dev/mapper/vda-nestor
TRACE=/sys/kernel/tracing
AT_ONCE=32 # pages
SECRET=nestor-secret
mkdir $CG/one $CG/two "$T/mnt"
defer rmdir $CG/one $CG/two

in_cgroup() { # in_cgroup NAME COMMAND…
	# shellcheck disable=SC2016 # the inner shell expands it
	sh -c 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"' - "$CG/$1" "${@:2}"
}
sum() { metrics | awk -v m="^nestor_cache_$1[{]" '$0 ~ m && /'"${2:-}"'/ { n += $NF } END { print n + 0 }'; }
drop_caches() { echo 1 > /proc/sys/vm/drop_caches; }
trace() { # trace FUNCTION…
	echo nop > $TRACE/current_tracer
	printf '%s\n' "$@" > $TRACE/set_ftrace_filter
	echo function > $TRACE/current_tracer
	echo 1 > $TRACE/tracing_on
}
traced() { # traced: each as CPU, flags and function
	echo 0 > $TRACE/tracing_on
	sed -nE 's/^.* \[([0-9]+)\] ([^ ]+) +[0-9.]+: ([a-z_0-9]+) <-.*/\1 \2 \3/p' $TRACE/trace
	echo nop > $TRACE/current_tracer
}
most() { # most FUNCTION CALLED: how often within one call, with interrupts off or in one; of what traced() said
	awk -v f="$1" -v g="$2" '$3 == f || $3 ~ /^(bpf_cache_put_folio|cache_end_io)$/ { of[$1] = $3; n[$1] = 0 }
		$3 == g && of[$1] == f && $2 ~ /[dhsH]/ && ++n[$1] > most { most = n[$1] } END { print most + 0 }' "$T/traced"
}
calls() { awk -v f="$1" -v flags="$2" '$3 == f && $2 ~ flags { n++ } END { print n + 0 }' "$T/traced"; }

# ---- its init

mount -t tracefs none $TRACE 2> /dev/null || [ -e $TRACE/trace ]
echo 16384 > $TRACE/buffer_size_kb
trace misc_register dm_register_target
insmod /nestor.ko || exit 1
is "cache: the target is published last" "misc_register dm_register_target" "$(traced | awk '{ print $3 }' | xargs)"
ok "cache: reads end in a queue that works without memory" grep -q '^kworker/R-nesto' /proc/[0-9]*/comm

# ---- how much at once

dmsetup create ssd --table "0 $(blockdev --getsz /dev/vdb) linear /dev/vdb 0"
dmsetup mknodes
printf 'agent: {min_age: 0}\nblkio: {mode: off}\npcache: {mode: off}\nnet: {mode: off}\ncache:\n  mode: enforce\n  memory: 64MiB\n  ssd: /dev/mapper/ssd\n  min_free: 32MiB\n  pools:\n    - {container: /one, memory: 100, ssd: 0}\n    - {container: /two, memory: 0, ssd: 100}\n' > "$T/policy.yaml"
agent_start --policy "$T/policy.yaml"
attach() { ctl cache attach /dev/vda > "$T/said" 2>&1 && { [ -e $MAPPED ] || dmsetup mknodes; }; }
detach() { ctl cache detach vda > "$T/said" 2>&1; }
ok "cache: the disk is attached" attach
queue=/sys/block/$(dmsetup info -c --noheadings -o blkdevname vda-nestor)/queue
ok "cache: the disk takes more zeroes at once than the bound" [ "$(cat /sys/block/vda/queue/write_zeroes_max_bytes)" -gt 268435456 ]
is "cache: zeroes are written 256 MiB at a time" 268435456 "$(cat "$queue/write_zeroes_max_bytes")"
is "cache: discards are 256 MiB at a time" 268435456 "$(cat "$queue/discard_max_bytes")"

mkfs.xfs -q -f $MAPPED
mount $MAPPED "$T/mnt"
echo 4096 > "$queue/read_ahead_kb"
dd if=/dev/urandom of="$T/mnt/large" bs=1M count=8 conv=fsync 2> /dev/null
drop_caches
trace bpf_cache_put_folio cache_blocks_put cache_end_io cache_blocks_hash
in_cgroup one dd if="$T/mnt/large" of=/dev/null bs=1M 2> /dev/null
drop_caches
traced > "$T/traced"
echo "# $(calls cache_end_io .) completions, $(calls bpf_cache_put_folio .) evictions, $(calls cache_blocks_put .) pages offered"
echo "# most pages: $(most cache_end_io cache_blocks_hash) hashed in a completion, $(most bpf_cache_put_folio cache_blocks_put) copied in an eviction"
within "cache: a completion hashes at most $AT_ONCE pages with interrupts off" 0 "$(most cache_end_io cache_blocks_hash)" $AT_ONCE
within "cache: an eviction copies at most $AT_ONCE pages with interrupts off" 1 "$(most bpf_cache_put_folio cache_blocks_put)" $AT_ONCE
ok "cache: larger reads are hashed with interrupts on" [ "$(calls cache_blocks_hash '^[^dhsH]+$')" -gt 500 ]
ok "cache: pages of larger folios that are left out are counted" [ "$(sum drops_total large)" -gt 100 ]

# ---- what is on the SSD

written() { awk '{ print $7 }' /sys/block/vdb/stat; } # sectors
bytes_on_ssd() { tr -d '\0' < /dev/vdb | wc -c; }
secrets() { # lines on the SSD that can be read
	blockdev --flushbufs /dev/vdb
	grep -ac $SECRET /dev/vdb
}
is_written() { [ $(($(written) - before)) -ge "$1" ]; }
# Container two reads a file of 4 MiB, which then goes to the SSD.
keep() {
	in_cgroup two md5sum "$T/mnt/secret" | cut -d' ' -f1
	drop_caches
}
keep_until() { # keep_until COMMAND…
	keep > /dev/null
	"$@"
}
comes_back() { # comes_back TEXT: unchanged, and from the SSD
	local hits
	hits=$(sum hits_total ssd)
	is "cache: a file is unchanged that comes from the SSD $1" "$want" "$(keep)"
	ok "cache: pages come from the SSD $1" [ "$(sum hits_total ssd)" -gt "$hits" ]
}

echo 128 > "$queue/read_ahead_kb"
yes "$SECRET 0123456789abcdef0123456789abcdef0123456789abcdef" | head -c 4194304 > "$T/mnt/secret"
sync "$T/mnt/secret"
want=$(md5sum < "$T/mnt/secret" | cut -d' ' -f1)
drop_caches
before=$(written)
ok "cache: pages go to the SSD" until_ok 20 keep_until is_written 4096
ok "cache: the SSD has bytes of them" [ "$(bytes_on_ssd)" -gt 1000000 ]
is "cache: no page on the SSD can be read while the store is open" 0 "$(secrets)"
if [ "${1:-}" = unguarded ]; then
	umount "$T/mnt"
	done_testing
fi
comes_back "while it works"
is "cache: the SSD made no error" 0 "$(sum errors_total ssd)"

# ---- an SSD that fails for a while

swap() { # swap TARGET
	dmsetup reload ssd --table "0 $(blockdev --getsz /dev/vdb) $1" && dmsetup suspend ssd && dmsetup resume ssd
}
fails() { [ "$(sum errors_total ssd)" -ge 24 ]; } # more than there are buffers
swap error
ok "cache: writes to a failing SSD fail" until_ok 60 keep_until fails
swap "linear /dev/vdb 0"
before=$(written)
ok "cache: pages go to the SSD again after it failed" until_ok 60 keep_until is_written 16384
comes_back "after it failed"

umount "$T/mnt"
ok "cache: the disk is detached" detach
agent_stop
ok "cache: the SSD still has bytes after the store is closed" [ "$(bytes_on_ssd)" -gt 1000000 ]
is "cache: no page on the SSD can be read after the store is closed" 0 "$(secrets)"
dmsetup remove ssd
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 40, lane: free
# nestorctl top: known I/O as rates, JSON, arguments, and the terminal, with tmux as one whose screen can be read.
# tests/ctl/top_rows.c has the arithmetic.
# shellcheck source=tests/harness/lib.sh
. "$(dirname "$0")/../harness/lib.sh"

export LC_ALL=C.UTF-8
# shellcheck disable=SC2317 # deferred, and others below that are called by name
disk_off() { losetup -j "$T/disk" | cut -d: -f1 | xargs -r losetup -d; }
truncate -s 32M "$T/disk"
defer disk_off # before it is there: a signal may come in between
loop=$(losetup --find --show "$T/disk")

# Cgroups of our own, where this machine has containers: the v2 hierarchy, or that of the memory controller.
root=/sys/fs/cgroup
[ ! -d $root/memory ] || root=$root/memory
base=nt$$ # short: 80 columns leave 16 for a name
evil=$base$'\e[2J\a\x9b'
# shellcheck disable=SC2317
groups_off() { rmdir "$root/$base" "$root/$base-b" "$root/$evil"; }
defer groups_off
mkdir "$root/$base" "$root/$base-b" "$root/$evil"
inside() { # inside CGROUP COMMAND…
	local group=$1
	shift
	# shellcheck disable=SC2016
	sh -c 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"' - "$root/$group" "$@"
}
io() { inside "$1" "$ROOT/build/tests/tools/directio" "$2" "$loop" "$3" "${4:-4096}"; } # io CGROUP read|write COUNT [SIZE]

agent_start
# A container has rates once it was there at two readings.
for group in "$base" "$base-b" "$evil"; do io "$group" read 1; done
all_there() { [ "$(metrics | grep -c "^nestor_blkio_latency_seconds_count{.*$base.*op=\"read\"} ")" = 3 ]; }
ok "(three containers have done I/O)" until_ok 10 all_there

# ---- rates ----

# The readings are known by what the agent is asked: I/O in between is begun by the first line of a table that repeats.
ours() { metric "nestor_blkio_$1{container=\"/$base\",op=\"$2\"}"; }
buckets() { # of reads and writes together, as top has them
	metrics | sed -n "s/^nestor_blkio_latency_seconds_bucket{.*$base\",op=\"[a-z]*\",le=\"\([^\"]*\)\"} \(.*\)/\1 \2/p" |
		awk '!($1 in n) { le[++nr] = $1 } { n[$1] += $2 } END { for (i = 1; i <= nr; i++) print le[i], n[le[i]] }'
}
buckets > "$T/before"
reads0=$(ours latency_seconds_count read) bytes0=$(ours bytes_total read)
uptime_s() { cut -d ' ' -f 1 /proc/uptime; }
begin=$(uptime_s)
ctl top --interval 1 --count 4 --json --filter "*$base" > "$T/lines" &
reader=$!
lines() { [ "$(wc -l < "$T/lines")" -ge "$1" ]; }
ok "top --json prints a line per interval" until_ok 10 lines 1
io "$base" read 230
io "$base" write 31 16384
wait $reader
is "top --json --count 4 prints 4 lines and exits with 0" "0 4" "$? $(wc -l < "$T/lines")"
passed=$(awk -v a="$begin" -v b="$(uptime_s)" 'BEGIN { print b - a + 0.01 }')
is "top --json prints a JSON array per line" "array array array array" "$(jq -r type "$T/lines" | paste -sd ' ')"
total() { jq -s "[.[][] | select(.container | endswith(\"$base\")) | .$1 * .interval_seconds] | add | . * 1000 | round / 1000" "$T/lines"; }
# The machine may have to read the programs, too.
reads=$(($(ours latency_seconds_count read) - reads0)) bytes=$(($(ours bytes_total read) - bytes0))
within "(the agent counts at least 230 reads)" 230 $reads 1000
is "top: reads per second times the intervals are the agent's reads" $reads "$(total reads_per_second)"
is "top: read bytes per second times the intervals are the agent's bytes" $bytes "$(total read_bytes_per_second)"
is "top: writes per second times the intervals are 31 writes" 31 "$(total writes_per_second)"
is "top: written bytes per second times the intervals are 31 writes of 16 KiB" $((31 * 16384)) "$(total write_bytes_per_second)"
within "top --interval 1: four intervals take four seconds" 3.9 \
	"$(jq -s '[.[][0].interval_seconds] | add' "$T/lines")" "$passed"
is "top has p50 and p99 exactly where there was I/O" "true" "$(jq -s 'all(.[][]; (.p99_seconds == null) == (.reads_per_second + .writes_per_second == 0)
	and (.p99_seconds == null or .p50_seconds <= .p99_seconds))' "$T/lines")"
# By other means: the largest p99 of an interval is not below that of all I/O in them, nor above the slowest I/O.
buckets > "$T/after"
bound() { # bound SHARE: of the I/O between the two readings
	paste -d ' ' "$T/before" "$T/after" | awk -v share="$1" '{ le[NR] = $1; n[NR] = $4 - $2 }
		END { for (i = 1; i < NR; i++) if (n[i] >= share * n[NR]) { print le[i]; exit } }'
}
within "top's p99 is the histogram's" "$(bound 0.99)" "$(jq -s '[.[][].p99_seconds | numbers] | max' "$T/lines")" "$(bound 1)"

# ---- --once ----

once() { ctl top --once --interval 0.2 "$@"; }
once --json --filter "*$base*" > "$T/json"
is "top --once --json prints three containers and exits with 0" "0 3" "$? $(jq length "$T/json")"
is "top --json has 0 for an idle container, not null" true "$(jq '.[0] | .reads_per_second == 0 and .write_bytes_per_second == 0' "$T/json")"
metrics | grep -q 'nestor_room_up{room="net"} 1' ||
	is "top --json has null for a room that is down" "null" "$(jq -r '.[0].rx_bytes_per_second' "$T/json")"
is "top --sort container sorts by name" "$(jq -r '.[].container' "$T/json" | LC_ALL=C sort)" "$(once --json --sort container --filter "*$base*" | jq -r '.[].container')"
once --filter "$base-b" > "$T/table"
like "top --once prints titles" '^VM +CONTAINER +R/s +W/s .*P99 .*HIT% .*MIGR/s$' "$(head -1 "$T/table")"
is "top --filter with part of a name prints one row, as wide as the titles" "2 1" "$(wc -l < "$T/table") $(awk '{ print length }' "$T/table" | uniq | wc -l)"
once --filter "*$base*" > "$T/table"
is "top prints no control byte of a name" "" "$(LC_ALL=C tr -d '\n -~' < "$T/table")"
ctl top --interval 0.1 --count 3 --filter "$base-b" > "$T/table"
is "top without a terminal prints a table per interval" 3 "$(grep -c ^VM "$T/table")"

ctl cache top --once --interval 0.2 --sort hit > "$T/table"
is "cache top exits with 0, without rows where the room is off" "0 1" "$? $(wc -l < "$T/table")"
like "cache top prints its titles" '^VM +CONTAINER +MEM +MEMSHR +SSD +SSDSHR +GET/s +HIT% .*DROP/s$' "$(head -1 "$T/table")"
is "cache top --json prints an empty array where the room is off" "[]" "$(ctl --json cache top --once --interval 0.2)"

# ---- arguments ----

refused() { # refused TEXT PATTERN ARG…: status 2, one line on stderr, nothing on stdout
	local text=$1 pattern=$2
	shift 2
	ctl "$@" > "$T/out" 2> "$T/err" < /dev/null
	is "$text: exits with 2" 2 $?
	like "$text: the error says why" "$pattern" "$(< "$T/err")"
	is "$text: the error is one line" "1 0" "$(wc -l < "$T/err") $(wc -c < "$T/out")"
}
for value in 0 0.09 3601 -1 x 1x nan ''; do refused "top --interval '$value'" "must be seconds, 0.1 to 3600" top --interval "$value"; done
for value in 0 -1 x 1.5 ''; do refused "top --count '$value'" "must be a number" top --count "$value"; done
refused "top --sort with an unknown column" "--sort frob: must be one of reads, .*container" top --sort frob
refused "top with an argument" "no argument" top frob
refused "an option of top with another command" "for top and cache top alone" --once rooms
refused "cache top with an argument" "cache takes" cache top frob
refused "cache top --sort with a column of top" "--sort p99: must be one of memory, .*drops, vm, container$" cache top --sort p99
refused "top --sort with a column of cache top" "--sort memory: must be one of reads, " top --sort memory

# ---- a terminal ----

if ! command -v tmux > /dev/null; then
	skip "top draws containers on a terminal" "tmux is not installed"
	done_testing
fi
tm() { tmux -S "$T/tmux" -f /dev/null "$@"; }
screen() { tm capture-pane -p -t top 2> /dev/null; }
shows() { screen | grep -qE -- "$1"; } # shows PATTERN
hides() { ! shows "$1"; }
keys() { tm send-keys -t top "$@"; }
size() { tm resize-window -t top -x "$1" -y "$2"; }
title() { screen | sed -n 3p | tr -s ' '; }
# shellcheck disable=SC2317
tmux_off() { tm kill-server; }
# top_in ARG…: top, or $table top, in a terminal of 80x24, between two stty of a shell that tells its exit status
top_in() {
	cat > "$T/session" <<-END
		trap : INT
		before=\$(stty -g)
		echo before-top
		"$NESTORCTL" --run-dir "$T/run" ${table:-} top $(printf '%q ' "$@")
		status=\$?
		[ "\$before" = "\$(stty -g)" ] && same=same || same=different
		echo "ended \$status \$same"
		exec cat
	END
	tm kill-server 2> /dev/null
	until_ok 5 tm new-session -d -s top -x 80 -y 24 bash "$T/session" 2> /dev/null
}
defer tmux_off

top_in --interval 0.3 --filter "*$base*"
ok "top draws containers" until_ok 10 shows "$base-b +0 +0"
is "top on 80 columns shows the columns that fit" "CONTAINER R/s W/s RD/s WR/s P99 HIT% RX/s TX/s" "$(title | sed 's/^ //; s/ $//')"
ok "top shows a name's control bytes as ?" shows "$base\??\[2J\?" # as the agent names it, or as top shows what it does not
is "top prints no line wider than the screen" "" "$(screen | awk 'length > 80')"
size 160 24
ok "top on a wider terminal shows more columns" until_ok 5 shows 'P50 .*CACHED .*RXPKT/s .*MIGR/s'
size 40 10
ok "top on a narrow terminal shows fewer columns" until_ok 5 hides 'RX/s'
ok "top on a narrow terminal shows the column that it is sorted by" until_ok 5 shows 'P99'
for at in 1x1 5x2 20x3 1000x1; do size "${at%x*}" "${at#*x}"; done
size 120 24
ok "top survives very small terminals" until_ok 5 shows "$base-b +0 +0"

ok "top is sorted by p99 at first" shows 'sort p99'
keys '>'
ok "top: key > sorts by the next column" until_ok 5 shows 'sort hit'
keys '<' Left
ok "top: keys < and Left sort by the columns before" until_ok 5 shows 'sort p50'
keys r
ok "top: key r reverses the order" until_ok 5 shows 'sort p50 reversed'
keys /
until_ok 5 shows '^filter: _'
keys -l "$base-x"
until_ok 5 shows '^filter: .*-x_'
keys BSpace b Enter
ok "top: key / filters by the text as typed and corrected" until_ok 5 shows "filter $base-b"
ok "top: a filter hides containers that do not match" until_ok 5 hides '2J'
keys / Escape
ok "top: Escape leaves the filter as it was" until_ok 5 shows "filter $base-b"
keys d
until_ok 5 shows '^seconds: _'
keys -l 99999
keys Enter
ok "top: key d refuses an interval out of range" until_ok 5 shows 'must be 0.1 to 3600'
keys d
until_ok 5 shows '^seconds: _'
keys -l 0.5
keys Enter
ok "top: key d sets the interval" until_ok 5 shows 'every 0.5 s'
keys h
ok "top: key h shows help" until_ok 5 shows 'q +quit'
keys x
ok "top: any key closes help" until_ok 5 hides 'q +quit'
keys p
ok "top: key p pauses" until_ok 5 shows '  paused'
keys p
ok "top: key p a second time resumes" until_ok 5 hides '  paused'

agent_kill
ok "top says that the agent does not answer" until_ok 10 shows 'no agent answers at .*trying again'
agent_start
ok "top clears the notice when the agent answers again" until_ok 10 hides 'no agent answers'
ok "top shows the containers again when the agent answers again" until_ok 10 shows "$base-b +0 +0"
keys q
ok "top: key q exits with 0 and restores the terminal's settings" until_ok 5 shows '^ended 0 same'
ok "top: key q restores the screen" shows '^before-top'

# signals: the shell sees 128 and the signal, and the terminal is restored
for pair in INT:130 TERM:143 HUP:129 QUIT:131; do
	top_in --interval 0.3
	until_ok 10 shows 'sort p99'
	pkill "-${pair%:*}" -P "$(tm list-panes -t top -F '#{pane_pid}')" -x nestorctl
	ok "top restores the terminal's settings after SIG${pair%:*}" until_ok 5 shows "^ended ${pair#*:} same"
done
top_in --interval 0.3
until_ok 10 shows 'sort p99'
keys C-c
ok "top restores the terminal's settings after ^C" until_ok 5 shows '^ended 130 same'
top_in --interval 0.1 --count 2
ok "top --count 1 exits with 0 and restores the terminal's settings" until_ok 5 shows '^ended 0 same'

table=cache top_in --interval 0.3
ok "cache top shows the columns that fit" until_ok 10 shows '^CONTAINER +MEM +MEMSHR +SSD +SSDSHR +GET/s +HIT% +MPUT/s +MEVCT/s *$'
ok "cache top is sorted by memory at first" shows 'sort memory'
keys '<'
ok "cache top: key < at the first column wraps to the last" until_ok 5 shows 'sort container'
keys '>'
ok "cache top: key > at the last column wraps to the first" until_ok 5 shows 'sort memory'
keys '>'
ok "cache top: key > sorts by the next column" until_ok 5 shows 'sort memshare'
keys q
ok "cache top: key q exits with 0" until_ok 5 shows '^ended 0 same'

agent_stop
ctl top --once > "$T/out" 2> "$T/err"
is "top --once without an agent exits with 3 and prints nothing on stdout" "3 0" "$? $(wc -c < "$T/out")"
like "top --once without an agent: the error says so" "no agent answers at $T/run" "$(< "$T/err")"
ctl top --interval 0.1 --count 1 > "$T/out" 2> "$T/err" &
reader=$!
ok "top without an agent says that none answers" until_ok 5 grep -q 'no agent answers' "$T/err"
agent_start
wait $reader
is "top continues when an agent starts, and exits with 0" 0 $?
is "top says only once that no agent answers" 1 "$(wc -l < "$T/err")"
done_testing

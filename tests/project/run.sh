#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 40, lane: free
# tests/run, with made-up tests in a tree of their own: what it runs beside what, what it says, and that nothing is left.
. "$(dirname "$0")/../harness/lib.sh"

tree=$T/tree state=$T/state
export STATE=$state TMPDIR=$T/tmp
mkdir -p "$tree/tests/harness" "$tree/tests/made" "$state" "$TMPDIR"
cp "$ROOT/tests/run" "$tree/tests"
cp "$ROOT/tests/harness/"{one,leftovers.sh} "$tree/tests/harness"

# made NAME HEADER: stdin becomes a test that can wait for others
made() {
	{
		printf '%s\n' '#!/bin/bash' "# $2" '# shellcheck disable=all' 'exec {never}<> <(:)' \
			'pause() { read -rt "$1" <&$never; }' 'is_there() { until [ -e "$STATE/$1" ]; do pause 0.05; done; }' "here=\$STATE/$1"
		cat
	} > "$tree/tests/made/$1.sh"
	chmod +x "$tree/tests/made/$1.sh"
}
good='echo ok 1 - fine; echo 1..1'
all_gone() { rm -f "$tree/tests/made/"* && find "$state" -mindepth 1 -delete; }
tests_run() { run "$tree/tests/run" "$@"; }
last() { tail -n 1 "$T/out"; }
line() { grep -A 1 "^made/$1.sh  " "$T/out" | head -n "${2:-1}"; } # line NAME: of the report
# What bears this run's folder: processes, loop devices, mounts, files.
remains() {
	# shellcheck disable=SC2062 # these are files
	grep -lsaF -f - /proc/[0-9]*/environ /proc/[0-9]*/cmdline <<< "$TMPDIR/nestor-run" | grep -v "^/proc/$$/"
	losetup -nO NAME,BACK-FILE | grep -F "$TMPDIR"
	grep -F "$TMPDIR" /proc/self/mounts
	ls "$TMPDIR"
}
gone() { ! grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status"; } # though perhaps not yet reaped
nothing_remains() { [ -z "$(remains)" ]; }

# ---- results
made good 'budget: 5, lane: free' <<< "$good"
made bad 'budget: 5, lane: free' <<< 'echo ok 1 - fine; echo not ok 2 - broken; echo "#   expected: 1, got: 2"; echo 1..2'
made skips 'budget: 5, lane: free' <<< 'echo "ok 1 - a thing # SKIP there is none"; echo 1..1'
made unplanned 'budget: 5, lane: free' <<< 'echo ok 1 - fine; exit 3'
made status 'budget: 5, lane: free' <<< "$good; exit 3"
tests_run
is "run: a failure: status" 1 "$status"
is "run: the last line has the sums" "4 passed, 3 failed, 1 skipped" "$(last)"
like "run: a failed claim is repeated at the end" '^made/bad.sh: not ok 2 - broken$' "$(tail -n 4 "$T/out")"
like "run: a failed claim is in the test's log, with its diagnostics" '^    #   expected: 1, got: 2$' "$out"
like "run: a test without its plan has failed" ' 1 passed   1 failed ' "$(line unplanned)"
like "run: a test whose status is not 0 has failed" '^made/status.sh: # exit status 3$' "$out"
like "run: a skipped claim is named, with the reason" '^made/skips.sh: skipped: there is none$' "$out"
is "run: the report is sorted by name" "bad good skips status unplanned" \
	"$(sed -n '/^$/,$s|^made/\([a-z]*\).sh  .*|\1|p' "$T/out" | paste -sd ' ')"
tests_run good skips
is "run: names choose tests, and nothing failed: status" "0 1 passed, 0 failed, 1 skipped" "$status $(last)"
tests_run nothing-of-that-name
is "run: no test at all is no success" "1 0 passed, 0 failed, 0 skipped" "$status $(last)"

# ---- headers
made laneless 'budget: 5' <<< "touch \$here; $good"
made endless 'lane: free' <<< "touch \$here; $good"
made odd 'budget: 5, lane: fast' <<< "touch \$here; $good"
made 'two words' 'budget: 5, lane: free' <<< "touch \$here; $good"
made "it's" 'budget: 5, lane: free' <<< "touch \$here; $good"
tests_run
is "headers: a test without lane or budget is an error: status" 2 "$status"
like "headers: a missing lane is named" 'made/laneless.sh: .* no "lane:' "$err"
like "headers: an unknown lane is named" 'made/odd.sh: .* no "lane:' "$err"
like "headers: a missing budget is named" 'made/endless.sh: .* no "budget: SECONDS"' "$err"
like "headers: a name with a space is refused" "made/two words.sh: its name has more than letters" "$err"
like "headers: a name with a quote is refused" "made/it's.sh: its name has more than letters" "$err"
is "headers: no test was run" "" "$(ls "$state")"
all_gone

# ---- lanes: each free test waits for the other one; one of the machine's lane sees no other
alone='for one in "$STATE"/at-work.*; do [ ! -e "$one" ] || echo "not ok 1 - beside $one"; done; touch "$STATE/at-work.$$"; pause 0.2;
	rm "$STATE/at-work.$$"; echo ok 1 - alone; echo 1..1'
for name in one two; do
	made free-$name 'budget: 5, lane: free' <<< "touch \"\$STATE/at-work.\$\$\" \"\$here\"; is_there free-one; is_there free-two
		rm \"\$STATE/at-work.\$\$\"; $good"
	made machine-$name 'budget: 5, lane: machine' <<< "$alone"
done
TESTS_JOBS=2 tests_run
is "lanes: two free tests run at a time, those of the machine alone" "0 4 passed, 0 failed, 0 skipped" "$status $(last)"
all_gone
for name in one two; do made vm-$name 'budget: 5, lane: vm' <<< "$alone"; done
TESTS_JOBS=2 TESTS_VMS=1 tests_run
is "lanes: no more VMs at a time than TESTS_VMS" "0 2 passed, 0 failed, 0 skipped" "$status $(last)"
all_gone
made short 'budget: 2, lane: free' <<< "echo short >> \$STATE/order; $good"
made long 'budget: 9, lane: vm' <<< "echo long >> \$STATE/order; $good"
TESTS_JOBS=1 tests_run
is "lanes: the longest test runs first" "long short" "$(paste -sd ' ' "$state/order")"
all_gone

# ---- budgets
made over 'budget: 1, lane: free' <<< "pause 1.3; $good"
made hangs 'budget: 1, lane: free' <<< 'echo ok 1 - fine; pause 1000'
tests_run
like "budget: a test over budget is reported" '^made/over.sh: over its budget: [1-4]\.[0-9] of 1 s$' "$out"
like "budget: a test over budget does not fail" ' 1 passed   0 failed ' "$(line over)"
like "budget: a test is ended after five times its budget" '^made/hangs.sh: # ended after five times its budget of 1 s$' "$out"
like "budget: a test that was ended has failed" ' 1 passed   1 failed ' "$(line hangs)"
all_gone

# ---- leftovers, of the right one of two that run side by side
made tidy 'budget: 9, lane: free' <<< "touch \$here; is_there leaves; $good"
made leaves 'budget: 9, lane: free' <<- 'END'
	is_there tidy
	setsid tail -f /dev/null &
	echo $! > "$STATE/process"
	truncate -s 1M "$TMPDIR/disk"
	losetup --find --show "$TMPDIR/disk" > "$STATE/loop"
	mkdir "$TMPDIR/mnt" && mount -t tmpfs none "$TMPDIR/mnt"
	group=/sys/fs/cgroup
	[ -e $group/cgroup.controllers ] || group=$group/memory
	mkdir "$group/nestor-made-$NESTOR_TEST_ID" && echo "$group/nestor-made-$NESTOR_TEST_ID" > "$STATE/cgroup"
	touch "$here"
	echo ok 1 - fine; echo 1..1
END
TESTS_JOBS=2 tests_run
like "leftovers: a test that leaves some has failed" ' 1 passed   1 failed ' "$(line leaves)"
like "leftovers: a tidy test that runs beside has not failed" ' 1 passed   0 failed ' "$(line tidy)"
for kind in "process $(< "$state/process") tail -f" "loop $(< "$state/loop") " "mount .*/mnt" "cgroup $(< "$state/cgroup")" "file .*/disk"; do
	like "leftovers: ${kind%% *} is named" "^    #   $kind" "$out"
done
ok "leftovers: all are removed" nothing_remains
ok "leftovers: a process is ended" gone "$(< "$state/process")"
ok "leftovers: a cgroup is removed" [ ! -e "$(< "$state/cgroup")" ]
all_gone

# ---- interrupted: by Ctrl-C, which the whole group of processes gets; by kill; by kill -9
made stays 'budget: 100, lane: free' <<- 'END'
	trap 'touch "$STATE/cleaned"; exit 143' TERM
	setsid tail -f /dev/null &
	truncate -s 1M "$TMPDIR/disk"
	losetup --find "$TMPDIR/disk"
	touch "$here"
	pause 1000
END
begin() { # a run in a group of its own, which bash would have ignore Ctrl-C
	all_gone_but_tests
	setsid env --default-signal=INT "$tree/tests/run" > "$T/out" 2>&1 &
	runner=$!
	until_ok 20 test -e "$state/stays"
}
all_gone_but_tests() { find "$state" -mindepth 1 -delete; }
begin
kill -INT -$runner
wait $runner
is "Ctrl-C: status" 130 $?
ok "Ctrl-C: the test cleans up itself" [ -e "$state/cleaned" ]
is "Ctrl-C: nothing remains" "" "$(remains)"
like "Ctrl-C: the tests that were ended are named" '^interrupted.*made/stays.sh$' "$(last)"
begin
kill -TERM $runner
wait $runner
is "kill: status" 143 $?
is "kill: nothing remains" "" "$(remains)"
begin
kill -KILL $runner
wait $runner 2> /dev/null
only_its_folder() { [ "$(remains | grep -vc '^nestor-run')" = 0 ]; }
ok "kill -9: nothing but the run's own folder remains" until_ok 20 only_its_folder || remains | sed 's/^/# /'
all_gone
made good 'budget: 5, lane: free' <<< "$good"
tests_run
ok "kill -9: the next run removes that folder" nothing_remains || remains | sed 's/^/# /'

# ---- again and again, under load
made moody 'budget: 5, lane: free' <<< 'echo x >> "$here"; [ "$(wc -l < "$here")" = 2 ] && echo not ok 1 - mood || echo ok 1 - mood
	echo 1..1'
TESTS_JOBS=1 tests_run --repeat 3
like "--repeat: a test that failed once is reported with its count" '^made/moody.sh +2 of 3 passed' "$out"
like "--repeat: a test that always passed is reported with its count" '^made/good.sh +3 of 3 passed' "$out"
is "--repeat: sums are of all runs" "5 passed, 1 failed, 0 skipped" "$(last)"
all_gone
made loaded 'budget: 5, lane: free' <<- 'END'
	runner=$(ps -o ppid= $(ps -o ppid= $PPID)) # above "one" and "timeout"
	pgrep -P $runner -f 'while :' > "$here"
	echo ok 1 - fine; echo 1..1
END
tests_run --load
is "--load: a busy loop for each processor" "$(nproc)" "$(wc -l < "$state/loaded")"
all_end() { while read -r pid; do gone "$pid" || return; done < "$state/loaded"; }
ok "--load: busy loops end with the run" until_ok 5 all_end
all_gone

# ---- choices
made quick 'budget: 5, lane: free' <<< "$good"
made whole 'budget: 5, lane: machine' <<< "$good"
made slow 'budget: 300, lane: free' <<< "$good"
made boots 'budget: 5, lane: vm' <<< "$good"
made longer 'budget: 300, lane: vm, long: yes' <<< "$good"
listed() { "$tree/tests/run" --list "$@" | sed 's|^made/\([a-z]*\).sh .*|\1|' | paste -sd ' '; }
is "--list: all but long ones" "boots quick slow whole" "$(listed)"
is "--long: long tests alone" longer "$(listed --long)"
is "--quick: no VM, nothing slow" "quick whole" "$(listed --quick)"
like "--list: lane and budget" '^made/boots.sh +vm +5 s$' "$("$tree/tests/run" --list)"
tests_run --help
like "--help: usage" '^usage: tests/run' "$out"
for wrong in --frob "--repeat 0" --repeat; do
	# shellcheck disable=SC2086
	tests_run $wrong
	is "$wrong: status" 2 "$status"
done
done_testing

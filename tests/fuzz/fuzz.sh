#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 40, lane: free
# Each fuzzer runs 30000 inputs, two fuzzers at a time, from the corpus in tests/fuzz/corpus. FUZZ_SEED=N chooses other inputs;
# an input that fails stays in build/fuzz/. make fuzz runs millions.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1
export T FUZZ_SEED=${FUZZ_SEED:-1} RUNS=30000
mapfile -t names < <(basename -s .c tests/fuzz/*.c)
echo "# seed: $FUZZ_SEED"

# However this ends, what it started ends with it.
export tied='setpriv --pdeathsig KILL'
fuzz() {
	mkdir "$T/$1"
	$tied tests/fuzz/one "$1" "-seed=$FUZZ_SEED" "-runs=$RUNS" "$T/$1" > "$T/$1.log" 2>&1
	echo $? > "$T/$1.status"
}
export -f fuzz

none_runs() { ! pgrep -f "$T/" > /dev/null; }
stop() { kill -KILL "$1" 2> /dev/null; until_ok 5 none_runs; }

$tied xargs -P 2 -I NAME $tied bash -c 'fuzz NAME' < <(printf '%s\n' "${names[@]}") &
defer stop $!
wait $!
for name in "${names[@]}"; do
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$T/$name.log")
	is "fuzz $name: no input fails" 0 "$(cat "$T/$name.status")" ||
		grep -vE '^(#[0-9]|INFO|stat::)' "$T/$name.log" | head -n 40 | sed 's/^/# /'
	ok "fuzz $name: $RUNS inputs were run" [ "${runs:-0}" -ge "$RUNS" ]
done
done_testing

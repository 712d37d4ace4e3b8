#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 20, lane: free
# GPU functions on devices, PoCL's at least: those that come with Nestor are right, whole, in slices and in parts; the check
# finds what is wrong with others. How far profiles are off is a benchmark: tests/bench/profiles.sh.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1
NESTORCTL=build/nestorctl

run "$NESTORCTL" --json gpufn check gpu/functions
is "gpufn check: the functions that come with Nestor: status" 0 "$status"
echo "$out" > "$T/all"
is "gpufn check: none of Nestor's functions fails" 0 "$(jq '[.[] | select(.failed != "")] | length' "$T/all")"
ok "gpufn check: Nestor comes with 13 functions or more" test "$(jq '[.[].function] | unique | length' "$T/all")" -ge 13
is "gpufn check: each sliceable function is cut into slices and parts" prefix_sum \
	"$(jq -r '[.[] | select(.cuts == 0) | .function] | unique | join(" ")' "$T/all")"
is "gpufn check: no function differs from its reference by more than its tolerance" 0 "$(jq '[.[] | select(.worst_error > .tolerance)] | length' "$T/all")"
jq -r '.[] | "# \(.function): \(.calls) calls, \(.cuts) cuts, differs by \(.worst_error)"' "$T/all"

# Each a function that adds 1 to bytes, with one thing wrong. make_one NAME CODE [MORE-YAML]
make_one() {
	mkdir -p "$T/$1"
	cat > "$T/$1/$1.yaml" <<-END
		doc: one more
		arguments:
		  - { name: in, kind: input, type: uint8, count: n, max: 200 }
		  - { name: out, kind: output, type: uint8, count: n, per_unit: ${3:-64} }
		  - { name: n, kind: scalar, type: uint32, min: 1, max: 100000 }
		kernels:
		  - { name: more, group: 64, groups: (n + 63) / 64 }
		sliceable: true
		reference: more_reference
		checks:
		  - n=1000
	END
	echo "KERNEL(more, 64, __global const uchar *in, __global uchar *out, uint n) { ulong i = ITEM(64); $2 }" > "$T/$1/$1.cl"
	echo "KERNEL(more_reference, 1, __global const uchar *in, __global uchar *out, uint n)
		{ for (uint i = 0; i < n; i++) out[i] = in[i] + 1; }" > "$T/$1/$1.check.cl"
}
bad() {
	name=$1 expected=$2
	shift
	run "$NESTORCTL" gpufn check "$T/$name" "${@:2}"
	is "gpufn check: a bad function, $name: status" 1 "$status"
	like "gpufn check: a bad function, $name: $expected" "$expected" "$err"
}

make_one good 'if (i < n) out[i] = in[i] + 1;'
run "$NESTORCTL" gpufn check "$T/good"
is "gpufn check: a good function: status" 0 "$status"
run "$NESTORCTL" gpufn profile "$T/good"
is "gpufn profile: a function without sizes: status" 1 "$status"
like "gpufn profile: a function without sizes is named" 'good.yaml names no sizes' "$err"
make_one sized 'if (i < n) out[i] = in[i] + 1;'
echo 'sizes: [n=10000, n=20000, n=40000, n=80000, n=100000]' >> "$T/sized/sized.yaml"
run "$NESTORCTL" --json gpufn profile "$T/sized"
is "gpufn profile: a function with sizes: status" 0 "$status"
is "gpufn profile: fits a line to every other size, and holds the other sizes out" "9 6" \
	"$(jq -r '.[0] | "\(.slices) \(.held_out)"' <<< "$out")"
is "gpufn profile: a group takes some time" true "$(jq '.[0] | .group_nanoseconds > 0 and .held_out_error >= 0' <<< "$out")"
make_one value 'if (i < n) out[i] = in[i] + (i != 777);'
bad value 'out\[777\] is [0-9]*, and [0-9]* by the reference'
make_one slices 'if (i < n) out[i] = in[i] + (GROUP_ID() == GROUP());'
bad slices 'in slices of 1 groups it gives something else than as a whole'
# Here a group counts on what the next one writes. Slices share their memory and have it, parts do not.
make_one parts 'if (i < n) { out[i] = in[i] + 1; out[(i + 999) % n] = in[(i + 999) % n] + 1; }' 128
bad parts 'in parts of 16 groups it gives something else'
make_one syntax 'if (i < n out[i] = in[i] + 1;'
bad syntax "does not compile"
make_one unknown 'if (i < n) out[i] = frobnicate(in[i]);'
bad unknown "does not compile|frobnicate|kernels"
make_one endless 'while (n) if (i < n) ((volatile __global uchar *)out)[i] = in[i] + 1;'
bad endless 'does not end within 2 s' 2
make_one crash 'if (i < n) out[i + ((ulong)1 << 44)] = in[i] + 1;'
bad crash 'died of signal 11, Segmentation fault'

mkdir "$T/none"
bad none 'has no function'
run "$NESTORCTL" gpufn check /nowhere
is "gpufn check: a directory that is missing: status" 1 "$status"
like "gpufn check: a directory that is missing is named" '/nowhere: No such file' "$err"
make_one twice 'if (i < n) out[i] = in[i] + 1;'
echo 'doc: again' >> "$T/twice/twice.yaml"
cp "$T/good/good."* "$T/twice/"
run "$NESTORCTL" --json gpufn check "$T/twice"
is "gpufn check: a bad description beside a good one: status" 1 "$status"
like "gpufn check: a bad description's line is named" 'twice.yaml:12:1: doc is set twice' "$err"
is "gpufn check: the good one beside a bad description is checked" good "$(jq -r '[.[].function] | unique | join(" ")' <<< "$out")"
done_testing

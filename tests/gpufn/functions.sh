#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 120, lane: free
# GPU functions on devices, PoCL's at least: those that come with Nestor are right, and whole is the same as in slices and in
# parts; and what is wrong with others is found, whatever it is.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1
NESTORCTL=build/nestorctl

run "$NESTORCTL" --json gpufn check gpu/functions
is "the functions that come with Nestor: status" 0 "$status"
echo "$out" > "$T/all"
is "none fails" 0 "$(jq '[.[] | select(.failed != "")] | length' "$T/all")"
ok "there are at least 13 of them" test "$(jq '[.[].function] | unique | length' "$T/all")" -ge 13
is "each that is sliceable was cut, into slices and parts" prefix_sum \
	"$(jq -r '[.[] | select(.cuts == 0) | .function] | unique | join(" ")' "$T/all")"
is "and differs from its reference by no more than it says" 0 "$(jq '[.[] | select(.worst_error > .tolerance)] | length' "$T/all")"
jq -r '.[] | "# \(.function): \(.calls) calls, \(.cuts) cuts, differs by \(.worst_error)"' "$T/all"

# How long they take: sizes that the line was not drawn from are within 10 % of it; three tries, for others may use the machine.
mkdir "$T/profiled"
for name in black_scholes blur fft; do cp -L gpu/functions/$name* "$T/profiled/"; done
profiled() {
	"$NESTORCTL" --json gpufn profile "$T/profiled" > "$T/profiles" || return 1
	jq -r '.[] | "# \(.function): \(.group_nanoseconds) ns a group, \(.launch_nanoseconds) ns a launch, off by \(.held_out_error)"' "$T/profiles"
	jq -e 'length >= 3 and all(.held_out_error <= 0.1 and .held_out == 6 and .slices == 9 and .group_nanoseconds > 0)' "$T/profiles" > /dev/null
}
ok "profiles are within 10 % for sizes that were held out" eval 'profiled || profiled || profiled'

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
	run timeout 60 "$NESTORCTL" gpufn check "$T/$name" "${@:2}"
	is "$name: status" 1 "$status"
	like "$name: $expected" "$expected" "$err"
}

make_one good 'if (i < n) out[i] = in[i] + 1;'
run "$NESTORCTL" gpufn check "$T/good"
is "one with nothing wrong: status" 0 "$status"
run "$NESTORCTL" gpufn profile "$T/good"
is "it has no sizes to be profiled: status" 1 "$status"
like "and is told so" 'good.yaml names no sizes' "$err"
make_one value 'if (i < n) out[i] = in[i] + (i != 777);'
bad value 'out\[777\] is [0-9]*, and [0-9]* by the reference'
make_one slices 'if (i < n) out[i] = in[i] + (GROUP_ID() == GROUP());'
bad slices 'in slices of 1 groups it gives something else than as a whole'
# What the next group writes counts: as a whole and in slices it is there, since they share their memory; not in parts.
make_one parts 'if (i < n) { out[i] = in[i] + 1; out[(i + 999) % n] = in[(i + 999) % n] + 1; }' 128
bad parts 'in parts of 16 groups it gives something else'
make_one syntax 'if (i < n out[i] = in[i] + 1;'
bad syntax "does not compile"
make_one unknown 'if (i < n) out[i] = frobnicate(in[i]);'
bad unknown "does not compile|frobnicate|kernels"
make_one endless 'while (n) if (i < n) ((volatile __global uchar *)out)[i] = in[i] + 1;'
bad endless 'does not end within 5 s' 5
make_one crash 'if (i < n) out[i + ((ulong)1 << 44)] = in[i] + 1;'
bad crash 'died of signal 11, Segmentation fault'

mkdir "$T/none"
bad none 'has no function'
run "$NESTORCTL" gpufn check /nowhere
is "a directory that is not there: status" 1 "$status"
like "and is said" '/nowhere: No such file' "$err"
make_one twice 'if (i < n) out[i] = in[i] + 1;'
echo 'doc: again' >> "$T/twice/twice.yaml"
cp "$T/good/good."* "$T/twice/"
run "$NESTORCTL" --json gpufn check "$T/twice"
is "a description that is not understood beside one that is good: status" 1 "$status"
like "the place is said" 'twice.yaml:12:1: doc is set twice' "$err"
is "the good one is checked all the same" good "$(jq -r '[.[].function] | unique | join(" ")' <<< "$out")"
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 5, lane: free
# All BPF programs on the running kernel: its verifier walks less than a quarter of the instructions that it would allow.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

build/tests/tools/verified build/bpf/*/*.bpf.o > "$T/verified"
is "core: the verifier accepts all BPF programs on the running kernel" 0 $?
# Those with a "?" are for some kernels.
within "core: all BPF programs load on the running kernel" "$(cat bpf/*/*.bpf.c | grep -c '^SEC("[^.?]')" "$(grep -c . "$T/verified")" \
	"$(cat bpf/*/*.bpf.c | grep -c '^SEC("[^.]')"
while read -r program insns; do
	within "core: $program: the verifier walks $insns instructions of a million" 1 "$insns" 250000
done < "$T/verified"
done_testing

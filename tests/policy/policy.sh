#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 60, lane: free
# Bad policies: each is refused with its place, by nestorctl and by a running agent, which keeps the one before. Good ones work at once.
# shellcheck disable=SC2317 # functions that ok and until_ok call
# shellcheck source=tests/harness/lib.sh
. "$(dirname "$0")/../harness/lib.sh"

POLICY_YAML=$ROOT/build/policy.yaml
BAD=$T/bad
DIR=$T/policy.d
mkdir -m 755 "$BAD" "$DIR"
declare -A complaint # of each bad file: what must follow its name

# bad NAME COMPLAINT: stdin becomes a bad file
bad() {
	cat > "$BAD/$1.yaml"
	chmod 644 "$BAD/$1.yaml"
	complaint[$1]=$2
}

# text NAME COMPLAINT TEXT, which is a format of printf
text() {
	# shellcheck disable=SC2059 # the escapes are the point
	bad "$1" "$2" < <(printf "$3")
}

quietly() { "$@" > /dev/null 2>&1; }
repeat() { printf "%0$1d" 0 | sed "s/0/$2/g"; }

# ---- bad files ----

bad_keys() {
	text unknown-section ':1:1: unknown section blkoi; there are: agent, blkio, cache, dedup, gpufn, net, pcache' 'blkoi:\n  mode: off\n'
	text unknown-key ':3:3: unknown key blkio.modd; blkio has: mode' '# one\nblkio:\n  modd: off\n'
	text unknown-key-second ':3:3: unknown key agent.bogus; agent has: log_level, ' 'agent:\n  linger: 5\n  bogus: 1\n'
	text unknown-case ':1:1: unknown section Blkio' 'Blkio:\n  mode: off\n'
	text unknown-nested ':1:9: unknown key blkio.agent' 'blkio: {agent: {linger: 1}}\n'
	text duplicate-key ':3:3: blkio\.mode is set twice, first at line 2' 'blkio:\n  mode: off\n  mode: off\n'
	text duplicate-section ':5:1: blkio is set twice, first at line 1' 'blkio:\n  mode: off\nagent:\n  linger: 1\nblkio:\n  mode: off\n'
	text empty-section ':1:1: blkio is empty; give it a key, or take it out' 'blkio:\n'
	text empty-section-second ':3:1: agent is empty' 'blkio:\n  mode: off\nagent:\n  # linger: 5\n'
	text null-section ':1:8: blkio is a section' 'blkio: ~\n'
	text scalar-section ':1:8: blkio is a section; its keys go below it, indented' 'blkio: monitor\n'
	text list-section ':2:1: blkio is a section' 'blkio:\n- mode: off\n'
	text dotted-key ':1:1: a key must be a plain word' 'blkio.mode: off\n'
	text list-key ':1:3: a key must be a plain word' '? [blkio]\n: {mode: off}\n'
	text map-key ':2:5: a key must be a plain word' 'blkio:\n  ? {mode: a}\n  : off\n'
	text empty-key ':1:9: a key must be a plain word' 'blkio: {"": off}\n'
	text escape-in-key ':1:1: a key must be a plain word' '"\\e[31mblkio": {mode: off}\n'
	text merge-key ':2:3: a key must be a plain word' 'blkio:\n  <<: {mode: off}\n'
	text long-key ':1:1: this key is too long' "$(repeat 200 a): 1\n"
	text longer-key ':1:1: it starts with' "$(repeat 2000 a): 1\n"
	bad many-keys ':6001:1: more than 6000 keys' < <(echo agent:; printf '  k%d: 1\n' {1..5999}; printf 'x%d: 1\n' {1..50})
}

bad_values() {
	text word-wrong ":2:9: blkio\.mode: 'on' is none of: off, monitor, enforce\$" 'blkio:\n  mode: on\n'
	text word-case ":2:9: blkio\.mode: 'Off' is none of" 'blkio:\n  mode: Off\n'
	text word-empty ":2:8: blkio\.mode: '' is none of" 'blkio:\n  mode:\n'
	text word-number ":2:9: blkio\.mode: '0' is none of" 'blkio:\n  mode: 0\n'
	text word-list ':2:9: blkio\.mode: must be a single value' 'blkio:\n  mode: [off]\n'
	text word-map ':3:5: blkio\.mode: must be a single value' 'blkio:\n  mode:\n    off: off\n'
	text word-log-level ":1:20: agent\.log_level: 'loud' is none of: error, warning, info, debug" 'agent: {log_level: loud}\n'
	text word-escape ":1:15: blkio\.mode: '\?\[31moff' is none of" 'blkio: {mode: "\\e[31moff"}\n'
	text word-newline ":1:15: blkio\.mode: 'off\?' is none of" 'blkio: {mode: "off\\n"}\n'
	text long-scalar ":1:15: blkio\.mode: 'a{40,60}' is none of" "blkio: {mode: $(repeat 60000 a)}\n"
	text number-word ":2:19: agent\.max_containers: 'many' is not a whole number" 'agent:\n  max_containers: many\n'
	text number-empty ":2:18: agent\.max_containers: '' is not a whole number" 'agent:\n  max_containers:\n'
	text number-negative ":2:11: agent\.linger: '-1' is not a whole number" 'agent:\n  linger: -1\n'
	text number-float ":2:11: agent\.linger: '1\.5' is not a whole number" 'agent:\n  linger: 1.5\n'
	text number-exponent ":2:11: agent\.linger: '1e3' is not a whole number" 'agent:\n  linger: 1e3\n'
	text number-octal ":2:11: agent\.linger: '010' is not a whole number" 'agent:\n  linger: 010\n'
	text number-hex ":2:11: agent\.linger: '0x10' is not a whole number" 'agent:\n  linger: 0x10\n'
	text number-unit ":2:11: agent\.linger: '5m' is not a whole number" 'agent:\n  linger: 5m\n'
	text number-space ":1:17: agent\.linger: ' 5' is not a whole number" 'agent: {linger: " 5"}\n'
	text number-list ':1:17: agent\.linger: must be a single value' 'agent: {linger: [5]}\n'
	text number-low ':2:19: agent\.max_containers: 0 is out of range; it may be 1 to 1000' 'agent:\n  max_containers: 0\n'
	text number-high ':2:19: agent\.max_containers: 1001 is out of range' 'agent:\n  max_containers: 1001\n'
	text number-linger ':2:11: agent\.linger: 86401 is out of range; it may be 0 to 86400' 'agent:\n  linger: 86401\n'
	text number-wraps-32 ':2:11: agent\.linger: 4294967297 is out of range' 'agent:\n  linger: 4294967297\n'
	text number-wraps-64 ':2:11: agent\.linger: 18446744073709551617 is out of range' 'agent:\n  linger: 18446744073709551617\n'
	text number-huge ':2:11: agent\.linger: 9{40,} is out of range' "agent:\n  linger: $(repeat 500 9)\n"
	text good-then-bad ':4:19: agent\.max_containers' 'blkio:\n  mode: off\nagent:\n  max_containers: -5\n  linger: 1\n'
}

bad_lists() {
	local limit='container: a, device: vda'
	text list-scalar ':2:12: agent\.include is a list; its entries go below it, each after a dash' 'agent:\n  include: web\n'
	text list-map ':1:18: agent\.include is a list' 'agent: {include: {a: b}}\n'
	text list-empty ':2:3: net\.limits is empty; a list without entries is \[\]' 'net:\n  limits:\n'
	text entry-scalar ':3:5: net\.limits\[0\]: must be keys with values, such as container: web' 'net:\n  limits:\n  - web\n'
	text entry-list ':1:16: net\.limits\[0\]: must be keys' 'net: {limits: [[a]]}\n'
	text entry-empty ':3:4: net\.limits\[0\]: must be keys' 'net:\n  limits:\n  -\n'
	text entry-no-keys ':1:16: net\.limits\[0\]: needs exactly one of: container, vm, migration$' 'net: {limits: [{}]}\n'
	text glob-map ':1:19: agent\.include\[0\]: must be a single value' 'agent: {include: [{a: b}]}\n'
	text glob-list ':1:22: agent\.exclude\[1\]: must be a single value' 'agent: {exclude: [a, [b]]}\n'
	text glob-empty ':1:22: agent\.include\[1\]: is empty' 'agent: {include: [a, ""]}\n'
	text glob-long ':1:19: agent\.include\[0\]: is longer than 191 characters' "agent: {include: [$(repeat 192 a)]}\n"
	text entry-unknown-key ':4:5: unknown key net\.limits\[0\]\.egres; net\.limits\[0\] has: container, vm, migration, egress, ingress, weight$' \
		'net:\n  limits:\n  - container: a\n    egres: 1Mbit\n'
	text entry-second ':5:17: net\.limits\[1\]\.egress' 'net:\n  limits:\n  - {container: a, egress: 1Mbit}\n  - vm: b\n    egress:     x\n'
	text entry-duplicate ':4:5: blkio\.limits\[0\]\.device is set twice, first at line 3' 'blkio:\n  limits:\n  - device: a\n    device: b\n'
	text entry-value-list ':1:27: net\.limits\[0\]\.weight: must be a single value' 'net: {limits: [{weight:   [1]}]}\n'
	text entry-word ":1:28: net\.limits\[0\]\.migration: 'xen' is none of: criu, qemu, cloud-hypervisor, other" 'net: {limits: [{migration: xen}]}\n'
	text entry-kind ":1:26: net\.migration\[0\]\.kind: '' is none of" 'net: {migration: [{kind: }]}\n'
	text who-both ':3:5: blkio\.limits\[0\]: needs exactly one of: container, vm$' "blkio:\n  limits:\n  - {vm: a, $limit, read: 1MB}\n"
	text who-none ':1:18: blkio\.limits\[0\]: needs exactly one of' 'blkio: {limits: [{device: vda, read: 1MB}]}\n'
	text who-target ':1:19: blkio\.targets\[0\]: needs exactly one of: container, vm$' 'blkio: {targets: [{device: vda, p99: 5ms}]}\n'
	text who-net ':1:16: net\.limits\[0\]: needs exactly one of' 'net: {limits: [{vm: a, migration: qemu, egress: 1Mbit}]}\n'
	text who-dedup ':1:19: dedup\.targets\[0\]: needs exactly one of: container, vm$' 'dedup: {targets: [{domain: d, container: a, vm: b}]}\n'
	text who-dedup-none ':1:19: dedup\.targets\[0\]: needs exactly one of: container, vm$' 'dedup: {targets: [{domain: d}]}\n'
	text who-empty ':1:30: blkio\.limits\[0\]\.container: is empty' 'blkio: {limits: [{container: , device: vda, read: 1MB}]}\n'
	text device-none ':1:18: blkio\.limits\[0\]: needs device$' 'blkio: {limits: [{vm: a, read: 1MB}]}\n'
	text device-path ":1:34: blkio\.limits\[0\]\.device: '/dev/vda' is not the bare name of a disk, such as vda" \
		'blkio: {limits: [{vm: a, device: /dev/vda, read: 1MB}]}\n'
	text device-empty ':1:34: blkio\.limits\[0\]\.device: is empty' 'blkio: {limits: [{vm: a, device: "", read: 1MB}]}\n'
	text device-long ':1:34: blkio\.limits\[0\]\.device: is longer than 31 characters' "blkio: {limits: [{vm: a, device: $(repeat 32 a)}]}\n"
	text target-bare ':1:19: blkio\.targets\[0\]: needs device, p99$' 'blkio: {targets: [{vm: a, device: vda}]}\n'
	text who-gpufn ':1:19: gpufn\.tenants\[0\]: needs exactly one of: container, user$' 'gpufn: {tenants: [{container: a, user: b}]}\n'
	text who-gpufn-none ':1:19: gpufn\.tenants\[0\]: needs exactly one of: container, user$' 'gpufn: {tenants: [{weight: 1}]}\n'
	text tenant-empty ':1:26: gpufn\.tenants\[0\]\.name: is empty' 'gpufn: {tenants: [{name: "", user: a}]}\n'
	text tenant-long ':1:26: gpufn\.tenants\[0\]\.name: is longer than 63 characters' "gpufn: {tenants: [{name: $(repeat 64 a), user: a}]}\n"
	text tenant-user ':1:26: gpufn\.tenants\[0\]\.user: is longer than 32 characters' "gpufn: {tenants: [{user: $(repeat 33 a)}]}\n"
	text tenant-weight ':1:37: gpufn\.tenants\[0\]\.weight: 0 is out of range; it may be 1 to 10000' 'gpufn: {tenants: [{user: a, weight: 0}]}\n'
	text tenant-priority ':1:39: gpufn\.tenants\[0\]\.priority: 4 is out of range; it may be 0 to 3' 'gpufn: {tenants: [{user: a, priority: 4}]}\n'
	text tenant-memory ":1:37: gpufn\.tenants\[0\]\.memory: 1MB is out of range; it may be 1MiB to 16TiB" 'gpufn: {tenants: [{user: a, memory: 1MB}]}\n'
	text domain-none ':1:19: dedup\.targets\[0\]: needs domain$' 'dedup: {targets: [{vm: a}]}\n'
	text domain-empty ':1:28: dedup\.targets\[0\]\.domain: is empty' 'dedup: {targets: [{domain: "", vm: a}]}\n'
	text domain-long ':1:28: dedup\.targets\[0\]\.domain: is longer than 63 characters' "dedup: {targets: [{domain: $(repeat 64 a), vm: a}]}\n"
	text limit-none ':1:18: blkio\.limits\[0\]: needs at least one of: read, write, read_iops, write_iops, weight$' "blkio: {limits: [{$limit}]}\n"
	text limit-none-net ':1:16: net\.limits\[0\]: needs at least one of: egress, ingress, weight$' 'net: {limits: [{container: a}]}\n'
	text condition-none ':1:19: net\.migration\[0\]: needs at least one of: process, container, port, mark$' 'net: {migration: [{kind: qemu}]}\n'
	text conditions-many ':1:435: net\.migration has more than 16 entries$' "net: {migration: [$(repeat 17 '{kind: other, port: 5000},')]}\n"
	text condition-long ':1:43: net\.migration\[0\]\.container: is longer than 63 characters$' \
		"net: {migration: [{kind: qemu, container: $(repeat 64 a)}]}\n"
	text condition-cut ":1:41: net\.migration\[0\]\.process: 'qemu-system-x86_64' fits no process, as the kernel cuts their names at 15 " \
		'net: {migration: [{kind: qemu, process: qemu-system-x86_64}]}\n'
	text kind-none ':1:19: net\.migration\[0\]: needs kind$' 'net: {migration: [{port: 4}]}\n'
	bad many-entries ':2:[0-9]+: more than 6000 keys' < <(printf 'agent:\n  include: [a'; printf ',a%.0s' {1..6000}; echo ']')
	text deep-list ':1:[0-9]+: nested deeper than 8 levels' 'net: {limits: [[[[[[[]]]]]]]}\n'
	text long-path ':1:[0-9]+: this list is nested too deep' "$(repeat 155 a): [[[a]]]\n"
}

# value SECTION LIST KEY WHY TEXT…: an entry of the list with each text as the key's value
value() {
	local section=$1 list=$2 key=$3 why=$4 n=0 text
	shift 4
	((++values))
	for text; do
		bad "$section.$key.$values.$((n++))" ":3:$((${#key} + 9)): $section\.$list\[0\]\.$key: '?${text//./\\.}'? $why\$" < <(
			printf '%s:\n  %s:\n    - %s: %s\n' "$section" "$list" "$key" "$text"
		)
	done
}

bad_units() {
	local values=0
	value blkio limits read 'is not a whole number with none or one of: kB, MB, GB, TB, KiB, MiB, GiB, TiB' \
		-1 1.5GiB 50M 50mib 50Mbit MiB 0x10 010 5e3 '1 MB' 5MB/s
	value blkio limits write 'is out of range; it may be 1kB to 1TB' \
		999 0 2TB 1000000000001 18446744073709551616 16777216TiB 18014398509481984KiB 99999999999999999999TB
	value blkio limits read_iops 'is out of range; it may be 1 to 1000000000' 0 1000000001
	value blkio limits write_iops 'is not a whole number' 5kB
	value blkio limits weight 'is out of range; it may be 1 to 10000' 0 10001 4294967297
	value blkio targets p99 'is not a whole number with one of: ns, us, ms, s' 5 5m 1.5ms 5MS ms -1ms
	value blkio targets p99 'is out of range; it may be 10us to 60s' 9us 0s 61s 18446744074s
	value net limits egress 'is not a whole number with none or one of: kbit, Mbit, Gbit, Tbit' 10MB 10KBit 1mbit 1Mbps
	value net limits ingress 'is out of range; it may be 8kbit to 10Tbit' 7999 7kbit 0 11Tbit
	value net limits weight 'is out of range; it may be 1 to 10000' 0 10001
	value net migration port 'is not a port, 1 to 65535, or a range such as 49152-49215' \
		0 65536 1-65536 0-5 9-8 1- -1 1-2-3 x 1,2 080 99999999999
	value net migration mark 'is out of range; it may be 1 to 4294967295' 0 4294967296
	value net migration mark 'is not a whole number' 0x10
	text link-low ':1:13: net\.link: 10 is out of range; it may be 0, or 1Mbit to 10Tbit' 'net: {link: 10}\n'
	text link-unit ":1:13: net\.link: '10G' is not a whole number with none or one of: kbit, Mbit, Gbit, Tbit" 'net: {link: 10G}\n'
	text min-age ':1:18: agent\.min_age: 86401 is out of range; it may be 0 to 86400' 'agent: {min_age: 86401}\n'
	text dedup-mode ":1:15: dedup\.mode: 'on' is none of: off, monitor, enforce\$" 'dedup: {mode: on}\n'
	text dedup-interval-low ':1:19: dedup\.interval: 0s is out of range; it may be 1s to 86400s' 'dedup: {interval: 0s}\n'
	text dedup-interval-high ':1:19: dedup\.interval: 86401s is out of range; it may be 1s to 86400s' 'dedup: {interval: 86401s}\n'
	text dedup-interval-unit ":1:19: dedup\.interval: '600' is not a whole number with one of: ns, us, ms, s" 'dedup: {interval: 600}\n'
	text dedup-cpu-low ':1:14: dedup\.cpu: 0 is out of range; it may be 1 to 100' 'dedup: {cpu: 0}\n'
	text dedup-cpu-high ':1:14: dedup\.cpu: 101 is out of range; it may be 1 to 100' 'dedup: {cpu: 101}\n'
	text dedup-cpu-unit ":1:14: dedup\.cpu: '25%' is not a whole number" 'dedup: {cpu: 25%%}\n'
	text dedup-pressure ':1:23: dedup\.max_pressure: 101 is out of range; it may be 0 to 100' 'dedup: {max_pressure: 101}\n'
	text dedup-device ":1:17: dedup\.device: 'gpu' is none of: auto, processor, any\$" 'dedup: {device: gpu}\n'
	text dedup-huge ":1:15: dedup\.huge: 'maybe' is none of: leave, split\$" 'dedup: {huge: maybe}\n'
	text dedup-merge-empty ':1:16: dedup\.merge: is empty' 'dedup: {merge: ""}\n'
	text dedup-merge-long ':1:16: dedup\.merge: is longer than 63 characters' "dedup: {merge: $(repeat 64 a)}\n"
	text gpufn-mode ":1:15: gpufn\.mode: 'on' is none of: off, monitor, enforce\$" 'gpufn: {mode: on}\n'
	text gpufn-share ":1:16: gpufn\.share: 'fair' is none of: best-effort, equal, fixed, deadline\$" 'gpufn: {share: fair}\n'
	text gpufn-rule ":1:15: gpufn\.rule: 'best' is none of: fcfs, rr, edf, edf-late, edf-feasible, edf-fixed, adaptive\$" 'gpufn: {rule: best}\n'
	text gpufn-socket ':1:17: gpufn\.socket: is longer than 107 characters' "gpufn: {socket: /$(repeat 107 a)}\n"
	text gpufn-limit-low ':1:22: gpufn\.slice_limit: 9ms is out of range; it may be 10ms to 3600s' 'gpufn: {slice_limit: 9ms}\n'
	text gpufn-queue ':1:16: gpufn\.queue: 0 is out of range; it may be 1 to 10000' 'gpufn: {queue: 0}\n'
	text gpufn-memory ':1:17: gpufn\.memory: 1023KiB is out of range; it may be 1MiB to 16TiB' 'gpufn: {memory: 1023KiB}\n'
	text pcache-enforce ":1:16: pcache\.mode: 'enforce' is none of: off, monitor\$" 'pcache: {mode: enforce}\n'
}

bad_syntax() {
	local i bomb='blkio: &a0 [x]\n'
	for i in {1..9}; do bomb+="a$i: &a$i [*a$((i - 1)), *a$((i - 1)), *a$((i - 1))]\n"; done
	text alias-bomb ':1:8: anchors and tags are not allowed' "$bomb"
	text alias ':1:15: aliases are not allowed' 'blkio: {mode: *off}\n'
	text anchor ':2:9: anchors and tags are not allowed' 'blkio:\n  mode: &a off\n'
	text anchor-key ':2:3: anchors and tags are not allowed' 'blkio:\n  &a mode: off\n'
	text tag ':2:9: anchors and tags are not allowed' 'blkio:\n  mode: !!str off\n'
	text tag-section ':1:8: anchors and tags are not allowed' 'blkio: !foo {mode: off}\n'
	text documents ':3:1: a second document in one file is not allowed' 'blkio:\n  mode: off\n---\nagent:\n  linger: 1\n'
	text yaml-3 ':1:1: ' '%%YAML 3.0\n---\nblkio: {mode: off}\n'
	text list-top ':1:1: it starts with a key and a colon, such as blkio:' '\055 blkio\n'
	text list-top-flow ':1:1: it starts with' '[blkio]\n'
	text scalar-top ':1:1: it starts with' 'blkio\n'
	text quoted-top ':1:1: it starts with' '"blkio: {mode: off}"\n'
	text tab ':2:1: a tab cannot indent; use spaces' 'blkio:\n\tmode: off\n'
	text open-brace ':2:1: ' 'blkio: {mode: off\n'
	text open-bracket ':2:1: ' 'blkio: [mode\n'
	text wrong-bracket ':1:18: ' 'blkio: {mode: off]\n'
	text close-brace ':2:1: ' 'blkio: {mode: off}\n}\n'
	text open-quote ':[23]:1: ' 'blkio:\n  mode: "off\n'
	text indentation ':3:2: ' 'blkio:\n  mode: off\n linger: 5\n'
	text two-colons ':1:12: ' 'blkio: mode: off\n'
	text at-sign ':1:15: ' 'blkio: {mode: @off}\n'
	text unknown-escape ':1:1[5-8]: ' 'blkio: {mode: "\\q"}\n'
	text too-deep ':1:[0-9]+: nested deeper than 8 levels' "blkio: $(repeat 50 '{a: ')\n"
	text much-too-deep ':1:[0-9]+: nested deeper than 8 levels' "blkio: $(repeat 50000 '[')\n"
	text conflict-marker ':1:[0-9]+: ' '<<<<<<< HEAD\nblkio:\n  mode: off\n=======\n'
}

bad_characters() {
	text nul ':2:9: control characters are not allowed' 'blkio:\n  mode: \000off\n'
	text nul-end ':3:1: control characters are not allowed' 'blkio:\n  mode: off\n\000'
	text nul-escaped ':1:15: a NUL character is not allowed' 'blkio: {mode: "off\\0"}\n'
	text nul-escaped-key ':1:9: a NUL character is not allowed' 'blkio: {"mo\\0de": off}\n'
	text bell ':1:[0-9]+: control characters are not allowed' 'blkio: {mode: \007}\n'
	text utf8-lone ':2:9: ' 'blkio:\n  mode: \200\n'
	text utf8-first ':2:9: ' 'blkio:\n  mode: \377\n'
	text utf8-cut ':2:9: ' 'blkio:\n  mode: \342\202'
	text utf8-trailing ':2:10: ' 'blkio:\n  mode: \303(\n'
	text utf8-overlong ':2:9: ' 'blkio:\n  mode: \300\200\n'
	text utf8-surrogate ':2:9: ' 'blkio:\n  mode: \355\240\200\n'
	text utf8-too-large ':2:9: ' 'blkio:\n  mode: \364\220\200\200\n'
	text utf8-after-letters ':1:6: ' '# \303\244\303\266 \377\n'
	text latin-1 ':1:[0-9]+: ' '# f\374r alle\nblkio:\n  mode: off\n'
	text utf16-le ':1:1: ' '\377\376b\000:\000'
	text utf16-be ':1:1: ' '\376\377\000b\000:'
	text utf32 ':1:1: ' '\377\376\000\000b\000\000\000'
	text binary ':1:[0-9]+: ' '\177ELF\002\001\001\000\000'
	bad huge ': is larger than 256 KiB' < <(repeat 262200 '#')
	bad random ':1:1: ' < <(printf '\377'; head -c 4096 /dev/urandom)
}

check() { timeout 5 "$NESTORCTL" policy check "$@" 2>&1; }

check_refused() { # check_refused TEXT FILE COMPLAINT, a pattern that follows the file's name
	local said status
	said=$(check "$2")
	status=$?
	is "policy check, $1: exits with 1" 1 $status
	like "policy check, $1: the error has the file, the place and the reason" "^nestorctl: $2$3" "$said"
}

check_files() {
	local name
	for name in "${!complaint[@]}"; do check_refused "$name" "$BAD/$name.yaml" "${complaint[$name]}"; done
	ok "policy check: at least 40 bad files are tried" [ ${#complaint[@]} -ge 40 ]
}

# ---- what is no good file at all ----

# Puts one of each kind into a directory, under the name x.yaml.
KINDS='directory symlink dangling fifo socket device-null device-zero world-writable group-writable foreign'
declare -A kind_complaint=(
	[directory]='is not a regular file' [fifo]='is not a regular file' [socket]='is not a regular file'
	[device-null]='is not a regular file' [device-zero]='is not a regular file'
	[symlink]='is a symbolic link; a policy must be the file itself' [dangling]='is a symbolic link'
	[world-writable]='others may write to it; chmod go-w' [group-writable]='others may write to it'
	[foreign]='is owned by uid 65534'
)

put_kind() { # put_kind KIND PATH
	case $1 in
	directory) mkdir "$2" ;;
	symlink) ln -s "$POLICY_YAML" "$2" ;;
	dangling) ln -s "$T/nowhere" "$2" ;;
	fifo) mkfifo "$2" ;;
	socket) ln "$(find "$T/run" -type s | head -1)" "$2" ;;
	device-null) mknod "$2" c 1 3 ;;
	device-zero) mknod "$2" c 1 5 ;;
	world-writable) install -m 646 "$POLICY_YAML" "$2" ;;
	group-writable) install -m 664 "$POLICY_YAML" "$2" ;;
	foreign) install -m 644 -o 65534 "$POLICY_YAML" "$2" ;;
	esac
}

check_kinds() {
	local kind dir=$T/kinds
	mkdir -m 755 "$dir"
	for kind in $KINDS; do
		mkdir -m 755 "$dir/$kind"
		put_kind "$kind" "$dir/$kind/x.yaml"
		check_refused "$kind in a directory" "$dir/$kind" "/x\.yaml: ${kind_complaint[$kind]}"
		case $kind in
		directory | dangling) ;;
		*) check_refused "$kind as the file" "$dir/$kind/x.yaml" ": ${kind_complaint[$kind]}" ;;
		esac
	done
	check_refused "dangling as the file" "$dir/dangling/x.yaml" ": "
	check_refused "a missing file" "$T/nowhere" ': No such file or directory'
	check_refused "a missing file in a missing directory" "$T/nowhere/x.yaml" ': No such file or directory'
	check_refused "a path below a file" "$POLICY_YAML/x.yaml" ': Not a directory'
	check_refused "a name that is too long" "$T/$(repeat 300 a)" ': File name too long'
	like "policy check of an empty name: the error says why" 'No such file' "$(check '')"
}

# Copies, as neither the build nor $T must be open to others.
check_unreadable() {
	local dir said
	dir=$(mktemp -d "${TMPDIR:-/tmp}/nestor-test.XXXXXX")
	defer rm -rf "$dir"
	chmod 755 "$dir"
	install -m 755 "$NESTORCTL" "$dir/nestorctl"
	install -m 600 "$POLICY_YAML" "$dir/unreadable.yaml"
	install -m 644 "$POLICY_YAML" "$dir/readable.yaml"
	mkdir -m 700 "$dir/unreadable.d"
	for name in unreadable.yaml unreadable.d unreadable.d/x.yaml; do
		said=$(cd "$dir" && timeout 5 setpriv --reuid 65534 --regid 65534 --clear-groups ./nestorctl policy check $name 2>&1)
		is "policy check of $name as another user: exits with 1" 1 $?
		is "policy check of $name as another user: the error says why" "nestorctl: $name: Permission denied" "$said"
	done
	ok "policy check as another user accepts root's readable policy" quietly setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$dir/nestorctl" policy check "$dir/readable.yaml"
}

# ---- directories ----

check_directories() {
	local d=$T/two
	mkdir -m 755 "$d"
	echo 'blkio: {mode: off}' > "$d/a.yaml"
	printf 'agent: {linger: 5}\n' > "$d/b.yaml"
	is "policy check accepts two files with different keys" "$d: good" "$(check "$d")"
	printf 'agent:\n  linger: 5\nblkio:\n  mode: monitor\n' > "$d/b.yaml"
	check_refused "a key in two files" "$d" "/b\.yaml:4:3: blkio\.mode is set in $d/a\.yaml:1 too"
	printf 'agent:\n  linger: x\n' > "$d/b.yaml"
	check_refused "a bad second file" "$d" "/b\.yaml:2:11: agent\.linger: 'x' is not a whole number"
	printf 'net: {limits: []}\n' > "$d/a.yaml"
	printf 'net:\n  limits:\n    - {vm: a, egress: 1Mbit}\n' > "$d/b.yaml"
	check_refused "a list in two files" "$d" "/b\.yaml:2:3: net\.limits is set in $d/a\.yaml:1 too"
	printf 'net:\n  link: 1Gbit\nblkio:\n  limits:\n    - {vm: a, device: vda, weight: 1}\n' > "$d/b.yaml"
	is "policy check accepts two lists in two files" "$d: good" "$(check "$d")"
	printf 'agent:\n  linger: x\n' > "$d/b.yaml"
	mv "$d/b.yaml" "$d/b.yaml~"
	cp "$d/b.yaml~" "$d/.hidden.yaml"
	is "policy check ignores files that are not *.yaml" "$d: good" "$(check "$d")"
	rm "$d/a.yaml"
	is "policy check accepts an empty directory" "$d: good" "$(check "$d")"
	for i in {1..65}; do : > "$d/$i.yaml"; done
	check_refused "too many files" "$d" ': has more than 64 \*\.yaml files'
	rm "$d/65.yaml"
	is "policy check accepts 64 files" "$d: good" "$(check "$d")"
	chmod 777 "$d"
	check_refused "a directory that other users may write to" "$d" ': others may write to it'
	chmod 755 "$d"
	chown 65534 "$d"
	check_refused "a directory of another user" "$d" ': is owned by uid 65534'
}

# ---- good files ----

good() { # good TEXT FORMAT
	# shellcheck disable=SC2059 # the escapes are the point
	printf "$2" > "$T/good.yaml"
	is "policy check accepts $1" "$T/good.yaml: good" "$(check "$T/good.yaml")"
}

check_good() {
	good "an empty file" ''
	good "only comments" '# one\n\n# two'
	good "an empty document" '\055--\n'
	good "a mapping without keys" '{}\n'
	good "a byte order mark" '\357\273\277blkio:\n  mode: off\n'
	good "lines that end with CRLF" 'blkio:\r\n  mode: off\r\n'
	good "a file without a newline at its end" 'blkio: {mode: off}'
	good "quoted keys and values" 'agent: {"linger": "5", log_level: '"'debug'"'}\n'
	good "UTF-8 in comments" '# \303\244 \342\202\254 \360\237\220\230\nblkio: {mode: off} # \303\266\n'
	good "lowest values" 'agent: {max_containers: 1, linger: 0, self_stats: off, log_level: error}\nblkio: {mode: off}\n'
	good "highest values" 'agent: {max_containers: 1000, linger: 86400, self_stats: on, log_level: debug}\nblkio: {mode: monitor}\n'
	good "empty lists" 'agent: {include: [], exclude: []}\nblkio: {limits: [], targets: []}\nnet: {limits: [], migration: []}\n'
	good "lowest limits" 'net: {link: 1Mbit, limits: [{vm: a, egress: 8kbit, ingress: 8000, weight: 1}]}\nblkio:\n  limits: [{vm: a, device: a, read: 1kB, write: 1000, read_iops: 1, weight: 1}]\n  targets: [{vm: a, device: a, p99: 10us}]\n'
	good "highest limits" 'net: {link: 10Tbit, limits: [{vm: a, egress: 10000Gbit, weight: 10000}]}\nblkio:\n  limits: [{vm: a, device: a, read: 1TB, write_iops: 1000000000}]\n  targets: [{vm: a, device: a, p99: 60s}]\n'
	good "the lowest values of dedup" 'dedup: {mode: off, interval: 1000ms, cpu: 1, max_pressure: 0, device: auto, huge: leave, merge: a, targets: []}\n'
	good "the highest values of dedup" "dedup: {mode: enforce, interval: 86400s, cpu: 100, max_pressure: 100, device: any, huge: split, merge: $(repeat 63 a), targets: [{domain: $(repeat 63 a), vm: '*'}]}\n"
	good "the lowest values of gpufn" 'gpufn: {mode: off, functions: /, cache: /, socket: /s, share: fixed, slice_limit: 10ms, memory: 1MiB, memory_all: 1MiB, queue: 1, tenants: [{user: a, weight: 1, memory: 1MiB, queue: 1}]}\n'
	good "the highest values of gpufn" "gpufn: {mode: enforce, socket: /$(repeat 106 a), share: best-effort, slice_limit: 3600s, memory: 16TiB, memory_all: 16TiB, queue: 10000, tenants: [{user: $(repeat 32 a), name: $(repeat 63 a), weight: 10000, memory: 16TiB, queue: 10000}]}\n"
	good "long names" "agent: {include: [$(repeat 191 a)]}\nblkio: {limits: [{vm: $(repeat 191 a), device: $(repeat 31 a), read: 1GiB}]}\n"
	good "500 limits" "blkio:\n  limits:\n$(printf '    - {container: "web-%d-*", device: nvme0n1, read: 50MiB, write: 20MiB, read_iops: 1000, write_iops: 500, weight: 100}\n' {1..500})\n"
	is "policy check accepts policy.yaml" "$POLICY_YAML: good" "$(check "$POLICY_YAML")"
	is "policy check --json accepts policy.yaml" true "$("$NESTORCTL" --json policy check "$POLICY_YAML" | jq .valid)"
	is "policy check --json rejects a bad file" false "$("$NESTORCTL" --json policy check "$BAD/tab.yaml" 2> /dev/null | jq .valid)"
}

# ---- no leaks ----

check_sanitized() {
	local asan=$ROOT/build/asan/nestorctl path said='' status bad_status=0
	ok "(there is a build with sanitizers)" [ -x "$asan" ] || return
	for path in "$BAD"/*.yaml "$T"/kinds/* "$T"/kinds/*/x.yaml "$T/two" "$T/nowhere" "$POLICY_YAML"; do
		said+=$(ASAN_OPTIONS=exitcode=99 timeout 60 "$asan" policy check "$path" 2>&1)
		status=$?
		[ $status -le 1 ] || bad_status=$status
	done
	is "policy check with sanitizers exits with 0 or 1 on all files" 0 $bad_status
	is "policy check with sanitizers reports nothing" "" "$(grep -aE 'Sanitizer|runtime error' <<< "$said")"
}

# ---- a running agent ----

status() { ctl --json status | jq -r ".$1"; }
succeeded_reloads() { metric 'nestor_policy_reloads_total{result="success"}'; }
in_force() { ctl --json policy show; }
key() { ctl --json policy show | jq -r ".$1"; }
last_ok() { ctl --json status | grep -q '"policy_last_reload_successful": true'; }
last_failed() { ctl --json status | grep -q '"policy_last_reload_successful": false'; }
key_is() { [ "$(key "$1")" = "$2" ]; }

# live TEXT PATTERN COMMAND…: COMMAND makes the policy a bad one; whatever is bad is gone afterwards
live() {
	local text=$1 pattern=$2 failed log
	shift 2
	failed=$(status policy_reloads_failed)
	log=$(wc -c < "$AGENT_LOG")
	"$@"
	ok "policy reload, $text: the error is noticed" until_ok 5 last_failed
	is "policy reload, $text: the policy before stays in force" "$before" "$(in_force)"
	metrics > "$T/metrics"
	ok "policy reload, $text: the metric is 0" grep -qx 'nestor_policy_last_reload_successful 0' "$T/metrics"
	ok "policy reload, $text: the failure is counted" [ "$(sed -n 's/^nestor_policy_reloads_total{result="failure"} //p' "$T/metrics")" -gt "$failed" ]
	like "policy reload, $text: the log has the place" "policy refused, .*$DIR$pattern" "$(tail -c +$((log + 1)) "$AGENT_LOG")"
	like "policy reload, $text: nestorctl status has the place" "^$DIR$pattern" "$(status policy_error)"
	rm -rf "$DIR/x.yaml"
	ok "policy reload, $text: removing the file repairs the policy" until_ok 5 last_ok
}

by_rename() {
	cp "$BAD/$1.yaml" "$DIR/.new"
	mv "$DIR/.new" "$DIR/x.yaml"
}

in_place() { cat "$BAD/$1.yaml" > "$DIR/x.yaml"; }

live_bad() {
	local name kind n=0
	for name in "${!complaint[@]}"; do
		[[ $name != *.*.[1-9]* || $name == *.0 ]] || continue # of those of value(), the first of each kind will do
		if [ $((n++ % 4)) -eq 0 ]; then
			live "$name, in place" "/x\.yaml${complaint[$name]}" in_place "$name"
		else
			live "$name" "/x\.yaml${complaint[$name]}" by_rename "$name"
		fi
	done
	for kind in $KINDS; do live "$kind" "/x\.yaml: ${kind_complaint[$kind]}" put_kind "$kind" "$DIR/x.yaml"; done
	live "a key in two files" "/x\.yaml:1:9: agent\.linger is set in $DIR/base\.yaml:2 too" \
		put_text 'agent: {linger: 5}'
	chmod 777 "$DIR"
	ok "policy reload: a directory that other users may write to is refused" until_ok 5 last_failed
	chmod 755 "$DIR"
	ok "policy reload: a directory that only root may write to again is accepted" until_ok 5 last_ok
}

put_text() { echo "$1" > "$DIR/x.yaml"; }

# inotify in all the ways that files change.
live_good() {
	local n
	put_text 'agent: {self_stats: off}'
	ok "policy reload: a file written in place is read" until_ok 5 key_is agent.self_stats off
	put_text 'agent: {self_stats: on}'
	ok "policy reload: a file written in place a second time is read" until_ok 5 key_is agent.self_stats on
	echo 'agent: {self_stats: off}' > "$DIR/.x.yaml.new"
	mv "$DIR/.x.yaml.new" "$DIR/x.yaml"
	ok "policy reload: a file renamed over another is read" until_ok 5 key_is agent.self_stats off
	mv "$DIR/x.yaml" "$DIR/x.yaml~" # as vi and emacs do it
	echo 'agent: {self_stats: on}' > "$DIR/x.yaml"
	rm "$DIR/x.yaml~"
	ok "policy reload: a file saved as editors do is read" until_ok 5 key_is agent.self_stats on
	mv "$DIR/x.yaml" "$T/x.yaml"
	ok "policy reload: moving a file away restores the default" until_ok 5 key_is agent.self_stats sample
	ln "$T/x.yaml" "$DIR/x.yaml"
	ok "policy reload: a hard link to a file is read" until_ok 5 key_is agent.self_stats on
	rm "$DIR/x.yaml"
	ok "policy reload: deleting a file restores the default" until_ok 5 key_is agent.self_stats sample

	n=$(succeeded_reloads)
	kill -HUP "$agent_pid"
	ok "policy reload: SIGHUP reads the policy" until_ok 5 reloaded_since "$n"
	n=$(succeeded_reloads)
	ok "policy reload: nestorctl policy reload exits with 0" quietly ctl policy reload
	ok "policy reload: a reload by nestorctl is counted" reloaded_since "$n"
	put_text 'agent: {linger: x}'
	until_ok 5 last_failed
	like "policy reload: nestorctl policy reload prints the error" "/x\.yaml:" "$(ctl policy reload 2>&1)"
	chmod 000 "$DIR/x.yaml" # root reads it all the same; the change of mode is seen
	echo 'agent: {self_stats: off}' > "$DIR/x.yaml"
	ok "policy reload: a file repaired in place is read" until_ok 5 key_is agent.self_stats off
	rm "$DIR/x.yaml"

	mv "$DIR" "$T/old.d"
	kill -HUP "$agent_pid"
	ok "policy reload: a directory that was moved away is refused" until_ok 5 last_failed
	is "policy reload: the policy before stays in force without the directory" 77 "$(key agent.linger)"
	mkdir -m 755 "$DIR"
	echo 'agent: {linger: 78}' > "$DIR/base.yaml"
	kill -HUP "$agent_pid"
	ok "policy reload: a new directory in the place of the former is read" until_ok 5 key_is agent.linger 78
	echo 'agent: {linger: 79}' > "$DIR/base.yaml"
	ok "policy reload: a new directory in the place of the former is watched" until_ok 5 key_is agent.linger 79
}

reloaded_since() { [ "$(succeeded_reloads)" -gt "$1" ]; }

# The moments that the page marks.
live_marks() {
	local n before after
	n=$(marks) before=$(date +%s%3N)
	put_text 'agent: {self_stats: off}'
	ok "policy history: a change of policy is marked" until_ok 5 marks_are $((n + 1))
	after=$(date +%s%3N)
	within "policy history: a change of policy is marked with its time" "$before" "$(past | jq '.policy_changes[-1]')" "$after"
	put_text 'agent: {self_stats: of}'
	ok "(a policy is refused)" until_ok 5 last_failed
	is "policy history: a refused policy is not marked" $((n + 1)) "$(marks)"
	put_text 'agent: {self_stats: off}'
	ok "(the policy before is written again)" until_ok 5 last_ok
	ctl policy reload > "$T/out"
	is "policy history: a reload of the same policy is not marked" $((n + 1)) "$(marks)"
	rm "$DIR/x.yaml"
	ok "policy history: the removal of a file is marked" until_ok 5 marks_are $((n + 2))
}

past() { curl -s "$URL/api/v1/history"; }
marks() { past | jq '.policy_changes | length'; }
marks_are() { [ "$(marks)" = "$1" ]; }

# ---- rooms go off and on ----

# The room's alone: those who tell who is who stay.
program_ids() {
	cat /proc/"$agent_pid"/fdinfo/* 2> /dev/null | awk '/^prog_id:/ { print $2 }' | sort -u | while read -r id; do
		! bpftool prog show id "$id" 2> /dev/null | grep -q 'name blkio_' || echo "$id"
	done
}
no_programs() {
	local id
	[ -z "$(program_ids)" ] || return 1
	for id; do ! bpftool prog show id "$id" > /dev/null 2>&1 || return 1; done
}

live_room() {
	local ids
	ids=$(program_ids)
	ok "policy: a room that is on has BPF programs" [ "$(wc -w <<< "$ids")" -ge 2 ]
	is "policy: a room that is on is up" 1 "$(metric 'nestor_room_up{room="blkio"}')"
	is "policy: a room that is on is wanted" 1 "$(metric 'nestor_room_wanted{room="blkio"}')"
	put_text 'blkio: {mode: off}'
	ok "policy: mode off takes a room down" until_ok 10 room_is 0
	is "policy: a room that is off is not wanted" 0 "$(metric 'nestor_room_wanted{room="blkio"}')"
	# shellcheck disable=SC2086 # words are wanted
	ok "policy: a room that is off leaves no BPF program" until_ok 10 no_programs $ids
	is "policy: nestorctl rooms says that a room is off by policy" "off by policy" "$(ctl --json rooms | jq -r '.[] | select(.room == "blkio") | .reason')"
	put_text 'blkio: {mode: monitor}'
	ok "policy: mode monitor takes a room up" until_ok 10 room_is 1
	is "policy: a room that is on again is wanted" 1 "$(metric 'nestor_room_wanted{room="blkio"}')"
	is "policy: a room that is on again has as many BPF programs as before" "$(wc -w <<< "$ids")" "$(program_ids | wc -w)"
	rm "$DIR/x.yaml"
	until_ok 5 last_ok
}

room_is() { [ "$(metric 'nestor_room_up{room="blkio"}')" = "$1" ]; }

# ---- one file, and no start with a bad one ----

start_refused() { # start_refused TEXT POLICY PATTERN
	local said
	said=$(timeout 60 "$NESTORD" --listen 127.0.0.1:0 --run-dir "$T/run-other" --bpffs "$T/bpf/other" --policy "$2" 2>&1)
	is "nestord with $1: exits with 1" 1 $?
	like "nestord with $1: the error says why" "$3" "$said"
	is "nestord with $1: the error is one line" 1 "$(wc -l <<< "$said")"
}

single_file() {
	local file=$T/single/policy.yaml
	mkdir -m 755 "$T/single"
	cp "$POLICY_YAML" "$file"
	agent_start --policy "$file"
	is "policy file: policy.yaml has the defaults" "$defaults" "$(in_force)"
	echo 'agent: {linger: 5}' > "$file"
	ok "policy file: a write in place is read" until_ok 5 key_is agent.linger 5
	echo 'agent: {linger: 6}' > "$T/single/new"
	mv "$T/single/new" "$file"
	ok "policy file: a file renamed over it is read" until_ok 5 key_is agent.linger 6
	rm "$file"
	ok "policy file: a deleted file is refused" until_ok 5 last_failed
	is "policy file: the policy before a deletion stays in force" 6 "$(key agent.linger)"
	like "policy file: the log says that the file is missing" "policy refused.*$file: No such file" "$(cat "$AGENT_LOG")"
	mkfifo "$file"
	ok "policy file: a FIFO is refused" until_ok 5 log_has "$file: is not a regular file"
	rm "$file"
	echo 'agent: {linger: 7}' > "$file"
	ok "policy file: a file that is created again is read" until_ok 5 key_is agent.linger 7
	printf 'agent: {include: ["a*", b], exclude: []}\nnet:\n  limits: [{vm: g, egress: 1Mbit}, {migration: qemu, weight: 5}]\n' > "$file"
	ok "policy file: lists are read" until_ok 5 key_is 'net.limits[1].weight' 5
	ctl policy show > "$T/shown"
	is "policy show: prints a list of names" $'  include:\n    - a*\n    - b\n  exclude: []' "$(grep -A 3 include "$T/shown")"
	is "policy show: prints a list of limits" $'  limits:\n    - vm: g, egress: 1000000\n    - migration: qemu, weight: 5' "$(grep -A 2 'limits:$' "$T/shown")"
	is "policy file: the metric is 1 after a good policy" 1 "$(metric nestor_policy_last_reload_successful)"
	agent_stop
}

log_has() { grep -q "$1" "$AGENT_LOG"; }

bad_keys
bad_values
bad_lists
bad_units
bad_syntax
bad_characters
agent_start
defaults=$(in_force)
documented='{"agent":{"log_level":"info","max_containers":100,"linger":300,"min_age":0,"include":["*"],"exclude":[],"self_stats":"sample","vmm":{"users":[],"cgroups":[]}},"blkio":{"mode":"monitor","limits":[],"targets":[]},"cache":{"mode":"off","memory":0,"min_free":268435456,"ssd":"none","ssd_size":0,"pools":[]},"dedup":{"mode":"monitor","interval":600000000000,"cpu":25,"max_pressure":50,"device":"auto","huge":"leave","merge":"none","targets":[]},"gpufn":{"mode":"off","functions":"auto","cache":"/var/cache/nestor","socket":"auto","share":"deadline","rule":"adaptive","slice_limit":10000000000,"memory":1073741824,"memory_all":0,"queue":64,"tenants":[]},"net":{"mode":"monitor","link":0,"limits":[],"migration":[{"kind":"criu","process":"criu"},{"kind":"qemu","process":"qemu-system-*","port":"49152-49215"},{"kind":"qemu","process":"kvm","port":"49152-49215"},{"kind":"cloud-hypervisor","process":"cloud-hyperviso*"}]},"pcache":{"mode":"monitor"}}'
is "policy: the defaults are the documented ones" "$documented" \
	"$(jq -c --argjson documented "$documented" 'with_entries(select(.key | in($documented)))' <<< "$defaults")" # rooms to come have tests of their own
check_files
check_kinds
check_unreadable
check_directories
check_good
check_sanitized
agent_stop

printf 'agent:\n  linger: 77\n' > "$DIR/base.yaml"
agent_start --policy "$DIR"
is "policy history: the policy at start is not marked" 0 "$(marks)"
before=$(in_force)
is "policy: the directory's policy is in force" 77 "$(key agent.linger)"
live_marks
live_bad
live_room
live_good
agent_stop
start_refused "a bad policy" "$BAD/tab.yaml" "$BAD/tab\.yaml:2:1: a tab"
start_refused "a missing policy" "$T/nowhere" "$T/nowhere: No such file"
start_refused "a FIFO as policy" "$T/kinds/fifo/x.yaml" "x\.yaml: is not a regular file"
single_file
done_testing

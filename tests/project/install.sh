#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 60, lane: free
# make install and uninstall; manual pages, unit and policy against what the programs really do.
# shellcheck source=tests/harness/lib.sh
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1
unset MAKEFLAGS MAKELEVEL MFLAGS
umask 022

# -o: what is built is taken as it is, however old
run_make() { make --no-print-directory -o build/nestord -o build/nestorctl -o build/libnestor-gpufn.a "$@" > "$T/make.log" 2>&1; }

# same TEXT A B: two lists; prints what differs
same() {
	ok "$1" [ "$2" = "$3" ] || diff <(echo "$2") <(echo "$3") | sed -n 's/^[<>]/# &/p'
}

installed() { (cd "$1" && find . \( -type d -path '*/policy.d' -o ! -type d \) -printf '%m %p\n' | LC_ALL=C sort -k 2); }

# The table has them all; each of its lines stands for a file, and no two files have one place.
expected() { agent/install.sh list agent "$1" | awk -F '\t' '{ sub(/\/$/, "", $3); print $1, "." $3 }' | LC_ALL=C sort -k 2; }
same "install table: no file hides another" "" "$(expected /usr | uniq -d -f 1)"
for file in sbin/nestord sbin/nestorctl share/man/man{1/nestorctl.1,5/nestor-policy.5,7/nestor-gpufn.7,8/nestord.8} \
	lib/systemd/system/nestord.{service,socket} lib/sysusers.d/nestor.conf share/bash-completion/completions/nestorctl \
	share/doc/nestor/policy.yaml share/nestor/grafana/nestor-blkio.json share/nestor/prometheus/nestor-blkio.rules.yml \
	share/nestor/systemd/merge.conf share/nestor/functions/blur.yaml lib/libnestor-gpufn.a include/nestor/gpufn_client.h \
	share/nestor/include/{bpf/cache_choose,kfuncs/cache}.h; do
	ok "install table: $file keeps its place" grep -qx "[67][45][45] ./usr/$file" <(expected /usr)
done

# ---- install ----

built=$(stat -c %y build/nestord build/nestorctl)
ok "make install: PREFIX=/usr" run_make install DESTDIR="$T/usr" PREFIX=/usr || sed 's/^/# /' "$T/make.log"
same "make install: files and modes are those of the table" "$(expected /usr)" "$(installed "$T/usr")"
(umask 077 && run_make install DESTDIR="$T/local")
same "make install: files and modes are the table's below /usr/local with umask 077" "$(expected /usr/local)" "$(installed "$T/local")"
is "make install: every directory has mode 755 with umask 077" "" "$(find "$T/local"/* -type d ! -perm 755)"
run_make install DESTDIR="$T/no prefix" PREFIX=
same "make install: an empty PREFIX is the root folder, and DESTDIR may have a space" "$(expected '')" "$(installed "$T/no prefix")"
is "make install: builds nothing" "$built" "$(stat -c %y build/nestord build/nestorctl)"
for prefix in usr usr/local; do
	tree=$T/${prefix##*/}
	unit=$tree/$prefix/lib/systemd/system/nestord.service
	is "make install: $prefix: no @PREFIX@ is left" "" "$(grep -rl @PREFIX@ "$tree")"
	is "make install: $prefix: the unit starts the installed nestord" "/$prefix/sbin/nestord" "$(sed -n 's/^ExecStart=//p' "$unit" | tr -s /)"
done
like "make install: the installed nestord runs" '^nestord [0-9]' "$("$T/usr/usr/sbin/nestord" --version)"

# ---- unit ----

if command -v systemd-analyze > /dev/null; then
	# exposure DROP-IN|unit MOST: of the unit alone, or with the drop-in
	exposure() {
		local figure
		mkdir -p "$T/rated/nestord.service.d"
		cp agent/systemd/nestord.service "$T/rated"
		rm -f "$T"/rated/nestord.service.d/*
		[ "$1" = unit ] || cp "$1" "$T/rated/nestord.service.d"
		figure=$(SYSTEMD_UNIT_PATH=$T/rated: systemd-analyze security --offline=true "$T/rated/nestord.service" 2>&1 |
			sed -n 's/.*Overall exposure level[^:]*: \([0-9.]*\).*/\1/p')
		within "systemd-analyze security: ${1##*/}: exposure of at most $2" 0.1 "$figure" "$2"
	}
	# As systemd 252 rates them. A change that raises a figure says why, here and beside the setting.
	exposure unit 2.9
	exposure agent/gpufn/nestord-gpufn.conf 4.0 # drivers: devices, code written at run time; namespaces of executors
	exposure agent/dedup/nestord-merge.conf 4.3 # system calls in other processes: no filter
	is "each drop-in is rated" "$(ls agent/*/*.conf)" "$(sed -n 's/^\texposure \(agent[^ ]*\).*/\1/p' "$0" | sort)"
	mkdir "$T/units"
	sed "s|^ExecStart=.*|ExecStart=$NESTORD|" "$T/usr/usr/lib/systemd/system/nestord.service" > "$T/units/nestord.service"
	cp "$T/usr/usr/lib/systemd/system/nestord.socket" "$T/units"
	verify() { SYSTEMD_UNIT_PATH=$T/units: systemd-analyze verify --man=no "$T"/units/nestord.{service,socket} 2>&1; }
	is "systemd-analyze verify: units have no warnings" "" "$(verify)"
	mkdir "$T/units/nestord.service.d"
	cp "$T"/usr/usr/share/nestor/systemd/*.conf "$T/units/nestord.service.d"
	is "systemd-analyze verify: drop-ins have no warnings" "" "$(verify)"
	systemd-sysusers --root="$T/usr" "$T/usr/usr/lib/sysusers.d/nestor.conf" > /dev/null 2>&1
	like "sysusers makes the user nestor" '^nestor:.*/nologin$' "$(cat "$T/usr/etc/passwd" 2> /dev/null)"
	like "sysusers makes the user nestor-gpufn" '^nestor-gpufn:.*/nologin$' "$(cat "$T/usr/etc/passwd" 2> /dev/null)"
	rm -f "$T"/usr/etc/{passwd,group,shadow,gshadow}{,-} "$T/usr/etc/.pwd.lock"
else
	skip "systemd units" "systemd-analyze is not installed"
fi
# A setting stands below its reason, or below a setting whose name its own begins with.
is "each setting of a drop-in has its reason in a comment" "" "$(awk -F= '
	/^[A-Z]/ && before !~ /^#/ && !(before != "" && index($1, before) == 1) { print FILENAME ": " $0 }
	{ before = /^[A-Z]/ ? $1 : $0 }' agent/*/*.conf)"
needed=$(sed -n 's/^\t{ \(CAP_[A-Z_]*\),.*/\1/p' agent/base/kernel.c | sort)
same "nestord.service keeps just the capabilities that nestord asks for" "$needed" \
	"$(sed -n 's/^CapabilityBoundingSet=//p' agent/systemd/nestord.service | tr ' ' '\n' | sort)"
same "nestord.8 lists the capabilities that nestord asks for" "$needed" "$(sed -n '/^\.Ss Requirements/,/^\.El/p' agent/man/nestord.8 | grep '^\.It' | grep -o 'CAP_[A-Z_]*' | sort)"

# ---- uninstall ----

echo 'agent: { linger: 1 }' > "$T/usr/etc/nestor/policy.d/mine.yaml"
ok "make uninstall" run_make uninstall DESTDIR="$T/usr" PREFIX=/usr
is "make uninstall: the administrator's policy stays" "./etc/nestor/policy.d/mine.yaml" "$(cd "$T/usr" && find . ! -type d)"
run_make uninstall DESTDIR="$T/no prefix" PREFIX=
is "make uninstall: an empty PREFIX is the root folder, and DESTDIR may have a space" "" "$(find "$T/no prefix" ! -type d)"
ok "make uninstall again is no error" run_make uninstall DESTDIR="$T/usr" PREFIX=/usr
ok "make uninstall from /usr/local" run_make uninstall DESTDIR="$T/local"
is "make uninstall: only the policy directory stays" "755 ./etc/nestor/policy.d" "$(installed "$T/local")"

# ---- make help ----

help=$(make --no-print-directory help)
for target in deps all run check bench demo lab lab-stress debug-kernel install uninstall fuzz fmt clean; do
	like "make help lists $target" "^$target +[^ ]" "$help"
done

# ---- manual pages ----

# 100 columns: Debian 13's troff complains of names of metrics that are wider than its lines.
for page in agent/man/nestord.8 agent/man/nestorctl.1 build/man/nestor-policy.5 agent/gpufn/nestor-gpufn.7; do
	if command -v man > /dev/null; then
		is "$page: no warnings" "" "$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=100 man --warnings -E UTF-8 -l -Z "$page" 2>&1 > /dev/null)"
	else
		skip "$page: no warnings" "man is not installed"
	fi
done
page_options() { sed -n 's/^\.It Fl -\([a-z-]*\).*/--\1/p' "$1" | sort -u; }
help_options() { "$1" --help | grep -oE -- '--[a-z-]+' | sort -u; }
same "nestord.8 has the options of nestord --help" "$(help_options "$NESTORD")" "$(page_options agent/man/nestord.8)"
same "nestorctl.1 has the options of nestorctl --help" "$(help_options "$NESTORCTL")" "$(page_options agent/man/nestorctl.1)"
# [NAME=VALUE]... is Op Ar NAME=VALUE ... there.
same "nestorctl.1 has the commands of nestorctl --help" \
	"$("$NESTORCTL" --help | sed -nE '/^$/d; s/ \[([A-Z=]+)\]/ Op \1/; s/\.\.\.  / ...  /
		s/^  ([a-zA-Z][a-zA-Z =.]*[a-zA-Z.])   .*/\1/p' | sort)" \
	"$(sed -n '/^\.Sh COMMANDS/,/^\.Sh OPTIONS/s/^\.It //p' agent/man/nestorctl.1 | sed -E 's/\b(Cm|Ar) //g' | sort)"
for option in --listen --run-dir --bpffs; do
	default=$("$NESTORD" --help | sed -nE "s/^  $option .*\((.*)\)\$/\1/p" | sed 's/;.*//')
	like "nestord.8 has the default of $option" . "$default"
	is "nestord.8 has $default as the default of $option" 1 "$(awk -v o="$option" -v d="$default" '$1 == ".It" { now = $2 " -" $3 == ".It" ? "" : "-" $3 }
		now == o && index($0, d) { n = 1 } END { print n + 0 }' agent/man/nestord.8)"
done

# ---- the manual's program that chooses stores ----

sed -n '/^#include <vmlinux/,/^\.Ed/p' agent/man/nestorctl.1 | sed '/^\.Ed/d' > "$T/head.bpf.c"
ok "nestorctl.1: the example program compiles with the installed headers" clang -g -O2 -Wall -Werror -target bpf -I . -iquote "$T/local/usr/local/share/nestor/include" \
	-c "$T/head.bpf.c" -o "$T/head.bpf.o"
like "nestorctl.1: the example program has the section freplace/cache_choose" 'freplace/cache_choose' "$(llvm-objdump -h "$T/head.bpf.o")"

# ---- the manual's function, and its caller ----

# example FILE: what the page shows below that name
example() { sed -n "/^\.Pa $1:\$/,/^\.Ed/p" agent/gpufn/nestor-gpufn.7 | sed '1,/^\.Bd/d; /^\.Ed/d; s/\\e/\\/g'; }
mkdir -p "$T/functions" "$T/include/nestor"
for file in brighten.yaml brighten.cl brighten.check.cl; do
	example $file > "$T/functions/$file"
done
run "$NESTORCTL" gpufn check "$T/functions"
is "nestor-gpufn.7: the example function passes gpufn check" 0 "$status"
is "nestor-gpufn.7: gpufn check has no warning for the example function" "" "$err"
example caller.c > "$T/caller.c"
ln -s "$ROOT/agent/gpufn/client.h" "$T/include/nestor/gpufn_client.h"
ok "nestor-gpufn.7: the example caller compiles" "${CC:-gcc}" -Wall -Wextra -Werror -I "$T/include" "$T/caller.c" build/libnestor-gpufn.a -ljansson \
	-o "$T/caller"
NESTOR_GPUFN_SOCKET=$T/none run "$T/caller"
like "nestor-gpufn.7: the example caller reports a missing broker" "onnect" "$err"
same "nestor-gpufn.7 has the functions that come with Nestor" "$(cd gpu/functions && compgen -G '*.yaml' | sed 's/\.yaml$//' | sort)" \
	"$(sed -n '/^\.Sh FUNCTIONS/,/^\.El/s/^\.It Cm \([a-z0-9_]*\).*/\1/p' agent/gpufn/nestor-gpufn.7 | sort)"

# ---- policy ----

same "nestor-policy.5 has the keys of policy.yaml with their defaults" \
	"$(awk '/^[a-z]+:/ { section = $1; sub(/:/, "", section) } /^  [a-z_]+:/ { sub(/:/, "", $1); print section "." $1, $2 == "" ? "below" : $2 }' build/policy.yaml)" \
	"$(awk '$1 == ".Ss" { section = $2 } $1 == ".Sh" { section = "" } section && $1 == ".It" { key = $3 }
		section && $1 == "Default:" { value = $2; if (value == "") value = "below"; sub(/\.$/, "", value); print section "." key, value }' build/man/nestor-policy.5)"

# ---- a running agent ----

# shellcheck disable=SC2317 # deferred
disk_off() { losetup -j "$T/disk" | cut -d: -f1 | xargs -r losetup -d; }
truncate -s 16M "$T/disk"
defer disk_off # before it is there: a signal may come in between
loop=$(losetup --find --show "$T/disk")
# Some families are there only while there is something to tell of: a VM, to which a program of that name will do.
cp "$(command -v sleep)" "$T/qemu-system-x86_64"
"$T/qemu-system-x86_64" 1000 &
defer kill $!
agent_start --log-level info
dd if="$loop" of=/dev/null bs=4k count=1 iflag=direct status=none
families() { # NAME{LABELS} TYPE
	metrics > "$T/metrics"
	ctl --json metrics | jq -r '.[] | (.name | sub("_(bucket|sum|count)$"; "")) as $n |
		((.labels | keys) - ["le"] | join(",")) as $l | $n + (if $l == "" then "" else "{" + $l + "}" end)' | sort -u |
		awk 'NR == FNR { if ($2 == "TYPE") type[$3] = $4; next } { n = $1; sub(/\{.*/, "", n); print $1, type[n] }' "$T/metrics" -
}
# Metrics of limits are there only while one is in force: tests of limits show them.
page_families() { # labels sorted as jq does
	awk '$1 == ".It" && $2 == "Li" && $3 ~ /^nestor_/ { name = $3; getline; print name, tolower($1) }' agent/man/nestord.8 | tr -d '.;,' |
		paste -d ' ' <(sed -n 's/^\.It Li \(nestor_[^ ]*\)$/\1/p' agent/man/nestord.8) - | while read -r series _ type; do
		name=${series%%\{*} labels=${series#"$name"}
		labels=$(tr -d '{}' <<< "$labels" | tr ',' '\n' | sort | paste -sd ,)
		[[ $name =~ _limit(_|$)|_target_ && $name != *_possible && $name != *_over_limit_total ]] || echo "$name${labels:+{$labels\}} $type"
	done | sort -u
}
families | sort > "$T/families"
page_families | sort > "$T/page"
is "nestord.8 has the metrics of a running agent, with their labels and types" "" "$(comm -23 "$T/families" "$T/page")"
# Some are there only with limits in force, or with traffic.
is "nestord.8 has no metric that nestord cannot have" "" "$(comm -13 "$T/families" "$T/page" | sed 's/[{ ].*//' | sort -u | while read -r one; do
	grep -qaF "$one" "$NESTORD" || echo "$one"
done)"
same "nestord.8 has the pages of a running agent" "$(curl -s --noproxy '*' "$URL/api/v1" | sed -n 's/^\(\/[^ ]*\) .*/\1/p' | sort)" \
	"$(sed -n '/^\.Sh HTTP/,/^\.El/s/^\.It Pa //p' agent/man/nestord.8 | sort)"
for label in reason:nestor_events_lost_total source:nestor_blkio_owner_total; do
	while read -r value; do
		ok "nestord.8 explains ${label%%:*} $value" grep -qxF ".It Cm $value" agent/man/nestord.8
	done < <(sed -n "s/^${label#*:}{.*${label%%:*}=\"\([^\"]*\)\".*/\1/p" "$T/metrics" | sort -u)
done
last=$(sed -n 's/.*le="\([0-9.]*\)".*/\1/p' "$T/metrics" | sort -g | tail -1)
ok "nestord.8 has the last bound of the histograms, $last" grep -qF "$last" agent/man/nestord.8
is "nestord.8 has the number of the histograms' bounds" "$(sed -n 's/.*le="\([0-9.e-]*\)".*/\1/p' "$T/metrics" | sort -u | wc -l)" \
	"$(grep -oE '\([0-9]+ of them\)' agent/man/nestord.8 | tr -dc 0-9)"
agent_stop
done_testing

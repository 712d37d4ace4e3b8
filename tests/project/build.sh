#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 40, lane: free
# make builds what has changed and no more, in a copy of this tree with what is built of it: one file, other flags, a commit,
# a file that has gone.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1
unset MAKEFLAGS MAKELEVEL MFLAGS
if ! git rev-parse -q --verify HEAD > "$T/head" 2>&1; then
	skip "building" "this is no git repository"
	done_testing
fi

copy=$T/copy
mkdir "$copy"
git ls-files -z --cached --others --exclude-standard | xargs -0 -I FILE sh -c '[ ! -e "$1" ] || printf "%s\\0" "$1"' - FILE |
	xargs -0 cp -a --parents -t "$copy"
mkdir "$copy/build"
find build -mindepth 1 -maxdepth 1 ! -name vm ! -name asan ! -name fuzz ! -name module ! -name tests -exec cp -a -t "$copy/build" {} +
cd "$copy" || exit 1
commit() { git add -A && git -c user.name=nobody -c user.email=nobody@localhost -c commit.gpgsign=false commit -qm "$1"; }
git init -q . && commit first

make_it() { make --no-print-directory "$@" > "$T/make" 2>&1 || ok "make $*" false || sed 's/^/# /' "$T/make" | tail -n 20; }
did() { awk -v verb="$1" '$1 == verb { print $2 }' "$T/make" | sort | paste -sd ' '; } # did CC|LINK|…: to what

make_it all
make_it all
is "make: what is built is not built again" "" "$(did CC)$(did AR)$(did LINK)$(did BPF)"
touch Makefile agent/rules.mk
make_it all
is "make: nor is it for a rule that changed" "" "$(did CC)$(did AR)$(did LINK)$(did BPF)"

# ---- one file
touch agent/lib/buf.c
TIMEFORMAT='%U %S'
{ time make_it all; } 2> "$T/time"
is "make: of one file that changed it is compiled" agent/lib/buf.c "$(did CC)"
is "make: and what has it is linked" "build/agent/generate build/nestorctl build/nestord" "$(did LINK)"
within "make: seconds of a processor for that" 0 "$(awk '{ print $1 + $2 }' "$T/time")" 5

# ---- a commit
version() { build/nestord --version; }
like "version: is the first commit's" "\\($(git describe --always)\\)\$" "$(version)"
echo "# a comment" >> agent/install.tsv
commit second
make_it all
is "version: is the second commit's" "nestord $(sed -n 's/^VERSION := //p' Makefile) ($(git describe --always))" "$(version)"
is "version: for which one file was compiled" build/revision.c "$(did CC)"
echo "# another" >> agent/install.tsv
make_it all
like "version: tells that a file differs" '-dirty\)$' "$(version)"
mv .git no-git
make_it all
like "version: stays where git does not answer" '-dirty\)$' "$(version)"
is "version: which compiles nothing" "" "$(did CC)"
mv no-git .git

# ---- a file that goes
printf '%s\n' 'int gone_value(void);' > agent/lib/gone.h
printf '%s\n' '#include "agent/lib/gone.h"' 'int gone_value(void)' '{' '	return 1;' '}' > agent/lib/gone.c
cp agent/lib/buf.c "$T/buf.c"
sed -i '1a #include "agent/lib/gone.h"' agent/lib/buf.c
make_it all
has_gone() { nm build/core.a 2> /dev/null | grep -q gone_value; }
ok "files: a new one is found" has_gone
rm agent/lib/gone.c agent/lib/gone.h
cp "$T/buf.c" agent/lib/buf.c
make_it all
ok "files: one that has gone is no longer linked" eval '! has_gone'
is "files: nor looked for, though dependencies that were written before name it" "" "$(grep -v '^  ' "$T/make")"

# ---- flags
flags() { # flags FLAGS: compiles one file with them; says what was compiled
	make_it "$@" build/agent/lib/buf.o
	did CC
}
is "flags: others compile anew" agent/lib/buf.c "$(flags CFLAGS=-O1)"
is "flags: once" "" "$(flags CFLAGS=-O1)"
is "flags: also preprocessor's" agent/lib/buf.c "$(flags CFLAGS=-O1 CPPFLAGS=-DSOME)"
is "flags: and the usual ones again" agent/lib/buf.c "$(flags)"

# ---- jobs
printf '%s\n' 'include Makefile' 'show:' '	@echo $(filter -j%,$(MAKEFLAGS)) $$(id -un)' 'sub:' "	\$(BUILD) -f $T/jobs.mk show" > "$T/jobs.mk"
chmod 711 "$T" # another user acts here
chmod 644 "$T/jobs.mk"
jobs_of() { make --no-print-directory -f "$T/jobs.mk" "$@" 2>&1; }
is "jobs: as many as there are processors" "-j$(nproc) $(id -un)" "$(jobs_of show)"
is "jobs: or as many as make is told" "-j3 $(id -un)" "$(jobs_of -j3 show)"
is "jobs: so does what builds below sudo, as the user who called it" "-j$(nproc) nobody" "$(jobs_of sub SUDO_USER=nobody)"
done_testing

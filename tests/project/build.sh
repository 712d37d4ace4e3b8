#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 40, lane: free
# make builds what has changed and no more, in a copy of this tree with what is built of it: one file, other flags, a commit,
# a file that has gone.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1
unset MAKEFLAGS MAKELEVEL MFLAGS
if ! git rev-parse -q --verify HEAD > "$T/head" 2>&1; then
	skip "make: builds what changed and no more" "this is no git repository"
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
is "make: a changed rule builds nothing again" "" "$(did CC)$(did AR)$(did LINK)$(did BPF)"

# ---- one file
touch agent/lib/buf.c
TIMEFORMAT='%U %S'
{ time make_it all; } 2> "$T/time"
is "make: only the file that changed is compiled" agent/lib/buf.c "$(did CC)"
is "make: programs that have the changed file are linked" "build/agent/generate build/nestorctl build/nestord" "$(did LINK)"
within "make: one changed file takes 5 seconds of a processor or less" 0 "$(awk '{ print $1 + $2 }' "$T/time")" 5

# ---- a commit
version() { build/nestord --version; }
like "version: is that of the first commit" "\\($(git describe --always)\\)\$" "$(version)"
echo "# a comment" >> agent/install.tsv
commit second
make_it all
is "version: is that of the second commit" "nestord $(sed -n 's/^VERSION := //p' Makefile) ($(git describe --always))" "$(version)"
is "version: a commit compiles one file" build/revision.c "$(did CC)"
echo "# another" >> agent/install.tsv
make_it all
like "version: a changed file shows as dirty" '-dirty\)$' "$(version)"
mv .git no-git
make_it all
like "version: stays where git does not answer" '-dirty\)$' "$(version)"
is "version: a build without git compiles nothing" "" "$(did CC)"
mv no-git .git

# ---- a file that goes
printf '%s\n' 'int gone_value(void);' > agent/lib/gone.h
printf '%s\n' '#include "agent/lib/gone.h"' 'int gone_value(void)' '{' '	return 1;' '}' > agent/lib/gone.c
cp agent/lib/buf.c "$T/buf.c"
sed -i '1a #include "agent/lib/gone.h"' agent/lib/buf.c
make_it all
has_gone() { nm build/core.a 2> /dev/null | grep -q gone_value; }
ok "files: a new file is found" has_gone
rm agent/lib/gone.c agent/lib/gone.h
cp "$T/buf.c" agent/lib/buf.c
make_it all
ok "files: a removed file is no longer linked" eval '! has_gone'
is "files: a removed header is not looked for, though old dependencies name it" "" "$(grep -v '^  ' "$T/make")"

# ---- flags
flags() { # flags FLAGS: compiles one file with them; says what was compiled
	make_it "$@" build/agent/lib/buf.o
	did CC
}
is "flags: other CFLAGS compile a file again" agent/lib/buf.c "$(flags CFLAGS=-O1)"
is "flags: the same CFLAGS compile nothing" "" "$(flags CFLAGS=-O1)"
is "flags: other CPPFLAGS compile a file again" agent/lib/buf.c "$(flags CFLAGS=-O1 CPPFLAGS=-DSOME)"
is "flags: the usual flags compile a file again" agent/lib/buf.c "$(flags)"

# ---- jobs
printf '%s\n' 'include Makefile' 'show:' '	@echo $(filter -j%,$(MAKEFLAGS)) $$(id -un)' 'sub:' "	\$(BUILD) -f $T/jobs.mk show" > "$T/jobs.mk"
chmod 711 "$T" # another user acts here
chmod 644 "$T/jobs.mk"
jobs_of() { make --no-print-directory -f "$T/jobs.mk" "$@" 2>&1; }
is "jobs: as many as there are processors" "-j$(nproc) $(id -un)" "$(jobs_of show)"
is "jobs: as many as -j says" "-j3 $(id -un)" "$(jobs_of -j3 show)"
is "jobs: make below sudo builds as the user who called it" "-j$(nproc) nobody" "$(jobs_of sub SUDO_USER=nobody)"
done_testing

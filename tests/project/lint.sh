#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 150, lane: free
# Style and static analysis of all that is ours: clang-format, clang-tidy, cppcheck, shellcheck, and house rules.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

# Also without git, as in an unpacked archive.
files() { find agent bpf kfuncs gpu tests -name "$1" 2> /dev/null | sort; }
mapfile -t c_files < <(files '*.[ch]')
# Not what is compiled for the kernel, with its headers.
mapfile -t units < <(files '*.c' | grep -v -e '\.bpf\.c$' -e '^kfuncs/' -e '^tests/vm/planted/' -e '^tests/project/newroom/')
mapfile -t scripts < <(grep -lsE '^#!/bin/(ba)?sh|shellcheck shell=' .ci/* agent/install.sh agent/*/*.bash tests/* tests/*/* | sort)
flags=(-iquote . -D_GNU_SOURCE -std=gnu11)

passes() { # passes TEXT COMMAND…: shows what it printed if it fails
	local text=$1
	shift
	if "$@" > "$T/out" 2>&1; then
		ok "$text" true
	else
		ok "$text" false
		sed 's/^/# /' "$T/out" | grep -v ' warnings generated' | tail -n 40
	fi
}

tidy() { printf '%s\n' "${units[@]}" | xargs -P "$(nproc)" -n 4 sh -c 'clang-tidy --quiet "$@" -- '"$(printf '%q ' "${flags[@]}")" tidy; }

# Another version formats a few lines in another way.
if clang-format --version | grep -q 'version 14\.'; then
	passes "clang-format" clang-format --dry-run -Werror "${c_files[@]}"
else
	skip "clang-format" "the style is that of clang-format 14"
fi
passes "clang-tidy" tidy
# Skeletons are generated, and megabytes of string: empty ones stand in. Leaks are for ASan, which knows the
# cleanup attribute.
for skeleton in build/bpf/*/*.skel.h; do install -D /dev/null "$T/stub/$skeleton"; done
mkdir "$T/stub/sys"
cat > "$T/stub/sys/queue.h" << 'EOF' # it reads no system headers
#define TAILQ_HEAD(name, type) struct name { struct type *first; }
#define TAILQ_ENTRY(type) struct { struct type *next; }
#define TAILQ_FOREACH(var, head, field) for ((var) = (head)->first; (var); (var) = (var)->field.next)
#define LIST_HEAD(name, type) struct name { struct type *first; }
#define LIST_ENTRY(type) struct { struct type *next; }
#define LIST_FOREACH(var, head, field) for ((var) = (head)->first; (var); (var) = (var)->field.next)
EOF
passes "cppcheck" cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr -j "$(nproc)" \
	--suppress=missingIncludeSystem --suppress=unknownMacro --suppress=varFuncNullUB --suppress=memleak \
	--suppress=normalCheckLevelMaxBranches -I "$T/stub" -I . -D_GNU_SOURCE "${units[@]}"
passes "shellcheck" shellcheck --severity=warning --external-sources --source-path=SCRIPTDIR "${scripts[@]}"

no_match() { ! grep -nE "$@"; }
passes "each file says its licence" sh -c '! grep -L "SPDX-License-Identifier: GPL-2.0" "$@" | grep .' - "${c_files[@]}" "${scripts[@]}"
# A sleep of 1000 s is a thing that hangs; VMs poll for devices, as nothing tells of them there.
passes "tests do not sleep" sh -c '! grep -nE "^[^#]*\bsleep +([0-9]{1,2}\b|[0-9]*\.)" "$@" | grep -v ^tests/vm/init:' - "${scripts[@]}"
passes "objects that tests make are named by the test's id, not a process's" no_match -r --include='*.sh' --exclude-dir=bench 'nestor-[a-z-]*-\$\$' tests
mapfile -t named < <(find tests -mindepth 2 -maxdepth 2 '(' -name '*.sh' -o -name '*.c' ')' | sort)
passes "names of tests stand alone" perl tests/project/names.pl "${named[@]}"
printf 'is "%s" 0 0\n' "and that of b" "page: nor a title" "who: a VM" > "$T/planted.sh"
printf '%s\n' 'ok(f(")", 1), "its name");' 'is_str("it is", got, "a claim");' 'is_u64(1,' '       f(2), "both pages");' > "$T/planted.c"
is "names that need their neighbours are found" "planted.sh:1 planted.sh:2 planted.c:1 planted.c:3" \
	"$(perl tests/project/names.pl "$T"/planted.{sh,c} | sed -n 's|.*/\(planted[^:]*:[0-9]*\): .*|\1|p' | xargs)"
passes "no function is longer than 80 lines" awk '
	/^[A-Za-z].*\)$/ || /^(static|int|void|bool|const|enum|struct) .*[^;]$/ { start = FNR }
	/^}$/ && FNR - start > 80 { print FILENAME ":" start ": " FNR - start " lines"; bad = 1 } END { exit bad }' "${units[@]}"
done_testing

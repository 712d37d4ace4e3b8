#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 20
# lane: free
# What may know what: no circles, includes that obey include-rules.tsv, names of rooms in rooms alone, prefixes of symbols.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

check=$ROOT/tests/project/structure.pl

nothing() { # nothing TEXT CHECK: no offender is found
	perl "$check" "$2" > "$T/found" 2>&1 && ! [ -s "$T/found" ]
	ok "$1" [ $? = 0 ]
	sed 's/^/# /' "$T/found"
}

nothing "no two files call each other, in however many steps" symbol-circles
nothing "no two files include each other, in however many steps" include-circles
nothing "each include obeys include-rules.tsv" includes
nothing "no room is named outside of rooms, nor in another room" rooms
nothing "each exported symbol bears the name of its file, folder, room or module" prefixes
nothing "each call of the agent's loop that could wait has its reason in loop-waits.tsv" loop-waits
# A process of the agent is started by agent/lib/child.c alone.
callers=$(grep -lE '\b(v?fork|execve?|execvp?e?|clone3?)\(' agent/*.c agent/*/*.c gpu/*.c gpu/*/*.c)
is "only agent/lib/child.c forks and executes" agent/lib/child.c "$callers"

# ---- each check finds what is planted into a copy ----

copy=$T/tree
mkdir -p "$copy/tests/project" "$copy/build"
cp -r agent bpf gpu kfuncs "$copy"
cp tests/project/*.tsv "$copy/tests/project"
cp -rs "$ROOT/build/agent" "$ROOT/build/gpu" "$copy/build"

plant() { # plant FILE TEXT: also its object, where it is not the module's
	mkdir -p "$copy/${1%/*}"
	printf '%s\n' "$2" > "$copy/$1"
	case $1 in
	kfuncs/* | *.h) ;;
	*) (cd "$copy" && gcc -iquote "$ROOT" -c -o "build/${1%.c}.o" "$1") ;;
	esac
}

finds() { # finds TEXT CHECK EXPECTED: a line of its output; takes away what was planted
	local found
	found=$(cd "$copy" && perl "$check" "$2" 2>&1)
	ok "$1" grep -qxF -e "$3" <<< "$found"
	grep -qxF -e "$3" <<< "$found" || printf '%s\n' "$found" | sed 's/^/# /'
	find "$copy" -name 'planted*' -delete
}

plant agent/lib/planted_a.c 'void planted_b(void); void planted_a(void); void planted_a(void) { planted_b(); }'
plant agent/who/planted_b.c 'void planted_a(void); void planted_b(void); void planted_b(void) { planted_a(); }'
finds "a circle of two files by their symbols is found" symbol-circles 'circle: agent/lib/planted_a.c agent/who/planted_b.c'

plant kfuncs/planted_a.c $'int planted_b(void);\nint planted_a(void)\n{\n\treturn planted_b();\n}'
plant kfuncs/cache/planted_b.c $'int planted_c(void);\nint planted_b(void)\n{\n\treturn planted_c();\n}'
plant kfuncs/cache/planted_c.c $'int planted_a(void);\nint planted_c(void)\n{\n\treturn planted_a();\n}'
finds "a circle of three files of the module is found" symbol-circles \
	'circle: kfuncs/cache/planted_b.c kfuncs/cache/planted_c.c kfuncs/planted_a.c'

plant gpu/planted_a.h '#include "gpu/fn/planted_b.h"'
plant gpu/fn/planted_b.h '#include "gpu/planted_a.h"'
finds "a circle of headers is found" include-circles 'circle: gpu/fn/planted_b.h gpu/planted_a.h'

plant agent/who/planted.h '#include "agent/core/agent.h"'
finds "an include of the core in agent/who is found" includes 'agent/who/planted.h:1: agent/who/* may not include agent/core/agent.h'

plant agent/pcache/planted.h '#include "agent/net/net.h"'
finds "an include of another room in a room is found" includes 'agent/pcache/planted.h:1: agent/ROOM/* may not include agent/net/net.h'

plant bpf/net/planted.h '#include "bpf/pcache/xarray.bpf.h"'
finds "an include of another room in a room's BPF programs is found" includes \
	'bpf/net/planted.h:1: bpf/ROOM/* may not include bpf/pcache/xarray.bpf.h'

plant agent/floor/planted.h ''
finds "a folder without a rule is found" includes 'agent/floor/planted.h: no rule is for it'

plant agent/http/planted.h $'/* net_limit is a comment */\nextern int net_limit;'
finds "a room's name in an identifier of the core is found" rooms 'agent/http/planted.h:2: names a room: net_limit'

plant agent/core/planted.h 'static const char planted[] = "pcache";'
finds "a room's name in a string of the core is found" rooms 'agent/core/planted.h:1: names a room: "pcache"'

plant agent/net/planted.h 'extern const struct room room_blkio;'
finds "a second room's name in a room is found" rooms 'agent/net/planted.h:1: names another room: room_blkio'

# In the place of agent/lib/notify.c, which the loop uses.
plant agent/lib/planted.c 'int flock(int, int); void notify_manager(void); void notify_manager(void) { flock(0, 2); }'
finds "a call that can wait in a file that the loop uses is found" loop-waits 'agent/lib/planted.c: flock() can wait'

plant agent/gpufn/planted.c 'int flock(int, int); int gpufn_broker_main(void); int gpufn_broker_main(void) { return flock(0, 2); }'
ok "a call that can wait in another process is none of the loop" [ -z "$(cd "$copy" && perl "$check" loop-waits 2>&1)" ]
find "$copy" -name 'planted*' -delete

plant agent/lib/planted.c 'int stranger;'
finds "an exported symbol without a prefix is found" prefixes 'agent/lib/planted.c: exports stranger'

done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 60, lane: free
# The models of the cache (tests/cache/*_model.c) would find bugs: the rules are built with one guard taken out at a time, and each
# of these has to fail. With --vm it is the module that is built with a bug, and files (tests/cache/coherence.sh) that have to find it,
# which takes a minute for each; most guards are not among those bugs, as what one lets through another one stops.
# BUGS: those whose text it matches.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

build() { # build DIR: with the test $model
	${CC:-gcc} -std=gnu11 -O1 -g -D_GNU_SOURCE -iquote "$1" -iquote . -include tests/cache/userspace/kernel.h -o "$1/cachemodel" "tests/cache/$model.c" \
		"$1"/kfuncs/cache/{blocks,index,memory,pool,ssd}.c tests/cache/userspace/kernel.c -lxxhash
}
build_module() { # build_module DIR
	make -s -C "$(tests/vm/kernel 6.12)/headers" M="$1/kfuncs" modules
}
# Does it fail, with whatever status, or hang?
fails() { # fails DIR
	local seed
	for seed in 1 2 3 4 5 6; do
		timeout 20 "$1/cachemodel" $seed 3000000 > "$1/log" 2>&1 || return 0
	done
	return 1
}
fails_in_vm() { # fails_in_vm DIR
	MODULE=$1/kfuncs/nestor.ko KERNEL=6.12 STAGES=slow OPERATIONS=64000 tests/cache/coherence.sh > "$1/log" 2>&1
	grep -m 1 -oE 'fsfuzz: (STALE|operation [0-9]+, ).*' "$1/log" | sed 's/^/# /'
	grep -qE 'STALE|bytes at' "$1/log"
}
good() { ! fails "$T/good"; }
model=rules_model
if [ "${1:-}" = --vm ]; then
	build() { build_module "$1"; }
	fails() { fails_in_vm "$1"; }
else
	mkdir -p "$T/good"
	cp -r kfuncs "$T/good/"
	ok "cache: the unchanged rules build" build "$T/good"
	ok "cache: the unchanged rules pass" good
fi

nr=0
bug() { # bug TEXT FROM TO [MODEL]: of the one file that has FROM, which is there once and literally
	local model=${4:-rules_model} dir=$T/bug$((++nr)) file

	[[ $1 =~ ${BUGS:-.} ]] || return 0
	mkdir "$dir"
	cp -r kfuncs "$dir/"
	file=$(FROM=$2 perl -0ne 'print "$ARGV\n" if /\Q$ENV{FROM}\E/' "$dir"/kfuncs/{,*/}*.[ch])
	[ -f "$file" ] && FROM=$2 TO=$3 perl -0pi -e '1 == s/\Q$ENV{FROM}\E/$ENV{TO}/g or exit 3' "$file" || {
		ok "cache: the text to change is there once: $1" false
		return
	}
	build "$dir" > "$dir/log" 2>&1 || { ok "cache: the rules build with a bug: $1" false; sed 's/^/# /' "$dir/log"; return; }
	ok "cache: a bug is found: $1" fails "$dir"
}

if [ "${1:-}" = --vm ]; then
	bug "any page is taken for one of the page cache that is being filled or written back" \
		'return is_read ? !folio_test_uptodate(folio) && !folio_mapped(folio) : folio_test_writeback(folio);' 'return true;'
	bug "a direct write or discard leaves what the store has" 'blind && i < nr' 'false && i < nr'
	bug "the content is not compared with its hash" 'e->hash != hash' 'false'
	bug "a write through the page cache leaves what the store has" '	if (id)
		drop(id);
	*ret_before' '	*ret_before'
	bug "what a disk gets while it is out of the cache is not noticed" '	cache_blocks_forget_device(i);' ''
	bug "what the store has a part of is not read further" '	if (nr < io->nr)
		dm_accept_partial_bio(bio, nr << SECTORS_SHIFT);' ''
	bug "a page of the store is copied to all of its run" 'store->address(taken.places[i])' 'store->address(taken.places[0])'
	bug "what a read brought is noted as the next block's" 'cache_blocks_read_end(where, nr' 'cache_blocks_read_end(where + 1, nr'
	bug "blocks are counted from the wrong place" 'where_of(number, start >> SECTORS_SHIFT)' 'where_of(number, (start >> SECTORS_SHIFT) / 2)'
	done_testing
fi
guard='return is_read ? !folio_test_uptodate(folio) && !folio_mapped(folio) : folio_test_writeback(folio);'
bug "a page that a user has mapped is taken for one that is being filled" "$guard" 'return is_read || folio_test_writeback(folio);'
bug "a page that a user has mapped is taken for one that is being written back" "$guard" \
	'return !is_read || (!folio_test_uptodate(folio) && !folio_mapped(folio));'
bug "a direct write or discard leaves what the store has" 'blind && i < nr' 'false && i < nr'
bug "a direct write over one that is under way is not noticed" 'if (entry_state(e) == ENTRY_WRITING) {
		entry_set(e, entry_where(e), 0, ENTRY_CONTESTED);
		e->place = 1;
		return;' 'if (entry_state(e) == ENTRY_WRITING) {
		return;'
bug "a write does not know that a direct one is under way" 'if (blind) {' 'if (false) {'
bug "two writes of a block do not notice each other" 'if (id && entry_state(e) == ENTRY_WRITING) {' 'if (false) {'
bug "a read does not see that a write began meanwhile" 'i < nr && g->generation == ticket->generation' 'i < nr'
bug "a read does not see that a write was under way" 'ticket->alone = !g->writers' 'ticket->alone = true'
bug "a write does not count its beginning" 'g->generation++;' ''
bug "the end of a write is not counted" 'g->writers--;' ''
bug "the content is not compared with its hash" 'e->hash != hash' 'false'
bug "a failed write counts as written" 'e->place == frame && good' 'e->place == frame'
bug "what a read brought stands beside what was known" 'if (id)
		drop(id);
	*ids' 'if (false)
		drop(id);
	*ids'
bug "a segment that the SSD did not take keeps its buffer" '	drop_failed();' '' outage_model
bug "a segment that the SSD did not take counts as written" 'good ? SEGMENT_WRITTEN : SEGMENT_FAILED' 'SEGMENT_WRITTEN'
bug "what was taken stays in the store" 'entry_set(e, where, 0, ENTRY_RESIDENT);
		e->place = to;' 'cache_pool_push(pool, id);'
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 5, lane: free
# The page's own files name no room: what is a room's stands in its module, dashboards/web/rooms/<stem>.js.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

stems=$(sed -n '/^#define ROOMS(X)/,/[^\\]$/p' agent/rooms.h | grep -oE 'X\([a-z]+\)' | sed 's/X(\(.*\))/\1/')
named() { grep -nwE "$(paste -sd '|' <<< "$stems")" "$@"; } # lines that name a room

ok "page: at least 6 rooms have a module" [ "$(wc -l <<< "$stems")" -ge 6 ]
is "page: its own files name no room" "" "$(named dashboards/web/*.js dashboards/web/*.css dashboards/web/*.html)"
is "page: the check finds a room's name in the page's own files" '1:const up = isUp("net");' "$(named <<< 'const up = isUp("net");')"
is "page: each module belongs to a room" "" \
	"$(find dashboards/web/rooms -type f | sed 's|.*/||; s/\.[a-z]*$//' | sort -u | comm -23 - <(sort <<< "$stems"))"
for stem in $stems; do
	others=$(grep -vx "$stem" <<< "$stems" | paste -sd '|')
	[ ! -e "dashboards/web/rooms/$stem.js" ] ||
		is "page: the module of $stem names no other room" "" "$(grep -nE "[\"'\`/]($others)[\"'\`/.]" dashboards/web/rooms/"$stem".*)"
done
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 60, lane: free
# A room to come edits two existing files, agent/rooms.h and README's table; all else is files of its own. Those of a small
# room are in newroom/: laid over a copy of this tree they make it appear everywhere where rooms do.
# shellcheck disable=SC2317 # functions that ok and until_ok call
# shellcheck source=tests/harness/lib.sh
. "$(dirname "$0")/../harness/lib.sh"
# shellcheck source=tests/harness/webdriver.sh
. "$(dirname "$0")/../harness/webdriver.sh"

tree=$T/tree
NESTORD=$tree/build/nestord NESTORCTL=$tree/build/nestorctl
has() { grep -qE -- "$1" <<< "$2"; }

# ---- the copy, with what is built, so that little is built anew; times are kept to the nanosecond
mkdir -p "$tree/build"
find "$ROOT" -mindepth 1 -maxdepth 1 ! -name build ! -name .git -exec cp -a -t "$tree" {} +
find "$ROOT/build" -mindepth 1 -maxdepth 1 ! -name vm ! -name asan ! -name fuzz ! -name tests ! -name module \
	-exec cp -a -t "$tree/build" {} +
build() { make -C "$tree" -j"$(nproc)" "$@" > "$T/make" 2>&1 || { sed 's/^/# /' "$T/make" && false; }; }
compiled() { grep -c '^  CC ' "$T/make"; }
ok "new room: a copy of the tree builds" build all
is "new room: the copy compiles nothing again" 0 "$(compiled)"

# ---- the room
cp -r "$ROOT/tests/project/newroom/." "$tree/"
sed -i 's/^#define ROOMS(X) .*X(pcache)/& X(pulse)/' "$tree/agent/rooms.h"
# shellcheck disable=SC2016 # Markdown
sed -i '/^| `pcache` |/a | `pulse` | a heart that beats | works |' "$tree/README.md"
ok "new room: the tree builds with the room" build all
within "new room: 12 files at most are compiled for the room" 3 "$(compiled)" 12
is "new room: two existing files change" "README.md agent/rooms.h" \
	"$(diff -rq --exclude=build --exclude=.git "$ROOT" "$tree" | sed -n "s|^Files $ROOT/\(.*\) and .*|\1|p" | sort | paste -sd ' ')"

# ---- the policy
echo 'pulse: {interval: 1}' > "$T/policy.yaml"
run "$NESTORCTL" policy check "$T/policy.yaml"
is "policy: the new room's key is known" 0 "$status"
echo 'pulse: {interval: 61}' > "$T/wrong.yaml"
run "$NESTORCTL" policy check "$T/wrong.yaml"
is "policy: a value beyond its range is refused" 1 "$status"
like "policy: a refused value is reported with place and range" 'wrong.yaml:1:[0-9]+: .*interval.*1 to 60' "$err"

# ---- the agent and its client
agent_start --policy "$T/policy.yaml"
is "nestorctl rooms: the new room is up" up "$(ctl --json rooms | jq -r '.[] | select(.room == "pulse").state')"
is "nestorctl policy show: has the new room's key" 1 "$(ctl --json policy show | jq .pulse.interval)"
curl -s "$URL/metrics" > "$T/metrics"
ok "/metrics: has the new room's metric" grep -qx 'nestor_pulse_interval_seconds 1' "$T/metrics"
ok "/metrics: has the new room's state" grep -qx 'nestor_room_up{room="pulse"} 1' "$T/metrics"
is "nestorctl pulse show: prints the new room's document" 1 "$(ctl --json pulse show | jq '.[0].interval_seconds')"
is "nestorctl pulse feel: the new room's own verb works" "it beats" "$(ctl pulse feel)"
like "nestorctl --help: has the new room's verb" '^ +pulse feel +whether the heart beats$' "$("$NESTORCTL" --help)"
complete_words() { # complete_words WORD…: what the last one may become
	# shellcheck disable=SC2016 # the other shell's
	bash -c 'source "$1" && COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2)) && _nestorctl "$2" && printf "%s\n" "${COMPREPLY[@]}"' \
		- "$tree/agent/ctl/nestorctl.bash" "$NESTORCTL" "$@" | sed 's/ *$//' | sort | paste -sd ' '
}
is "completion: has the new room's noun" pulse "$(complete_words pul)"
is "completion: has the new room's verbs" "feel show" "$(complete_words pulse '')"

# ---- the page
has_beats() { curl -s "$URL/api/v1/history" | jq -e '.owners[] | select(.container == "/heart") | .values.pulse_beats | any(. != null)' > /dev/null; }
is "history: has the new room's quantity and unit" "beats/s" "$(curl -s "$URL/api/v1/history" | jq -r '.quantities[] | select(.name == "pulse_beats").unit')"
ok "history: has the new room's values" until_ok 20 has_beats
ok "page: the new room's module is served" cmp -s <(curl -s "$URL/rooms/pulse.js") "$tree/dashboards/web/rooms/pulse.js"
ok "page: the new room's style is served" has '^#panel-pulse p ' "$(curl -s "$URL/rooms.css")"
browser_start || ok "Chromium starts" false
open_page "$URL/"
words() { js "return document.querySelector('#chart-pulse figcaption p')?.textContent"; }
charted() { has '^beats now [0-9.]+/s, at most' "$(words)"; }
ok "page: the new room's chart is drawn" until_ok 30 charted || echo "#   words: $(words)"
is "page: the new room's panel is drawn" "It beats every 1 s." "$(js "return document.querySelector('#panel-pulse p').textContent")"
js "document.querySelector('#numbers').open = true" > /dev/null
ok "page: the new room's column is in the table" until_ok 5 \
	js_true "return [...document.querySelectorAll('#values th')].some((c) => c.textContent === 'Beats')"
is "page: no error on the console" "" "$(console_errors)"
agent_stop

# ---- what is installed
ok "make install" build install DESTDIR="$T/installed" PREFIX=/usr
for file in man/man7/nestor-pulse.7 nestor/grafana/nestor-pulse.json; do
	ok "make install: $file" [ -f "$T/installed/usr/share/$file" ]
done
like "make install: the manual of policies has the key" 'Time between two beats' "$(cat "$T/installed/usr/share/man/man5/nestor-policy.5")"
like "make install: policy.yaml has the key at its default" '^ *interval: 5' "$(sed -n '/^pulse:/,$p' "$T/installed/usr/share/doc/nestor/policy.yaml")"

# ---- and without it again
rm "$tree"/dashboards/web/rooms/pulse.*
ok "page: builds without the removed module of a room" build build/dashboards/page.h build/dashboards/web/rooms.js build/dashboards/web/rooms.css
is "page: no list has the removed module of a room" "" "$(grep -l pulse "$tree"/build/dashboards/page.h "$tree"/build/dashboards/web/rooms.*)"
done_testing

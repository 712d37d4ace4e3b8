#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 110, lane: vm
# The page, in a real browser, served by the agent of the demonstration: a VM with five containers that work. What it
# shows, how it follows a change of policy and a restart of the agent, whether it can be read and reached by all.
# Screenshots are in build/page/.
# shellcheck disable=SC2317 # functions that ok and until_ok call
. "$(dirname "$0")/../harness/lib.sh"
# shellcheck source=tests/harness/webdriver.sh
. "$(dirname "$0")/../harness/webdriver.sh"
cd "$ROOT" || exit 1
shots=$ROOT/build/page
mkdir -p "$shots"

# ---- the VM, and a shell in it
tests/demo shell > "$T/demo" 2>&1 &
demo=$!
# shellcheck disable=SC2317 # deferred
demo_off() {
	kill $demo
	wait $demo # it takes a while until nothing is left
}
defer demo_off
port() { sed -n "s/.*127.0.0.1:\([0-9]*\) is the guest's port $1\$/\1/p" "$T/demo"; }
serves() { curl -s --max-time 5 -o "$T/rooms" "http://127.0.0.1:$(port 6378)/api/v1/rooms"; }
ok "page: the demonstration boots and serves it" until_ok 60 serves || sed 's/^/# /' "$T/demo"
is "page: all rooms that policy wants are up" "" "$(jq -r '.[] | select(.state != "up" and .reason != "off by policy") | .room' "$T/rooms")"
exec 3<> "/dev/tcp/127.0.0.1/$(port 6379)"
in_vm() { echo "$1" >&3; }

browser_start || ok "(Chromium starts)" false
open_page "http://127.0.0.1:$(port 6378)/"

# ---- it fills
item() { echo "document.querySelector('[data-key=\"$1\"]')"; }
all_there() { js_true "return ['/web', '/mail', '/db', '/batch', '/backup'].every((c) => document.querySelector('[data-key=\"/' + c + '\"]'))"; }
choose() { js "$(item "$1").firstChild.click()" > /dev/null; }
words() { js "return document.querySelector('#chart-$1 figcaption p').textContent"; }
says() { grep -qE "$2" <<< "$(words "$1")"; }
drawn() { # drawn CHART: is anything but its background painted?
	js_true "const c = document.querySelector('#chart-$1 canvas');
		if (c.hidden) return false;
		const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
		return d.some((v, i) => i % 4 === 3 && v > 0)"
}
ok "page: the tree has the five containers" until_ok 30 all_there
is "page: the containers are below the machine" 1 "$(js "return document.querySelectorAll('#tree > li').length")"
for room in blkio net pcache cache dedup; do
	ok "page: room $room is shown as up" js_true "return document.querySelector('#rooms').textContent.includes('$room: up')"
done
like "page: policy is shown as in force" 'in force' "$(js "return document.querySelector('#policy').textContent")"
for chart in heat latency bytes hits evictions cachememory cachepages net migration; do
	ok "page: the machine's chart $chart is drawn" until_ok 60 drawn $chart
done
in_common() { js_true "return document.querySelectorAll('#panel-dedup .heat tbody tr').length >= 4 && /[0-9] [KM]iB/.test(document.querySelector('#panel-dedup tbody').textContent)"; }
ok "page: the containers' duplicate memory is a heat table" until_ok 60 in_common
like "page: the table of duplicates says what merging would free" 'Domain demo: merging would free [0-9.]+ [KM]?i?B' \
	"$(js "return document.querySelector('#panel-dedup caption').textContent")"
shares='/mail now [0-9.]+ MiB of a share of 6.40 MiB; /web now [0-9.]+ MiB of a share of 9.60 MiB'
ok "page: each container's part of the cache is in words" until_ok 20 says cachememory "^$shares\$"
stacks() { # stacks STACK: the highest that these areas or lines are, in MiB
	js "return Math.max(...Chart.getChart(document.querySelector('#chart-cachememory canvas')).data.datasets
		.filter((d) => d.stack === '$1').map((d) => d.data.map((p) => p.y)).reduce((a, b) => a.map((y, i) => y + b[i]))) / 1048576"
}
within "page: stacked shares are the whole store but a rounded page" 15.99 "$(stacks share)" 16
within "page: stacked areas are no more than the store" 1 "$(stacks used)" 16.5
ok "page: without an SSD its chart is hidden" js_true "return document.querySelector('#chart-cachessd canvas').hidden"
# The marks' colour is in no other part of a picture.
marked() { # marked: charts that have a mark, of those that are drawn
	js "const mark = getComputedStyle(document.documentElement).getPropertyValue('--mark').trim();
		const [r, g, b] = [1, 3, 5].map((i) => parseInt(mark.slice(i, i + 2), 16));
		const list = [...document.querySelectorAll('canvas')].filter((c) => !c.hidden && c.checkVisibility());
		const has = list.filter((c) => {
			const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
			return d.some((v, i) => i % 4 === 0 && v === r && d[i + 1] === g && d[i + 2] === b);
		});
		return has.length + ' of ' + list.length"
}
all_marked() { [[ $(marked) =~ ^([1-9]+)\ of\ ([0-9]+)$ && ${BASH_REMATCH[1]} = "${BASH_REMATCH[2]}" ]]; }
like "page: no chart marks a policy change at first" '^0 of [1-9]' "$(marked)"
choose //batch
ok "page: the details have the name of the selected container" js_true "return document.querySelector('#detail-name').textContent === '/batch'"
ok "page: a container's reads and their limit are in words" until_ok 20 says bytes 'read now (1?[0-9]|2[0-5])\.[0-9]+ MiB/s, .*limit of reads 24.0 MiB/s'
choose //web
ok "page: the hit ratio of a container that reads files is in words" until_ok 20 says hits 'hit ratio now [0-9.]+ %'
ok "page: the evictions of a container are in words" until_ok 20 says evictions 'evicted now [1-9]'
choose //backup
ok "page: what a container sends and its limit are in words" until_ok 20 says net 'limit of sending 2.38 MiB/s'
ok "page: a container's migration traffic is in words" says migration 'migration now'

# ---- a change of policy
in_vm "sed -i 's/web, memory: 60/web, memory: 30/; s/mail, memory: 40/mail, memory: 70/' /etc/nestor/policy.d/demo.yaml"
choose /
ok "page: every chart marks a policy change" until_ok 20 all_marked
changes() { js "return document.querySelector('#changes').textContent"; }
like "page: a policy change is in words" '^Policy changed at [0-9:]{8}: ' "$(changes)"
ok "page: a policy change of the cache changes the shares" until_ok 10 says cachememory '/mail now .* share of 11.2 MiB; /web now .* share of 4.80 MiB'
choose //batch
in_vm "sed -i 's/24MiB/8MiB/' /etc/nestor/policy.d/demo.yaml"
ok "page: a new limit is in words" until_ok 20 says bytes 'limit of reads 8.00 MiB/s'
ok "page: reads fall below the new limit" until_ok 20 says bytes 'read now [0-8]\.[0-9]+ MiB/s'
in_vm "echo 'blkio: {mode: enforc}' > /etc/nestor/policy.d/wrong.yaml"
notice() { js "return document.querySelector('#notices').textContent"; }
noticed() { grep -qE "$1" <<< "$(notice)"; }
ok "page: a notice has the place of the error in a refused policy" until_ok 20 noticed 'Policy was refused: .*wrong.yaml:1:[0-9]+: .*enforc'
is "page: a refused policy is not marked as a change" 2 "$(changes | grep -oE '[0-9:]{8}' | wc -l)"
in_vm "rm /etc/nestor/policy.d/wrong.yaml"
ok "page: a repaired policy clears the notice" until_ok 20 noticed '^$'

# ---- to read and to reach
js "document.querySelector('#numbers').open = true" > /dev/null
ok "page: the chart's values are a table, too" until_ok 5 js_true "return document.querySelectorAll('#values tbody tr').length >= 1 && document.querySelector('#values tbody').textContent.includes('MiB/s')"
is "page: the table has the policy changes" "$(changes | grep -oE '[0-9:]{8}' | sort)" \
	"$(js "return [...document.querySelectorAll('#values tbody td:last-child')].map((c) => c.textContent).join(' ')" | grep -oE '[0-9:]{8}' | sort)"
js "document.querySelector('#numbers').open = false; document.querySelector('[data-key=\"/\"]').focus()" > /dev/null
focused() { js "return document.activeElement.dataset.key"; }
mapfile -t keys < <(js "return [...document.querySelectorAll('#tree [data-key]')].map((i) => i.dataset.key).join('\\n')")
key "$KEY_DOWN"
is "page: Down moves to the next item of the tree" "${keys[1]}" "$(focused)"
key "$KEY_DOWN"
is "page: Down selects the focused item" "${keys[2]} ${keys[2]}" "$(focused) $(js "return document.querySelector('[aria-selected=true]').dataset.key")"
key "$KEY_LEFT"
is "page: Left moves to the parent item" / "$(focused)"
key "$KEY_LEFT"
is "page: Left folds an item" false "$(js "return $(item /).getAttribute('aria-expanded')")"
key "$KEY_RIGHT"
is "page: Right unfolds an item" true "$(js "return $(item /).getAttribute('aria-expanded')")"
key "$KEY_HOME"
is "page: Tab reaches one item of the tree" 1 "$(js "return document.querySelectorAll('#tree [tabindex=\"0\"]').length")"
is "page: every chart has a text alternative" "" \
	"$(js "return [...document.querySelectorAll('canvas')].filter((c) => (c.getAttribute('aria-label') ?? '').length < 20).map((c) => c.closest('figure').id).join(' ')")"
is "page: every field has a label" "" \
	"$(js "return [...document.querySelectorAll('input')].filter((i) => !i.labels.length).map((i) => i.id).join(' ')")"
is "page: heading levels have no gap" "1 2 3" "$(js "return [...new Set([...document.querySelectorAll('h1, h2, h3, h4')].map((h) => h.tagName[1]))].sort().join(' ')")"

# Text of too little contrast, as WCAG 2 has it (4.5), and lines of charts (3).
read -rd '' contrast << 'END'
const parse = (c) => (c.match(/[\d.]+/g) ?? []).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
	.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
const behind = (e) => { // what one sees through is mixed with what is behind that
	if (!e)
		return [255, 255, 255];
	const [r, g, b, part = 1] = parse(getComputedStyle(e).backgroundColor);
	const rest = part < 1 ? behind(e.parentElement) : [0, 0, 0];
	return [r, g, b].map((v, i) => v * part + rest[i] * (1 - part));
};
const bad = new Set();
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
	const e = texts.currentNode.parentElement;
	if (texts.currentNode.textContent.trim() && e.checkVisibility() && !e.closest('script, noscript'))
		if (ratio(parse(getComputedStyle(e).color), behind(e)) < 4.5)
			bad.add(e.tagName + '.' + e.className + ' ' + texts.currentNode.textContent.slice(0, 20));
}
const root = getComputedStyle(document.documentElement), hex = (name) => {
	const n = parseInt(root.getPropertyValue(name).trim().slice(1), 16);
	return [n >> 16, n >> 8 & 255, n & 255];
};
for (const line of ['--line1', '--line2', '--line3', '--line4', '--line5', '--line6', '--mark'])
	if (ratio(hex(line), hex('--card')) < 3)
		bad.add(line);
return [...bad].join(', ');
END
for theme in light dark; do
	theme $theme
	is "page: all text of the theme $theme has enough contrast" "" "$(js "$contrast")"
	screenshot "$shots/$theme.png"
done
is "page: the light and the dark theme differ" different "$(cmp -s "$shots/light.png" "$shots/dark.png" && echo same || echo different)"
theme light
screen 390 844 true
is "page: a phone need not scroll sideways" true "$(js "return document.documentElement.scrollWidth <= 390")"
screenshot "$shots/phone.png"
screen 1280 1000 false
is "page: a screen of 1280 pixels need not scroll sideways" true "$(js "return document.documentElement.scrollWidth <= 1280")"
is "page: all resources come from the agent" "" \
	"$(js "return performance.getEntriesByType('resource').map((r) => new URL(r.name).host).filter((h) => h !== location.host).join(' ')")"
is "page: no error is on the console" "" "$(console_errors)"

# ---- the agent is killed and started again under it
choose //batch
samples() { js "return document.querySelectorAll('#values tbody tr').length"; }
js "document.querySelector('#numbers').open = true" > /dev/null
first_minute() { js "return document.querySelector('#values tbody').lastChild.firstChild.textContent"; }
ok "(page: the table of values is shown)" until_ok 10 [ "$(samples)" -ge 1 ]
before=$(first_minute)
in_vm "touch /run/stay-down; kill -KILL \$(pidof nestord)"
ok "page: a notice says that the agent does not answer" until_ok 30 noticed 'does not answer since [0-9:]+; what you see is from then'
ok "page: charts stay when the agent does not answer" drawn bytes
in_vm "rm /run/stay-down"
ok "page: a notice says that the agent was started again" until_ok 60 noticed 'was started again at [0-9:]+'
ok "page: values continue after the agent's restart" until_ok 30 says bytes 'read now [0-8]\.'
is "page: values from before the agent's restart stay" "$before" "$(first_minute)"
is "page: the only console errors are from the time without an agent" "" \
	"$(console_errors | grep -v 'Failed to load resource: \(net::ERR_\(CONNECTION\|EMPTY\|SOCKET\)\|.* status of 503\)')"
done_testing

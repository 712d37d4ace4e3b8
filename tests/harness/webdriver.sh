# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Drives headless Chromium through its WebDriver. Sourced after lib.sh.

# wd METHOD PATH [JSON]: the answer's value
wd() {
	curl --silent --max-time 60 --request "$1" ${3:+--header 'Content-Type: application/json' --data "$3"} \
		"http://127.0.0.1:$wd_port/session${wd_session:+/$wd_session}$2"
}

# browser_start: with a window of 1280 x 1000, and its own profile and driver
browser_start() {
	local log=$T/chromedriver.log
	mkdir -p "$T/profile"
	# It would find the user's settings, and write there.
	HOME=$T/profile TMPDIR=$T chromedriver --port=0 > "$log" 2>&1 &
	defer kill $!
	until_ok 60 grep -q 'started successfully on port' "$log" || return 1
	wd_port=$(sed -n 's/.*started successfully on port \([0-9]*\).*/\1/p' "$log")
	wd_session=''
	wd_session=$(wd POST '' "$(jq -n --arg dir "$T/profile" '{capabilities: {alwaysMatch: {
		"goog:loggingPrefs": {browser: "ALL"},
		"goog:chromeOptions": {args: ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
			"--window-size=1280,1000", "--no-first-run", "--user-data-dir=" + $dir]}}}}')" | jq -r '.value.sessionId')
	[ "$wd_session" != null ] || return 1
	defer wd DELETE ''
}

# js SCRIPT: what it returns; a string as it is, all else as JSON
js() { wd POST /execute/sync "$(jq -n --arg script "$1" '{script: $script, args: []}')" | jq -r '.value'; }
# js_true SCRIPT: does it return true?
js_true() { [ "$(js "$1")" = true ]; }

open_page() { wd POST /url "$(jq -n --arg url "$1" '{url: $url}')" > /dev/null; }

# cdp COMMAND JSON: of Chromium's own protocol
cdp() { wd POST /goog/cdp/execute "$(jq -n --arg cmd "$1" --argjson params "$2" '{cmd: $cmd, params: $params}')" > /dev/null; }
theme() { cdp Emulation.setEmulatedMedia "{\"features\": [{\"name\": \"prefers-color-scheme\", \"value\": \"$1\"}]}"; }
screen() { # screen WIDTH HEIGHT MOBILE
	cdp Emulation.setDeviceMetricsOverride "{\"width\": $1, \"height\": $2, \"deviceScaleFactor\": 1, \"mobile\": $3}"
}
screenshot() { wd GET /screenshot | jq -r '.value' | base64 -d > "$1"; }

# key NAME: pressed where the focus is, as the W3C calls it
key() {
	wd POST /actions "$(jq -n --arg key "$1" '{actions: [{type: "key", id: "keyboard",
		actions: [{type: "keyDown", value: $key}, {type: "keyUp", value: $key}]}]}')" > /dev/null
}
# shellcheck disable=SC2034 # for the tests
KEY_DOWN=$'\uE015' KEY_LEFT=$'\uE012' KEY_RIGHT=$'\uE014' KEY_HOME=$'\uE011'

# What the page wrote to the console as an error or a warning, a line each; not what tests cause that look at canvases.
console_errors() {
	wd POST /se/log '{"type": "browser"}' |
		jq -r '.value[] | select(.level | IN("SEVERE", "WARNING")) | .message | select(contains("willReadFrequently") | not)'
}

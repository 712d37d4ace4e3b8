#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 60, lane: free
# HTTP: what is served, what is refused, what slow clients and a killed httpd cost, what httpd could do if it were taken over.
# shellcheck disable=SC2317 # functions that ok and until_ok call
# shellcheck source=tests/harness/lib.sh
. "$(dirname "$0")/../harness/lib.sh"

TOOLS=$ROOT/build/tests/tools
EXPOSITION=$ROOT/tests/harness/exposition.awk
H='Host: localhost\r\n'

get() { curl --silent --globoff --max-time 60 "$@"; }
code() { get --output "$T/body" --write-out '%{http_code}' "$@"; }
not() { ! "$@"; }
quietly() { "$@" > /dev/null 2>&1; }
httpd_pid() { pgrep -P "$agent_pid" -x nestord-httpd; }

raw() { "$TOOLS/httpraw" 127.0.0.1 "$port" 2> /dev/null | tr -d '\0'; } # sends stdin

# All that a request could change, and is not time; asked for with good requests.
state() {
	get --write-out '%{http_code}\n' "$URL/api/v1/status" "$URL/api/v1/rooms" "$URL/api/v1/policy" | grep -v uptime_seconds
}

many_descriptors() { [ "$(find "/proc/$httpd/fd" -mindepth 1 | wc -l)" -ge "$1" ]; }
serves_as_before() {
	[ "$(httpd_pid)" = "$httpd" ] && [ "$(state)" = "$state" ] && until_ok 5 not many_descriptors 8
}

# sends TEXT CODES: stdin is answered by one of these codes (| between them; none: the connection is closed), and that is all
sends() {
	local answer
	answer=$(raw)
	if [ "$2" ]; then
		like "HTTP: $1: answered with $2" "^HTTP/1\.[01] ($2) " "${answer%%$'\r'*}"
	else
		is "HTTP: $1: the connection is closed without an answer" "" "$answer"
	fi
	ok "HTTP: $1: httpd and the agent's state are unchanged" serves_as_before
}

# refused TEXT CODES REQUEST, which is a format of printf
refused() {
	# shellcheck disable=SC2059 # the escapes are the point
	sends "$1" "$2" < <(printf "$3")
}

# host TEXT CODE HOST
host() { refused "Host $1" "$2" "GET /metrics HTTP/1.1\r\nHost: $3\r\n\r\n"; }

# ---- what is served ----

served() { # served PATH TYPE
	is "HTTP: $1 is served" 200 "$(code "$URL$1")"
	like "HTTP: $1 has its content type" "^$2\$" "$(get --head "$URL$1" | tr -d '\r' | sed -n 's/^Content-Type: //p')"
	[ "$2" != application/json ] || ok "HTTP: $1 is JSON" quietly jq --exit-status . "$T/body"
}

# The page, and what it consists of, by its own links and imports.
check_page() {
	local path found
	served / 'text/html; charset=utf-8'
	found=$(grep -oE '(src|href)="[^"#/]+"' "$T/body" | sed 's/.*="/\//; s/"//')
	for path in /nestor.js /rooms.js; do
		code "$URL$path" > /dev/null
		found+=$'\n'$(sed -n 's/.* from "\.\(\/.*\)";.*/\1/p' "$T/body")
	done
	found=$(grep . <<< "$found" | sort -u)
	is "HTTP: the page uses exactly the files of dashboards/web and those made of them" \
		"$({ printf '/%s\n' chart.js rooms.css rooms.js; cd "$ROOT/dashboards/web" && find . -type f ! -name index.html ! -path './rooms/*.css' | cut -c 2-; } | sort)" "$found"
	code "$URL/rooms.css" > /dev/null
	ok "HTTP: the styles of all rooms are served as one file" cmp -s "$T/body" <(cat "$ROOT"/dashboards/web/rooms/*.css)
	while read -r path; do
		case $path in
		*.css) served "$path" 'text/css; charset=utf-8' ;;
		*.svg) served "$path" image/svg\\+xml ;;
		*) served "$path" 'text/javascript; charset=utf-8' ;;
		esac
		[[ $path =~ ^/(chart|rooms)\. ]] || ok "HTTP: $path is the repository's file" cmp -s "$T/body" "$ROOT/dashboards/web$path"
	done <<< "$found"
	is "HTTP: the page forbids resources from elsewhere" "Content-Security-Policy: default-src 'self'" \
		"$(get --head "$URL/" | tr -d '\r' | grep '^Content-Security-Policy')"
}

check_history() {
	local number
	has_samples() { [ "$(get "$URL/api/v1/history" | jq .number)" -ge "$1" ]; }
	ok "HTTP: the history has its first samples" until_ok 15 has_samples 2
	get "$URL/api/v1/history" > "$T/history"
	number=$(jq .number "$T/history")
	is "HTTP: the history has as many times as samples" "$number" "$(jq '.times | length' "$T/history")"
	is "HTTP: all lists of the history have one value per sample" "$number" "$(jq '[.owners[] | .latency, .values[] | length] | unique | .[]' "$T/history")"
	jq -r '.quantities[].name' "$T/history" | sort > "$T/quantities"
	is "HTTP: each quantity of the history is declared once" "" "$(uniq -d "$T/quantities")"
	is "HTTP: each quantity of the history has a unit and a description" "" "$(jq -r '.quantities[] | select(.unit == "" or .doc == "").name' "$T/history")"
	is "HTTP: the page uses only quantities of the history" "" \
		"$(grep -ohE '(quantity|used|share): "[a-z_]+"' "$ROOT"/dashboards/web/rooms/*.js | sed 's/.*: "\(.*\)"/\1/' | sort -u | comm -23 - "$T/quantities")"
	is "HTTP: the history after a sample has the newer ones" true "$(get "$URL/api/v1/history/$number" | jq "(.times | length) == .number - $number")"
	is "HTTP: the history after the first sample has all others" true "$(get "$URL/api/v1/history/1" | jq '(.times | length) == .number - 1')"
}

check_served() {
	local path
	served /api/v1 'text/plain; charset=utf-8'
	grep -o '^/[^ ]*' "$T/body" > "$T/paths"
	ok "HTTP: /api/v1 lists pages" grep -qx /metrics "$T/paths"
	get "$URL/api/v1/rooms" | jq -r '.[] | select(.state == "down") | "/api/v1/" + .room' > "$T/down"
	ok "(HTTP: some rooms are off)" [ -s "$T/down" ]
	while read -r path; do
		case $path in
		/ | /api/v1) ;;
		/metrics) served "$path" 'text/plain; version=0.0.4; charset=utf-8' ;;
		*)
			if grep -qx "$path" "$T/down"; then
				is "HTTP: $path of a room that is off is answered with 503" 503 "$(code "$URL$path")"
			else
				served "$path" application/json
			fi
			;;
		esac
	done < "$T/paths"
	for path in /nothing /metrics/ //metrics /Metrics /api /api/v1/ /api/v1/blki /api/v1/blkio/ /metrics%20 /index.html \
		/dashboards/web/nestor.js /../etc/passwd /api/v1/history/{,x,-1,1x,1/2,+1,1234567890123456789}; do
		is "HTTP: $path is answered with 404" 404 "$(code "$URL$path")"
	done
	is "HTTP: a query is ignored" 200 "$(code "$URL/metrics?x=y&z")"
	is "HTTP: a request of HTTP/1.0 is served" 200 "$(code --http1.0 "$URL/metrics")"

	printf 'HEAD /metrics HTTP/1.1\r\n%b\r\n' "$H" | raw | tr -d '\r' > "$T/head"
	ok "HTTP: HEAD is served" grep -q '^HTTP/1.1 200' "$T/head"
	is "HTTP: the answer to HEAD has no body" "" "$(sed '1,/^$/d' "$T/head")"
	ok "HTTP: the answer to HEAD has the length" [ "$(sed -n 's/^Content-Length: //p' "$T/head")" -gt 1000 ]

	printf 'GET / HTTP/1.1\r\n%b\r\nGET /metrics HTTP/1.1\r\n%b\r\n' "$H" "$H" | raw | tr -d '\r' > "$T/two"
	is "HTTP: only the first of two requests on one connection is answered" 1 "$(grep -c '^HTTP/1' "$T/two")"
	ok "HTTP: an answer says that the connection is closed" grep -qx 'Connection: close' "$T/two"
	is "HTTP: an answer with 405 lists the methods" 'GET, HEAD' "$(get --include --request POST "$URL/" | tr -d '\r' | sed -n 's/^Allow: //p')"
}

# ---- hosts ----

check_hosts() {
	local name
	for name in localhost LocalHost localhost:6378 127.0.0.1 "127.0.0.1:$port" '[::1]' '[::1]:80' 192.0.2.7 \
		'[2001:db8::1]:6378' good.example Good.Example:443 second; do
		is "HTTP: Host $name is served" 200 "$(code --header "Host: $name" "$URL/metrics")"
	done
	host "of another name" 403 evil.example
	host "of another name, with port" 403 "evil.example:$port"
	host "in upper case" 403 EVIL.EXAMPLE
	host "that begins like a good one" 403 localhost.evil.example
	host "that ends like a good one" 403 evil.localhost
	host "that ends like an allowed one" 403 evil.good.example
	host "with a dot at the end" 403 evil.example.
	host "with localhost as a user" 403 localhost@evil.example
	host "with localhost and a port as a user" 403 localhost:80@evil.example
	host "with localhost and a password" 403 'localhost:x@evil.example:80'
	host "with a path" 403 localhost/evil
	host "with a list" 403 'localhost, evil.example'
	host "with a port that is none" 403 localhost:x
	host "in brackets, with text after them" 403 '[::1]evil.example'
	host "with a bracket that stays open" 403 '[::1'
	host "that is a name in brackets" 403 '[localhost]'
	host "that is an IPv4 address and more" 403 127.0.0.1.evil.example
	host "that is a number" 403 2130706433
	host "that is a list of allowed names" 403 good.example,second
	host "that is long" 403 "$(printf '%0300d' 0)"
	host "that is empty" 403 ''
	host "that is only a port" 403 :80
	refused "a request without Host" 400 'GET /metrics HTTP/1.1\r\n\r\n'
	refused "a request of HTTP/1.0 without Host" 400 'GET /metrics HTTP/1.0\r\n\r\n'
	refused "a request with two Hosts" 400 "GET /metrics HTTP/1.1\r\n${H}Host: evil.example\r\n\r\n"
	refused "a request with the same Host twice" 400 "GET /metrics HTTP/1.1\r\n$H$H\r\n"
	refused "Host with a space before the colon" 400 'GET /metrics HTTP/1.1\r\nHost : localhost\r\n\r\n'
	refused "Host with a NUL" 400 'GET /metrics HTTP/1.1\r\nHost: localhost\000.evil.example\r\n\r\n'
}

# ---- methods and bodies ----

check_methods() {
	local method
	for method in POST PUT DELETE OPTIONS TRACE PATCH PROPFIND get GETS; do
		refused "$method" 405 "$method /api/v1/policy HTTP/1.1\r\n$H\r\n"
	done
	refused "CONNECT" 400 "CONNECT localhost:80 HTTP/1.1\r\n$H\r\n"
	refused "OPTIONS *" 400 "OPTIONS * HTTP/1.1\r\n$H\r\n"
	refused "a request without a method" 400 " / HTTP/1.1\r\n$H\r\n"
	refused "POST with a body" 405 "POST /metrics HTTP/1.1\r\n${H}Content-Length: 5\r\n\r\nhello"
	refused "GET with a body" 413 "GET /metrics HTTP/1.1\r\n${H}Content-Length: 5\r\n\r\nhello"
	refused "GET that promises a huge body" 413 "GET /metrics HTTP/1.1\r\n${H}Content-Length: 9000000000\r\n\r\n"
	refused "a Content-Length above 64 bits" '400|413' "GET / HTTP/1.1\r\n${H}Content-Length: 99999999999999999999\r\n\r\n"
	refused "a Content-Length below 0" 400 "GET / HTTP/1.1\r\n${H}Content-Length: -1\r\n\r\n"
	refused "a Content-Length that is no number" 400 "GET / HTTP/1.1\r\n${H}Content-Length: five\r\n\r\n"
	refused "a Content-Length that is a list" 400 "GET / HTTP/1.1\r\n${H}Content-Length: 0, 5\r\n\r\n"
	refused "a request with two Content-Lengths" 400 "GET / HTTP/1.1\r\n${H}Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello"
	refused "a chunked body" 413 "GET / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	refused "a chunked body with Content-Length" '400|413' \
		"GET / HTTP/1.1\r\n${H}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	refused "a body in an unknown encoding" '400|413' "GET / HTTP/1.1\r\n${H}Transfer-Encoding: rot13\r\n\r\n"
	is "HTTP: Content-Length: 0 is accepted as no body" 200 "$(code --header 'Content-Length: 0' "$URL/metrics")"
}

# ---- what is no good request at all ----

check_syntax() {
	refused "an absolute URI" 400 "GET http://evil.example/metrics HTTP/1.1\r\n$H\r\n"
	refused "an absolute URI of the agent" 400 "GET http://localhost/metrics HTTP/1.1\r\n$H\r\n"
	refused "a path without a slash" 400 "GET metrics HTTP/1.1\r\n$H\r\n"
	refused "path traversal" 404 "GET /../../../../etc/passwd HTTP/1.1\r\n$H\r\n"
	refused "path traversal, escaped" 404 "GET /%%2e%%2e/%%2e%%2e/etc/passwd HTTP/1.1\r\n$H\r\n"
	refused "path traversal to a page" 404 "GET /x/../metrics HTTP/1.1\r\n$H\r\n"
	refused "a path with a fragment" 404 "GET /metrics#x HTTP/1.1\r\n$H\r\n"
	refused "a path with a backslash" 404 "GET /metrics\\\\ HTTP/1.1\r\n$H\r\n"
	refused "a path with an escaped NUL" 400 "GET /metrics%%00.html HTTP/1.1\r\n$H\r\n"
	refused "a path with half an escape" 404 "GET /metrics%%2 HTTP/1.1\r\n$H\r\n"
	refused "a path with a NUL" 400 "GET /metrics\000 HTTP/1.1\r\n$H\r\n"
	refused "a path with a control character" 400 "GET /metrics\001 HTTP/1.1\r\n$H\r\n"
	refused "a path that is not ASCII" 400 "GET /metrics\303\244 HTTP/1.1\r\n$H\r\n"
	refused "a path with a tab" 400 "GET /metrics\tx HTTP/1.1\r\n$H\r\n"
	refused "a path with a space" 400 "GET /metrics x HTTP/1.1\r\n$H\r\n"
	refused "two spaces before the path" 400 "GET  /metrics HTTP/1.1\r\n$H\r\n"
	refused "lines that end with a bare LF" 400 "GET /metrics HTTP/1.1\nHost: localhost\n\n"
	refused "a last line that ends with a bare LF" 400 "GET /metrics HTTP/1.1\r\n$H\n"
	refused "lines that end with a bare CR" 400 "GET /metrics HTTP/1.1\rHost: localhost\r\r"
	refused "a bare CR in a header" 400 "GET /metrics HTTP/1.1\r\n${H}X: a\rb\r\n\r\n"
	refused "NUL in a header's value" 400 "GET /metrics HTTP/1.1\r\n${H}X: a\000b\r\n\r\n"
	refused "NUL in a header's name" 400 "GET /metrics HTTP/1.1\r\n${H}X\000Y: a\r\n\r\n"
	refused "a folded header" 400 "GET /metrics HTTP/1.1\r\n${H}X: a\r\n b\r\n\r\n"
	refused "a header that begins with a fold" 400 "GET /metrics HTTP/1.1\r\n $H\r\n"
	refused "a header without a colon" 400 "GET /metrics HTTP/1.1\r\n${H}nothing\r\n\r\n"
	refused "a header without a name" 400 "GET /metrics HTTP/1.1\r\n${H}: x\r\n\r\n"
	refused "a header's name with a bracket" 400 "GET /metrics HTTP/1.1\r\n${H}X[]: x\r\n\r\n"
	refused "an empty line before the request" 400 "\r\nGET /metrics HTTP/1.1\r\n$H\r\n"
	refused "a request of HTTP/0.9" 400 "GET /metrics\r\n"
	refused "a request of HTTP/1.2" 400 "GET /metrics HTTP/1.2\r\n$H\r\n"
	refused "a request of HTTP/2.0" 400 "GET /metrics HTTP/2.0\r\n$H\r\n"
	refused "a request of HTTP/1.10" 400 "GET /metrics HTTP/1.10\r\n$H\r\n"
	refused "a request of http/1.1 in lower case" 400 "GET /metrics http/1.1\r\n$H\r\n"
	refused "a request of FTP" 400 "GET /metrics FTP/1.1\r\n$H\r\n"
	refused "the preface of HTTP/2" 400 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
	refused "a TLS hello" 400 '\026\003\001\002\000\001\000\001\374\003\003'
	refused "one byte of rubbish" 400 '\000'
	refused "a request of one letter" '' 'G'
	refused "half of a request line" '' 'GET /metrics HT'
	refused "half of a header" '' 'GET /metrics HTTP/1.1\r\nHost: local'
	refused "a request without an empty line at the end" '' "GET /metrics HTTP/1.1\r\n$H"
	refused "an empty request" '' ''
	head -c 1048576 /dev/zero | tr '\0' a > "$T/mib"
	sends "a header of 1 MiB" 431 < <(printf 'GET / HTTP/1.1\r\n%bX: ' "$H"; cat "$T/mib"; printf '\r\n\r\n')
	sends "a path of 1 MiB" 431 < <(printf 'GET /'; cat "$T/mib"; printf ' HTTP/1.1\r\n%b\r\n' "$H")
	sends "1000 headers" 431 < <(printf 'GET / HTTP/1.1\r\n%b' "$H"; printf 'X%d: y\r\n' {1..1000}; printf '\r\n')
	sends "64 KiB of rubbish" 400 < <(printf '\000'; head -c 65536 /dev/urandom)
}

# ---- the text of the metrics ----

planted() { # planted TEXT COMPLAINT LINE…
	local text=$1 complaint=$2
	shift 2
	printf '%s\n' "$@" > "$T/planted"
	ok "exposition check: finds $text" not quietly awk -f "$EXPOSITION" "$T/planted"
	like "exposition check: names $text" "$complaint" "$(awk -f "$EXPOSITION" "$T/planted")"
}

check_the_check() {
	local g=('# HELP g G.' '# TYPE g gauge') c=('# HELP c_total C.' '# TYPE c_total counter')
	local h=('# HELP h H.' '# TYPE h histogram')
	planted "a series twice" 'there twice' "${g[@]}" 'g{a="1",b="2"} 1' 'g{b="2",a="1"} 1'
	planted "a family without HELP" 'no HELP' '# TYPE g gauge' 'g 1'
	planted "a family without TYPE" 'no TYPE' '# HELP g G.' 'g 1'
	planted "HELP twice" 'HELP of g is there twice' "${g[@]}" '# HELP g G.' 'g 1'
	planted "TYPE twice" 'TYPE of g is there twice' "${g[@]}" '# TYPE g gauge' 'g 1'
	planted "samples of a family apart" 'not together' "${g[@]}" "${c[@]}" 'g 1' 'c_total 1' 'g{a="b"} 1'
	planted "a counter without _total" 'does not end in _total' '# HELP c C.' '# TYPE c counter' 'c 1'
	planted "a gauge with _total" 'ends in _total' '# HELP c_total C.' '# TYPE c_total gauge' 'c_total 1'
	planted "a counter below 0" 'is -1' "${c[@]}" 'c_total -1'
	planted "labels without quotes" 'bad labels' "${g[@]}" 'g{a=1} 1'
	planted "a label's name with a dash" 'bad labels' "${g[@]}" 'g{a-b="1"} 1'
	planted "a label with a bare backslash" 'bad labels' "${g[@]}" 'g{a="\x"} 1'
	planted "a label that stays open" 'bad labels' "${g[@]}" 'g{a="1} 1'
	planted "a comma at the end" 'bad labels' "${g[@]}" 'g{a="1",} 1'
	planted "a label twice" 'label a is there twice' "${g[@]}" 'g{a="1",a="2"} 1'
	planted "a sample without a value" 'bad labels or value' "${g[@]}" 'g{a="1"}'
	planted "a value that is none" 'bad labels or value' "${g[@]}" 'g one'
	planted "buckets that are not cumulative" 'not cumulative' "${h[@]}" 'h_bucket{le="1"} 2' 'h_bucket{le="+Inf"} 1' 'h_sum 1' 'h_count 1'
	planted "buckets out of order" 'out of order' "${h[@]}" 'h_bucket{le="2"} 1' 'h_bucket{le="1"} 1' 'h_bucket{le="+Inf"} 1' \
		'h_sum 1' 'h_count 1'
	planted "a histogram without +Inf" 'no bucket \+Inf' "${h[@]}" 'h_bucket{le="1"} 1' 'h_sum 1' 'h_count 1'
	planted "a wrong _count" 'not its bucket \+Inf' "${h[@]}" 'h_bucket{le="+Inf"} 1' 'h_sum 1' 'h_count 2'
	planted "a histogram without _count" 'no _count' "${h[@]}" 'h_bucket{le="+Inf"} 1' 'h_sum 1'
	planted "a histogram without _sum" 'no _sum' "${h[@]}" 'h_bucket{le="+Inf"} 1' 'h_count 1'
	planted "an empty text" 'no samples' ''
	printf '%s\n' "${h[@]}" 'h_bucket{x="a,b}\"\\",le="1"} 0' 'h_bucket{x="a,b}\"\\",le="+Inf"} 1' 'h_sum{x="a,b}\"\\"} 0.5' \
		'h_count{x="a,b}\"\\"} 1' "${g[@]}" 'g -1.5e-07' > "$T/planted"
	ok "exposition check: accepts a good text" awk -f "$EXPOSITION" "$T/planted"
}

# Prints what a second scrape must not do: counters that fell, series that are gone.
not_monotonic() { # not_monotonic BEFORE AFTER
	awk '
		/^# TYPE/ { type[$3] = $4 }
		/^#/ { next }
		{ series = $0; sub(/ [^ ]*$/, "", series); name = series; sub(/{.*/, "", name); base = name; sub(/_(bucket|sum|count)$/, "", base)
		  grows = type[name] == "counter" || type[base] == "histogram" }
		NR == FNR { before[series] = $NF; next }
		grows && series in before && $NF + 0 < before[series] + 0 { print "fell: " series }
		{ delete before[series] }
		END { for (series in before) print "gone: " series }' "$1" "$2"
}

check_exposition() {
	local loop
	truncate -s 16M "$T/disk"
	loop=$(losetup --find --show "$T/disk")
	defer losetup -d "$loop"
	dd if="$loop" of=/dev/null bs=4k count=50 iflag=direct status=none
	get "$URL/metrics" > "$T/before"
	dd if=/dev/zero of="$loop" bs=4k count=50 oflag=direct status=none
	dd if="$loop" of=/dev/null bs=4k count=50 iflag=direct status=none
	get "$URL/metrics" > "$T/after"
	is "HTTP: /metrics passes the exposition check" "" "$(awk -f "$EXPOSITION" "$T/after")"
	is "HTTP: /metrics passes promtool" "" "$(promtool check metrics < "$T/after" 2>&1)"
	ok "HTTP: /metrics has a device's I/O" grep -q "^nestor_blkio_ios_total{.*device=\"${loop#/dev/}\"" "$T/after"
	ok "HTTP: /metrics changes with I/O" not cmp -s "$T/before" "$T/after"
	is "HTTP: between two scrapes no counter falls and no series disappears" "" "$(not_monotonic "$T/before" "$T/after")"
	like "exposition check: finds a counter that falls" '^fell: nestor_blkio_ios_total' "$(not_monotonic "$T/after" "$T/before")"
	grep -v '^nestor_build_info' "$T/after" > "$T/planted"
	like "exposition check: finds a series that disappears" '^gone: nestor_build_info' "$(not_monotonic "$T/before" "$T/planted")"
}

# ---- httpd has nothing to lose ----

check_sandbox() {
	local field
	for field in CapInh CapPrm CapEff CapBnd CapAmb; do
		is "httpd: $field in its status is 0" 0000000000000000 "$(awk -v f="$field:" '$1 == f { print $2 }' "/proc/$httpd/status")"
	done
	is "httpd: NoNewPrivs is set" 1 "$(awk '/^NoNewPrivs:/ { print $2 }' "/proc/$httpd/status")"
	is "httpd: a seccomp filter is in force" 2 "$(awk '/^Seccomp:/ { print $2 }' "/proc/$httpd/status")"
	is "httpd: none of its uids is 0" 4 "$(awk '/^Uid:/ { print ($2 > 0) + ($3 > 0) + ($4 > 0) + ($5 > 0) }' "/proc/$httpd/status")"
	is "httpd: none of its gids is 0" 4 "$(awk '/^Gid:/ { print ($2 > 0) + ($3 > 0) + ($4 > 0) + ($5 > 0) }' "/proc/$httpd/status")"
	is "httpd: no supplementary groups are left" "" "$(awk '/^Groups:/ { print $2 }' "/proc/$httpd/status")"
	is "httpd: its root is empty" "" "$(ls -A "/proc/$httpd/root/")"
	is "httpd: its root is not writable" 555 "$(stat -c %a "/proc/$httpd/root/")"
	is "httpd: its working directory is its root" "$(stat -c %i "/proc/$httpd/root/")" "$(stat -c %i "/proc/$httpd/cwd/")"
	is "httpd: only the expected descriptors are open" "/dev/null /dev/null $AGENT_LOG socket socket anon_inode anon_inode " \
		"$(for field in {0..9}; do readlink "/proc/$httpd/fd/$field" | cut -d: -f1; done | tr '\n' ' ')"
	is "httpd: seven descriptors are open" 7 "$(find "/proc/$httpd/fd" -mindepth 1 | wc -l)"
	is "httpd: its environment is empty" "" "$(tr '\0' ' ' < "/proc/$httpd/environ")"
}

# ---- slow clients ----

check_slow_clients() {
	local i slow
	coproc SLOW { exec "$TOOLS/slowclients" "$port" 1000 2> "$T/slow"; }
	slow=$SLOW_PID
	defer kill "$slow"
	read -rt 60 -u "${SLOW[0]}" _
	is "httpd: 1000 slow clients are connected" "" "$(cat "$T/slow")"
	ok "httpd: at least 400 descriptors are open with 1000 slow clients" until_ok 20 many_descriptors 400
	for i in 1 2 3 4 5; do
		is "httpd: scrape $i beside slow clients is served" 200 "$(code "$URL/metrics")"
		ok "httpd: scrape $i beside slow clients does not wait for their end" many_descriptors 400
		read -rt 60 -u "${SLOW[0]}" _ # a second of theirs
	done
	ok "httpd: less than 600 descriptors are open with 1000 slow clients" not many_descriptors 600
	ok "httpd: less than 64 MiB are used with 1000 slow clients" [ "$(awk '/^VmRSS:/ { print $2 }' "/proc/$httpd/status")" -lt 65536 ]
	kill "$slow"
	wait "$slow" 2> /dev/null
	ok "httpd: all connections are closed after 1000 slow clients" until_ok 15 not many_descriptors 8
	ok "httpd: the agent's state is unchanged after 1000 slow clients" serves_as_before
}

# ---- the agent is late, or httpd dies ----

check_late_answer() {
	local first second
	kill -STOP "$agent_pid"
	get --include "$URL/metrics" > "$T/a" &
	first=$!
	get --include "$URL/api/v1/policy" > "$T/b" &
	second=$!
	wait -n "$first" "$second"
	kill -CONT "$agent_pid"
	wait "$first" "$second"
	is "httpd: one of two requests gets 503 while the agent hangs" 1 "$(grep -l '^HTTP/1.1 503' "$T/a" "$T/b" | wc -l)"
	ok "httpd: /metrics during a hang gets no other page's answer" grep -qE '^HTTP/1.1 503|^# HELP' "$T/a"
	ok "httpd: /api/v1/policy during a hang gets no other page's answer" grep -qE '^HTTP/1.1 503|^ *"max_containers"' "$T/b"
	ok "httpd: the agent's state is unchanged after a hang" serves_as_before
}

check_restart() {
	local old
	for _ in 1 2; do
		old=$httpd
		kill -KILL "$httpd"
		ok "httpd: a killed httpd is started again and serves" until_ok 3 is_new_httpd "$old"
		httpd=$(httpd_pid)
		check_sandbox
	done
	is "httpd: the log has each kill" 2 "$(grep -c 'httpd ended (signal 9)' "$AGENT_LOG")"
	ok "httpd: the agent survives kills of httpd" kill -0 "$agent_pid"
}

is_new_httpd() {
	local pid
	pid=$(httpd_pid) && [ "$pid" != "$1" ] && [ "$(code "$URL/metrics")" = 200 ]
}

# ---- --listen ----

listen_refused() { # listen_refused TEXT ADDRESS PATTERN
	local said status
	said=$(timeout 10 "$NESTORD" --listen "$2" --run-dir "$T/run-other" --bpffs "$T/bpf/other" 2>&1)
	status=$?
	is "nestord --listen with $1: exits with 1" 1 $status
	like "nestord --listen with $1: the error says why" "$3" "$said"
	is "nestord --listen with $1: the error is one line" 1 "$(wc -l <<< "$said")"
}

check_listen() {
	listen_refused "a port in use" "127.0.0.1:$port" "127\.0\.0\.1:$port: Address already in use"
	listen_refused "an empty address" "" 'must be ADDR:PORT'
	listen_refused "no port" 127.0.0.1 'must be ADDR:PORT'
	listen_refused "an empty port" 127.0.0.1: 'must be ADDR:PORT'
	listen_refused "a port in letters" 127.0.0.1:http 'must be ADDR:PORT'
	listen_refused "a port below 0" 127.0.0.1:-1 'must be ADDR:PORT'
	listen_refused "a port above 65535" 127.0.0.1:65536 'must be ADDR:PORT'
	listen_refused "a port above 64 bits" 127.0.0.1:99999999999999999999999 'must be ADDR:PORT'
	listen_refused "a name" localhost:0 'names are not looked up'
	listen_refused "no address of IPv4" 256.0.0.1:0 '256\.0\.0\.1 is not an address'
	listen_refused "an IPv6 address without brackets" ::1:0 'brackets'
	listen_refused "a bracket that stays open" '[::1:0' 'brackets'
	listen_refused "empty brackets" '[]:0' 'brackets'
	listen_refused "an address of another machine" 192.0.2.7:0 'Cannot assign requested address'
	listen_refused "a long address" "$(printf '%0200d' 1):0" 'too long'
}

check_ipv6() {
	if ! [ -e /proc/net/if_inet6 ] || ! grep -q 'lo$' /proc/net/if_inet6; then
		skip "IPv6: the metrics are served" "lo has no ::1"
		return
	fi
	agent_start --listen '[::1]:0'
	like "IPv6: the log has the address" '^http://\[::1\]:[0-9]+$' "$URL"
	is "IPv6: the metrics are served" 200 "$(code "$URL/metrics")"
	is "IPv6: another Host is refused" 403 "$(code --header 'Host: evil.example' "$URL/metrics")"
	agent_stop
}

agent_start --allow-host good.example,,second
port=${URL##*:}
httpd=$(httpd_pid)
state=$(state)
is "(HTTP: status, rooms and policy are served)" 3 "$(grep -c '200$' <<< "$state")"
check_served
check_page
check_history
check_hosts
check_methods
check_syntax
check_the_check
check_exposition
check_sandbox
check_slow_clients
check_late_answer
check_restart
check_listen
agent_stop
check_ipv6
done_testing

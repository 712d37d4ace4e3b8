#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 40, lane: free
# Boards for Grafana and rules for Prometheus: what they ask for is there, each alert fires when it should, boards are
# alike. Metrics: each has a help text, a unit, and a line in nestord(8) or in its room's manual.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1

boards=(dashboards/grafana/*.json)
rules=(dashboards/prometheus/*.rules.yml)
pages=(agent/man/nestord.8 agent/*/nestor-*.7)

# ---- a running agent that has as much to tell as this machine can

CG=/sys/fs/cgroup
[ -e $CG/cgroup.controllers ] || CG=$CG/memory
name=nestor-dashboards-$ID
defer rmdir $CG/$name
mkdir $CG/$name
# shellcheck disable=SC2317 # deferred
disk_off() { losetup -j "$T/disk" | cut -d: -f1 | xargs -r losetup -d; }
truncate -s 32M "$T/disk"
defer disk_off
loop=$(losetup --find --show "$T/disk")
cp "$(command -v sleep)" "$T/qemu-system-x86_64" # a VM, to which a program of that name will do
"$T/qemu-system-x86_64" 1000 &
defer kill $!
cat > "$T/policy.yaml" <<-END
	blkio:
	  limits: [{container: /$name, device: ${loop#/dev/}, read: 1GB}]
	  targets: [{container: /$name, device: ${loop#/dev/}, p99: 5ms}]
	net:
	  link: 1Gbit
	  limits: [{container: /$name, egress: 1Mbit, weight: 5}, {migration: qemu, weight: 5}]
END
agent_start --policy "$T/policy.yaml"
(
	echo $BASHPID > $CG/$name/cgroup.procs
	exec "$ROOT/build/tests/tools/directio" read "$loop" 10
)
has_target() { metrics | grep -q '^nestor_blkio_target_p99_seconds{'; }
ok "(the agent has limits and targets)" until_ok 10 has_target
metrics > "$T/metrics"
agent_stop

# ---- what there is: lines "SERIES LABEL", and "SERIES" alone

# of the exposition
scraped() {
	awk '
		/^# TYPE / { print $3, $4 > types; next }
		/^#/ { next }
		{ text = $0; name = text; sub(/[{ ].*/, "", name); print name
		  while (match(text, /[{,][a-z_]+="([^"\\]|\\.)*"/)) {
			label = substr(text, RSTART + 1, RLENGTH - 1); sub(/=.*/, "", label)
			print name, label
			text = substr(text, RSTART + RLENGTH) } }' types="$T/types" "$T/metrics" | sort -u
}

# of the manuals
documented() {
	awk '
		/^\.It Li nestor_/ {
			labels = $3; sub(/^[^{]*\{?/, "", labels); sub(/\}.*/, "", labels)
			name = $3; sub(/\{.*/, "", name); getline
			n = split(tolower($1) ~ /^histogram/ ? "_bucket _sum _count" : "-", suffixes, " ")
			for (i = 1; i <= n; i++) {
				suffix = suffixes[i] == "-" ? "" : suffixes[i]
				print name suffix
				if (suffix == "_bucket")
					print name suffix, "le"
				k = split(labels, list, ",")
				for (j = 1; j <= k; j++)
					print name suffix, list[j]
			} }' "${pages[@]}" | sort -u
}

scraped > "$T/scraped"
documented > "$T/documented"
sort -u "$T/scraped" "$T/documented" > "$T/known"

# ---- metrics

# shellcheck disable=SC2016 # for jq and awk
families() { sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' "$T/metrics"; }
in_code() { grep -ohE '"nestor_[a-z]+_[a-z0-9_]+"' agent/*/*.[ch] | tr -d '"' |
	sed -E 's/_(bucket|sum|count)$//' | sort -u; } # the client looks for those
in_pages() { sed -n 's/^\.It Li \(nestor_[a-z0-9_]*\).*/\1/p' "${pages[@]}" | sort -u; }
ok "metrics: at least 25 families are scraped" [ "$(families | wc -l)" -ge 25 ]
is "metrics: the manuals have exactly the families of the code" "" "$(diff <(in_code) <(in_pages))"
is "metrics: each scraped family is in a manual" "" "$(comm -23 <(families | sort) <(in_pages))"
is "metrics: each scraped label is in a manual" "" "$(comm -23 <(grep ' ' "$T/scraped") <(grep ' ' "$T/documented"))"
is "metrics: each family's help text is one sentence" "" "$(families | while read -r one; do
	grep -qE "^# HELP $one [A-Z0-9].*\.$" "$T/metrics" || echo "$one"
done)"

# Names end in their unit. These have none:
#   states, 0 or 1
unitless='nestor_(vm_vouched|room_up|room_wanted|policy_last_reload_successful|pcache_approximate|net_limit_possible|net_limit_refused'
#   numbers of things that the name tells
unitless+='|lookers_stuck|cache_index_entries|bpf_map_entries|bpf_map_capacity|blkio_limits_refused|blkio_target_lowered|net_limit_devices'
unitless+='|dedup_missed_processes|gpufn_queued_calls|gpufn_functions|gpufn_functions_refused'
#   a label tells: kind: bytes or I/Os a second, or a weight; reason: pages, processes or mappings
unitless+='|blkio_limit|dedup_left_out)'
wrong_units() { # of lines NAME TYPE
	grep -vE "^$unitless gauge\$" | grep -vE '_total counter$|_(seconds|bytes|pages|ratio|info|bits_per_second) gauge$|_(seconds|bytes) histogram$'
}
is "metrics: each scraped family's name ends in its unit" "" "$(wrong_units < "$T/types")"
types_in_pages() { awk '/^\.It Li nestor_/ { name = $3; sub(/\{.*/, "", name); getline; sub(/[.,]$/, "", $1); print name, tolower($1) }' "${pages[@]}"; }
is "metrics: each documented family's name ends in its unit" "" "$(types_in_pages | sort -u | wrong_units)"
is "metrics check: finds a name without a unit" "nestor_blkio_latency histogram" "$(wrong_units <<< 'nestor_blkio_latency histogram')"
is "metrics check: finds a counter without _total" "nestor_blkio_bytes counter" "$(wrong_units <<< 'nestor_blkio_bytes counter')"

# ---- what boards and rules ask for: lines "WHERE<TAB>EXPRESSION"

board_expressions() {
	jq -r 'input_filename as $f | (.panels[] | .title as $t | .targets[]? | [$f + ": " + $t, .expr]),
		(.annotations.list[] | select(.expr) | [$f + ": " + .name, .expr]) | @tsv' "${boards[@]}" | sed 's/\\\\/\\/g'
}
variable_expressions() { # label_values(SERIES, LABEL) as an expression
	jq -r 'input_filename as $f | .templating.list[] | select(.type == "query") |
		[$f + ": variable " + .name, (.query.query | capture("^label_values\\((?<s>.*), (?<l>[a-z_]+)\\)$") | "sum by (\(.l)) (\(.s))")] | @tsv' "${boards[@]}"
}
# Of the form that these files have: in one line, or folded.
rule_expressions() {
	awk '
		/^ +- (alert|record): / { where = FILENAME ": " $3 }
		folded && match($0, /^ */) && RLENGTH <= indent { print where "\t" text; folded = 0 }
		folded { sub(/^ */, ""); text = text (text == "" ? "" : " ") $0 }
		/^ +expr: >-$/ { folded = 1; text = ""; match($0, /^ */); indent = RLENGTH; next }
		/^ +expr: / { sub(/^ +expr: /, ""); print where "\t" $0 }' "${rules[@]}"
}

# Prints what an expression names and is not there: series, labels, and words that a label is compared with.
cat > "$T/missing.awk" << 'END'
function complain(what) { print $1 ": " what; }
function known(series, label) { return label ~ /^(instance|job)$/ || ((series " " label) in labels) }
FILENAME == known_file { if (NF == 1) names[$1]; else { labels[$1 " " $2]; any[$2] }; next }
FILENAME == words_file { words[$1]; next }
FNR == 1 { FS = "\t"; $0 = $0 }
{
	text = $2; count = 0; delete mine
	gsub(/__name__=~"[^"]*"/, "", text)
	# names, with the labels that they are chosen by
	while (match(text, /[a-z_][a-z0-9_:]*(\{[^}]*\})?/)) {
		token = substr(text, RSTART, RLENGTH); text = substr(text, RSTART + RLENGTH)
		name = token; sub(/\{.*/, "", name)
		if (name ~ /:/) { if (name in names) count++; else complain("nothing records " name); continue }
		if (name !~ /^nestor_/) continue
		if (!(name in names)) { complain("no metric " name); continue }
		mine[name]; count++
		if (token !~ /\{/) continue
		sub(/^[^{]*\{/, "", token)
		while (match(token, /[a-z_]+(=~|!~|!=|=)"[^"]*"/)) {
			label = substr(token, RSTART, RLENGTH); token = substr(token, RSTART + RLENGTH)
			value = label; sub(/[=!].*/, "", label); sub(/^[^"]*"/, "", value); sub(/"$/, "", value)
			if (!known(name, label)) complain(name " has no label " label)
			n = split(value, alternatives, "|")
			for (i = 1; i <= n; i++)
				if (alternatives[i] ~ /^[a-z_]+$/ && !(alternatives[i] in words)) complain("no " label " is called " alternatives[i])
		}
	}
	if (match($2, /__name__=~"[^"]*"/)) { # by a pattern of names
		pattern = substr($2, RSTART + 11, RLENGTH - 12)
		for (name in names) if (name ~ "^(" pattern ")$") { mine[name]; count++ }
	}
	if (!count && $2 ~ /nestor_/) complain("names nothing that is there")
	# labels that it is added up by, or joined on
	text = $2; gsub(/"[^"]*"/, "", text)
	while (match(text, /(by|without|on|ignoring|group_left|group_right) *\([a-z_, ]*\)/)) {
		list = substr(text, RSTART, RLENGTH); text = substr(text, RSTART + RLENGTH)
		sub(/^[a-z_]+ *\(/, "", list); sub(/\)$/, "", list)
		n = split(list, all, / *, */)
		for (i = 1; i <= n; i++) {
			found = 0
			for (name in mine) found += known(name, all[i])
			if (!found && all[i] != "") complain("nothing that it names has a label " all[i])
		}
	}
}
END
missing() { awk -v known_file="$T/known" -v words_file="$T/words" -f "$T/missing.awk" "$T/known" "$T/words" -; }

# Words that labels are compared with: those in the scrape, and those that the manuals explain.
{ grep -oE '="[a-z_]+"' "$T/metrics" | tr -d '="'; sed -n 's/^\.\(It \)\?Cm //p' "${pages[@]}" | tr -cs 'a-z_' '\n'; } | sort -u > "$T/words"
sed -n 's/^ *- record: //p' "${rules[@]}" >> "$T/known"
{ board_expressions; variable_expressions; rule_expressions; } > "$T/expressions"
is "boards and rules query only existing metrics, labels and values" "" "$(missing < "$T/expressions")"
ok "boards and rules have at least 100 queries" [ "$(wc -l < "$T/expressions")" -ge 100 ]
is "rules: the check reads each expression" "$(grep -hcE '^ +expr:' "${rules[@]}" | awk '{ n += $1 } END { print n }')" "$(rule_expressions | wc -l)"
planted() { # planted EXPRESSION COMPLAINT
	is "expression check: reports '$2'" "x: $2" "$(printf 'x\t%s\n' "$1" | missing | head -n 1)"
}
planted 'rate(nestor_blkio_byte_total[5m])' 'no metric nestor_blkio_byte_total'
planted 'nestor_blkio_latency_seconds' 'no metric nestor_blkio_latency_seconds'
planted 'nestor_room_up{rooms="net"}' 'nestor_room_up has no label rooms'
planted 'nestor_blkio_bytes_total{op=~"read|wrote"}' 'no op is called wrote'
planted 'sum by (le, direction) (nestor_blkio_latency_seconds_bucket)' 'nothing that it names has a label direction'
planted 'nestor_room_up * on (device) nestor_room_wanted' 'nothing that it names has a label device'
planted 'a:nestor_room_up:b > 0' 'nothing records a:nestor_room_up:b'
planted '{__name__=~"nestor_(none|nothing)_total"}' 'names nothing that is there'

# ---- rules

promtool_passes() { # promtool_passes TEXT ARG…: shows what it says if it fails
	local text=$1 status
	shift
	promtool "$@" > "$T/promtool" 2>&1
	status=$?
	ok "$text" [ $status = 0 ] || sed 's/^/# /' "$T/promtool"
}

promtool_passes "rules: promtool accepts the files" check rules --lint=all --lint-fatal "${rules[@]}"
mapfile -t rooms < <(grep -hA 1 '^const struct room room_' agent/*/*.c | sed -n 's/.*\.name = "\([a-z]*\)".*/\1/p')
is "rules: each room has a file, and the agent" "$(printf '%s\n' agent "${rooms[@]}" | sort)" \
	"$(printf '%s\n' "${rules[@]##*/nestor-}" | sed 's/\.rules\.yml$//' | sort)"
alerts() { sed -n 's/^ *- alert: //p' "${rules[@]}" | sort; }
is "rules: each alert has a delay, a severity, a summary, a description and an action" "" "$(awk '
	function check(  key) { if (alert != "") for (key in want) if (!(key in has)) print alert " has no " key }
	BEGIN { split("for severity summary description action", list, " "); for (i in list) want[list[i]] }
	/^ +- (alert|record): / { check(); alert = $2 == "alert:" ? $3 : ""; delete has }
	/^ +(for: [0-9]+[mh]|severity: (critical|warning|info)|summary: .+|description: >-|action: >-)$/ { sub(/:$/, "", $1); has[$1] }
	END { check() }' "${rules[@]}")"
is "rules: each alert's name is unique" "" "$(alerts | uniq -d)"
promtool_passes "rules: promtool's tests pass" test rules tests/dashboards/rules/*.yml
tested() { # tested yes|no: alerts that are shown to fire, or not to
	awk -v want="$1" '/- alertname: / { alert = $3 } /exp_alerts: \[\]/ && want == "no" { print alert } /exp_alerts:$/ && want == "yes" { print alert }' \
		tests/dashboards/rules/*.yml | sort -u
}
is "rules: a test shows that each alert fires" "$(alerts)" "$(tested yes)"
is "rules: a test shows that each alert stays quiet" "$(alerts)" "$(tested no)"

# ---- boards

# jq_finds TEXT FILTER: passes if the filter finds nothing in any board
jq_finds() { is "boards: $1" "" "$(jq -r "input_filename as \$f | $2 | \"\\(\$f): \\(.)\"" "${boards[@]}" 2>&1)"; }
panels='.panels[] | select(.type != "row")'

is "boards: each room has a board, and the overview" "$(printf 'nestor-%s.json\n' overview "${rooms[@]}" | sort)" "$(printf '%s\n' "${boards[@]##*/}" | sort)"
# As expressions of rules: promtool reads them as Prometheus does.
board_expressions | cut -f 2 | sed 's/\$__rate_interval/5m/g; s/\$__range/1h/g; s/\$[a-z]*/x/g' |
	jq -nR '{groups: [{name: "boards", rules: [[inputs] | to_entries[] | {record: "board:expression:\(.key)", expr: .value}]}]}' > "$T/boards.yml"
promtool_passes "boards: promtool accepts all expressions" check rules "$T/boards.yml"
like "boards: promtool reads at least 10 expressions" ' [0-9]{2,} rules found' "$(< "$T/promtool")"

jq_finds "the uid is the file's name, and no id or version of one Grafana is kept" \
	'select(.uid + ".json" != ($f | sub(".*/"; "")) or has("id") or has("version") or .schemaVersion < 39) | .uid'
jq_finds "each has a title, a description and the tag nestor" \
	'select((.title | startswith("Nestor: ") | not) or (.description | test("\\.$") | not) or (.tags | index("nestor") == null)) | .title'
jq_finds "the data source is a variable" \
	'.templating.list[0] as $d | select($d.type != "datasource" or $d.query != "prometheus" or $d.name != "datasource") | "datasource"'
# shellcheck disable=SC2016 # jq's
jq_finds "no data source is named but the variable" '.. | .datasource? | select(. != null and .uid != "${datasource}" and .uid != "-- Grafana --")'
is "boards: variables are instance, and vm, container and tenant where its metrics have them" "" \
	"$(jq -r --rawfile known "$T/known" 'input_filename as $f | ($known | split("\n")) as $known |
	[.panels[].targets[]?.expr | scan("nestor_[a-z0-9_]+")] as $shown |
	["instance"] + [("vm", "container", "tenant") as $l | select(any($shown[] + " " + $l; IN($known[]))) | $l]
	- [.templating.list[].name] | select(. != []) | "\($f): \(.)"' "${boards[@]}" 2>&1)"
# shellcheck disable=SC2016
jq_finds "only defined variables are used" \
	'([.templating.list[].name] + ["__rate_interval", "__range"]) as $have | [.panels[].targets[]?.expr | scan("\\$\\{?([a-z_]+)")[]] | unique - $have | select(. != [])'
jq_finds "each panel has a title and a description in sentences" "$panels | select((.title | length) == 0 or (.description | test(\"^[A-Z0-9].*\\\\.\$\") | not)) | .title"
jq_finds "each panel has a unit" "$panels | select(.fieldConfig.defaults.unit | not) | .title"
jq_finds "each panel has queries, all with the instance variable" \
	"$panels"' | select((.targets | length) == 0 or ([.targets[].expr | contains("instance=~\"$instance")] | all | not)) | .title'
jq_finds "each line has a legend" "$panels"' | select(.type == "timeseries") | select([.targets[].legendFormat // ""] | any(. == "")) | .title'
jq_finds "each stat panel has thresholds" "$panels"' | select(.type == "stat") | select((.fieldConfig.defaults.thresholds.steps | length) == 0) | .title'
jq_finds "exactly heat maps query buckets" "$panels"' | select((.type == "heatmap") != ([.targets[] | .format == "heatmap" and (.expr | contains("by (le)"))] | all)) | .title'
jq_finds "panel ids are unique" '[.panels[].id] | group_by(.) | map(select(length > 1) | .[0]) | select(. != [])'
jq_finds "no panel overlaps another or the edge" '[.panels[] | .gridPos + {id}] as $all |
	($all[] | select(.x + .w > 24) | .id), ($all[] as $a | $all[] as $b | select($a.id < $b.id and
	$a.x < $b.x + $b.w and $b.x < $a.x + $a.w and $a.y < $b.y + $b.h and $b.y < $a.y + $a.h) | [$a.id, $b.id])'
is "boards: links, time and annotations are the same on all boards" 1 \
	"$(jq -c '[.links, .time, .refresh, .annotations, .graphTooltip, .schemaVersion]' "${boards[@]}" | sort -u | wc -l)"
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 40, lane: free
# A real Prometheus scrapes the agent while two containers do I/O of known size: its rules evaluate without errors, what
# it answers agrees with what was done and with what the agent says, boards have data, alerts come and go.
# shellcheck disable=SC2317 # functions that until_ok calls
. "$(dirname "$0")/../harness/lib.sh"

if ! command -v prometheus > /dev/null; then
	skip "Prometheus" "it is not installed"
	done_testing
fi

CG=/sys/fs/cgroup
[ -e $CG/cgroup.controllers ] || CG=$CG/memory
small=nestor-prometheus-small-$ID big=nestor-prometheus-big-$ID
for one in $small $big; do
	defer rmdir $CG/$one
	mkdir $CG/$one
done
disk_off() { losetup -j "$T/disk" | cut -d: -f1 | xargs -r losetup -d; }
truncate -s 32M "$T/disk"
defer disk_off
loop=$(losetup --find --show --direct-io=on "$T/disk" 2> /dev/null || losetup --find --show "$T/disk")
disk=${loop#/dev/}

reads() { # reads CONTAINER COUNT SIZE
	(
		echo $BASHPID > "$CG/$1/cgroup.procs"
		exec "$ROOT/build/tests/tools/directio" read "$loop" "$2" "$3"
	)
}

mkdir "$T/policy.d"
policy() { # policy TEXT: in force, or refused, when it returns
	echo "$1" > "$T/policy.d/new"
	mv "$T/policy.d/new" "$T/policy.d/test.yaml"
	ctl policy reload > /dev/null 2>&1
}
policy 'agent: {self_stats: on}'
agent_start --policy "$T/policy.d"

# ---- Prometheus, of our own: another one may run on this machine

prometheus_off() {
	kill "$prometheus_pid"
	wait "$prometheus_pid"
}
# Prometheus itself, which has a port before it is told which.
port_of() { ss -Hltnp | sed -n "s/.*127\.0\.0\.1:\([0-9]*\) .*pid=$1,.*/\1/p"; }
is_ready() {
	local port
	port=$(port_of "$prometheus_pid")
	[ -n "$port" ] && PROMETHEUS=http://127.0.0.1:$port && curl -sf --noproxy '*' -o "$T/ready" "$PROMETHEUS/-/ready"
}
# The rules as they are, and those about the agent once more, in a hurry.
sed 's/alert: Nestor/alert: QuickNestor/; s/for: .*/for: 1s/' "$ROOT/dashboards/prometheus/nestor-agent.rules.yml" > "$T/quick.yml"
cat > "$T/prometheus.yml" <<-END
	global: {scrape_interval: 1s, evaluation_interval: 500ms} # the interval is the time that a scrape may take, too
	rule_files: ["$ROOT/dashboards/prometheus/*.rules.yml", "$T/quick.yml"]
	scrape_configs:
	  - job_name: nestor
	    static_configs: [{targets: ["${URL#http://}"]}]
END
prometheus --config.file="$T/prometheus.yml" --storage.tsdb.path="$T/data" --web.listen-address=127.0.0.1:0 > "$T/prometheus.log" 2>&1 &
prometheus_pid=$!
defer prometheus_off
if ! ok "Prometheus starts" until_ok 20 is_ready; then
	sed 's/^/#   /' "$T/prometheus.log"
	done_testing
fi

api() { curl -sS --noproxy '*' "$PROMETHEUS/api/v1/$1" "${@:2}"; }
query() { api query -G --data-urlencode "query=$1"; }
value() { query "$1" | jq -r '.data.result | if length == 1 then .[0].value[1] else "\(length) series" end'; }
says() { [ "$(value "$1")" = "$2" ]; }

ok "Prometheus scrapes the agent" until_ok 10 says 'up{job="nestor"}' 1
samples() { awk -v n="$(value 'scrape_samples_scraped{job="nestor"}')" 'BEGIN { exit !(n > 100) }'; }
ok "Prometheus takes what it scrapes" until_ok 10 samples

# ---- a workload that is known; each round ends when Prometheus has seen it

of() { echo "nestor_blkio_$1{container=\"/$2\",op=\"read\",$3}"; }
bytes_of() { of bytes_total "$1" "device=\"$disk\""; }
"$ROOT/build/tests/tools/directio" read "$loop" 1 # so that no container reads the program
ROUNDS=6 SMALL=73 BIG=5 # reads a round: of 4 KiB, of 1 MiB
reads $small 1 4096
reads $big 1 1048576
ok "(Prometheus has series of two containers)" until_ok 10 says "count(nestor_blkio_bytes_total{container=~\"/($small|$big)\",op=\"read\"})" 2
seen=0
for ((i = 1; i <= ROUNDS; i++)); do
	reads $small $SMALL 4096
	reads $big $BIG 1048576
	until_ok 10 says "$(bytes_of $small)" $(((i * SMALL + 1) * 4096)) && until_ok 10 says "$(bytes_of $big)" $(((i * BIG + 1) << 20)) &&
		seen=$((seen + 1))
done
is "Prometheus has each of $ROUNDS rounds of reads, to the byte" $ROUNDS $seen

# ---- p99 by container

agents_p99() { ctl --json blkio show | jq ".[] | select(.device == \"$disk\" and .container == \"/$1\" and .op == \"read\") | .p99_seconds"; }
buckets="nestor_blkio_latency_seconds_bucket{container=~\"/nestor-prometheus-.*\",op=\"read\",stage=\"\"}"
latest="last_over_time(${buckets}[1m])" # also if a scrape has just failed
p99() { # p99 VECTOR CONTAINER: of a query for all containers
	query "histogram_quantile(0.99, sum by (container, le) ($1))" | jq -r ".data.result[] | select(.metric.container == \"/$2\") | .value[1]"
}
below() { awk -v v="$1" 'BEGIN { printf "%.12g", v * '"$2"' }'; }
recorded() { value "instance_vm_container_op:nestor_blkio_latency_seconds:p99_rate5m{container=\"/$1\",op=\"read\"}"; }
for who in $small $big; do
	bound=$(agents_p99 "$who")
	within "Prometheus: p99 of ${who%-*} is in the agent's bucket" "$(below "$bound" 0.5)" "$(p99 "$latest" "$who")" "$bound"
	# Without the first read, and carried on, it may be the next bucket.
	within "Prometheus: p99 of the rate of ${who%-*} is in the agent's bucket or the next" "$(below "$bound" 0.25)" "$(p99 "rate(${buckets}[5m])" "$who")" "$(below "$bound" 2)"
	within "Prometheus: p99 of ${who%-*} as recorded by the rules is in the agent's bucket or the next" "$(below "$bound" 0.25)" "$(recorded "$who")" "$(below "$bound" 2)"
	echo "# ${who%-*}: p99 $(p99 "$latest" "$who") s, agent: at most $bound s"
done

# ---- rules

rules() { api rules | jq -r "$1"; }
all_evaluated() { [ "$(rules '[.data.groups[].rules[] | select(.health == "unknown")] | length')" = 0 ]; }
ok "Prometheus evaluates all rules" until_ok 10 all_evaluated
is "Prometheus loads all rules" "$(grep -hcE '^ +expr:' "$ROOT"/dashboards/prometheus/*.rules.yml "$T/quick.yml" | awk '{ n += $1 } END { print n }')" \
	"$(rules '[.data.groups[].rules[]] | length')"
is "Prometheus evaluates all rules without an error" "" "$(rules '.data.groups[].rules[] | select(.health != "ok" or .lastError) | "\(.name): \(.lastError)"')"
is "Prometheus logs no warning of a rule, a scrape or a sample" "" "$(grep -iE 'level=(warn|error).*(rule|scrape|sample)' "$T/prometheus.log" | cut -c 1-400 | head -n 3)"

alert() { # alert NAME [LABEL VALUE]: its state, or "quiet"
	api alerts | jq -r --arg name "$1" --arg key "${2:-alertname}" --arg value "${3:-$1}" \
		'[.data.alerts[] | select(.labels.alertname == $name and .labels[$key] == $value) | .state] | .[0] // "quiet"'
}
alert_is() { [ "$(alert "$1" "${@:3}")" = "$2" ]; }
for one in AgentDown AgentAbsent RoomDown PolicyRejected MapNearlyFull BlkioTargetMissed BlkioLimitRefused; do
	is "Prometheus: alert Nestor$one is quiet on a healthy agent" quiet "$(alert Nestor$one)"
done

# ---- boards: each expression as Grafana sends it

# What needs a limit, a target, an error, a loss, memory that is short or the same, another operation, the kernel module or calls of
# functions to show anything.
MAY_BE_EMPTY='limit|target|errors|events_lost|evictions|refaults|migration|actions|ALERTS|op!~|nestor_vm_info|nestor_(cache|dedup|gpufn)_'
# shellcheck disable=SC2016 # jq's
expressions='.title as $b | .panels[] | .title as $t | .targets[]? | {where: "\($b): \($t)",
	expr: .expr | gsub("\\$__rate_interval"; "5m") | gsub("\\$__range"; "5m") | gsub("\\$[a-z]+"; ".*")}'
jq -c "$expressions" "$ROOT"/dashboards/grafana/*.json > "$T/expressions"
ask_all() { # in one go: what curl reads as its options
	jq -r --arg url "$PROMETHEUS/api/v1/query" '"next\nsilent\nget\nnoproxy = *\nurl = \($url)\ndata-urlencode = \("query=" + .expr | @json)"' "$T/expressions" |
		curl -K - > "$T/answers"
}
# shellcheck disable=SC2016
unanswered() {
	jq -nr --arg may_be_empty "$MAY_BE_EMPTY" --slurpfile asked "$T/expressions" '[inputs] | to_entries[] | . as $a | $asked[.key] |
		if $a.value.status != "success" then "\(.where): \($a.value.error)"
		elif $a.value.data.result == [] and (.expr | test($may_be_empty) | not) then "\(.where): nothing"
		else empty end' "$T/answers"
}
all_answered() {
	ask_all
	[ -z "$(unanswered)" ]
}
ok "Prometheus answers all expressions of the boards with data" until_ok 5 all_answered || unanswered | sed 's/^/#   /'
is "Prometheus answers each expression of the boards once" "$(wc -l < "$T/expressions")" "$(jq -c .status "$T/answers" | wc -l)"

# ---- alerts come and go

policy 'pcache: {mode: off}'
ok "(a room is off by policy)" until_ok 10 says 'nestor_room_up{room="pcache"}' 0
is "Prometheus: a room that is off by policy raises no alert" "0 series" "$(value 'nestor_room_wanted == 1 and nestor_room_up == 0')"
# A room cannot start where something else has the name of its pinned map.
pin=$(find "$T"/bpf/nestor -name 'pcache_lost_*')
rm "$pin"
mkdir "$pin"
policy 'pcache: {mode: monitor}'
policy 'blkio: {mode: loud}'
ok "Prometheus: the alert for a room that cannot start is pending" until_ok 10 alert_is NestorRoomDown pending room pcache
ok "Prometheus: the alert for a rejected policy is pending" until_ok 10 alert_is NestorPolicyRejected pending
ok "Prometheus: the alert for a room that cannot start fires after its delay" until_ok 10 alert_is QuickNestorRoomDown firing room pcache
ok "Prometheus: the alert for a rejected policy fires after its delay" until_ok 10 alert_is QuickNestorPolicyRejected firing
is "Prometheus: only the room that cannot start has an alert" 1 "$(api alerts | jq '[.data.alerts[] | select(.labels.alertname == "NestorRoomDown")] | length')"
rmdir "$pin"
policy 'pcache: {mode: monitor}'
ok "Prometheus: a good policy clears the alert for a rejected one" until_ok 10 alert_is NestorPolicyRejected quiet
ok "Prometheus: a room that starts clears its alert" until_ok 10 alert_is NestorRoomDown quiet

# ---- rates, now that there are samples enough

# rate() carries on to the ends of its range by at most 1.6 times the time between two samples.
n=$(value "count_over_time($(bytes_of $small)[5m])")
for one in "$small $((ROUNDS * SMALL * 4096))" "$big $((ROUNDS * BIG << 20))"; do
	read -r who known <<< "$one"
	within "Prometheus: rate() agrees with the bytes that ${who%-*} has read" $((known * 99 / 100)) "$(value "rate($(bytes_of "$who")[5m]) * 300")" \
		"$(awk -v k=$known -v n="$n" 'BEGIN { printf "%.0f", k * (1.01 + 1.6 / (n - 1)) }')"
done
echo "# $n samples"

agent_kill
ok "Prometheus: the alert for a killed agent is pending" until_ok 10 alert_is NestorAgentDown pending
ok "Prometheus: the alert for a killed agent fires after its delay" until_ok 10 alert_is QuickNestorAgentDown firing
done_testing

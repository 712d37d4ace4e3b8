#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What a scrape costs with 10, 100 and 1000 containers, and with as many as make 50,000 series: time, bytes, series, and
# CPU time of all processes that serve it; beside prometheus-node-exporter. The containers are cgroups of which each has
# read and written a loop device.
. "$(dirname "$0")/lib.sh"
scrapes=20

# scrape NAME URL PID…
scrape() {
	local name=$1 url=$2 i before
	shift 2
	for i in 1 2 3; do curl -sf "$url" > /dev/null; done
	for i in $(seq $scrapes); do
		before=$(cpu_ns "$@")
		curl -sf -o "$T/text" -w '%{time_total}\n' "$url" >> "$T/seconds"
		echo $(($(cpu_ns "$@") - before)) >> "$T/ns"
	done
	printf '%-24s %6d series %8d bytes  %s ms  CPU %s ms\n' "$name" "$(grep -vc '^#' "$T/text")" "$(stat -c %s "$T/text")" \
		"$(awk '{ print $1 * 1e3 }' "$T/seconds" | mean_ci %.1f)" "$(awk '{ print $1 / 1e6 }' "$T/ns" | mean_ci %.1f)"
	rm "$T/seconds" "$T/ns"
}

new_loop
containers_base
printf 'agent: {max_containers: 1000}\n' > "$T/policy.yaml"
agent_start --policy "$T/policy.yaml"
prometheus-node-exporter --web.listen-address=127.0.0.1:0 > "$T/exporter" 2>&1 &
exporter=$!
defer kill $exporter
listens() { ss -Hltnp | awk -v p="pid=$exporter," 'index($0, p) { print $4; exit }'; }
is_up() { [ -n "$(listens)" ]; }
until_ok 10 is_up
{
	echo "scrape: $scrapes each; mean and 95 % confidence interval"
	circumstances
	have=0
	for n in 10 100 750 1000; do
		containers_more $((have + 1)) $n "$loop"
		have=$n
		# shellcheck disable=SC2046 # two words
		scrape "$n containers" "$URL/metrics" $(agent_pids)
	done
	scrape "prometheus-node-exporter" "http://$(listens)/metrics" $exporter
} | store scrape

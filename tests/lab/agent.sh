# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The agent of a machine in a lab. Sourced by tests/lab/host and tests/lab/guest.

# In the background; returns when it serves, by what it says: to ask it all the time would take its processor.
agent_start() {
	local line
	mkfifo /run/agent-log
	build/nestord --listen 0.0.0.0:6378 --policy tests/lab/policy.yaml > /run/agent-log 2>&1 &
	agent=$!
	exec {log}< /run/agent-log
	while read -ru "$log" line; do
		echo "$line"
		if [[ $line = *metrics:* ]]; then
			cat <&"$log" &
			return 0
		fi
	done
	return 1
}

agent_end() {
	kill "$agent"
	wait "$agent"
}

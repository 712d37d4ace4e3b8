# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # run uses what is set here
# Reads what a VM left behind and says how the run ended. Sourced by run.

# A message begins after the time stamp, perhaps after "watchdog: " or alike.
readonly begin='^(\[ *[0-9.]+\](\[ *[TC][0-9]+\])? )?([a-z_]+: )?'

readonly panics="Kernel panic - not syncing|${begin}(Oops|general protection fault|double fault)|${begin}(BUG: (unable to handle|kernel NULL)|kernel BUG at)"

# Warnings, KASAN, KFENCE, UBSAN, SLUB, lockdep, hung tasks, RCU stalls, leaks.
readonly warnings="${begin}(WARNING: |BUG[: ]|UBSAN: |INFO: (task .* blocked for more|rcu|trying to register non-static|possible .* detected|suspicious RCU))|rcu: INFO: |unreferenced object 0x"

# These panics are but the consequence of a warning.
readonly warned='panic_on_warn set|kasan.fault=panic set'

# Taint flags of warnings, should a test have silenced the console:
# machine check, bad page, died, warned, soft lockup.
readonly taint_mask=$((1 << 4 | 1 << 5 | 1 << 7 | 1 << 9 | 1 << 14))

readonly E_PANIC=121 E_WARNING=122 E_TIMEOUT=123 E_NO_REPORT=124

# A status that would be mistaken for the harness's own.
readonly max_status=119

# verdict DIR SECONDS: sets $verdict and $sentence. SECONDS is not empty where
# the guest was stopped for its time.
verdict() {
	local console=$1/console reports=$1/status report status='' taint=0 panic warning failed

	panic=$(grep -aEv "$warned" "$console" | grep -aEm1 "$panics" | tr -d '\r') || :
	warning=$(grep -aEm1 "$warnings" "$console" | tr -d '\r') || :
	failed=$(sed -n 's/^NESTOR-VM-FAILED //p' "$reports")
	report=$(grep -xE 'NESTOR-VM-RESULT status=[0-9]+ taint=[0-9]+' "$reports" | tail -n 1) || :
	if [ "$report" ]; then
		taint=${report##*=}
		status=${report#*status=}
		status=${status% *}
	fi

	if [ "$panic" ]; then
		verdict=$E_PANIC sentence="the kernel crashed: $panic"
	elif [ "$warning" ]; then
		verdict=$E_WARNING sentence="the kernel warned: $warning"
	elif ((taint & taint_mask)); then
		verdict=$E_WARNING sentence="the kernel warned: its taint flags are $taint"
	elif [ "$failed" ]; then
		verdict=$E_HARNESS sentence="the guest could not be set up: $failed"
	elif [ "$2" ]; then
		verdict=$E_TIMEOUT sentence="no end after $2 seconds"
		[ -z "$status" ] || sentence="the command ended with $status, but no power off after $2 seconds"
	elif [ -z "$status" ]; then
		verdict=$E_NO_REPORT sentence="the guest ended without a report"
	elif ((status > max_status)); then
		verdict=$max_status sentence="the command ended with status $status"
		((status <= 128)) || sentence+=", killed by SIG$(kill -l "$status")"
	else
		verdict=$status sentence=''
	fi
}

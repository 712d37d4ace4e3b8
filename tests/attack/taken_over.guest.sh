# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154,SC2034 # attack.guest.sh has and uses them
# Whoever has taken over one of the agent's own processes. attack.guest.sh reads this.

# What none of them is to have. AGENT: the agent; "1: eight bytes that are a set of processors.
forbidden="kill AGENT 15
tgkill AGENT AGENT 15
tkill AGENT 15
rt_sigqueueinfo AGENT 15 @128
ptrace 16902 AGENT 0 0
process_vm_readv AGENT @16 1 @16 1 0
pidfd_open AGENT 0
prlimit64 AGENT 0 @16 0
sched_setaffinity AGENT 8 \"1
sched_setscheduler AGENT 0 @8
setpriority 0 AGENT 19
ioprio_set 1 AGENT 24583
openat -100 \"/etc/shadow 0
openat -100 \"$T/policy.d/all.yaml 1
openat -100 \"/dev/nestor 2
openat -100 \"/proc/AGENT/mem 2
openat -100 \"$T/cached/public 1
socket 2 1 0
socket 1 1 0
socket 16 3 0
bpf 0 @128 128
mount \"none \"/tmp \"tmpfs 0 0
unshare 268435456
setuid 0
setresuid 0 0 0
perf_event_open @128 -1 0 -1 0
userfaultfd 0
io_uring_setup 8 @120
keyctl 0 0 0
add_key \"user \"x \"y 1 0
init_module @16 16 \"
kexec_load 0 0 @16 0
reboot 1 2 3 0"

# What the broker needs, for executors: their namespaces, and to know when they end.
declare -A needed=([nestord-gpufn]='unshare|mount|pidfd_open')
tries() { # tries NAME PID: makes each of these calls that it does not need; each has to fail. Its descriptors are then told nonsense and closed.
	local name=$1 process=$2 fd
	grep -vE "^(${needed[$name]:-none}) " <<< "${forbidden//AGENT/$agent_pid}" > "$T/calls"
	"$TOOLS/takeover" "$process" < "$T/calls" > "$T/taken" 2>&1
	is "attack: whoever has taken over $name tries all of the calls" "$(grep -c . "$T/calls")" "$(grep -c . "$T/taken")"
	is "attack: nothing is allowed to whoever has taken over $name" "" "$(grep -vE ' (EPERM|EACCES|ENOSYS|ENOENT|ESRCH)$' "$T/taken" | tr '\n' ' ')"
	{
		for fd in 3 4 5 6 7 8; do
			printf 'fcntl %d 8 %d\nwrite %d @600 504\nwrite %d @600 16\nwrite %d "nonsense 8\nshutdown %d 1\n' \
				$fd "$agent_pid" $fd $fd $fd $fd
		done
	} | "$TOOLS/takeover" "$process" > "$T/taken" 2>&1
	answers "$name that tells nonsense"
	kill -KILL "$process" 2> /dev/null
}
has() { [ -n "$(own "$1")" ]; }

ok "attack: a tenant's function runs before an executor is taken over" calls
for name in nestord-gpufn-executor nestord-gpufn nestord-httpd; do
	ok "attack: there is a $name" until_ok 60 has "$name"
	tries "$name" "$(own "$name")"
done
ok "attack: the agent serves its metrics after all were taken over" until_ok 60 scrape

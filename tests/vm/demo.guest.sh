#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM: containers with work, and an agent that limits two of them, has two share the second-level cache, and
# serves its page on port 6378. Goes on until it is ended. With "shell", as tests/dashboards/page.sh has it, port 6379 is a shell of
# root. With "shares" a third one, shop, uses the cache, and the shares change every minute.
set -eu
bin=$PWD/build
tools=$bin/tests/tools
policy=/etc/nestor/policy.d/demo.yaml

# container NAME COMMAND...: in a cgroup of its own, in the background
container() {
	local dir=/sys/fs/cgroup/$1
	shift
	mkdir -p "$dir"
	(
		echo $BASHPID > "$dir/cgroup.procs"
		exec "$@"
	) > /dev/null 2>&1 &
}

# ---- what they work on: a file system, a disk, and a network
insmod /nestor.ko
disk=$("$bin/nestorctl" cache attach /dev/vda)
dmsetup mknodes # no udev here
mkfs.ext4 -q -b 4096 "$disk"
mount "$disk" /mnt
for name in web mail shop; do dd if=/dev/zero of=/mnt/$name bs=1M count=48 2> /dev/null; done
umount /mnt # its pages are to be of who reads it
mount "$disk" /mnt
ip netns add peer
ip link add lan type veth peer name lan netns peer
ip addr add 10.1.0.1/24 dev lan
ip link set lan up
ip -n peer addr add 10.1.0.2/24 dev lan
ip -n peer link set lan up
ip -n peer link set lo up
cp "$tools/flow" /usr/bin/criu # whose traffic is a migration's, by the name of the program

# Reads more of a file than it may keep in the page cache: reader FILE PAUSE
cat > /usr/bin/reader <<'END'
#!/bin/bash
while :; do
	dd if="$1" of=/dev/null bs=64k count=200 skip=$((RANDOM % 560)) 2> /dev/null
	read -rt "$2" <> <(:)
done
END
# A migration of 20 seconds, then 20 without.
cat > /usr/bin/backup <<'END'
#!/bin/bash
while :; do
	until criu send tcp 10.1.0.2 9 20; do read -rt 1 <> <(:); done
	read -rt 20 <> <(:)
done
END
chmod +x /usr/bin/reader /usr/bin/backup

# ---- the agent
mkdir -p "$(dirname $policy)"
say_policy() { # say_policy POOL…
	cat <<- 'END'
		agent: {min_age: 0}
		blkio:
		  mode: enforce
		  limits:
		    - {container: /batch, device: nullb0, read: 24MiB}
		net:
		  mode: enforce
		  limits:
		    - {container: /backup, egress: 20Mbit}
		dedup:
		  interval: 5s
		  max_pressure: 100
		  targets:
		    - {domain: demo, container: "/*"}
		cache:
		  mode: enforce
		  memory: 16MiB
		  ssd: /dev/vdb
		  min_free: 32MiB
		  pools:
	END
	printf '    - {container: /%s}\n' "$@"
}
change_to() { # change_to POOL…: live, and for a minute
	say_policy "$@" > $policy.new
	mv $policy.new $policy
	echo "now: $*"
	read -rt 60 <> <(:) || :
}
change_shares() {
	while :; do
		change_to 'web, memory: 60' 'mail, memory: 40'
		change_to 'web, memory: 50' 'mail, memory: 30' 'shop, memory: 20'
		change_to 'web, memory: 60' 'mail, memory: 40' 'shop, ssd: 100'
	done
}
say_policy 'web, memory: 60' 'mail, memory: 40' > $policy
start_agent() {
	"$bin/nestord" --listen 0.0.0.0:6378 &
	agent=$!
}
start_agent

for name in web mail; do
	mkdir -p /sys/fs/cgroup/$name
	echo 32M > /sys/fs/cgroup/$name/memory.max
done
container web reader /mnt/web 0.2
container mail reader /mnt/mail 0.6
container db "$tools/ioload" write /dev/nullb0 16384 2 0 1000000
container batch "$tools/ioload" read /dev/nullb0 262144 4 0 1000000
ip netns exec peer "$tools/flow" recv tcp 9 1000 > /dev/null &
container backup backup
if [ "${1:-}" = shares ]; then
	mkdir /sys/fs/cgroup/shop
	echo 32M > /sys/fs/cgroup/shop/memory.max
	container shop reader /mnt/shop 0.2
	change_shares &
fi
[ "${1:-}" != shell ] || nc -ll -p 6379 -e /bin/bash &

echo "up"
# Who has the shell may kill it, and say how long it stays down.
while :; do
	wait $agent || :
	while [ -e /run/stay-down ]; do read -rt 0.2 <> <(:) || :; done
	start_agent
done

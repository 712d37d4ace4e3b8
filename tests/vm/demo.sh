#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Inside a VM: four containers with work, and an agent that limits two of them and serves its page on port 6378. Goes on
# until it is ended. "make demo" boots it; tests/page.sh too, with "shell": then port 6379 is a shell of root.
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
mkfs.ext4 -q /dev/vda
mount /dev/vda /mnt
dd if=/dev/zero of=/mnt/pages bs=1M count=48 2> /dev/null
umount /mnt # its pages are to be of who reads it
mount /dev/vda /mnt
ip netns add peer
ip link add lan type veth peer name lan netns peer
ip addr add 10.1.0.1/24 dev lan
ip link set lan up
ip -n peer addr add 10.1.0.2/24 dev lan
ip -n peer link set lan up
ip -n peer link set lo up
cp "$tools/flow" /usr/bin/criu # whose traffic is a migration's, by the name of the program

# Reads more of a file than it may keep in the page cache.
cat > /usr/bin/web <<'END'
#!/bin/bash
while :; do
	dd if=/mnt/pages of=/dev/null bs=64k count=200 skip=$((RANDOM % 560)) 2> /dev/null
	read -rt 0.2 <> <(:)
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
chmod +x /usr/bin/web /usr/bin/backup

# ---- the agent
mkdir -p "$(dirname $policy)"
cat > $policy <<'END'
agent: {min_age: 0}
blkio:
  mode: enforce
  limits:
    - {container: /batch, device: nullb0, read: 24MiB}
net:
  mode: enforce
  limits:
    - {container: /backup, egress: 20Mbit}
END
start_agent() {
	"$bin/nestord" --listen 0.0.0.0:6378 &
	agent=$!
}
start_agent

mkdir -p /sys/fs/cgroup/web
echo 32M > /sys/fs/cgroup/web/memory.max
container web web
container db "$tools/ioload" write /dev/nullb0 16384 2 0 1000000
container batch "$tools/ioload" read /dev/nullb0 262144 4 0 1000000
ip netns exec peer "$tools/flow" recv tcp 9 1000 > /dev/null &
container backup backup
[ "${1:-}" != shell ] || nc -ll -p 6379 -e /bin/bash &

echo "up"
# Who has the shell may kill it, and say how long it stays down.
while :; do
	wait $agent || :
	while [ -e /run/stay-down ]; do read -rt 0.2 <> <(:) || :; done
	start_agent
done

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 10, lane: machine
# Names of real containers (podman, runc, and crun where it supports the machine's cgroups) and of cgroup trees as
# docker, nerdctl, Kubernetes and systemd make them: their I/O counts under the name that a person knows. In VMs
# tests/who/names_v2.sh runs it on cgroup v2, and tests/who/names_trees.sh, as "names.sh v1" or "hybrid", on such hosts: trees
# alone, and what else is different there.
#
# The runtimes and their records are in a mount namespace of this test: it neither sees nor touches the machine's.
if [ "${NAMES_OWN_MOUNTS:-}" != $$ ]; then
	NAMES_OWN_MOUNTS=$$ exec unshare --mount "$0" "$@"
fi
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1
mkdir -p /var/lib
mount -t tmpfs tmpfs /var/lib || exit 1
mount -t tmpfs tmpfs /run || exit 1

CG=/sys/fs/cgroup
hierarchies=("$CG")
[ -e $CG/cgroup.controllers ] || hierarchies=("$CG/memory" "$CG/blkio")
me=nestor-names-$ID

truncate -s 32M "$T/disk"
loop=$(losetup --find --show "$T/disk")
defer losetup -d "$loop"
device=${loop#/dev/}

count() { metric "nestor_blkio_ios_total{device=\"$device\",op=\"read\",container=\"$1\"}"; }
has() { [ "$(count "$1")" = "$2" ]; }
info() { metrics | sed -n "s|^nestor_container_info{container=\"$1\",||p"; }

# reads 4 KiB at a time, past the page cache, and stays
# shellcheck disable=SC2016 # for the container's shell
work='dd if=/dev/disk of=/dev/null bs=4k count=$0 iflag=direct status=none; exec sleep 1000'

check() { # check WHAT NAME COUNT RUNTIME ID PATH: what NAME has read, and what is known of it; PATH is a pattern
	ok "names, $1: $3 reads count for \"$2\"" until_ok 30 has "$2" "$3" || echo "#   got: $(count "$2")"
	like "names, $1: the metric has runtime, path and id" "^runtime=\"$4\",path=\"$6\",id=\"$5\"} 1$" "$(info "$2")"
}

# ---- podman

# By itself it asks for limits that not every root may set. The root of the VM is an initramfs.
configure_podman() {
	printf '%s\n' '[containers]' 'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]' '[engine]' \
		"no_pivot_root = $([ -n "${NESTOR_VM:-}" ] && echo true || echo false)" > "$T/containers.conf"
	export CONTAINERS_CONF=$T/containers.conf
}

start_podman() { # start_podman NAME COUNT OPTION…: prints the id
	local name=$1 count=$2
	shift 2
	podman --cgroup-manager=cgroupfs run --detach --name "$name" --network none --device "$loop:/dev/disk" "$@" \
		--rootfs "$T/rootfs" /bin/sh -c "$work" "$count"
}

remove_podman() {
	podman --cgroup-manager=cgroupfs rm --force --time 0 "$@"
}

check_podman() { # check_podman RUNTIME COUNT OPTION…
	local runtime=$1 count=$2 name=$me-podman-$2 id
	shift 2
	defer remove_podman "$name"
	id=$(start_podman "$name" "$count" --runtime "$runtime" "$@" 2> "$T/podman.log")
	if ! ok "(podman with $runtime starts a container)" [ -n "$id" ]; then
		sed 's/^/#   /' "$T/podman.log"
		return
	fi
	check "podman with $runtime" "$name" "$count" podman "${id:0:12}" "[^\"]*/libpod-$id"
}

remove_pod() { podman --cgroup-manager=cgroupfs pod rm --force --time 0 "$@"; }

check_pod() { # check_pod RUNTIME COUNT: of a container in a pod
	defer remove_pod "$me-pod"
	podman --cgroup-manager=cgroupfs --runtime "$1" pod create --name "$me-pod" --network none \
		--cgroup-parent "/$me-engine" > "$T/pod.log" 2>&1 ||
		sed 's/^/#   /' "$T/pod.log"
	check_podman "$1" "$2" --pod "$me-pod"
	like "names, podman: a container's cgroup is in its pod's" "/$me-engine/[0-9a-f]{64}/libpod-" "$(info "$me-podman-$2")"
}

# ---- runc and crun by themselves

start_oci() { # start_oci RUNTIME NAME COUNT
	mkdir "$T/$2"
	(
		cd "$T/$2" || exit
		runc spec
		jq --arg work "$work" --arg count "$3" --arg rootfs "$T/rootfs" \
			--argjson major "$((0x$(stat -c %t "$loop")))" --argjson minor "$((0x$(stat -c %T "$loop")))" '
			.process.terminal = false | .process.args = ["/bin/sh", "-c", $work, $count] | .root.path = $rootfs |
			del(.process.rlimits) |
			.linux.resources.devices += [{allow: true, type: "b", major: $major, minor: $minor, access: "rwm"}] |
			.linux.devices = [{path: "/dev/disk", type: "b", major: $major, minor: $minor}]' config.json > new
		mv new config.json
		"$1" run ${NESTOR_VM:+--no-pivot} --detach "$2" < /dev/null > log 2>&1
	)
}

check_oci() { # check_oci RUNTIME COUNT
	local name=$me-$1
	defer "$1" delete --force "$name"
	if ! ok "($1 starts a container)" start_oci "$1" "$name" "$2"; then
		sed 's/^/#   /' "$T/$name/log"
		return
	fi
	check "$1" "$name" "$2" "$1" "" "[^\"]*/$name"
}

# ---- trees as others make them

make_tree() { # make_tree PATH: in each hierarchy
	local hierarchy path part
	local -a parts
	IFS=/ read -ra parts <<< "${1#/}"
	for hierarchy in "${hierarchies[@]}"; do
		path=$hierarchy
		for part in "${parts[@]}"; do
			path=$path/$part
			[ -d "$path" ] || { mkdir "$path" && defer rmdir "$path"; }
		done
	done
}

reads_in() { # reads_in PATH COUNT [HIERARCHY…]
	local path=$1 count=$2 hierarchy
	shift 2
	(
		for hierarchy in "${@:-${hierarchies[@]}}"; do echo $BASHPID > "$hierarchy$path/cgroup.procs"; done
		exec "$ROOT/build/tests/tools/directio" read "$loop" "$count"
	)
}

put_record() { # put_record FOLDER FILE TEXT
	mkdir -p "$1"
	printf '%s' "$3" > "$1/$2"
}

random_id() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

check_docker() {
	local id scope hierarchy
	id=$(random_id) scope=$(random_id)
	put_record "/var/lib/docker/containers/$id" config.v2.json "{\"ID\":\"$id\",\"Name\":\"/$me-docker\"}"
	put_record "/var/lib/docker/containers/$scope" config.v2.json "{\"ID\":\"$scope\",\"Name\":\"/$me-scope\"}"
	make_tree "/docker/$id/inner"
	make_tree "/system.slice/docker-$scope.scope"
	reads_in "/docker/$id" 11
	check "docker's cgroupfs driver" "$me-docker" 11 docker "${id:0:12}" "/docker/$id"
	reads_in "/docker/$id/inner" 13
	ok "names, docker: I/O in cgroups that a container made counts for it" has "$me-docker" 24
	# A container has another id in each hierarchy, and is one.
	for hierarchy in "${hierarchies[@]}"; do reads_in "/system.slice/docker-$scope.scope" 17 "$hierarchy"; done
	check "docker's systemd driver" "$me-scope" $((17 * ${#hierarchies[@]})) docker "${scope:0:12}" "/system.slice/docker-$scope.scope"

	# The record of the next one comes late.
	id=$(random_id)
	make_tree "/docker/$id"
	reads_in "/docker/$id" 19
	ok "names, docker: a container without a record is named by its id" until_ok 30 has "${id:0:12}" 19
	id=$(random_id)
	make_tree "/docker/$id"
	put_record "/var/lib/docker/containers/$id" config.v2.json "{\"ID\":\"$id\",\"Name\":\"/$me-late\"}"
	reads_in "/docker/$id" 23
	ok "names, docker: a container with a record has its name" until_ok 30 has "$me-late" 23
}

# Limits and metrics wait as long for a late record: longer than a busy machine's runtime takes.
begin_late() {
	late=$(random_id) late_since=$(uptime_s)
	make_tree "/docker/$late"
	reads_in "/docker/$late" 5
	ok "names, docker: a container has its id for a name before its record is written" until_ok 10 is_container "${late:0:12}"
}
check_late() {
	until_ok 5 late_by 3
	put_record "/var/lib/docker/containers/$late" config.v2.json "{\"ID\":\"$late\",\"Name\":\"/$me-verylate\"}"
	ok "names, docker: limits use the name from a record three seconds late" until_ok 10 is_container "$me-verylate" ||
		echo "# $(($(uptime_s) - late_since)) s after its birth"
	ok "names, docker: metrics use the name from a record three seconds late" until_ok 10 has "$me-verylate" 5
}
uptime_s() { sed 's/\..*//' /proc/uptime; }
late_by() { [ $(($(uptime_s) - late_since)) -gt "$1" ]; }
is_container() { ctl containers | grep -qw -- "$1"; }

check_nerdctl() {
	local id
	id=$(random_id)
	put_record "/run/containerd/io.containerd.runtime.v2.task/default/$id" config.json \
		"{\"annotations\":{\"nerdctl/name\":\"$me-nerd\"}}"
	make_tree "/default/$id"
	reads_in "/default/$id" 29
	check "nerdctl" "$me-nerd" 29 containerd "${id:0:12}" "/default/$id"
}

# With both of kubelet's drivers: a pod, its own container ("sandbox") and one in it.
check_kubernetes() {
	local pod="/kubepods/burstable/pod$me" slice id sandbox scope
	local keys='"io.kubernetes.cri.sandbox-namespace":"shop","io.kubernetes.cri.sandbox-name"'
	slice=/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod$$.slice
	id=$(random_id) sandbox=$(random_id) scope=$(random_id)
	put_task() { # put_task ID MORE
		put_record "/run/containerd/io.containerd.runtime.v2.task/k8s.io/$1" config.json \
			"{\"annotations\":{$keys:\"$me\",$2}}"
	}
	put_task "$id" '"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"web"'
	put_task "$sandbox" '"io.kubernetes.cri.container-type":"sandbox"'
	put_task "$scope" '"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"db"'
	make_tree "$pod/$id"
	make_tree "$pod/$sandbox"
	make_tree "$slice/cri-containerd-$scope.scope"
	reads_in "$pod/$id" 71
	reads_in "$pod/$sandbox" 73
	reads_in "$slice/cri-containerd-$scope.scope" 79
	check "Kubernetes" "shop/$me/web" 71 containerd "${id:0:12}" "$pod/$id"
	check "Kubernetes' pod sandbox" "shop/$me/POD" 73 containerd "${sandbox:0:12}" "$pod/$sandbox"
	check "Kubernetes with systemd" "shop/$me/db" 79 containerd "${scope:0:12}" "$slice/cri-containerd-$scope.scope"
}

# As podman makes them, where there is no podman.
check_podman_trees() {
	local id scope
	id=$(random_id) scope=$(random_id)
	put_record /var/lib/containers/storage/overlay-containers containers.json \
		"[{\"id\":\"$id\",\"names\":[\"$me-pod\"]},{\"id\":\"$scope\",\"names\":[\"$me-podscope\"]}]"
	make_tree "/libpod_parent/libpod-$id"
	make_tree "/machine.slice/libpod-$scope.scope"
	reads_in "/libpod_parent/libpod-$id" 83
	reads_in "/machine.slice/libpod-$scope.scope" 89
	check "podman's cgroupfs driver" "$me-pod" 83 podman "${id:0:12}" "/libpod_parent/libpod-$id"
	check "podman's systemd driver" "$me-podscope" 89 podman "${scope:0:12}" "/machine.slice/libpod-$scope.scope"
}

check_unit() {
	make_tree "/system.slice/$me.service/worker"
	reads_in "/system.slice/$me.service" 31
	reads_in "/system.slice/$me.service/worker" 37
	check "a service" "$me.service" 68 systemd "" "/system.slice/$me.service"
}

write_unit() { # write_unit FILE LINE…
	local file=$1
	shift
	mkdir -p "${file%/*}"
	printf '%s\n' '[Unit]' DefaultDependencies=no "$@" > "$file"
}

write_job() { # write_job FILE COUNT [LINE…]: it reads, and stays
	local file=$1 count=$2
	shift 2
	write_unit "$file" '[Service]' "$@" \
		"ExecStart=/bin/busybox sh -c '$ROOT/build/tests/tools/directio read $loop $count; exec sleep 1000'"
}

# A systemd of its own, which takes the machine's cgroups for its own: for a VM that has none.
check_systemd() {
	write_unit "$T/system/nestor.target" "Wants=$me-a.service $me-b.service user@1000.service"
	write_job "$T/system/$me-a.service" 59
	write_job "$T/system/$me-b.service" 61 "Slice=nestor-b.slice"
	write_unit "$T/system/user@1000.service" '[Service]' Delegate=yes Slice=user-1000.slice \
		"Environment=XDG_RUNTIME_DIR=$T SYSTEMD_UNIT_PATH=$T/user" \
		'ExecStart=/lib/systemd/systemd --user --unit=nestor.target --log-target=console'
	write_unit "$T/user/nestor.target" "Wants=$me-a.service"
	write_job "$T/user/$me-a.service" 67
	SYSTEMD_UNIT_PATH=$T/system container=nestor unshare --pid --fork --kill-child --mount-proc \
		/lib/systemd/systemd --system --unit=nestor.target --log-target=console < /dev/null > "$T/systemd.log" 2>&1 &
	defer kill -KILL $!
	check "systemd, a service" "$me-a.service" 59 systemd "" "/system.slice/$me-a.service"
	check "systemd, a service in a slice" "$me-b.service" 61 systemd "" "/nestor.slice/nestor-b.slice/$me-b.service"
	check "systemd, a user's service of the same name" "user@1000.service/$me-a.service" 67 systemd "" \
		"/user.slice/user-1000.slice/user@1000.service/[^\"]*$me-a.service" || sed 's/^/#   /' "$T/systemd.log"
}

# What works without cgroup v2, and what the agent says of the rest: policy wants all of it.
check_mode() { # check_mode MODE
	local rooms
	rooms=$(ctl rooms)
	is "names: nestorctl status says that cgroups are $1" "$1" "$(ctl status | awk '/^cgroups:/ { print $2 }')"
	is "names: blkio and pcache are up with cgroups $1" "1 1" \
		"$(metric 'nestor_room_up{room="blkio"}') $(metric 'nestor_room_up{room="pcache"}')"
	like "names: the log says why blkio limits are not enforced" \
		"enforces nothing: the io controller is not on cgroup v2 here; cgroups are $1" "$(cat "$AGENT_LOG")"
	if [ "$1" = hybrid ]; then
		is "names: net is up with cgroups hybrid" 1 "$(metric 'nestor_room_up{room="net"}')"
		is "names: net limits are not possible with cgroups hybrid" 0 "$(metric nestor_net_limit_possible)"
		like "names: the log says why net limits are not possible with cgroups hybrid" "net: no limits: containers are in cgroups of version 1" "$(cat "$AGENT_LOG")"
	else
		is "names: net is down with cgroups v1" 0 "$(metric 'nestor_room_up{room="net"}')"
		like "names: nestorctl rooms says why net is down and what to do" "no cgroup v2 hierarchy is mounted.*mount -t cgroup2 none DIR" "$rooms"
	fi
}

if [ $# = 1 ]; then
	mkdir -m 700 "$T/policy"
	(
		umask 077
		printf '%s\n' 'blkio: { mode: enforce, limits: [ { container: nobody, device: sda, read: 1MiB } ] }' \
			'net: { mode: enforce, limits: [ { container: nobody, egress: 1000000 } ] }' > "$T/policy/all.yaml"
	)
	agent_start --policy "$T/policy"
	begin_late
	check_mode "$1"
	check_late
	check_unit
	check_docker
	check_nerdctl
	check_kubernetes
	check_podman_trees
	done_testing
fi

mkdir -p "$T/rootfs/bin" "$T/rootfs/dev" "$T/rootfs/proc" "$T/rootfs/sys" "$T/rootfs/etc"
cp /bin/busybox "$T/rootfs/bin/"
for tool in sh dd sleep; do ln -s busybox "$T/rootfs/bin/$tool"; done

agent_start
[ -z "${NESTOR_VM:-}" ] || begin_late # where three seconds are three seconds
check_unit
[ -z "${NESTOR_VM:-}" ] || check_late
check_docker
check_nerdctl
check_kubernetes
podman_has_ended() { ! env -u CONTAINERS_CONF grep -qsaF "$T/containers.conf" /proc/[0-9]*/environ; }
remove_podman_cgroups() { find $CG -depth -type d -path "*/$me-engine*" -exec rmdir {} +; }
defer remove_podman_cgroups
defer until_ok 20 podman_has_ended # it tidies up after a container when that has been removed
configure_podman
check_oci runc 41
if [ -n "${NESTOR_VM:-}" ]; then
	check_oci crun 43
	check_podman crun 47 --rm --cgroup-parent "/$me-engine"
	check_systemd
else
	check_podman runc 47 --cgroup-parent "/$me-engine"
	check_pod runc 53
fi
done_testing

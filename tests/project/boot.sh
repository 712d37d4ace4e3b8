#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 100, lane: vm
# A machine that boots with systemd, as an administrator would install it: the agent has all that it needs within the limits
# of its unit; a cached disk is there before its file system is mounted, can be taken out of the cache and put back while
# that is, and is whole after a reboot.
. "$(dirname "$0")/../harness/lib.sh"
cd "$ROOT" || exit 1
# shellcheck source=tests/vm/lib.sh
. tests/vm/lib.sh
# shellcheck source=tests/vm/initramfs.sh
. tests/vm/initramfs.sh
kernel=$(tests/vm/kernel 6.12) && module=$(tests/vm/module 6.12) && chroot=$(tests/vm/chroot boot) || exit
release=$(cat "$kernel/release")
tree=$T/root

# ---- the machine: as an administrator would install it
cp -a "$chroot" "$tree"
make -s install module-units DESTDIR="$tree" > "$T/said" || exit
for file in build/nestord build/nestorctl; do tree_libraries "$tree" $file; done
systemd-sysusers --root="$tree" "$tree/usr/local/lib/sysusers.d/nestor.conf"
mkdir -p "$tree/data" "$tree/lib/modules/$release/extra"
cp "$module" "$tree/lib/modules/$release/extra/"
for name in ext4 virtio_blk dm-mod loop autofs4; do tree_module "$tree" "$kernel" "$release" $name no; done
cp "$kernel/lib/modules/$release"/modules.{builtin,builtin.modinfo,order} "$tree/lib/modules/$release/"
depmod -b "$tree" "$release"
cat > "$tree/etc/nestor/policy.d/cache.yaml" << 'END'
agent: {min_age: 0}
cache:
  mode: enforce
  memory: 32MiB
  min_free: 32MiB
  pools:
    - {container: /one, memory: 100}
END
echo "/dev/mapper/vdb-nestor /data ext4 defaults 0 0" > "$tree/etc/fstab"
install -m 755 tests/project/boot.guest.sh "$tree/booted"
cat > "$tree/etc/systemd/system/booted.service" << 'END'
[Unit]
After=nestord.service data.mount
[Service]
Type=oneshot
ExecStart=/booted
StandardOutput=file:/dev/ttyS1
[Install]
WantedBy=multi-user.target
END
systemctl --root="$tree" enable nestord nestor-cache@dev-vdb booted 2> "$T/said" || { cat "$T/said" && exit 1; }
truncate -s 600M "$T/vda"
mkfs.ext4 -q -F -d "$tree" "$T/vda"
truncate -s 200M "$T/vdb"
mkfs.ext4 -q -F -b 4096 "$T/vdb"
rm -rf "$tree"

# ---- what mounts its root
tree=$T/initramfs
tree_new "$tree"
: > "$tree/vm/modules"
for name in ext4 virtio_blk; do tree_module "$tree" "$kernel" "$release" $name yes; done
cat > "$tree/init" << 'END'
#!/bin/sh
mount -t devtmpfs dev /dev
while read -r module; do insmod $module; done < /vm/modules
mount -t ext4 /dev/vda /mnt
umount /dev
exec switch_root /mnt /sbin/init
END
tree_pack "$tree" "$kernel" "$release" "$T/initrd"

start() { # start NAME: until it ends itself; what it says is in $T/NAME
	: > "$T/$1"
	# Ends with us, be that by kill -9.
	setpriv --pdeathsig TERM timeout --foreground 300 qemu-system-x86_64 -M q35 -accel tcg,thread=multi -cpu max -m 1024 -smp 2 -nodefaults -no-user-config \
		-display none -no-reboot -kernel "$(kernel_image "$kernel")" -initrd "$T/initrd" \
		-append "console=ttyS0 loglevel=4 panic=-1 oops=panic panic_on_warn=1 random.trust_cpu=on tsc=reliable no5lvl" \
		-serial "file:$T/console" -serial "file:$T/$1" -drive "file=$T/vda,format=raw,if=virtio" \
		-drive "file=$T/vdb,format=raw,if=virtio"
}
fact() { tr -d '\r' < "$T/$1" | sed -n "s/^$2: //p"; } # fact BOOT NAME
crashed() { grep -aE 'Kernel panic|WARNING:|Failed to start' "$T/console"; }

for turn in first second; do
	ok "$turn boot: ends by itself" start $turn
	is "$turn boot: no kernel warned, and systemd could start all" "" "$(crashed)"
	is "$turn boot: the disk's unit, the agent and the mount are there" "active active active" "$(fact $turn units)"
	is "$turn boot: nothing failed" "" "$(fact $turn failed)"
	is "$turn boot: all rooms are up" 1 "$(fact $turn rooms)"
	is "$turn boot: what is mounted is the cached disk" "/dev/mapper/vdb-nestor nestor-cache" \
		"$(fact $turn source) $(fact $turn target)"
	is "$turn boot: the file system was whole" 0 "$(fact $turn recovered)"
done
sum=$(fact first written)
like "first boot: a file is written" "^[0-9a-f]{32} " "$sum"
is "first boot: pages of the file come from the cache" "yes" "$(fact first hits)"
is "first boot: a stopped unit leaves a plain disk that stays mounted" " linear /dev/mapper/vdb-nestor" \
	"$(fact first stop) $(fact first 'target when stopped') $(fact first 'still mounted')"
is "first boot: a unit that starts again puts the disk into the cache" " nestor-cache" "$(fact first start) $(fact first 'target when started')"
for name in "read again" "read when stopped" "read when started"; do
	is "first boot: $name: the file is unchanged" "${sum%% *}" "$(fact first "$name" | cut -d ' ' -f 1)"
done
is "second boot: the file is unchanged" "${sum%% *}" "$(fact second kept | cut -d ' ' -f 1)"
[ $failures = 0 ] || { fact first log; grep -avE '\] +(\?|[a-zR])' "$T/console" | tail -n 30; } | sed 's/^/# /'
done_testing

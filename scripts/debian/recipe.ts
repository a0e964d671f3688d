// SPDX-License-Identifier: MIT
/** What is in the Debian that `deno task debian` makes, and how it is set up. @module */

import { GUEST_ADDRESS } from "../host/tap_namespace.ts";

/** Debian's release. */
export const SUITE = "bookworm";
/** Size of the image, as mke2fs(8) has it; holes take no room. */
export const IMAGE_SIZE = "2G";
/** Besides what Debian's "minbase" has. */
export const PACKAGES = [
  ...["systemd-sysv", "udev", "dbus", "kmod", "e2fsprogs", "initramfs-tools", "zstd"],
  // not systemd-networkd: it gives an interface up when the kernel, on a busy host, does not answer within 25 s
  ...["ifupdown", "isc-dhcp-client", "iproute2", "iputils-ping", "openssh-server", "netbase"],
  // the first has no 9P, the second has
  ...["linux-image-cloud-amd64", "linux-image-amd64"],
  // to measure disks, to build something, to start another kernel
  ...["fio", "tcc", "libc6-dev", "kexec-tools"],
] as const;

/** What the kernel is told when the image is its root. */
export const ROOT_ON_DISK = "root=/dev/xvda rw console=hvc0 net.ifnames=0 systemd.service_watchdogs=0";

/** Measures the second disk and powers off. */
export const FIO_PROGRAM = "/usr/local/sbin/xenner-fio";
const FIO_SCRIPT = String.raw`#!/bin/sh
disk=/dev/xvdb
[ -e $disk ] || disk=/dev/vdb
seconds=$(sed -n 's/.*xenner.seconds=\([0-9]*\).*/\1/p' /proc/cmdline)
for depth in 1 32; do
  for rw in randread randwrite read write; do
    case $rw in rand*) bs=4k ;; *) bs=1M ;; esac
    fio --name=x --filename=$disk --thread --ioengine=libaio --direct=1 --rw=$rw --bs=$bs --iodepth=$depth \
      --runtime=$seconds --time_based --output-format=terse --terse-version=3 |
      awk -F';' -v rw=$rw -v depth=$depth '$1 == 3 {
        print "XENNER-FIO rw=" rw " depth=" depth " kibs=" $7 + $48 " iops=" $8 + $49 }'
  done
done
sync
poweroff -ff
`;

/** A shell script that sets up the system in the folder $1. */
export function customizeScript(): string {
  return `#!/bin/sh
set -eu
root=$1
echo debian >"$root/etc/hostname"
printf '127.0.0.1 localhost\\n127.0.1.1 debian\\n' >"$root/etc/hosts"
echo 'nameserver 10.0.2.3' >"$root/etc/resolv.conf"
# anybody at the console may log in; by ssh only who has a key
chroot "$root" passwd -d root
# a busy host makes everything slow: nothing has failed because it takes its time
mkdir -p "$root/etc/systemd/system.conf.d"
cat >"$root/etc/systemd/system.conf.d/slow.conf" <<END
[Manager]
DefaultTimeoutStartSec=30min
DefaultTimeoutStopSec=30min
DefaultDeviceTimeoutSec=30min
END
echo 'LoginGraceTime 0' >"$root/etc/ssh/sshd_config.d/slow.conf"
# neither the first boot's questions nor an identity that is made anew each time
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
# the second is that of the demo, which has a TAP
cat >"$root/etc/network/interfaces" <<END
auto lo
iface lo inet loopback
allow-hotplug eth0
iface eth0 inet dhcp
allow-hotplug eth1
iface eth1 inet static
  address ${GUEST_ADDRESS}/24
END
chroot "$root" systemctl -q mask systemd-networkd systemd-networkd-wait-online apt-daily.timer apt-daily-upgrade.timer \\
  e2scrub_all.timer e2scrub_reap.service dpkg-db-backup.timer getty@tty1.service kexec-load.service kexec.service
# what measures a disk, as first program: xenner.seconds= on the kernel command line for each row
cat >"$root${FIO_PROGRAM}" <<'END'
${FIO_SCRIPT}END
chmod 755 "$root${FIO_PROGRAM}"
# an initrd with what a Xen guest (and, to compare, QEMU's) needs for its root, and no more
echo MODULES=list >"$root/etc/initramfs-tools/conf.d/xenner"
printf 'xen-blkfront\\nxen-netfront\\next4\\nvirtio_pci\\nvirtio_blk\\n' >>"$root/etc/initramfs-tools/modules"
chroot "$root" update-initramfs -u -k all
cloud=$(basename "$root"/boot/vmlinuz-*-cloud-amd64)
cloud=\${cloud#vmlinuz-}
generic=$(ls "$root/boot" | sed -n 's/^vmlinuz-\\(.*\\)$/\\1/p' | grep -v cloud)
ln "$root/boot/vmlinuz-$cloud" "$root/boot/vmlinuz"
ln "$root/boot/initrd.img-$cloud" "$root/boot/initrd.img"
ln "$root/boot/vmlinuz-$generic" "$root/boot/vmlinuz-generic"
ln "$root/boot/initrd.img-$generic" "$root/boot/initrd.img-generic"
mkdir -p "$root/boot/grub"
cat >"$root/boot/grub/grub.cfg" <<END
set timeout=3
set default=0
menuentry "Debian GNU/Linux, cloud kernel" {
  linux /boot/vmlinuz ${ROOT_ON_DISK}
  initrd /boot/initrd.img
}
menuentry "Debian GNU/Linux, generic kernel" {
  linux /boot/vmlinuz-generic ${ROOT_ON_DISK}
  initrd /boot/initrd.img-generic
}
END
`;
}

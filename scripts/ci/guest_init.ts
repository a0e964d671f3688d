// SPDX-License-Identifier: MIT
/**
 * The first program of a guest under `xenner test`, a script for busybox: runs each command in /work, sends what it prints
 * through the Xen console in lines that frames.ts reads, then switches the machine off. The kernel's log goes to ttyS0.
 * Lines come one by one, by busybox's awk (its sed waits for the next one); to it a NUL ends a line.
 * @module
 */

/** Where our own things are in the guest. */
export const HOME = ".xenner";
/** Follows the last byte of a command's output, so that a missing line end is known. */
export const END_OF_OUTPUT = "\x01xenner-end";

/** What udhcpc calls with a lease. */
export const GUEST_LEASE = `#!/${HOME}/busybox sh
case "$1" in bound | renew) ;; *) exit 0 ;; esac
ifconfig "$interface" "$ip" netmask "\${subnet:-255.255.255.0}" up
for gateway in $router; do ip route replace default via "$gateway"; break; done
for server in $dns; do echo "nameserver $server"; done >/etc/resolv.conf
`;

/** /init. */
export const GUEST_INIT = `#!/${HOME}/busybox sh
b=/${HOME}/busybox
export PATH=/bin:/sbin:/usr/bin:/usr/sbin:/${HOME}/bin HOME=/ TERM=dumb
$b mkdir -p /proc /sys /dev /tmp /${HOME}/bin
$b --install -s /${HOME}/bin
[ -e /bin/sh ] || { $b mkdir -p /bin; $b ln -s $b /bin/sh; }
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts 2>/dev/null
mount -t tmpfs tmpfs /tmp 2>/dev/null
ip link set lo up 2>/dev/null
for module in $(cat /lib/modules/order 2>/dev/null); do insmod "/lib/modules/$module" 2>/dev/null; done
mkdir -p /etc
interface=
tries=0
# a busy host may take a while to connect it; without a driver there is nothing to wait for
while [ -e /sys/bus/xen/drivers/vif ] && [ -e /sys/bus/xen/devices/vif-0 ] && [ -z "$interface" ] && [ $tries -lt 600 ]; do
  for path in /sys/class/net/*; do [ ! -e "$path/device" ] || interface=\${path##*/}; done
  [ -n "$interface" ] || usleep 50000
  tries=$((tries + 1))
done
if [ -n "$interface" ]; then
  ip link set "$interface" up
  udhcpc -i "$interface" -n -q -f -t 20 -T 1 -s /${HOME}/udhcpc.sh >/dev/null 2>&1
fi
exec 9<>/dev/hvc0 </dev/null
stty raw -echo <&9
i=0
while [ -e "/${HOME}/run.$i" ]; do
  echo "r $i" >&9
  rm -f /${HOME}/o /${HOME}/e
  mkfifo /${HOME}/o /${HOME}/e
  awk '{ print "o " $0; fflush() } /${END_OF_OUTPUT}$/ { exit }' </${HOME}/o >&9 &
  out=$!
  awk '{ print "e " $0; fflush() } /${END_OF_OUTPUT}$/ { exit }' </${HOME}/e >&9 &
  err=$!
  exec 3>/${HOME}/o 4>/${HOME}/e
  (cd /work && exec sh "/${HOME}/run.$i") >&3 2>&4 3>&- 4>&- 9>&-
  status=$?
  echo '${END_OF_OUTPUT}' >&3
  echo '${END_OF_OUTPUT}' >&4
  exec 3>&- 4>&-
  wait $out $err
  echo "x $status" >&9
  i=$((i + 1))
done
echo "d" >&9
sync
poweroff -f
`;

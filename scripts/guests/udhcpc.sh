#!/bin/sh
# SPDX-License-Identifier: MIT
# What udhcpc calls with a lease: sets address, route and name servers.
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ifconfig "$interface" "$ip" netmask "${subnet:-255.255.255.0}" up
for gateway in $router; do
  ip route replace default via "$gateway"
  break
done
mkdir -p /etc
: >/etc/resolv.conf
for server in $dns; do
  echo "nameserver $server" >>/etc/resolv.conf
done

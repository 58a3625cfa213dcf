# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Part of guest/init: two linked test NICs, in the namespaces a and b.
#
#   a: $ZCRX_IF_A  10.0.0.1/24  fd00::1/64   the receiver; queue 1 is for $ZCRX_PORT
#   b: $ZCRX_IF_B  10.0.0.2/24  fd00::2/64   its peer

ZCRX_IF_A=a0
ZCRX_IF_B=b0
ZCRX_PORT=${ZCRX_PORT:-5001}
readonly QUEUES=4

make_topology() {
  [[ -d /sys/bus/netdevsim ]] || {
    echo "this kernel has no netdevsim" >&2
    return 1
  }
  make_nic 2 b "$ZCRX_IF_B" 10.0.0.2 fd00::2 && make_receiver
}

# Namespace a and its end of the link; the other end is there.
make_receiver() {
  make_nic 1 a "$ZCRX_IF_A" 10.0.0.1 fd00::1 && link_nics || return
  [[ -z $BARE ]] || return 0
  reserve_queue
}

make_nic() { # DEVICE NAMESPACE INTERFACE IPV4 IPV6
  local made
  echo "$1 1 $QUEUES" >/sys/bus/netdevsim/new_device || return
  made=(/sys/bus/netdevsim/devices/netdevsim"$1"/net/*)
  ip -batch - <<EOF || return
netns add $2
link set ${made[0]##*/} netns $2 name $3
EOF
  # An interface that goes down would lose its IPv6 addresses.
  ip netns exec "$2" bash -c 'echo 1 >/proc/sys/net/ipv6/conf/all/keep_addr_on_down' || return
  ip -n "$2" -batch - <<EOF
link set lo up
address add $4/24 dev $3
address add $5/64 dev $3 nodad
link set $3 up
EOF
}

link_nics() {
  local index_a index_b fd_a fd_b
  index_a=$(ip -n a -oneline link show "$ZCRX_IF_A") &&
    index_b=$(ip -n b -oneline link show "$ZCRX_IF_B") &&
    exec {fd_a}</run/netns/a {fd_b}</run/netns/b &&
    # The kernel wants namespaces as file descriptors of the writer.
    echo "$fd_a:${index_a%%:*} $fd_b:${index_b%%:*}" >/sys/bus/netdevsim/link_device &&
    exec {fd_a}<&- {fd_b}<&-
}

# The usual preparation for zero-copy receive: header split on, the port's
# flows steered into queue 1, everything else kept out of it.
reserve_queue() {
  local family
  nic_a split "$ZCRX_IF_A" on || return
  for family in tcp4 tcp6; do
    nic_a rule "$ZCRX_IF_A" "$family" "$ZCRX_PORT" 1 || return
  done
  nic_a spread "$ZCRX_IF_A" 1 || return
  # Freed packets would otherwise wait on a CPU's list until that CPU receives
  # again, and hold pools and pinned memory for as long.
  sysctl_if_there net/core/skb_defer_max 0
}

nic_a() {
  ip netns exec a "$ZCRX_NIC_TOOL" "$@" || {
    echo "is the test NIC's series in this kernel? (--bare needs none)" >&2
    return 1
  }
}

sysctl_if_there() {
  if [[ -e /proc/sys/$1 ]]; then echo "$2" >"/proc/sys/$1"; fi
}

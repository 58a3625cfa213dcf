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
  make_nic a "$ZCRX_IF_A" 1 10.0.0.1 fd00::1 &&
    make_nic b "$ZCRX_IF_B" 2 10.0.0.2 fd00::2 &&
    link_nics || return
  [[ -z $BARE ]] || return 0
  reserve_queue
}

make_nic() { # NAMESPACE NAME ID IPV4 IPV6
  local name
  ip netns add "$1" &&
    ip -n "$1" link set lo up &&
    echo "$3 1 $QUEUES" >/sys/bus/netdevsim/new_device &&
    name=$(ls "/sys/bus/netdevsim/devices/netdevsim$3/net") &&
    ip link set "$name" netns "$1" name "$2" &&
    ip -n "$1" address add "$4/24" dev "$2" &&
    ip -n "$1" address add "$5/64" dev "$2" nodad &&
    ip -n "$1" link set "$2" up
}

link_nics() {
  local index_a index_b fd_a fd_b
  index_a=$(ip netns exec a cat "/sys/class/net/$ZCRX_IF_A/ifindex") &&
    index_b=$(ip netns exec b cat "/sys/class/net/$ZCRX_IF_B/ifindex") &&
    exec {fd_a}</run/netns/a {fd_b}</run/netns/b &&
    # The kernel wants namespaces as file descriptors of the writer.
    echo "$fd_a:$index_a $fd_b:$index_b" >/sys/bus/netdevsim/link_device &&
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

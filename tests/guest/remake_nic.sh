#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes namespace a and its test NIC again, as the guest had them at its start,
# after a test that deleted one of them or left it in a bad state.
set -euo pipefail

BARE=
ZCRX_NIC_TOOL=${ZCRX_NIC:?is set by tests/guest/run}
# shellcheck source-path=SCRIPTDIR source=../../tools/guest/topology.sh
source "$(dirname "$(readlink -f "$0")")/../../tools/guest/topology.sh"

if [[ -e /sys/bus/netdevsim/devices/netdevsim1 ]]; then
  echo 1 >/sys/bus/netdevsim/del_device
fi
if [[ -e /run/netns/a ]]; then ip netns delete a; fi
make_receiver >/dev/null
# The new NIC has another address than the one its peer knows.
ip -n b neighbour flush dev "$ZCRX_IF_B"

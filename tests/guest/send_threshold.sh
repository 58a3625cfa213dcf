#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# From how many bytes on a send out of the region is cheaper without a copy: the
# default of RuntimeOptions::zero_copy_send_bytes. For inside the guest of tools/vm:
#
#   tools/vm run -- tests/guest/send_threshold.sh BUILD_DIRECTORY [MESSAGES [ROUNDS]]
#
# The echo server answers MESSAGES messages (default 20000), one at a time, each
# with one send; in turns all are copied and none is. The table has the median of
# ROUNDS rounds (default 5) of the CPU time of its thread for one message, and the
# ratio of the two with its range. What lies outside that thread (the simulated
# NIC's DMA, the peer) is not in it.
set -euo pipefail

if (($# < 1)) || [[ ! -x $1/examples/zcrx_echo_server ]]; then
  echo "usage: send_threshold.sh BUILD_DIRECTORY [MESSAGES [ROUNDS]], with a build that has the examples" >&2
  exit 2
fi
BUILD=$(cd "$1" && pwd)
readonly MESSAGES=${2:-20000} ROUNDS=${3:-5}
: "${ZCRX_IF_A:?needs the guest of tools/vm}"
WORK=$(mktemp -d)
# shellcheck source-path=SCRIPTDIR source=../../tools/guest/echo.sh
source "$(dirname "$(readlink -f "$0")")/../../tools/guest/echo.sh"

# What skb defer lists hold back would be freed only with later packets.
sysctl -qw net.core.skb_defer_max=0

# measure SIZE LEAST: CPU microseconds for a message, then the part that was sent without a copy.
measure() {
  start_server --mode=zero-copy --region_mib=64 --zero_copy_send_bytes="$2"
  load --connections=1 --message_bytes="$1" --window=1 --total_bytes=$(($1 * MESSAGES)) >"$WORK/load"
  stop_server
  awk -v cpu="$(summary cpu_seconds)" -v messages="$MESSAGES" -v sent="$(summary bytes_sent)" \
    -v zero_copy="$(summary bytes_sent_zero_copy)" 'BEGIN { printf "%.2f %.2f\n", cpu * 1e6 / messages, zero_copy / sent }'
}

printf '%8s %12s %12s %8s %17s %14s\n' bytes 'copied, us' 'zero copy, us' ratio 'from ... to' 'sent in place'
for size in 2048 4096 8192 16384 32768 65536 131072; do
  rm -f "$WORK"/copy "$WORK"/zero "$WORK"/ratio
  for ((round = 0; round < ROUNDS; round++)); do
    read -r copied _ < <(measure "$size" 4000000000)
    read -r in_place part < <(measure "$size" 0)
    echo "$copied" >>"$WORK/copy"
    echo "$in_place" >>"$WORK/zero"
    awk -v a="$in_place" -v b="$copied" 'BEGIN { printf "%.2f\n", a / b }' >>"$WORK/ratio"
  done
  median() { sort -n "$1" | sed -n "$(((ROUNDS + 1) / 2))p"; }
  printf '%8d %12s %12s %8s %17s %14s\n' "$size" "$(median "$WORK/copy")" "$(median "$WORK/zero")" \
    "$(median "$WORK/ratio")" "$(sort -n "$WORK/ratio" | head -n 1) ... $(sort -n "$WORK/ratio" | tail -n 1)" "$part"
done

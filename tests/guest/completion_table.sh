#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What it costs the kernel to tell, and the receiver to be told, of received
# bytes: the main completion queue and the rbuf ring next to each other, from one
# run. For inside the guest of tools/vm, with a kernel that has the rbuf ring:
#
#   tools/vm run --kernel 6.12 -- tests/guest/completion_table.sh BUILD_DIRECTORY [MIB [ROUNDS]]
#
# Each row is the median by CPU of ROUNDS rounds (default 3), which the two rings
# take in turns, of MIB MiB (default 512) through the echo server, every byte
# verified. All figures are counted by the server's library while it ran:
# completions as it took them off the queue, times the size of the entries that
# the queue was made with, and entries of the rbuf ring as it took them. "Other"
# completions are those of sends. CPU is the receiver's thread, which echoes, too;
# its range over the rounds says how far the machine can be believed.
set -euo pipefail

if (($# < 1)) || [[ ! -x $1/examples/zcrx_echo_server ]]; then
  echo "usage: completion_table.sh BUILD_DIRECTORY [MIB [ROUNDS]], with a build that has the examples" >&2
  exit 2
fi
BUILD=$(cd "$1" && pwd)
readonly MIB=${2:-512} ROUNDS=${3:-3}
: "${ZCRX_IF_A:?needs the guest of tools/vm}"
WORK=$(mktemp -d)
# shellcheck source-path=SCRIPTDIR source=../../tools/guest/echo.sh
source "$(dirname "$(readlink -f "$0")")/../../tools/guest/echo.sh"

# One descriptor for each connection on either side.
ulimit -n 8192
# What skb defer lists hold back would be freed only with later packets.
sysctl -qw net.core.skb_defer_max=0

# measure RING CONNECTIONS: one line, of the CPU time first and then what the table wants.
measure() {
  # Never too many bytes in flight for the region.
  start_server --mode=zero-copy --completion="$1" --region_mib=256
  load --connections="$2" --message_bytes=16384 --window=4 --total_bytes=$((MIB << 20)) >"$WORK/load"
  stop_server
  awk -v bytes="$(summary bytes_received)" -v fragments="$(summary fragments_received)" \
    -v all="$(summary completions)" -v receive="$(summary receive_completions)" \
    -v traffic="$(summary completion_bytes)" -v cpu="$(summary cpu_seconds)" '
    BEGIN {
      mib = bytes / 1048576
      printf "%.2f %.1f %.1f %.1f %.1f %.2f\n", cpu * 1000 / mib, fragments / mib, receive / mib,
        (all - receive) / mib, traffic / mib, fragments / receive
    }'
}

readonly ROW='%-8s %11s %13s %16s %14s %14s %17s %10s %17s\n'
# shellcheck disable=SC2059 # the format is the constant above
row() { printf "$ROW" "$@"; }

row ring connections fragments/MiB 'receive CQEs/MiB' 'other CQEs/MiB' 'bytes told/MiB' 'fragments per CQE' \
  'CPU ms/MiB' 'from ... to'
for connections in 1 64 1024; do
  rm -f "$WORK/main_cq" "$WORK/rbuf"
  for ((round = 0; round < ROUNDS; round++)); do
    for ring in main_cq rbuf; do measure "$ring" "$connections" >>"$WORK/$ring"; done
  done
  for ring in main_cq rbuf; do
    sort -n -o "$WORK/$ring" "$WORK/$ring"
    range="$(head -n 1 "$WORK/$ring" | cut -d' ' -f1) ... $(tail -n 1 "$WORK/$ring" | cut -d' ' -f1)"
    read -r cpu fragments receive other traffic per_cqe < <(sed -n "$(((ROUNDS + 1) / 2))p" "$WORK/$ring")
    row "$ring" "$connections" "$fragments" "$receive" "$other" "$traffic" "$per_cqe" "$cpu" "$range"
  done
done

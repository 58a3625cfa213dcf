#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What tools/demo shows, inside the guest: the same echo with recv and without a
# copy, on the same NIC, one after the other.
#
# usage: demo.sh BUILD_DIRECTORY BYTES
set -euo pipefail

readonly BUILD=$1 BYTES=$2 CONNECTIONS=4
WORK=$(mktemp -d)
KNOBS=/sys/kernel/debug/netdevsim/netdevsim1/ports/0/rx

# number FILE NAME: NAME=number in it.
number() { grep -oE "\\b$2=[0-9.]+" "$WORK/$1" | head -n 1 | cut -d= -f2; }

split_bytes() { grep '^q1 ' "$KNOBS/queues" | grep -oE '\bsplit_bytes [0-9]+' | cut -d' ' -f2; }

# echo_run MODE: an echo server in namespace a, a load in namespace b that checks every byte.
echo_run() {
  local mode=$1 server
  ip netns exec a "$BUILD/examples/zcrx_echo_server" --interface="$ZCRX_IF_A" --queue=1 --port="$ZCRX_PORT" \
    --mode="$mode" --stats_interval=0 >"$WORK/$mode" 2>&1 &
  server=$!
  until grep -q '^listening on' "$WORK/$mode"; do
    kill -0 "$server" 2>/dev/null || {
      cat "$WORK/$mode"
      return 1
    }
    sleep 0.1
  done
  echo "    server: $(head -n 1 "$WORK/$mode")"
  ip netns exec b "$BUILD/examples/zcrx_load" --address=10.0.0.1 --port="$ZCRX_PORT" \
    --connections="$CONNECTIONS" --message_bytes=65536 --total_bytes="$BYTES" | sed 's/^/    client: /'
  kill -INT "$server"
  wait "$server"
}

mib() { awk -v bytes="$1" 'BEGIN {printf "%.1f MiB", bytes / 1048576}'; }

# What skb defer lists hold back would be freed only with later packets.
sysctl -qw net.core.skb_defer_max=0

echo "--- recv: the kernel copies into the server's buffers"
echo_run copy
before=$(split_bytes)
echo "--- zero copy: the NIC writes into the server's memory"
echo_run zero-copy
after=$(split_bytes)

received=$(number zero-copy bytes_received)
copied=$(number zero-copy bytes_copied)
cost=$(number zero-copy cpu_seconds_per_gib)
recv_cost=$(number copy cpu_seconds_per_gib)
split=$((after - before))
ratio=$(awk -v a="$cost" -v b="$recv_cost" 'BEGIN {printf "%.2f", a / b}')

printf -- '---\n'
printf '%-52s %16s %16s\n' '' 'recv' 'zero copy'
printf '%-52s %16s %16s\n' 'received and echoed, every byte verified both ways' \
  "$(mib "$(number copy bytes_received)")" "$(mib "$received")"
printf '%-52s %16s %16s\n' 'written by the NIC into the server'"'"'s memory' 'nothing' "$(mib "$split")"
printf '%-52s %16s %16s\n' 'copied by the kernel' "$(mib "$(number copy bytes_received)")" "$(mib "$copied")"
printf '%-52s %16s %16s\n' 'sent out of the memory it was received in (SEND_ZC)' \
  "$(mib "$(number copy bytes_sent_zero_copy)")" "$(mib "$(number zero-copy bytes_sent_zero_copy)")"
printf '%-52s %16s %16s\n' 'CPU of the receiving thread, seconds per GiB' "$recv_cost" "$cost"

if ((received < BYTES || copied > 0 || split < BYTES)); then
  echo "not everything was received without a copy"
  exit 1
fi
echo "result: $(mib "$received") received without a copy, 0 bytes copied, CPU per byte $ratio times that of recv"

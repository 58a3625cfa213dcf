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
# shellcheck source-path=SCRIPTDIR source=echo.sh
source "$(dirname "$(readlink -f "$0")")/echo.sh"

# echo_run MODE: leaves the server's summary in $WORK/MODE.
echo_run() {
  start_server --mode="$1"
  echo "    server: $(head -n 1 "$WORK/server")"
  load --connections="$CONNECTIONS" --message_bytes=65536 --total_bytes="$BYTES" | sed 's/^/    client: /'
  stop_server
  cp "$WORK/server" "$WORK/$1"
}

# number MODE NAME: of that summary.
number() { summary "$2" "$WORK/$1"; }

mib() { awk -v bytes="$1" 'BEGIN {printf "%.1f MiB", bytes / 1048576}'; }

# What skb defer lists hold back would be freed only with later packets.
sysctl -qw net.core.skb_defer_max=0

echo "--- recv: the kernel copies into the server's buffers"
echo_run copy
before=$(counter 1 split_bytes)
echo "--- zero copy: the NIC writes into the server's memory"
echo_run zero-copy
after=$(counter 1 split_bytes)

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

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Each echo server of the benchmark answers for a moment, every byte as it was sent.
#
#   echo_test.sh DIRECTORY, with the programs
set -euo pipefail

readonly PROGRAMS=$1
WORK=$(mktemp -d)
server=
conclude() {
  if [[ -n $server ]]; then kill "$server" 2>/dev/null || true; fi
  rm -rf "$WORK"
}
trap conclude EXIT

for name in zcrx asio libuv epoll; do
  : >"$WORK/$name"
  "$PROGRAMS/echo_$name" >"$WORK/$name" &
  server=$!
  for _ in {1..100}; do
    if grep -q '^listening on' "$WORK/$name"; then break; fi
    sleep 0.1
  done
  port=$(sed -n 's/^listening on //p' "$WORK/$name")
  for load in '1 64' '100 16384'; do
    read -r connections bytes <<<"$load"
    echo "$name $load: $("$PROGRAMS/echo_load" "$port" "$server" "$connections" "$bytes" 0.1)"
  done
  kill "$server"
  wait "$server" || true
done

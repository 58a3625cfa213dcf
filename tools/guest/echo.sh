# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The example server in namespace a and an independent client in namespace b, as
# tools/guest/demo.sh and the guest tests use them. For inside the guest.
# Wants: BUILD, the build directory, and WORK, a directory of the caller's own.

# shellcheck disable=SC2034 # for those who source this
KNOBS=/sys/kernel/debug/netdevsim/netdevsim1/ports/0/rx

# start_server OPTION...: returns once it serves; an option given twice counts
# with its last value.
start_server() {
  : >"$WORK/server"
  ip netns exec a "$BUILD/examples/zcrx_echo_server" --interface="$ZCRX_IF_A" --queue=1 \
    --port="$ZCRX_PORT" --stats_interval=0 "$@" >"$WORK/server" 2>&1 &
  SERVER=$!
  for _ in {1..300}; do
    if grep -q '^listening on' "$WORK/server"; then return; fi
    kill -0 "$SERVER" || break
    sleep 0.1
  done
  echo "the server did not come up"
  cat "$WORK/server"
  return 1
}

# stop_server: gracefully; its summary is in $WORK/server.
stop_server() {
  kill -INT "$SERVER"
  wait "$SERVER"
}

# load OPTION...: checks every byte; options as for start_server.
load() {
  ip netns exec b "$BUILD/examples/zcrx_load" --address=10.0.0.1 --port="$ZCRX_PORT" "$@"
}

# summary NAME [FILE]: a number of the server's summary.
summary() {
  grep -oE "\\b$1=[0-9.]+" "${2:-$WORK/server}" | cut -d= -f2
}

# counter QUEUE NAME: of the test NIC.
counter() {
  grep "^q$1 " "$KNOBS/queues" | grep -oE "\\b$2 [0-9]+" | cut -d' ' -f2
}

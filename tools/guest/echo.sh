# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The example server in namespace a and an independent client in namespace b, as
# tools/guest/demo.sh and the guest tests use them. For inside the guest.
# Wants: BUILD, the build directory, and WORK, a directory of the caller's own.

# shellcheck disable=SC2034 # for those who source this
KNOBS=/sys/kernel/debug/netdevsim/netdevsim1/ports/0/rx

# start_listening FILE NAMESPACE COMMAND...: returns once it serves; its process in STARTED.
start_listening() {
  local output=$1 namespace=$2
  shift 2
  : >"$output"
  ip netns exec "$namespace" "$@" >"$output" 2>&1 &
  STARTED=$!
  for _ in {1..300}; do
    if grep -q '^listening on' "$output"; then return; fi
    kill -0 "$STARTED" || break
    sleep 0.1
  done
  echo "$1 did not come up"
  cat "$output"
  return 1
}

# start_server OPTION...: returns once it serves; an option given twice counts
# with its last value.
start_server() {
  start_listening "$WORK/server" a "$BUILD/examples/zcrx_echo_server" --interface="$ZCRX_IF_A" --queue=1 \
    --port="$ZCRX_PORT" --stats_interval=0 "$@"
  SERVER=$STARTED
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

# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Part of tests/guest/run: the example server and an independent client that
# verifies every byte, as processes. Each function scenario_NAME is a test; it
# fails if any command of it does.

# shellcheck source-path=SCRIPTDIR source=../../tools/guest/echo.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/guest/echo.sh"

# expect A OP B WHAT
expect() {
  test "$1" "$2" "$3" || {
    echo "expected $4: $1 $2 $3"
    return 1
  }
}

scenario_echo_one_connection() {
  start_server --mode=zero-copy
  load --message_bytes=1-300000 --total_bytes=60000000
  stop_server
  expect "$(summary bytes_zero_copy)" -ge 60000000 "all bytes zero-copy"
  expect "$(summary bytes_copied)" -eq 0 "no byte copied"
  expect "$(summary failed)" -eq 0 "no failed connection"
}

scenario_echo_64_connections() {
  start_server --mode=zero-copy
  load --connections=64 --message_bytes=1-60000 --total_bytes=60000000
  stop_server
  expect "$(summary connections)" -eq 64 "64 connections"
  expect "$(summary bytes_copied)" -eq 0 "no byte copied"
}

# Where the kernel has the rbuf ring the scenarios go by it, as it is the default;
# this one never does.
scenario_echo_by_the_main_completion_queue() {
  start_server --mode=zero-copy --completion=main_cq
  grep -q 'completions by the main queue' "$WORK/server"
  load --connections=64 --message_bytes=1-60000 --total_bytes=60000000
  stop_server
  expect "$(summary bytes_received)" -ge 60000000 "all bytes"
  expect "$(summary failed)" -eq 0 "no failed connection"
}

scenario_echo_over_ipv6() {
  start_server --mode=zero-copy
  load --address=fd00::1 --message_bytes=1-60000 --total_bytes=10000000
  stop_server
  expect "$(summary bytes_copied)" -eq 0 "no byte copied"
}

scenario_echo_with_unsplit_packets() {
  echo 5 >"$KNOBS/unsplit_every"
  start_server --mode=zero-copy
  load --connections=4 --message_bytes=1-100000 --total_bytes=20000000
  stop_server
  expect "$(summary bytes_copied)" -gt 0 "some bytes copied"
  expect "$(summary bytes_zero_copy)" -gt 0 "some bytes zero-copy"
}

scenario_echo_from_the_wrong_queue() {
  local split
  # Everything to queue 0; put back below.
  ip netns exec a ethtool -K "$ZCRX_IF_A" ntuple off
  start_server --mode=zero-copy
  split=$(counter 1 split_bytes)
  load --connections=4 --message_bytes=1-100000 --total_bytes=20000000
  stop_server
  ip netns exec a ethtool -K "$ZCRX_IF_A" ntuple on
  restore_rules
  expect "$(counter 1 split_bytes)" -eq "$split" "nothing came by the registered queue"
  expect "$(summary bytes_copied)" -gt 0 "bytes were copied"
}

restore_rules() {
  # Switching ntuple off may have removed them.
  if ! ip netns exec a "$ZCRX_NIC" show "$ZCRX_IF_A" | grep -q '^rule .*tcp4'; then
    ip netns exec a "$ZCRX_NIC" rule "$ZCRX_IF_A" tcp4 "$ZCRX_PORT" 1
    ip netns exec a "$ZCRX_NIC" rule "$ZCRX_IF_A" tcp6 "$ZCRX_PORT" 1
  fi
}

scenario_echo_in_copy_mode() {
  start_server --mode=copy
  load --connections=4 --message_bytes=1-100000 --total_bytes=20000000
  stop_server
  expect "$(summary bytes_zero_copy)" -eq 0 "nothing zero-copy"
}

# kill -9 under traffic; the next server takes the queue over without anybody waiting by hand.
scenario_kill_and_restart() {
  local round client
  for round in 1 2 3; do
    start_server --mode=zero-copy
    load --connections=8 --duration=60s >"$WORK/load" 2>&1 &
    client=$!
    # Until traffic really flows.
    local before
    before=$(counter 1 split_bytes)
    for _ in {1..100}; do
      if (($(counter 1 split_bytes) > before + 1000000)); then break; fi
      sleep 0.1
    done
    expect "$(counter 1 split_bytes)" -gt $((before + 1000000)) "traffic in round $round"
    kill -KILL "$SERVER"
    wait "$SERVER" || true
    start_server --mode=zero-copy
    # The client must have noticed that its connections broke.
    if wait "$client"; then
      echo "the client did not notice that the server was killed"
      return 1
    fi
    load --message_bytes=1-100000 --total_bytes=5000000
    stop_server
    expect "$(summary bytes_copied)" -eq 0 "no byte copied after the restart"
  done
}

scenario_auto_mode_on_an_interface_that_cannot() {
  start_server --interface=lo --queue=0 --port=7999 --mode=auto
  grep -q 'receive path: copy because .*DMA device' "$WORK/server"
  ip netns exec a "$BUILD/examples/zcrx_load" --address=127.0.0.1 --port=7999 --total_bytes=10000000
  stop_server
}

# --- The proxy: in namespace a, between a client and a backend that are in b ----------

# What no rule steers arrives at queue 0: what the client sends as well as what the backend does.
readonly PROXY_PORT=7100 BACKEND_PORT=7101

start_backend() {
  start_listening "$WORK/backend" b "$BUILD/examples/zcrx_echo_server" --address=10.0.0.2 --port="$BACKEND_PORT" --stats_interval=0
  BACKEND=$STARTED
}

start_proxy() { # OPTION...
  start_listening "$WORK/server" a "$BUILD/examples/zcrx_proxy" --mode=zero-copy --interface="$ZCRX_IF_A" --queues=0 \
    --address=10.0.0.1 --port="$PROXY_PORT" --backends="10.0.0.2:$BACKEND_PORT" --stats_interval=0 "$@"
  SERVER=$STARTED
}

# Readers that pause, connections that half-close; much of it by $ZCRX_PROXY_MIB.
scenario_proxy() {
  local bytes=$((${ZCRX_PROXY_MIB:-64} << 20))
  start_backend
  start_proxy
  load --port="$PROXY_PORT" --connections=16 --message_bytes=1-300000 --total_bytes="$bytes" --pause=20ms
  stop_server
  kill -INT "$BACKEND"
  wait "$BACKEND"
  grep '^summary' "$WORK/server" >&3
  expect "$(summary connections)" -eq 16 "16 connections"
  expect "$(summary failed)" -eq 0 "no failed connection"
  expect "$(summary bytes_up)" -eq "$bytes" "all bytes to the backend"
  expect "$(summary bytes_down)" -eq "$bytes" "all bytes back"
  expect "$(summary bytes_copied_in_user_space)" -eq 0 "no byte copied in user space"
  expect "$(summary bytes_sent_in_place)" -gt 0 "some bytes sent out of the region"
}

# The backend is not there when the client comes, comes, and is exchanged for another.
scenario_proxy_survives_backends() {
  local client
  start_proxy --connect_timeout=60s
  load --port="$PROXY_PORT" --connections=4 --total_bytes=4000000 &
  client=$!
  sleep 1
  start_backend
  wait "$client"
  kill -KILL "$BACKEND"
  wait "$BACKEND" || true
  start_backend
  load --port="$PROXY_PORT" --connections=4 --total_bytes=4000000
  kill -INT "$BACKEND"
  wait "$BACKEND"
  stop_server
  expect "$(summary connections)" -eq 8 "8 connections"
  expect "$(summary failed)" -eq 0 "no failed connection"
}

# A backend that echoes shows the client what the proxy told it.
scenario_proxy_protocol() {
  local answer
  start_backend
  start_proxy --proxy_protocol
  answer=$(ip netns exec b bash -c "exec 3<>/dev/tcp/10.0.0.1/$PROXY_PORT; echo hello >&3; head -c 34 <&3" | od -An -v -tx1 | tr -d ' \n')
  stop_server
  kill -INT "$BACKEND"
  wait "$BACKEND"
  # Signature, version and command, TCP over IPv4, 12 bytes; client and proxy; the client's port; the proxy's
  # port; what the client said.
  [[ $answer =~ ^0d0a0d0a000d0a515549540a2111000c0a0000020a000001....1bbc68656c6c6f0a$ ]] || {
    echo "the backend was told $answer"
    return 1
  }
}

# --- The sink: in namespace a, files come from b --------------------------------------

# Not every kernel tells.
expect_no_copy_by_kernel() {
  if ! grep -q 'bytes_copied_by_kernel=unknown' "$WORK/server"; then
    expect "$(summary bytes_copied_by_kernel)" -eq 0 "no byte copied by the kernel on the way to the region"
  fi
}

# sink_two_files OPTION...: two files of the same contents, one after the other; both must arrive.
sink_two_files() {
  local n
  rm -rf "$WORK/sink"
  mkdir "$WORK/sink"
  head -c 20000003 /dev/urandom >"$WORK/sink/sent"
  start_listening "$WORK/server" a "$BUILD/examples/zcrx_sink" --mode=zero-copy --interface="$ZCRX_IF_A" --queues=1 \
    --address=10.0.0.1 --port="$ZCRX_PORT" --directory="$WORK/sink" "$@"
  SERVER=$STARTED
  for n in 1 2; do
    ip netns exec b bash -c "cat '$WORK/sink/sent' >/dev/tcp/10.0.0.1/$ZCRX_PORT"
    # What is not accepted before the end is refused.
    for _ in {1..300}; do
      if [[ -e $WORK/sink/connection-$n ]]; then break; fi
      sleep 0.1
    done
  done
  stop_server
  grep '^summary' "$WORK/server" >&3
  cmp "$WORK/sink/sent" "$WORK/sink/connection-1"
  cmp "$WORK/sink/sent" "$WORK/sink/connection-2"
  rm -r "$WORK/sink"
  expect "$(summary connections)" -eq 2 "2 connections"
  expect "$(summary failed)" -eq 0 "no failed connection"
  expect "$(summary bytes_received)" -eq 40000006 "all bytes"
  expect_no_copy_by_kernel
}

scenario_sink() {
  sink_two_files --nodirect
  expect "$(summary bytes_in_place)" -eq 40000006 "all bytes written out of the region"
  expect "$(summary bytes_copied_in_user_space)" -eq 0 "no byte copied in user space"
}

set_mtu() { # BYTES
  ip -n a link set "$ZCRX_IF_A" mtu "$1"
  ip -n b link set "$ZCRX_IF_B" mtu "$1"
}

# Segments of 4096 bytes: 20 bytes of IPv4, 20 of TCP and 12 of timestamps come before them.
scenario_sink_with_direct_io() {
  local mtu
  if ! dd if=/dev/zero of="$WORK/probe" bs=4096 count=1 oflag=direct 2>/dev/null; then
    echo "note: $WORK has no O_DIRECT here; nothing is tested" >&3
    return
  fi
  rm "$WORK/probe"
  mtu=$(ip -n a -o link show "$ZCRX_IF_A" | sed 's/.* mtu \([0-9]*\).*/\1/')
  sink_two_files --direct
  expect $(($(summary bytes_in_place) + $(summary bytes_copied_in_user_space))) -ge 40000006 "every byte written once"
  set_mtu 4148
  sink_two_files --direct
  set_mtu "$mtu"
  expect $(($(summary bytes_in_place) + $(summary bytes_copied_in_user_space))) -ge 40000006 "every byte written once"
  expect "$(summary bytes_in_place)" -ge 20000000 "at least half of aligned segments in place"
}

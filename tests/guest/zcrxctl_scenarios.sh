# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Part of tests/guest/run: zcrxctl, as people use it. Each function scenario_NAME
# is a test, as those of scenarios.sh.

readonly CTL_PORT=6001

# in_a COMMAND...: in the receiver's namespace.
in_a() { ip netns exec a "$@"; }

# The reservations of a test are its own. (/run/zcrx is where tools/vm has the orders of the run.)
ctl() { in_a "$BUILD/tools/zcrxctl/zcrxctl" --state_directory="$WORK/reservations" "$@"; }

# Everything off, as an interface comes; the test NIC's usual set-up comes back by nic_as_usual.
nic_off() {
  local id
  while read -r id; do in_a "$ZCRX_NIC" unrule "$ZCRX_IF_A" "$id"; done < <(
    in_a "$ZCRX_NIC" show "$ZCRX_IF_A" | awk '$1 == "rule" {print $2}')
  in_a ethtool -X "$ZCRX_IF_A" default
  in_a "$ZCRX_NIC" split "$ZCRX_IF_A" off
  in_a ethtool -K "$ZCRX_IF_A" ntuple off
}

nic_as_usual() {
  in_a ethtool -K "$ZCRX_IF_A" ntuple on
  in_a "$ZCRX_NIC" split "$ZCRX_IF_A" on
  in_a "$ZCRX_NIC" spread "$ZCRX_IF_A" 1
  restore_rules
}

# All that ethtool(8) tells of the NIC, and what it is too old for. It fails for what a NIC does not have.
nic_dump() {
  local option
  for option in -l -k -g -x -n; do in_a ethtool "$option" "$ZCRX_IF_A" 2>&1 || true; done
  in_a "$ZCRX_NIC" show "$ZCRX_IF_A" | grep -E '^(rings|rss|rule) '
}

# expect_dump FILE: the NIC is what it was.
expect_dump() {
  nic_dump >"$WORK/dump-now"
  diff "$1" "$WORK/dump-now"
}

# start_reserved: a sink inside of "zcrxctl up".
start_reserved() {
  rm -rf "$WORK/sink"
  mkdir "$WORK/sink"
  start_listening "$WORK/server" a "$BUILD/tools/zcrxctl/zcrxctl" --state_directory="$WORK/reservations" up "$ZCRX_IF_A" \
    --queues=2 --port="$CTL_PORT" --exec -- "$BUILD/examples/zcrx_sink" --mode=zero-copy \
    --interface='{interface}' --queues='{queues}' --address=10.0.0.1 --port="$CTL_PORT" --directory="$WORK/sink" --nodirect
  SERVER=$STARTED
}

# send_files N: one connection after the other.
send_files() {
  local n
  head -c 5000003 /dev/urandom >"$WORK/sent"
  for ((n = 1; n <= $1; n++)); do
    ip netns exec b bash -c "cat '$WORK/sent' >/dev/tcp/10.0.0.1/$CTL_PORT"
    for _ in {1..300}; do
      if cmp -s "$WORK/sent" "$WORK/sink/connection-$n"; then break; fi
      sleep 0.1
    done
    cmp "$WORK/sent" "$WORK/sink/connection-$n"
  done
}

scenario_zcrxctl_up_with_a_command() {
  nic_off
  nic_dump >"$WORK/dump-before"
  start_reserved
  send_files 4
  stop_server
  grep '^summary' "$WORK/server" >&3
  expect "$(summary bytes_received)" -eq 20000012 "all bytes"
  if ! grep -q 'bytes_copied_by_kernel=unknown' "$WORK/server"; then
    expect "$(summary bytes_copied_by_kernel)" -eq 0 "no byte copied by the kernel"
  fi
  expect_dump "$WORK/dump-before"
  expect "$(ctl status "$ZCRX_IF_A" --json | jq '.[0].reservations | length')" -eq 0 "no reservation left"
  nic_as_usual
}

scenario_zcrxctl_killed_and_restored() {
  nic_off
  nic_dump >"$WORK/dump-before"
  start_reserved
  send_files 1
  kill -KILL "$SERVER"
  wait "$SERVER" || true
  expect "$(ctl status "$ZCRX_IF_A" --json | jq '.[0].reservations[0].alive')" = false "a dead reservation"
  ctl restore "$ZCRX_IF_A" --json >"$WORK/restored"
  expect "$(jq '.[0].restored' "$WORK/restored")" -eq 1 "one reservation restored"
  expect_dump "$WORK/dump-before"
  nic_as_usual
}

# What the command does is what zcrxctl does: its words, its exit status, its signals.
scenario_zcrxctl_passes_on() {
  local status=0
  nic_off
  nic_dump >"$WORK/dump-before"
  # shellcheck disable=SC2016 # for the command's own shell
  ctl up "$ZCRX_IF_A" --queues=2 --port="$CTL_PORT" --exec -- \
    sh -c 'echo "$0 $1 $ZCRX_INTERFACE $ZCRX_QUEUES"; exit 7' '{interface}:{queues}' '{queue}' >"$WORK/said" 2>"$WORK/errors" || status=$?
  expect "$status" -eq 7 "the command's exit status"
  expect "$(cat "$WORK/said")" = "$ZCRX_IF_A:2,3 2 $ZCRX_IF_A 2,3" "the queues' numbers"
  expect_dump "$WORK/dump-before"
  status=0
  # shellcheck disable=SC2016
  ctl up "$ZCRX_IF_A" --port="$CTL_PORT" --exec -- sh -c 'kill -KILL $$' 2>"$WORK/errors" || status=$?
  expect "$status" -eq 137 "128 and the signal"
  expect_dump "$WORK/dump-before"
  status=0
  ctl up "$ZCRX_IF_A" --port="$CTL_PORT" --exec -- "$WORK/nothing" 2>"$WORK/errors" || status=$?
  expect "$status" -eq 127 "no such program"
  expect_dump "$WORK/dump-before"
  nic_as_usual
}

scenario_zcrxctl_plan_up_down() {
  local id
  nic_off
  nic_dump >"$WORK/dump-before"
  ctl plan "$ZCRX_IF_A" --queues=2 --port="$CTL_PORT" --json >"$WORK/plan"
  expect_dump "$WORK/dump-before"
  ctl up "$ZCRX_IF_A" --queues=2 --port="$CTL_PORT" --json >"$WORK/up"
  expect "$(jq -c .changes "$WORK/up")" = "$(jq -c .changes "$WORK/plan")" "what was planned"
  id=$(jq .id "$WORK/up")
  ctl status "$ZCRX_IF_A" | grep -q 'queues 2,3'
  ctl restore --all >/dev/null
  expect "$(ctl status "$ZCRX_IF_A" --json | jq '.[0].reservations | length')" -eq 1 "it outlives its process"
  ctl down "$ZCRX_IF_A" "$id"
  expect_dump "$WORK/dump-before"
  ctl up "$ZCRX_IF_A" --port="$CTL_PORT" >/dev/null
  ctl up "$ZCRX_IF_A" --port=$((CTL_PORT + 1)) --address=10.0.0.1 >/dev/null
  ctl down "$ZCRX_IF_A"
  expect_dump "$WORK/dump-before"
  nic_as_usual
}

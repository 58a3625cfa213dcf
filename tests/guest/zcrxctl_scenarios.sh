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

# All that ethtool(8) tells of the NIC, and what it is too old for. It fails for what the NIC does not have, and
# so does doctor for a NIC with everything off.
nic_dump() {
  local option
  for option in -l -k -g -x -n; do in_a ethtool "$option" "$ZCRX_IF_A" 2>&1 || true; done
  { ctl doctor "$ZCRX_IF_A" --json || true; } | jq '.interfaces[0] | {rings, ntuple, rx_queues, rss, rules}'
}

# expect_dump FILE: the NIC is what it was.
expect_dump() {
  nic_dump >"$WORK/dump-now"
  diff "$1" "$WORK/dump-now"
}

# start_sink ZCRXCTL-ARGUMENT... -- SINK-ARGUMENT...: a sink that zcrxctl starts.
start_sink() {
  local arguments=()
  while [[ $1 != -- ]]; do
    arguments+=("$1")
    shift
  done
  shift
  rm -rf "$WORK/sink"
  mkdir -m 0777 "$WORK/sink"
  start_listening "$WORK/server" a "$BUILD/tools/zcrxctl/zcrxctl" --state_directory="$WORK/reservations" "${arguments[@]}" \
    --queues=2 --port="$CTL_PORT" -- "$BUILD/examples/zcrx_sink" --mode=zero-copy \
    --address=10.0.0.1 --port="$CTL_PORT" --directory="$WORK/sink" --nodirect "$@"
  SERVER=$STARTED
}

# start_reserved: a sink inside of "zcrxctl up".
start_reserved() { start_sink up "$ZCRX_IF_A" --exec -- --interface='{interface}' --queues='{queues}'; }

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

# The sink receives without a copy, and leaves the NIC as it was.
serve_and_end() {
  send_files 4
  stop_server
  grep '^summary' "$WORK/server" >&3
  expect "$(summary bytes_received)" -eq 20000012 "all bytes"
  expect_no_copy_by_kernel
  expect_dump "$WORK/dump-before"
}

scenario_zcrxctl_up_with_a_command() {
  nic_off
  nic_dump >"$WORK/dump-before"
  start_reserved
  serve_and_end
  expect "$(ctl status "$ZCRX_IF_A" --json | jq '.[0].reservations | length')" -eq 0 "no reservation left"
  nic_as_usual
}

# The process that zcrxctl has started.
server_of_zcrxctl() { pgrep -P "$SERVER" zcrx_sink; }

scenario_zcrxctl_run_without_capabilities() {
  local pid queues
  nic_off
  nic_dump >"$WORK/dump-before"
  chmod 0711 "$WORK"
  start_sink run "$ZCRX_IF_A" --user=nobody --region_mib=16 --
  pid=$(server_of_zcrxctl)
  expect "$(awk '$1 == "Uid:" {print $2 $3 $4 $5}' "/proc/$pid/status")" = 65534655346553465534 "nobody"
  expect "$(grep -cE '^Cap(Prm|Eff|Amb):[[:space:]]0+$' "/proc/$pid/status")" -eq 3 "no capability"
  expect "$(awk '$1 == "NoNewPrivs:" {print $2}' "/proc/$pid/status")" -eq 1 "none to come"
  ctl top "$ZCRX_IF_A" --json --interval=0.1 >"$WORK/top"
  expect "$(jq -c --arg pid "$pid" '[.samples[0].queues[] | select(.runtime.pid == ($pid | tonumber)) | [.queue, .runtime.uid]]' "$WORK/top")" = \
    '[[2,65534],[3,65534]]' "pages of stats, by nobody"
  serve_and_end

  # Killed, it leaves nothing behind.
  start_sink run "$ZCRX_IF_A" --user=nobody --
  kill -KILL "$(server_of_zcrxctl)"
  wait "$SERVER" || true
  expect_dump "$WORK/dump-before"
  queues=$(ctl status "$ZCRX_IF_A" --json | jq '.[0].bound_queues | length')
  expect "$queues" -eq 0 "no queue bound"
  nic_as_usual
}

scenario_zcrxctl_run_starts_again() {
  local first second
  nic_off
  nic_dump >"$WORK/dump-before"
  chmod 0711 "$WORK"
  start_sink run "$ZCRX_IF_A" --user=nobody --restart --
  first=$(server_of_zcrxctl)
  kill -KILL "$first"
  for _ in {1..300}; do
    second=$(server_of_zcrxctl || true)
    if [[ -n $second && $second != "$first" && $(grep -c '^listening' "$WORK/server") -eq 2 ]]; then break; fi
    sleep 0.1
  done
  send_files 1
  stop_server
  expect_dump "$WORK/dump-before"
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

# --- Set-ups that are broken on purpose, and the commands that doctor has for them ------

# finds ID DOCTOR...: that call of doctor finds it. Its command is left in FIX.
finds() {
  local id=$1 status=0
  shift
  "$@" --json >"$WORK/doctor" || status=$?
  FIX=$(jq -r --arg id "$id" '[.findings[] | select(.id == $id)][0].fix // ""' "$WORK/doctor")
  if ((status != 1)) || [[ -z $FIX ]]; then
    echo "expected $id with a fix, and status 1, not $status:"
    cat "$WORK/doctor"
    return 1
  fi
  echo "$id: $FIX" >&3
}

# content DOCTOR...: that call of doctor has nothing to complain about.
content() {
  "$@" >"$WORK/doctor" 2>&1 || {
    echo "still not content: $*"
    cat "$WORK/doctor"
    return 1
  }
}

# cures ID DOCTOR_ARGUMENT...: it is found, and its command cures it.
cures() {
  finds "$1" ctl doctor "${@:2}"
  in_a bash -c "$FIX"
  content ctl doctor "${@:2}"
}

# cures_for_real ID: what doctor finds is also what the kernel refuses a registration for.
cures_for_real() {
  finds "$1" ctl doctor "$ZCRX_IF_A" --queue=1 --probe
  jq -e '[.findings[].id] | index("probe-failed")' "$WORK/doctor"
  in_a bash -c "$FIX"
  content ctl doctor "$ZCRX_IF_A" --queue=1 --probe
}

scenario_zcrxctl_doctor_of_the_nic() {
  content ctl doctor "$ZCRX_IF_A" --queue=1 --port="$ZCRX_PORT"
  in_a "$ZCRX_NIC" split "$ZCRX_IF_A" off
  cures_for_real header-split-off
  if in_a "$ZCRX_NIC" show "$ZCRX_IF_A" | grep -q 'threshold=0'; then
    in_a "$ZCRX_NIC" threshold "$ZCRX_IF_A" 512
    cures_for_real header-split-threshold
  fi
  in_a ethtool -K "$ZCRX_IF_A" ntuple off
  cures ntuple-off "$ZCRX_IF_A"
  restore_rules
  in_a ip link set "$ZCRX_IF_A" down
  cures interface-down "$ZCRX_IF_A"
  "$BUILD/tests/guest/pin_xdp" /sys/fs/bpf/pass
  nsenter --net=/run/netns/a ip link set "$ZCRX_IF_A" xdpgeneric pinned /sys/fs/bpf/pass
  rm /sys/fs/bpf/pass
  cures_for_real xdp-attached
}

scenario_zcrxctl_doctor_of_channels() {
  nic_off
  in_a ethtool -K "$ZCRX_IF_A" ntuple on
  in_a "$ZCRX_NIC" split "$ZCRX_IF_A" on
  in_a ethtool -L "$ZCRX_IF_A" combined 1
  cures too-few-channels "$ZCRX_IF_A"
  in_a ethtool -X "$ZCRX_IF_A" equal 1
  cures no-such-queue "$ZCRX_IF_A" --queue=3
  in_a ethtool -L "$ZCRX_IF_A" combined 4
  nic_as_usual
}

scenario_zcrxctl_doctor_of_steering() {
  in_a ethtool -X "$ZCRX_IF_A" default
  cures rss-spills "$ZCRX_IF_A" --queue=1 --port="$ZCRX_PORT"
  in_a ethtool -X "$ZCRX_IF_A" default
  cures rss-spills "$ZCRX_IF_A" --port="$ZCRX_PORT"
  nic_off
  nic_as_usual
  cures rule-missing "$ZCRX_IF_A" --queue=1 --port="$CTL_PORT"
  nic_off
  nic_as_usual
  in_a ethtool -N "$ZCRX_IF_A" flow-type tcp4 dst-port "$CTL_PORT" action 2
  cures rule-elsewhere "$ZCRX_IF_A" --queue=1 --port="$CTL_PORT"
  nic_off
  nic_as_usual
  nic_dump >"$WORK/dump-before"
  cures rule-missing "$ZCRX_IF_A" --port="$CTL_PORT"
  ctl down "$ZCRX_IF_A"
  expect_dump "$WORK/dump-before"
}

scenario_zcrxctl_doctor_of_owners() {
  nic_dump >"$WORK/dump-before"
  start_server --mode=zero-copy
  finds queue-owned ctl doctor "$ZCRX_IF_A" --queue=1
  in_a bash -c "$FIX"
  expect "$(jq -r '.interfaces[0].queues[1].verdict' "$WORK/doctor")" = \
    "has an owner: io_uring of zcrx_echo_serve ($SERVER)" "the owner of the queue"
  expect "$(ctl status "$ZCRX_IF_A" --json | jq -r '.[0].bound_queues[0].processes[0].pid')" = "$SERVER" \
    "the owner of the queue, as status has it"
  finds queue-owned ctl doctor "$ZCRX_IF_A" --queue=1 --port="$CTL_PORT"
  in_a bash -c "$FIX"
  content ctl doctor "$ZCRX_IF_A" --port="$CTL_PORT"
  ctl down "$ZCRX_IF_A"
  stop_server
  expect_dump "$WORK/dump-before"
  # Killed before it can release anything.
  ip netns exec a "$BUILD/tools/zcrxctl/zcrxctl" --state_directory="$WORK/reservations" up "$ZCRX_IF_A" --port="$CTL_PORT" \
    --exec -- sleep 300 2>"$WORK/up" &
  SERVER=$!
  for _ in {1..300}; do
    if grep -q '^reservation' "$WORK/up"; then break; fi
    sleep 0.1
  done
  kill -KILL "$SERVER"
  wait "$SERVER" || true
  cures dead-reservation "$ZCRX_IF_A"
  expect_dump "$WORK/dump-before"
  ctl doctor "$ZCRX_IF_A" --probe --json >"$WORK/doctor"
  expect "$(jq '[.interfaces[0].queues[] | select(.verdict | endswith("; tried: zero copy"))] | length' "$WORK/doctor")" \
    -eq 4 "each queue really to be had"
}

scenario_zcrxctl_doctor_of_interfaces() {
  # Here is the initial namespace, where there is no such interface.
  finds wrong-namespace "$BUILD/tools/zcrxctl/zcrxctl" doctor "$ZCRX_IF_A"
  content bash -c "$FIX"
  finds no-such-interface ctl doctor nowhere0
  content in_a bash -c "$FIX"
  finds no-dma-device ctl doctor lo
  content in_a bash -c "$FIX"
  content ctl doctor
}

scenario_zcrxctl_doctor_of_the_machine() {
  if [[ -e /proc/sys/kernel/io_uring_disabled ]]; then
    sysctl -qw kernel.io_uring_disabled=2
    cures io-uring-disabled "$ZCRX_IF_A"
  fi
  finds no-capability in_a setpriv --bounding-set=-net_admin "$BUILD/tools/zcrxctl/zcrxctl" doctor "$ZCRX_IF_A"
  content in_a bash -c "$FIX"
  # The shell that calls doctor is the one whose limit is raised.
  # shellcheck disable=SC2016 # for the inner shell
  in_a setpriv --bounding-set=-ipc_lock bash -euc '
    ulimit -l 64
    "$1" doctor "$2" --json >"$3" && exit 1
    fix=$(jq -r ".findings[] | select(.id == \"memlock-too-low\").fix" "$3")
    echo "memlock-too-low: $fix" >&3
    bash -c "$fix"
    "$1" doctor "$2"' - "$BUILD/tools/zcrxctl/zcrxctl" "$ZCRX_IF_A" "$WORK/doctor"
}

# --- top ------------------------------------------------------------------------------

# The one terminal there is.
mux() { tmux -S "$WORK/tmux" -f /dev/null "$@"; }

# shows PATTERN: sooner or later a line of the terminal matches. The screen is left in $WORK/screen.
shows() {
  for _ in {1..300}; do
    mux capture-pane -p >"$WORK/screen"
    if grep -qE "$1" "$WORK/screen"; then return; fi
    sleep 0.1
  done
  echo "no line like \"$1\" on the screen:"
  cat "$WORK/screen"
  return 1
}

# what_top_says FILTER: of the queue 1, in half a second, by jq.
what_top_says() {
  ctl top "$ZCRX_IF_A" --json --interval=0.5 | jq "[.samples[0].queues[] | select(.queue == 1)][0] | $1"
}

scenario_zcrxctl_top() {
  local client number='[0-9.]+[kMG]'
  start_server --mode=zero-copy
  load --connections=4 --message_bytes=1-100000 --duration=300s >"$WORK/load" 2>&1 &
  client=$!
  # shellcheck disable=SC2016 # for the shell in the terminal
  mux new-session -d -x 80 -y 24 bash -c '"$@"; echo "ended with $?"; exec cat' - \
    ip netns exec a "$BUILD/tools/zcrxctl/zcrxctl" top "$ZCRX_IF_A"
  # Bytes without a copy, per second and in all.
  shows "^$ZCRX_IF_A +1 zcrx_echo_[a-z]*\+? +$SERVER +0 +\S+ +$number +\S+ +$number +[0-9]+% +[0-9]+\$"
  shows 'stream [0-9]+ [0-9]+$'
  sed 's/^/    /' "$WORK/screen" >&3
  expect "$(grep -cE "^$ZCRX_IF_A +[0-3] " "$WORK/screen")" -eq 4 "all queues of the interface"
  expect "$(awk '{ if (length > 80) print }' "$WORK/screen" | wc -l)" -eq 0 "lines of at most 80 characters"
  expect "$(wc -l <"$WORK/screen")" -le 24 "at most 24 lines"
  mux resize-window -x 80 -y 5
  shows '^2 more do not fit'
  mux resize-window -x 80 -y 24
  mux send-keys q
  shows '^ended with 0'
  expect "$(grep -c PROCESS "$WORK/screen" || true)" -eq 0 "the terminal as it was before"
  mux kill-server

  expect "$(what_top_says '.runtime.zero_copy_bytes_per_second > 0')" = true "bytes without a copy"
  expect "$(what_top_says '.runtime.uid')" -eq 0 "whose it is"
  expect "$(what_top_says '.owner')" = '"io_uring"' "what the kernel says"
  # The test NIC counts all packets for its queue 0.
  expect "$(ctl top "$ZCRX_IF_A" --json --interval=0.5 | jq '[.samples[0].queues[].packets_per_second] | add > 0')" = \
    true "packets"
  stop_server
  wait "$client" || true
  expect "$(what_top_says '.runtime')" = null "no page without the process"
}

scenario_zcrxctl_explain() {
  ctl explain ENOMEM
  ctl explain 22 "$ZCRX_IF_A" --op=register --json >"$WORK/explained"
  expect "$(jq '[.meanings[] | select(.likely)] | length' "$WORK/explained")" -eq 0 "nothing that is wrong here"
  in_a "$ZCRX_NIC" split "$ZCRX_IF_A" off
  ctl explain EINVAL "$ZCRX_IF_A" --json >"$WORK/explained"
  in_a "$ZCRX_NIC" split "$ZCRX_IF_A" on
  expect "$(jq -r '.meanings[0].cause' "$WORK/explained")" = "header/data split is off, or was never set" "what is wrong here, first"
}

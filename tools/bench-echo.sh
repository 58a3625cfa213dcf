# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The part "echo" of tools/bench: one client, and the servers one after the other,
# again and again. All of them are there all the time; those not asked only wait.

readonly ECHO_SERVERS=(zcrx asio libuv epoll)
declare -A ECHO_PIDS=() ECHO_PORTS=()

stop_servers() {
  local server
  for server in "${!ECHO_PIDS[@]}"; do
    kill "${ECHO_PIDS[$server]}" 2>/dev/null || true
    wait "${ECHO_PIDS[$server]}" 2>/dev/null || true
  done
  ECHO_PIDS=()
}

# Processors that we may run on.
mapfile -t CORES < <(sed -n 's/^Cpus_allowed_list:[^0-9]*//p' /proc/self/status | tr , '\n' |
  while IFS=- read -r first last; do seq "$first" "${last:-$first}"; done)

# on_core N COMMAND...: the servers on the first of them, the client on the second, if there are two.
on_core() {
  exec taskset -c "${CORES[$1 % ${#CORES[@]}]}" "${@:2}"
}

# shellcheck disable=SC2154 # set by tools/bench
start_servers() {
  local server
  for server in "${ECHO_SERVERS[@]}"; do
    : >"$WORK/$server"
    (on_core 0 "$PROGRAMS/echo_$server") >"$WORK/$server" 2>&1 &
    ECHO_PIDS[$server]=$!
  done
  for server in "${ECHO_SERVERS[@]}"; do
    for _ in {1..100}; do
      if grep -q '^listening on' "$WORK/$server"; then break; fi
      kill -0 "${ECHO_PIDS[$server]}" || break
      sleep 0.1
    done
    ECHO_PORTS[$server]=$(sed -n 's/^listening on //p' "$WORK/$server")
    [[ -n ${ECHO_PORTS[$server]} ]] || die "the server of $server did not come up: $(cat "$WORK/$server")"
  done
}

# shellcheck disable=SC2317 # called by step
load_servers() {
  local seconds=1 round connections bytes server
  if [[ -n $QUICK ]]; then seconds=0.1; fi
  for ((round = 0; round < RUNS; round++)); do
    for connections in 1 64 1024; do
      for bytes in 64 16384; do
        for server in "${ECHO_SERVERS[@]}"; do
          printf '%s %s %s ' "$server" "$connections" "$bytes"
          (on_core 1 "$PROGRAMS/echo_load" "${ECHO_PORTS[$server]}" "${ECHO_PIDS[$server]}" "$connections" "$bytes" \
            "$seconds")
        done
      done
    done
  done >"$WORK/echo"
}

# zcrx is compared with each of the others round by round, as what else happens on the machine changes more slowly than
# the servers take turns; hence short runs, and many.
bench_echo() {
  # shellcheck disable=SC2034 # used by the functions of tools/bench
  local RUNS=$((2 * RUNS + 1))
  start_servers
  step "echoing" "$ZCRX_CACHE_DIR/log/bench-echo" load_servers
  stop_servers
  jq -R -c 'split(" ") | {server: .[0], connections: (.[1] | tonumber), bytes: (.[2] | tonumber),
      figures: (.[3:] | map(tonumber))}' <"$WORK/echo" |
    jq -s -c "$JQ_FIGURES"'
      def spread: sort | {median: median, low: .[length / 4 | floor], high: .[length * 3 / 4 | floor]};
      # Of the same case, in the order of the rounds, which grouping keeps.
      def ratios($all; $index): [., $all] | transpose | map(.[1].figures[$index] / .[0].figures[$index]) | spread;
      map(select(.server == "zcrx")) as $zcrx
      | group_by([.bytes, .connections, .server]) | .[] | . as $runs | (map(.figures) | transpose) as $figures
      | ($zcrx | map(select(.bytes == $runs[0].bytes and .connections == $runs[0].connections))) as $ours
      | {server: .[0].server, connections: .[0].connections, bytes: .[0].bytes,
         requests_per_second: ($figures[0] | median), requests_per_second_min: ($figures[0] | min),
         requests_per_second_max: ($figures[0] | max), p50_us: ($figures[1] | median), p99_us: ($figures[2] | median),
         p99_9_us: ($figures[3] | median), max_us: ($figures[4] | median), cpu_us: ($figures[5] | median),
         cpu_us_min: ($figures[5] | min), cpu_us_max: ($figures[5] | max),
         zcrx_requests: ratios($ours; 0), zcrx_p99: ratios($ours; 2)}' | write_json echo
  write_table echo 'Requests and responses over the loopback interface' '
    def ratio: "\(.median | hundredths) | \(.low | hundredths) ... \(.high | hundredths)";
    "Medians of \(.runs) interleaved runs, with the range of two of them. CPU is that of the server for a request;",
    "latencies are in microseconds.", "",
    "| bytes | connections | server | requests/s | from ... to | p50 | p99 | p99.9 | CPU, us | from ... to |",
    "|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|",
    (.rows[] | "| \(.bytes) | \(.connections) | \(.server) | \(.requests_per_second) | \(.requests_per_second_min) ... \(.requests_per_second_max) | \(.p50_us) | \(.p99_us) | \(.p99_9_us) | \(.cpu_us) | \(.cpu_us_min) ... \(.cpu_us_max) |"),
    "", "zcrx as part of each of the others, round by round: the median, and the middle half of the rounds.", "",
    "| bytes | connections | other | requests/s | from ... to | p99 | from ... to |",
    "|--:|--:|---|--:|--:|--:|--:|",
    (.rows[] | select(.server != "zcrx")
      | "| \(.bytes) | \(.connections) | \(.server) | \(.zcrx_requests | ratio) | \(.zcrx_p99 | ratio) |")'
  echo_bars 0 64 .requests_per_second
  echo_bars 1 16384 .requests_per_second
  echo_bars 2 64 .cpu_us
  echo_bars 3 16384 .cpu_us
  plot_bars echo 'requests/s, 64 bytes' 'requests/s, 16 KiB' 'CPU us per request, 64 bytes' \
    'CPU us per request, 16 KiB'
}

# echo_bars PANEL BYTES VALUE: what the plot shows.
echo_bars() {
  jq -r --argjson bytes "$2" '
    (.rows | map(select(.bytes == $bytes))) as $rows
    | ($rows | map(.server) | unique) as $servers
    | (["connections"] + $servers), ($rows | map(.connections) | unique | .[] as $connections
      | [$connections] + [$servers[] as $server | $rows[]
          | select(.connections == $connections and .server == $server) | '"$3"'])
    | @tsv' "$OUTPUT/echo.json" >"$WORK/echo.$1"
}

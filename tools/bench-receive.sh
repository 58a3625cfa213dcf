# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The part "receive" of tools/bench: all ways of receiving from the same simulated
# NIC, in a guest, in turns (tests/bench/receive_guest.sh).

# A case is SEGMENTS,CONNECTIONS,MESSAGE_KIB,KEEP_MIB,WARM_UP_MIB,MIB. The first is the main one; the others
# differ from it in one thing each. 96 MiB is more than the caches of most machines hold. Small messages keep
# the sender so busy that it would take hours to go through much memory. With many connections there is much on
# its way when measuring begins, and what a contender needs for each has to be there before.
readonly RECEIVE_MAIN=tso,1,1024,96,160
readonly RECEIVE_OTHERS=('9000,1,1024,96,160,512' '1500,1,1024,96,160,512' 'tso,1,64,96,160,512' 'tso,1,4,0,16,64'
  'tso,64,1024,96,512,1024' 'tso,1024,1024,96,512,2048' 'tso,1,1024,0,64,512')
# Under QEMU nothing is to be seen of the caches.
readonly RECEIVE_EMULATED=('tso,1,1024,0,32,256' '9000,1,1024,0,32,256' '1500,1,1024,0,32,256')

# shellcheck disable=SC2154 # set by tools/bench
bench_receive() {
  if [[ -n $QUICK ]]; then
    # Enough for the order of the contenders.
    RUNS=3 receive_from uml "$RECEIVE_MAIN,1024" tso,64,1024,96,512,1024
    receive_from qemu tso,1,1024,0,16,128
    receive_from icount tso,1,1024,0,4,16
  else
    # CPU times have ticks of 10 ms there, and the main case is what is said most about.
    receive_from uml "$RECEIVE_MAIN,4096" "${RECEIVE_OTHERS[@]}"
    receive_from qemu "${RECEIVE_EMULATED[@]}"
    receive_from icount "${RECEIVE_EMULATED[@]}"
  fi
}

# receive_from uml|qemu|icount CASE...: everything in one guest. "icount" is QEMU with a clock of instructions.
receive_from() {
  local name=receive-$1-$KERNEL contenders=epoll,epoll-no-dma,multishot,fixed,c,zcrx where
  # shellcheck disable=SC2034 # used by the functions of tools/bench
  local RUNS=$RUNS GUEST
  # The rbuf ring is that of our series.
  if [[ $KERNEL == 6.12 ]]; then contenders+=,zcrx-rbuf; fi
  case $1 in
    uml) where='User Mode Linux' ;;
    qemu) where='QEMU' ;;
    # A second run would give nearly the same.
    icount) where='QEMU, a nanosecond for each instruction' RUNS=1 ;;
  esac
  # Without this the first step would show nothing for as long as that takes.
  "$ZCRX_ROOT/tools/kernel" build "$KERNEL" --machine "${1/icount/qemu}"
  # There for who wants to see each run, also those before one that failed.
  RECEIVE_RESULTS=$ZCRX_ROOT/build/bench/$name.runs
  RECEIVE_RUNS=$((RUNS * ($# - 1) * (2 * $(tr -cd , <<<"$contenders" | wc -c) + 1)))
  STEP_PROGRESS=receive_progress
  step "receiving ($where, Linux $KERNEL)" "$ZCRX_CACHE_DIR/log/bench-$name" run_receive_guest "$1" "$contenders" "${@:2}"
  STEP_PROGRESS=
  GUEST="Linux $(sed -n 's/^guest: //p' "$RECEIVE_RESULTS") under $where, on "
  grep '^{' "$RECEIVE_RESULTS" | summarise_receive | write_json "$name"
  if [[ $1 == icount ]]; then receive_instructions "$name"; else receive_table "$name" "$where"; fi
}

# shellcheck disable=SC2317 # called by step
receive_progress() {
  printf '%d of %d runs' "$(grep -c '^{' "$RECEIVE_RESULTS" 2>/dev/null || true)" "$RECEIVE_RUNS"
}

# shellcheck disable=SC2317 # called by step
run_receive_guest() { # uml|qemu|icount CONTENDERS CASE...
  local options=(--kernel "$KERNEL" --cpus 1 --timeout 14400)
  case $1 in
    uml) ;;
    qemu) options+=(--machine qemu) ;;
    icount)
      options+=(--machine qemu)
      export ZCRX_ICOUNT=1
      ;;
  esac
  # Both guests of QEMU copy word by word, and not byte by byte: see docs/benchmarks.md.
  # shellcheck disable=SC2016 # the guest's
  ZCRX_QEMU_CPU=max,-erms,-fsrm "$ZCRX_ROOT/tools/vm" run "${options[@]}" -- \
    bash -c 'echo "guest: $(uname -r)"; exec "$@"' bash \
    "$ZCRX_ROOT/tests/bench/receive_guest.sh" "$PROGRAMS" "$RUNS" "${@:2}" >"$RECEIVE_RESULTS"
}

# Of all runs, on stdin, one line for each row of the table: medians, and the range of some. CPU is in seconds
# per GiB. What threads do NAPI without the DMA is only known of epoll.
summarise_receive() {
  jq -s -c "$JQ_FIGURES"'
    def case: [.segments, .connections, .message_kib, .keep_mib];
    def per_gib(f): map(f * 1073741824 / .bytes);
    def per_mib(f): map(f * 1048576 / .bytes);
    (to_entries | map(.value + {order: .key}) | group_by([case, .touch, .contender]) | sort_by(map(.order) | min)) as $groups
    | $groups[] | .[0] as $first
    | (map(.bytes / .seconds / 1073741824)) as $speed
    | per_gib(.app) as $app
    | {segments: $first.segments, connections: $first.connections, message_kib: $first.message_kib,
       keep_mib: $first.keep_mib, contender: $first.contender, touch: $first.touch, mib: ($first.bytes / 1048576),
       gib_per_s: ($speed | median), gib_per_s_min: ($speed | min), gib_per_s_max: ($speed | max),
       app: ($app | median), app_min: ($app | min), app_max: ($app | max),
       app_user: (per_gib(.app_user) | median), app_system: (per_gib(.app_system) | median),
       stack: (per_gib(.stack) | median), sender: (per_gib(.sender) | median), peer: (per_gib(.peer) | median),
       completions_per_mib: (per_mib(.completions) | median), system_calls_per_mib: (per_mib(.system_calls) | median)}'
}

# What the tables have in common: a case in words, and numbers of a few digits.
# shellcheck disable=SC2016 # the dollars in quotes are those of jq, here and below
readonly RECEIVE_WORDS='
  def digits(n): if . == 0 then 0 else (pow(10; n - 1 - (fabs | log10 | floor))) as $scale | . * $scale | round / $scale end;
  def case: [.segments, .connections, .message_kib, .keep_mib];
  def words: "\(if .segments == "tso" then "TSO-sized segments" else "segments of an MTU of \(.segments)" end), \(.connections) connection\(if .connections == 1 then "" else "s" end), messages of \(.message_kib) KiB, \(if .keep_mib == 0 then "nothing kept (warm caches)" else "\(.keep_mib) MiB kept (cold caches)" end)";
  def cases: reduce .rows[] as $row ([]; if any(.[]; case == ($row | case)) then . else . + [$row] end);
  def of($which): map(select(case == ($which | case)));'

# shellcheck disable=SC2016
receive_table() { # NAME WHERE
  write_table "$1" "Receiving from a simulated NIC: $2, Linux $KERNEL" "$RECEIVE_WORDS"'
    "Medians of \(.runs) interleaved runs, with the range of two of them. CPU is in seconds per GiB: that of the application'"'"'s",
    "thread, that of the stack (NAPI: the DMA, IP and TCP), that of the sending process. One virtual processor does all of it.",
    "`epoll-no-dma` is epoll where the NIC does not copy: what its stack has less is what the simulated DMA costs.",
    (.rows as $rows | cases[] as $case | "", "## \($case | words)", "",
      "| contender | bytes are | GiB/s | from ... to | application | from ... to | of it user | stack | sender | completions/MiB | system calls/MiB |",
      "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
      ($rows | of($case)[] | "| \(.contender) | \(if .touch then "read" else "left" end) | \(.gib_per_s | digits(3)) | \(.gib_per_s_min | digits(3)) ... \(.gib_per_s_max | digits(3)) | \(.app | digits(3)) | \(.app_min | digits(3)) ... \(.app_max | digits(3)) | \(.app_user | digits(3)) | \(.stack | digits(3)) | \(.sender | digits(3)) | \(.completions_per_mib | digits(3)) | \(.system_calls_per_mib | digits(3)) |")),
    "", "## zcrx and the others", "",
    "CPU of the application'"'"'s thread as part of that of who copies, and throughput as part of that of the loop in C.", "",
    "| case | bytes are | zcrx by | CPU / epoll | CPU / multishot | CPU / fixed | throughput / c |",
    "|---|---|---|--:|--:|--:|--:|",
    (.rows as $rows | cases[] as $case | ($rows | of($case)) as $here
      | $here[] | select(.contender | startswith("zcrx")) | . as $row
      | ($here | map(select(.touch == $row.touch) | {key: .contender, value: .}) | from_entries) as $of
      | def part(a; b): if b == 0 then "?" else a / b | hundredths end;
        "| \(words) | \(if .touch then "read" else "left" end) | \(if .contender == "zcrx" then "main queue" else "rbuf ring" end) | \(part(.app; $of.epoll.app)) | \(part(.app; $of.multishot.app)) | \(part(.app; $of.fixed.app)) | \(part(.gib_per_s; $of.c.gib_per_s)) |")'
  receive_bars "$1" 0 false .app
  receive_bars "$1" 1 true .app
  receive_bars "$1" 2 false .gib_per_s
  receive_bars "$1" 3 true .gib_per_s
  plot_bars "$1" 'CPU s of the application per GiB, bytes left' 'CPU s of the application per GiB, bytes read' \
    'GiB/s, bytes left' 'GiB/s, bytes read'
}

# Where a nanosecond is an instruction.
# shellcheck disable=SC2016
receive_instructions() { # NAME
  write_table "$1" "Instructions for receiving from a simulated NIC: QEMU, Linux $KERNEL" "$RECEIVE_WORDS"'
    "Millions of instructions of the guest per GiB, of one run: another one differs by a few percent.",
    "Those of the application'"'"'s thread, of the stack (NAPI: the DMA, IP and TCP) and of the sending process.",
    (.rows as $rows | cases[] as $case | "", "## \($case | words)", "",
      "| contender | bytes are | application | stack | sender | completions/MiB | system calls/MiB |",
      "|---|---|--:|--:|--:|--:|--:|",
      ($rows | of($case)[] | "| \(.contender) | \(if .touch then "read" else "left" end) | \(.app * 1000 | digits(4)) | \(.stack * 1000 | digits(4)) | \(.sender * 1000 | digits(4)) | \(.completions_per_mib | digits(3)) | \(.system_calls_per_mib | digits(3)) |"))'
  receive_bars "$1" 0 false '(.app * 1000)'
  receive_bars "$1" 1 true '(.app * 1000)'
  plot_bars "$1" 'application, million instructions per GiB, bytes left' \
    'application, million instructions per GiB, bytes read'
}

# receive_bars NAME PANEL TOUCH VALUE: what the plot shows, a group of bars for each case.
# shellcheck disable=SC2016
receive_bars() {
  jq -r --argjson touch "$3" "$RECEIVE_WORDS"'
    def short: "\(.segments) \(.connections)x\(.message_kib)K\(if .keep_mib == 0 then " warm" else "" end)";
    (.rows | map(select(.touch == $touch and (.contender | endswith("no-dma") | not)))) as $rows
    | ($rows | reduce .[].contender as $name ([]; if index($name) then . else . + [$name] end)) as $contenders
    | (["case"] + $contenders), (cases[] as $case
      | [$case | short] + [$contenders[] as $contender | $rows | of($case)[] | select(.contender == $contender) | '"$4"'])
    | @tsv' "$OUTPUT/$1.json" >"$WORK/$1.$2"
}

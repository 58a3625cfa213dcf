# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The part "library" of tools/bench.

# shellcheck disable=SC2154,SC2016 # set by tools/bench; the dollars in quotes are those of jq
bench_library() {
  step "counting instructions" "$ZCRX_CACHE_DIR/log/bench-instructions" count_instructions
  # One line for each row of the table, with what the loop in C takes for the same.
  jq -R -c 'split(" ") | select(.[0] != "receiver") | {receiver: .[0], ring: .[1], streams: (.[2] | tonumber),
      pass: (.[3] | tonumber), pieces: (.[4] | tonumber), instructions: (.[5] | tonumber),
      of_completions: (.[6] | tonumber), allocations: (.[7] | tonumber), system_calls: (.[8] | tonumber),
      tail_stores: (.[9] | tonumber)}' \
    <"$WORK/instructions" | write_json instructions
  write_table instructions 'Instructions for a received buffer' '
    def case: [.ring, .streams, .pass];
    (.rows | map(select(.receiver == "c") | {key: (case | tostring), value: .instructions}) | from_entries) as $c
    | "| receiver | ring | streams | in a row | instructions | of these until delivered | times C | more than C | allocations | system calls | tail stores per turn |",
      "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
      (.rows[] | (.instructions / $c[case | tostring] | hundredths) as $times
        | (.instructions - $c[case | tostring] | round) as $more
        | "| \(.receiver) | \(.ring) | \(.streams) | \(.pass) | \(.instructions) | \(.of_completions) | \($times) | \($more) | \(.allocations) | \(.system_calls) | \(.tail_stores) |"),
      "",
      "Of the completion path by the rbuf ring, as part of that by the main queue:",
      "",
      "| receiver | streams | in a row | rbuf / main |",
      "|---|--:|--:|--:|",
      ((.rows | map(select(.ring == "main") | {key: ([.receiver, .streams, .pass] | tostring), value: .of_completions})
          | from_entries) as $main
        | .rows[] | select(.ring == "rbuf" and (.receiver == "receive" or .receiver == "batch"))
        | (.of_completions / $main[[.receiver, .streams, .pass] | tostring] | hundredths) as $part
        | "| \(.receiver) | \(.streams) | \(.pass) | \($part) |")'
  library_bars instructions .instructions 0 'instructions per buffer, 1,000 streams'

  step "timing the library" "$ZCRX_CACHE_DIR/log/bench-library" time_library '-^scale/' "$WORK/library"
  jq -c "$GOOGLE_RESULTS"' | {receiver: $name[0], ring: $name[1], streams: ($name[2] | tonumber), pass: ($name[3] | tonumber),
         ns: $ns[length / 2 | floor], ns_min: $ns[0], ns_max: $ns[-1]}' "$WORK/library" | write_json library
  write_table library 'Time for a received buffer' '
    "Nanoseconds: the median of \(.runs) interleaved runs, and their range.", "",
    "| receiver | ring | streams | in a row | ns | from ... to |",
    "|---|---|--:|--:|--:|--:|",
    (.rows[] | "| \(.receiver) | \(.ring) | \(.streams) | \(.pass) | \(.ns | tenths) | \(.ns_min | tenths) ... \(.ns_max | tenths) |")'
  library_bars library .ns 0 'ns per buffer, 1,000 streams'
}

# shellcheck disable=SC2317 # called by step
count_instructions() {
  "$ZCRX_ROOT/tests/bench/count_instructions.sh" "$PROGRAMS/library_count" >"$WORK/instructions"
}

# time_library FILTER RESULT: the benchmarks that match, or with - in front those that do not.
# shellcheck disable=SC2317 # called by step
time_library() {
  "$PROGRAMS/library_bench" --benchmark_filter="$1" --benchmark_repetitions="$RUNS" \
    --benchmark_enable_random_interleaving=true --benchmark_min_time="$([[ -n $QUICK ]] && echo 0.001 || echo 0.2)" \
    --benchmark_out="$2" --benchmark_out_format=json
}

# For jq: of each benchmark of such a result the parts of its $name, and $ns, of its runs, in order.
readonly GOOGLE_RESULTS='[.benchmarks[] | select(.run_type == "iteration")] | group_by(.run_name) | .[]
    | (.[0].run_name | split("/")) as $name | (map(.per_buffer * 1e9) | sort) as $ns'

# library_bars NAME VALUE PANEL TITLE: the plot of one VALUE of the result.
library_bars() {
  jq -r '
    (.rows | map(select(.streams == 1000 and .pass == 16))) as $rows
    | ($rows | map(.receiver) | unique) as $receivers
    | (["ring"] + $receivers), (["main", "rbuf"][] as $ring
      | [$ring] + [$receivers[] as $receiver | $rows[] | select(.ring == $ring and .receiver == $receiver) | '"$2"'])
    | @tsv' "$OUTPUT/$1.json" >"$WORK/$1.$3"
  plot_bars "$1" "$4"
}

# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The part "scale" of tools/bench.

# shellcheck disable=SC2154,SC2016 # set by tools/bench; the dollars in quotes are those of jq
bench_scale() {
  step "counting instructions, with more streams and pieces" "$ZCRX_CACHE_DIR/log/bench-scale-instructions" count_scale
  step "timing the same" "$ZCRX_CACHE_DIR/log/bench-scale" time_library '^scale/' "$WORK/scale-times"
  step "connections, timers, threads and the beginning" "$ZCRX_CACHE_DIR/log/bench-scale-others" run_scale

  {
    jq -R -c 'split(" ") | select(.[0] != "receiver")
        | {case: .[0:5] | join("/"), instructions: (.[5] | tonumber)}' <"$WORK/scale-instructions"
    jq -c "$GOOGLE_RESULTS"' | {case: ($name[1:6] | join("/")), ns: $ns[length / 2 | floor], ns_min: $ns[0],
        ns_max: $ns[-1]}' "$WORK/scale-times"
  } | jq -s -c 'group_by(.case) | .[] | add | (.case | split("/")) as $part
      | {receiver: $part[0], ring: $part[1], streams: ($part[2] | tonumber), pieces: ($part[4] | tonumber),
         instructions, ns, ns_min, ns_max}' >"$WORK/scale-rows"
  jq -s -c 'group_by([.what, .unit, .count]) | .[] | (map(.value) | sort) as $values
      | {what: .[0].what, count: .[0].count, unit: .[0].unit, value: $values[length / 2 | floor],
         min: $values[0], max: $values[-1]}' "$WORK/scale-others" >>"$WORK/scale-rows"
  write_json scale <"$WORK/scale-rows"
  write_table scale 'What more of everything costs' '
    (.rows | map(select(.receiver != null)) | sort_by([.receiver, .ring, .pieces, .streams])) as $buffers
    | ($buffers | map(select(.streams == 1) | {key: "\(.receiver) \(.ring)", value: .}) | from_entries) as $one
    | "A received buffer, 16 of a stream in a row. Instructions are exact; nanoseconds are the median of \(.runs) interleaved runs, and their range.",
      "",
      "| receiver | ring | streams | pieces of the region | instructions | times those of 1 stream | ns | from ... to | times those of 1 stream |",
      "|---|---|--:|--:|--:|--:|--:|--:|--:|",
      ($buffers[] | $one["\(.receiver) \(.ring)"] as $first
        | "| \(.receiver) | \(.ring) | \(.streams) | \(.pieces) | \(.instructions) | \(.instructions / $first.instructions | hundredths) | \(.ns | tenths) | \(.ns_min | tenths) ... \(.ns_max | tenths) | \(.ns / $first.ns | hundredths) |"),
      "",
      "All else; each value is for one of them.",
      "",
      "| what | how many | value | from ... to | unit |",
      "|---|--:|--:|--:|---|",
      (.rows[] | select(.what != null)
        | "| \(.what) | \(.count) | \(.value | tenths) | \(.min | tenths) ... \(.max | tenths) | \(.unit) |")'
  scale_bars .instructions 0
  scale_bars .ns 1
  plot_bars scale 'instructions per buffer, by the number of streams' 'ns per buffer, by the number of streams'
}

# shellcheck disable=SC2317 # called by step
count_scale() {
  "$ZCRX_ROOT/tests/bench/count_instructions.sh" "$PROGRAMS/library_count" \
    {receive,batch}/{main,rbuf}/{{1,10,100,1000,10000}/16/1024,1000/16/{16384,65536}} >"$WORK/scale-instructions"
}

# shellcheck disable=SC2317 # called by step
run_scale() {
  local i
  for ((i = 0; i < RUNS; ++i)); do "$PROGRAMS/scale_bench"; done >"$WORK/scale-others"
}

# scale_bars VALUE PANEL: the data of a panel of the plot.
scale_bars() {
  jq -r '
    (.rows | map(select(.receiver != null and .pieces == 1024))) as $rows
    | ($rows | map("\(.receiver), \(.ring)") | unique) as $columns
    | (["streams"] + $columns), (($rows | map(.streams) | unique)[] as $streams
      | [$streams] + [$columns[] as $column | $rows[] | select(.streams == $streams and "\(.receiver), \(.ring)" == $column) | '"$1"'])
    | @tsv' "$OUTPUT/scale.json" >"$WORK/scale.$2"
}

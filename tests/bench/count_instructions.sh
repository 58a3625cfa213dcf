#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a received buffer costs in instructions, by each way of receiving from the
# synthetic kernel (receiver.h), and in what else can be counted. Exact: the same
# program gives the same numbers, however busy the machine is; but for less than one
# instruction, as runtimes write their page of stats by the clock.
#
#   count_instructions.sh PROGRAM [ROW...]
#
# PROGRAM is library_count; a ROW, all if none is given, is RECEIVER/RING/STREAMS/PASS
# as in batch/rbuf/1000/16, with /PIECES for a region that has not 1024 of them. A
# turn of the loop receives 64 fragments, PASS of one stream after the other.
#
# Counted are the user's instructions of one run and of one twice as long. Their
# difference is what the longer one did more: nothing of the set-up is left in it.
set -euo pipefail

if (($# < 1)) || [[ ! -x $1 ]]; then
  echo "usage: count_instructions.sh PROGRAM [RECEIVER/RING/STREAMS/PASS[/PIECES]...], with library_count as PROGRAM" >&2
  exit 2
fi
readonly PROGRAM=$1 BATCH=64 TURNS=500
shift
ROWS=("$@")
if ((${#ROWS[@]} == 0)); then ROWS=({c,ledger,workers,receive,batch}/{main,rbuf}/{1,1000}/{16,1}); fi
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# run NAME TURNS WORD...: the profile in $WORK/NAME.profile, what the program says in $WORK/NAME.
run() {
  local name=$1 turns=$2
  shift 2
  valgrind --tool=callgrind --callgrind-out-file="$WORK/$name.profile" --toggle-collect='BenchCounted*' \
    --toggle-collect='BenchAside*' "$PROGRAM" "$@" "$BATCH" "$turns" >"$WORK/$name" 2>"$WORK/log" || {
    cat "$WORK/log" >&2
    return 1
  }
}

# costs PROFILE: all that was counted, and of that what BenchCompletions and those it calls did.
costs() {
  awk '
    /^cfn=/ {
      # A name stands where its number comes first.
      split(substr($0, 5), word, " ")
      if (word[2] == "BenchCompletions") number = word[1]
      called = word[1]
    }
    /^fn=.* BenchCompletions$/ { number = substr($1, 4) }
    /^calls=/ { getline; inclusive[called] += $2 }
    /^totals:/ { total = $2 }
    END { printf "%d %d\n", total, inclusive[number] }' "$1"
}

echo "receiver ring streams pass pieces instructions of_completions allocations system_calls tail_stores"
for row in "${ROWS[@]}"; do
  IFS=/ read -ra words <<<"$row"
  if ((${#words[@]} == 4)); then words+=(1024); fi
  run short "$TURNS" "${words[@]}"
  run long "$((2 * TURNS))" "${words[@]}"
  read -r total completions < <(costs "$WORK/short.profile")
  read -r total2 completions2 < <(costs "$WORK/long.profile")
  awk -v words="${words[*]}" -v all=$((total2 - total)) -v part=$((completions2 - completions)) \
    -v buffers=$((TURNS * BATCH)) -v rest="$(<"$WORK/long")" \
    'BEGIN { printf "%s %.1f %.1f %s\n", words, all / buffers, part / buffers, rest }'
done

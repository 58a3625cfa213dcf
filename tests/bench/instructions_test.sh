#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a received buffer costs stays what it is: instructions by the ways that
# programs receive, no allocation, one system call and one store of the refill ring's
# tail per turn. And the completion path by the rbuf ring stays well below that by the
# main queue.
#
#   instructions_test.sh PROGRAM, with library_count as PROGRAM
#
# The limits are a tenth above what g++ 12 makes of the preset "bench". Who makes the
# library faster lowers them.
set -euo pipefail

if ! command -v valgrind >/dev/null; then
  echo "SKIPPED: valgrind is not installed"
  exit 77
fi
declare -A LIMITS=([ledger/main]=149 [ledger/rbuf]=130 [receive/main]=327 [receive/rbuf]=263 [batch/main]=251
  [batch/rbuf]=193)
for row in "${!LIMITS[@]}"; do rows+=("$row/1000/16"); done
counts=$("$(dirname "$0")/count_instructions.sh" "$1" "${rows[@]}")
printf '%s\n' "$counts"

failed=0
while read -r receiver ring _ _ _ instructions completions allocations system_calls tail_stores; do
  limit=${LIMITS[$receiver/$ring]}
  verdict=$(awk -v is="$instructions" -v most="$limit" -v allocations="$allocations" -v calls="$system_calls" \
    -v stores="$tail_stores" 'BEGIN {
      if (is > most) printf "more than %d instructions; ", most
      if (allocations > 0) printf "allocations; "
      if (calls > 1 / 64 + 0.001) printf "more than one system call per turn; "
      if (stores > 1) printf "more than one store of the tail per turn; "
    }')
  if [[ -n $verdict ]]; then
    echo "FAILED: $receiver/$ring: $verdict"
    failed=1
  fi
  if [[ $receiver == batch ]]; then declare "completions_$ring=$completions"; fi
done < <(tail -n +2 <<<"$counts")
# shellcheck disable=SC2154 # declared above
if ! awk -v rbuf="$completions_rbuf" -v main="$completions_main" 'BEGIN { exit !(rbuf <= 0.9 * main) }'; then
  echo "FAILED: by the rbuf ring the completion path takes more than 0.9 of what it takes by the main queue"
  failed=1
fi
exit "$failed"

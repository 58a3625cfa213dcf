#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Each contender of receive_bench receives a few MiB in a guest (of Linux 6.12, which
# has the rbuf ring), by one connection and by many, and every byte arrives. No time is
# looked at.
#
#   receive_test.sh PROGRAMS
set -euo pipefail

HERE=$(dirname "$(readlink -f "$0")")
PROGRAMS=$(cd "$1" && pwd)
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
passed=0
failed=0

# check NAME STATUS LINES CONTENDERS CASE: one run; how it is to end, and how many results it is to have.
check() {
  local status=0 lines
  "$HERE/../../tools/vm" run --kernel 6.12 --timeout 500 -- "$HERE/receive_guest.sh" "$PROGRAMS" 1 "$4" "$5" >"$WORK/out" 2>"$WORK/err" ||
    status=$?
  lines=$(grep -c '"contender"' "$WORK/out" || true)
  if ((status == $2 && lines == $3)); then
    passed=$((passed + 1))
    echo "ok       $1"
  else
    failed=$((failed + 1))
    echo "FAILED   $1: status $status, $lines results"
    sed 's/^/    | /' "$WORK/out" "$WORK/err"
  fi
}

readonly ALL=epoll,epoll-no-dma,multishot,fixed,c,zcrx,zcrx-rbuf
check 'one connection, large segments' 0 13 "$ALL" tso,1,1024,0,8,24
check '64 connections, small segments, bytes are kept' 0 13 "$ALL" 1500,64,4,32,8,40
check 'a contender that is none' 1 0 nobody tso,1,64,0,1,1
echo "bench.receive: $passed passed, $failed failed"
((failed == 0))

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Proves tools/vm on the real thing.
#
# usage: tests/tools/vm_test.sh [uml|qemu] [OPTION OF tools/vm...]

# shellcheck source-path=SCRIPTDIR source=../../tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"

machine=${1:-uml}
shift || true
options=(--machine "$machine" "$@")
vm=$ZCRX_ROOT/tools/vm
work=$(mktemp -d /tmp/zcrx-vm-test.XXXXXX)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

verdict() { # NAME FAULT: an empty FAULT is a pass
  if [[ -z $2 ]]; then
    passed=$((passed + 1))
    echo "ok       $1"
  else
    failed=$((failed + 1))
    echo "FAILED   $1: $2"
    sed 's/^/    | /' "$work/out" "$work/err"
  fi
}

# run ARGUMENT...: tools/vm with these; leaves its status, $work/out and err.
run() {
  status=0
  timeout 600 "$vm" "$@" >"$work/out" 2>"$work/err" || status=$?
}

# expect NAME STATUS [PATTERN]...: the last run ended so and said so.
expect() {
  local name=$1 fault='' pattern
  [[ $status == "$2" ]] || fault="status $status, not $2"
  shift 2
  for pattern; do
    grep -qE -- "$pattern" "$work/out" "$work/err" || fault+=" nothing like '$pattern'"
  done
  verdict "$name" "$fault"
}

wrong_use() {
  run run --machine vax -- true
  expect "unknown machine" 2 "unknown machine 'vax'"
  run run --kernel 5.4 -- true
  expect "unknown kernel" 2 "unknown kernel version '5.4'"
  run run --kernel 6.1 --machine qemu -- true
  expect "a kernel for one machine only" 2 "Linux 6.1 is for --machine uml"
  run run --frobnicate -- true
  expect "unknown option" 2 "unknown option '--frobnicate'"
  run run --timeout
  expect "option without its value" 2 "option --timeout needs a value"
  run run --timeout soon -- true
  expect "a time that is no number" 2 "--timeout takes a number"
  run run --bare
  expect "no command" 2 "no command"
}

exit_statuses() {
  run run --bare "${options[@]}" -- false
  expect "status 1" 1
  run run --bare "${options[@]}" -- sh -c 'exit 42'
  expect "status 42" 42
  run run --bare "${options[@]}" -- no-such-program
  expect "a command that is not there" 127 no-such-program
}

# What the guest looks like: many questions to one boot.
guest_view() {
  mkdir "$work/result"
  # shellcheck disable=SC2016 # meant as it is
  ZCRX_QUESTION=$'two words\nand a line' run run --bare "${options[@]}" --out "$work/result" -- \
    "$ZCRX_ROOT/tests/tools/vm_guest_checks.sh" 'one two' "it's" $'line\nbreak' '' '$HOME *' "$ZCRX_ROOT"
  expect "the guest's own checks" 0 '^guest checks: all passed$'
  verdict "stdout and stderr apart" "$(
    grep -q '^to stderr$' "$work/err" && ! grep -q '^to stderr$' "$work/out" || echo "mixed"
  )"
  verdict "a result written to --out" "$(
    [[ $(cat "$work/result/answer" 2>&1) == 42 ]] || echo "not there"
  )"
  verdict "no kernel log in the output" "$(! grep netdevsim "$work/out" "$work/err")"
}

# A checkout and a command below /tmp, which in the guest is another /tmp.
below_tmp() {
  printf '#!/bin/sh\ncat file\n' >"$work/command"
  chmod +x "$work/command"
  mkdir "$work/here"
  echo "from the host" >"$work/here/file"
  status=0
  (cd "$work/here" && timeout 600 "$vm" run --bare "${options[@]}" -- "$work/command") \
    >"$work/out" 2>"$work/err" || status=$?
  expect "working directory and command in /tmp" 0 '^from the host$'
}

output_is_live() {
  local began=$SECONDS first=
  # The first line must come while the command still runs.
  while read -r line; do
    if [[ $line == early ]]; then first=$((SECONDS - began)); fi
  done < <("$vm" run --bare "${options[@]}" -- sh -c 'echo early; sleep 8' 2>"$work/err")
  local all=$((SECONDS - began))
  : >"$work/out"
  verdict "output comes as it is written" "$(
    [[ -n $first ]] && ((all - first >= 6)) || echo "after ${first:-never} of $all s"
  )"
}

time_limit() {
  run run --bare "${options[@]}" --timeout 3 -- sh -c 'echo begun; sleep 999'
  expect "a timeout explains" 124 '^begun$' 'TIMEOUT after 3 s' 'sleep 999' 'nanosleep|cannot show where threads are'
}

trouble() {
  run run --bare "${options[@]}" -- sh -c 'echo WARNING >/sys/kernel/debug/provoke-crash/DIRECT'
  expect "a kernel warning fails the run" 120 'THE KERNEL COMPLAINED' 'lkdtm'
  run run --bare "${options[@]}" -- sh -c 'echo PANIC >/sys/kernel/debug/provoke-crash/DIRECT'
  expect "a panic is told apart" 121 'THE GUEST DIED' 'Kernel panic'
}

# A run that is ended leaves neither processes nor files.
interrupt() { # SIGNAL STATUS
  # A session of its own: whatever is left of it can be found.
  setsid "$vm" run --bare "${options[@]}" -- sh -c 'echo up; sleep 999' \
    >"$work/out" 2>"$work/err" &
  local pid=$! tries=0 run_dir
  until grep -q up "$work/out" || ((++tries > 120)); do sleep 1; done
  run_dir=$(pgrep -P "$pid" -a -f zcrx_run= | grep -oE 'zcrx_run=[^ ]*' | head -n 1 | cut -d= -f2)
  kill "-$1" "$pid"
  status=0
  { wait "$pid" || status=$?; } 2>/dev/null
  # After kill -9 it is the watcher that notices.
  sleep 4
  verdict "ended by SIG$1: nothing is left" "$(
    [[ $status == "$2" ]] || echo "status $status"
    [[ -n $run_dir ]] || echo "never came up"
    [[ ! -e $run_dir ]] || echo "$run_dir is left"
    # A dead one may wait for a slow process 1 to collect it.
    pgrep -a -s "$pid" | grep -v defunct || true
    pgrep -a -f "zcrx_run=$run_dir" || true
  )"
}

test_nics() {
  run run "${options[@]}" -- sh -c "
    ip netns exec a '$ZCRX_ROOT/build/release/tools/zcrx_nic' show \$ZCRX_IF_A; echo port \$ZCRX_PORT"
  expect "the test NIC is set up" 0 '^port 5001$'
}

need_packages iputils-ping
wrong_use
exit_statuses
guest_view
below_tmp
output_is_live
time_limit
trouble
interrupt TERM 143
interrupt KILL 137
test_nics
echo "vm_test $machine: $passed passed, $failed failed"
((failed == 0))

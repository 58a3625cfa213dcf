#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A kernel without zero-copy receive and without the netlink family netdev, interfaces that cannot, and a caller
# without privileges: what zcrxctl and the library say there, and that the copy path receives. For inside a guest:
#
#   tools/vm run --kernel 6.1 -- tests/guest/old_kernel.sh BUILD_DIRECTORY [FILTER]
#
# FILTER is a part of test names. Prints a line for each test and at last "old kernel: N passed, N failed".
set -euo pipefail

if (($# < 1)) || [[ ! -x $1/tools/zcrxctl/zcrxctl ]]; then
  echo "usage: tests/guest/old_kernel.sh BUILD_DIRECTORY [FILTER], with a build that has tools/zcrxctl" >&2
  exit 2
fi
BUILD=$(cd "$1" && pwd)
FILTER=${2:-}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
passed=0
failed=0

# --- What the tests are made of ----------------------------------------------------------

# In a place where nobody may read as well.
chmod 0755 "$WORK"
cp "$BUILD/tools/zcrxctl/zcrxctl" "$WORK/zcrxctl"
mkdir -m 1777 "$WORK/reservations"
ctl=("$WORK/zcrxctl" "--state_directory=$WORK/reservations")
readonly NOBODY=(setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all --inh-caps=-all)
readonly USERS=(root nobody)

as() { # USER COMMAND...
  if [[ $1 == nobody ]]; then "${NOBODY[@]}" "${@:2}"; else "${@:2}"; fi
}

fault() {
  echo "$1"
  cat "$WORK/out" "$WORK/err"
  return 1
}

# ends STATUS USER ARGUMENT...: zcrxctl does, with something on stdout or stderr and nothing that only a crash or a
# sanitizer would say. What it said is left in $WORK/out and $WORK/err.
ends() {
  local wanted=$1 user=$2 status=0
  shift 2
  as "$user" "${ctl[@]}" "$@" >"$WORK/out" 2>"$WORK/err" || status=$?
  [[ $status == "$wanted" ]] || fault "as $user, zcrxctl $*: status $status, not $wanted"
  [[ -s $WORK/out || -s $WORK/err ]] || fault "as $user, zcrxctl $*: not a word"
}

# says TEXT...: each was somewhere in it, word for word.
says() {
  local text
  for text; do
    grep -qF -- "$text" "$WORK/out" "$WORK/err" || fault "nothing like \"$text\" in:"
  done
}

# does_not_say TEXT
does_not_say() {
  if grep -F -- "$1" "$WORK/out" "$WORK/err"; then fault "that was not to be said:"; fi
}

# is JQ_FILTER: what came on stdout is JSON, of which that is true.
is() { jq -e "$1" "$WORK/out" >"$WORK/jq" 2>&1 || fault "not so: $1: $(cat "$WORK/jq")"; }

# All that zcrxctl could have changed.
dump() {
  ip -details link
  local interface option
  for interface in lo v0 v1; do
    for option in -k -l -g -x -n; do ethtool "$option" "$interface" 2>&1 || true; done
  done
  find "$WORK/reservations" -type f ! -name '*.lock'
}

# unchanged COMMAND...
unchanged() {
  dump >"$WORK/before"
  "$@"
  dump >"$WORK/after"
  diff "$WORK/before" "$WORK/after"
}

# --- Tests -------------------------------------------------------------------------------

test_doctor() {
  local user interface
  for user in "${USERS[@]}"; do
    for interface in '' lo v0; do
      ends 1 "$user" doctor $interface
      says "kernel $(uname -r): io_uring yes, deferred task work yes, zero-copy receive no" \
        'problem: this kernel has no zero-copy receive (IORING_OP_RECV_ZC); fix: Linux 6.15 or later' \
        'problem: the kernel has no netlink family "netdev"' \
        'is virtual: there is no device that could write into a region' \
        'verdict: zero copy cannot be had yet'
      if [[ $user == nobody ]]; then
        says 'problem: CAP_NET_ADMIN' "su -c '" ' doctor'
      else
        does_not_say 'problem: CAP_NET_ADMIN'
      fi
      [[ ! -s $WORK/err ]] || fault "words on stderr"
    done
    ends 1 "$user" doctor nosuchdev
    says 'there is no interface "nosuchdev"' 'fix: ip link' 'this kernel has no zero-copy receive'
    # Nothing can be tried, and nothing is tried.
    ends 1 "$user" doctor v0 --queue=0 --port=5001 --probe
    says 'this kernel has no zero-copy receive'
    ends 1 "$user" doctor v0 --queue=99
    says 'this kernel has no zero-copy receive'
  done
}

test_doctor_as_json() {
  local user interface
  for user in "${USERS[@]}"; do
    for interface in '' lo v0 nosuchdev; do
      ends 1 "$user" doctor $interface --json
      is '.fine == false'
      is '.machine | .io_uring and .defer_taskrun and (.zero_copy_receive | not) and .netdev_family == false'
      is ".machine.release == \"$(uname -r)\""
      is "[.findings[].id] | index(\"kernel-too-old\") and index(\"no-netdev-family\")"
      is "([.findings[].id] | index(\"no-capability\") != null) == ($([[ $user == nobody ]] && echo true || echo false))"
      is '.findings | all(.what != "")'
    done
    is '[.findings[].id] | index("no-such-interface")'
  done
}

# A command that doctor prints is one that works: as root it comes to the same without the want of privileges.
test_fix_of_the_capability() {
  ends 1 nobody doctor lo --json
  local fix status=0
  fix=$(jq -r '.findings[] | select(.id == "no-capability").fix' "$WORK/out")
  bash -c "$fix" >"$WORK/out" 2>"$WORK/err" || status=$?
  [[ $status == 1 ]] || fault "$fix: status $status"
  says 'this kernel has no zero-copy receive'
  does_not_say 'problem: CAP_NET_ADMIN'
}

refuse_to_reserve() {
  local user command
  for user in "${USERS[@]}"; do
    for command in 'plan v0' 'up v0' 'up lo' "up v0 --exec -- touch $WORK/touched" 'run v0 --user=nobody -- true'; do
      # shellcheck disable=SC2086 # words are what it is made of
      ends 1 "$user" --port=5001 $command
      says 'zcrxctl: this kernel has no zero-copy receive' 'fix: Linux 6.15'
    done
  done
  [[ ! -e $WORK/touched ]]
}

test_nothing_is_reserved() { unchanged refuse_to_reserve; }

refuse_to_split() {
  local user
  for user in "${USERS[@]}"; do
    ends 1 "$user" set-split v0 on
    says 'this kernel has no zero-copy receive' 'fix: Linux 6.15'
  done
  ends 1 root set-split v0 off
  says v0
  ends 1 nobody set-split v0 off
  says 'run it as root'
}

test_nothing_is_split() { unchanged refuse_to_split; }

look_after() {
  local user
  for user in "${USERS[@]}"; do
    ends 0 "$user" status
    says 'v0: 3 receive queues' 'this kernel does not tell who has which queue'
    ends 0 "$user" status v0 --json
    is '.[0] | .interface == "v0" and .bound_queues == null and .page_pools == null and .reservations == []'
    ends 1 "$user" status nosuchdev
    says 'no interface "nosuchdev"'
    ends 0 "$user" explain EINVAL v0
    says 'register: the kernel has no zero-copy receive (so it is here)'
    ends 0 "$user" explain EPERM
    ends 0 "$user" explain EINVAL --json
    is '.meanings[0] | .likely and .cause == "the kernel has no zero-copy receive"'
    ends 0 "$user" down v0
  done
  ends 0 root restore v0
  ends 0 root restore --all --json
  is 'all(.restored == 0 and .error == "")'
  # The lock is root's.
  ends 1 nobody restore v0
  says 'Permission denied; fix: run it as root'
}

test_status_explain_restore() { unchanged look_after; }

# serve OPTION...: starts the echo server of the examples on a port that it takes, which is left in PORT.
serve() {
  # The background process may come to it late: what an earlier one has said must be gone by now.
  : >"$WORK/out"
  "$BUILD/examples/zcrx_echo_server" --address=127.0.0.1 --port=0 "$@" >"$WORK/out" 2>"$WORK/err" &
  SERVER=$!
  until grep -q '^listening' "$WORK/out"; do
    kill -0 "$SERVER" 2>/dev/null || fault "the server did not come up"
    sleep 0.1
  done
  PORT=$(sed -nE 's/^listening on [^ ]*:([0-9]+) .*/\1/p' "$WORK/out")
}

# Every byte is verified by the client.
test_echo_by_copies() {
  local option
  for option in --interface= --interface=v0 --interface=nosuchdev; do
    serve --mode=auto "$option"
    "$BUILD/examples/zcrx_load" --port="$PORT" --connections=8 --message_bytes=1-100000 --total_bytes=5000000
    kill -TERM "$SERVER"
    wait "$SERVER" || fault "the server ended with status $?"
    says 'receive path: copy because'
    grep -q '^summary: connections=8 failed=0 ' "$WORK/out" || fault "a connection failed"
  done
  says 'receive path: copy because this kernel has no zero-copy receive (IORING_OP_RECV_ZC); fix: Linux 6.15'
}

# The library's own tests of what needs no zero copy. (Those of direct I/O are skipped: /tmp is a tmpfs.)
test_loopback() {
  local program
  for program in "$BUILD"/tests/loopback/*_test; do
    "$program" --gtest_brief=1
  done
}

test_zero_copy_is_refused() {
  local status=0
  "$BUILD/examples/zcrx_echo_server" --interface=v0 --queue=1 --mode=zero-copy >"$WORK/out" 2>"$WORK/err" || status=$?
  [[ $status == 1 ]] || fault "status $status"
  says 'this kernel has no zero-copy receive (IORING_OP_RECV_ZC); fix: Linux 6.15'
}

# --- Running them ------------------------------------------------------------------------

run_test() { # NAME
  local status=0
  (
    SERVER=
    trap 'if [[ -n $SERVER ]]; then kill -KILL "$SERVER" 2>/dev/null || true; fi' EXIT
    set -e
    "test_$1"
  ) >"$WORK/said" 2>&1 &
  # Not behind "||", where "set -e" would have no effect.
  wait $! || status=$?
  if ((status == 0)); then
    echo "ok       $1"
    passed=$((passed + 1))
  else
    echo "FAILED   $1 (status $status)"
    sed 's/^/    | /' "$WORK/said"
    failed=$((failed + 1))
  fi
}

# More than one queue each, so that it is not for want of them that nothing is reserved.
ip link add v0 numrxqueues 3 numtxqueues 3 type veth peer name v1
ip link set v0 up
ip link set v1 up
# Else that would be a change that a test sees.
until [[ $(cat /sys/class/net/v[01]/operstate) == $'up\nup' ]]; do sleep 0.1; done
while read -r name; do
  if [[ $name == *$FILTER* ]]; then run_test "$name"; fi
done < <(declare -F | sed -n 's/^declare -f test_//p')
echo "old kernel: $passed passed, $failed failed"
((failed == 0)) && { ((passed > 0)) || [[ -n $FILTER ]]; }

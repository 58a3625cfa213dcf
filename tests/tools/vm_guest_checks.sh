#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Part of vm_test.sh: runs in the guest and looks around.

# shellcheck disable=SC2317 # the functions below are called by way of check

set -uo pipefail
failed=0

check() { # NAME COMMAND...
  local name=$1
  shift
  if ! "$@"; then
    echo "not so: $name"
    failed=1
  fi
}
refused() { ! "$@" 2>/dev/null; }
equal() { [[ $1 == "$2" ]]; }
ping_through() { # NAMESPACE ADDRESS
  ip netns exec "$1" ping -c 1 -W 5 "$2" >/dev/null
}

root=$6
check "six arguments" equal $# 6
check "a blank stays" equal "$1" 'one two'
check "a quote stays" equal "$2" "it's"
check "a line break stays" equal "$3" $'line\nbreak'
check "an empty argument stays" equal "$4" ''
# shellcheck disable=SC2016 # meant as it is
check "nothing is expanded" equal "$5" '$HOME *'
check "environment passed on" equal "${ZCRX_QUESTION-}" $'two words\nand a line'
check "HOME" equal "$HOME" /tmp
check "root" equal "$EUID" 0
check "the checkout" test -e "$root/tools/vm"
check "the host's programs" test -x /bin/bash
check "the checkout is read-only" refused touch "$root/written-by-a-guest"
check "/usr is read-only" refused touch /usr/written-by-a-guest
check "/tmp can be written" touch /tmp/file
check "/run can be written" touch /run/file
check "/var/tmp can be written" touch /var/tmp/file
check "/dev/shm can be written" touch /dev/shm/file
check "/dev/stderr is no file to truncate" test -p /dev/stderr
check "debugfs" test -d /sys/kernel/debug/netdevsim
check "bpf" mountpoint -q /sys/fs/bpf
check "io_uring is allowed" equal "$(cat /proc/sys/kernel/io_uring_disabled)" 0
check "IPv4 a to b" ping_through a 10.0.0.2
check "IPv4 b to a" ping_through b 10.0.0.1
check "IPv6 a to b" ping_through a fd00::2
check "loopback in a" ping_through a 127.0.0.1
check "loopback in b" ping_through b ::1
for side in "a $ZCRX_IF_A" "b $ZCRX_IF_B"; do
  read -r namespace name <<<"$side"
  # The last line is the current setting; sysfs lists rx queues only on SMP kernels.
  queues=$(ip netns exec "$namespace" ethtool -l "$name" | awk '/^Combined:/ {count = $2} END {print count}')
  check "4 rx queues of $name" equal "${queues}" 4
done
echo 42 >"$ZCRX_OUT/answer" || failed=1
echo "to stderr" >&2
((failed)) || echo "guest checks: all passed"
exit "$failed"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What zcrxctl says to an ordinary user, on whatever machine this is: doctor finds the want of privileges and has the
# command that gets them, and what only root may do is refused with a word about it.
#
# usage: zcrxctl_without_root.sh ZCRXCTL
set -euo pipefail

work=$(mktemp -d "${TMPDIR:-/tmp}/zcrx-without-root.XXXXXX")
trap 'rm -rf "$work"' EXIT
# An ordinary user may see it there.
chmod 0755 "$work"
cp "$1" "$work/zcrxctl"
mkdir -m 0755 "$work/reservations"
user=()
if ((EUID == 0)); then
  user=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all)
else
  chmod a-w "$work/reservations"
fi

# expect STATUS TEXT ARGUMENT...
expect() {
  local wanted=$1 text=$2 status=0
  shift 2
  ${user[@]+"${user[@]}"} "$work/zcrxctl" "--state_directory=$work/reservations" "$@" >"$work/said" 2>&1 || status=$?
  if [[ $status != "$wanted" ]] || ! grep -qF -- "$text" "$work/said"; then
    echo "zcrxctl $*: status $status, not $wanted, or it does not say \"$text\":"
    cat "$work/said"
    return 1
  fi
}

expect 1 "problem: CAP_NET_ADMIN in the initial user namespace is missing" doctor
expect 1 "fix: su -c '" doctor
expect 1 "zcrxctl --state_directory=$work/reservations doctor lo'" doctor lo
expect 1 "lo is virtual" doctor lo
expect 1 'there is no interface "nosuchdev"' doctor nosuchdev
expect 1 '"id": "no-capability"' doctor lo --json
expect 1 '"cap_net_admin": false' doctor --json
expect 1 'zcrxctl: ' plan lo --port=5001
expect 1 'zcrxctl: ' up lo --port=5001
expect 1 '"error": ' up lo --port=5001 --json
expect 1 'run it as root' set-split lo off
expect 1 'Permission denied; fix: run it as root' restore lo
expect 0 'lo: 1 receive queues' status lo
expect 0 'no CAP_NET_ADMIN in the initial user namespace (so it is here)' explain EPERM
expect 2 'doctor IF' doctor --queue=1

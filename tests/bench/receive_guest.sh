#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs the contenders of receive_bench in turns. For inside the guest of tools/vm:
#
#   receive_guest.sh PROGRAMS ROUNDS CONTENDERS CASE...
#
# PROGRAMS is the directory with receive_bench and receive_load, CONTENDERS a list
# separated by commas. "epoll-no-dma" is epoll with the simulated NIC handing over the
# sender's pages instead of copying them: what it saves is what the DMA costs. A CASE is
#
#   SEGMENTS,CONNECTIONS,MESSAGE_KIB,KEEP_MIB,WARM_UP_MIB,MIB
#
# with SEGMENTS tso (of up to 64 KiB; the MTU is 9000), 9000 or 1500 (of the MTU), and
# for the rest see receive_bench.cc. MIB are measured, besides the warm-up.
#
# Each contender runs once leaving the bytes alone and once reading them all. Prints
# a line of JSON for each run. Fails if any byte was wrong, or went another way through
# the NIC than the contender is about.
set -euo pipefail

readonly PROGRAMS=$1 ROUNDS=$2 KNOBS=/sys/kernel/debug/netdevsim/netdevsim1/ports/0/rx
IFS=, read -ra CONTENDERS <<<"$3"
shift 3
: "${ZCRX_IF_A:?needs the guest of tools/vm}"

# set_up_nics MTU on|off: with TCP segmentation offload or without.
set_up_nics() {
  ip -n a link set "$ZCRX_IF_A" mtu "$1"
  ip -n b link set "$ZCRX_IF_B" mtu "$1"
  ip netns exec b ethtool -K "$ZCRX_IF_B" tso "$2" gso "$2" >&2
}

# Bytes that the NIC has copied so far into memory of a provider, and into the kernel's.
dma_bytes() {
  local line
  read -r line < <(grep '^q1 ' "$KNOBS/queues")
  [[ $line =~ \ split_bytes\ ([0-9]+) ]]
  SPLIT_BYTES=${BASH_REMATCH[1]}
  [[ $line =~ \ copy_bytes\ ([0-9]+) ]]
  COPY_BYTES=${BASH_REMATCH[1]}
}

fail() {
  echo "$CONTENDER $TOUCH ($CASE): $*" >&2
  exit 1
}

run() { # CONTENDER touch|leave
  local contender=${1%-no-dma} total=$((WARM_UP + MIB)) out receiver line split copy
  CONTENDER=$1 TOUCH=$2
  if [[ $1 == *-no-dma ]]; then echo N >"$KNOBS/copy_plain"; else echo Y >"$KNOBS/copy_plain"; fi
  dma_bytes
  split=$SPLIT_BYTES copy=$COPY_BYTES
  exec {out}< <(exec ip netns exec a "$PROGRAMS/receive_bench" "$contender" "$2" "$ZCRX_PORT" "$CONNECTIONS" "$total" \
    "$WARM_UP" "$KEEP" "$ZCRX_IF_A" 1)
  receiver=$!
  read -r line <&"$out" || fail "does not listen"
  ip netns exec b "$PROGRAMS/receive_load" 10.0.0.1 "$ZCRX_PORT" "$CONNECTIONS" "$total" "$MESSAGE" || fail "was not sent"
  wait "$receiver" || fail "went wrong"
  read -r line <&"$out"
  exec {out}<&-
  dma_bytes
  # Shares of connections are whole words, so a few bytes may be missing of the total.
  case $1 in
    c | zcrx | zcrx-rbuf) ((SPLIT_BYTES - split >= (total << 20) - 8 * CONNECTIONS)) || fail "bytes were not written into its region" ;;
    *-no-dma) ((COPY_BYTES == copy)) || fail "the NIC has copied" ;;
    *) ((COPY_BYTES - copy >= (total << 20) - 8 * CONNECTIONS)) || fail "the NIC has not copied" ;;
  esac
  echo "{\"contender\": \"$1\", \"segments\": \"$SEGMENTS\", \"message_kib\": $MESSAGE, ${line#*, }"
}

# Threads do NAPI, so that its CPU time is theirs and not that of whoever it interrupts.
for side in "a $ZCRX_IF_A" "b $ZCRX_IF_B"; do
  read -r namespace interface <<<"$side"
  ip netns exec "$namespace" bash -c "echo 1 >/sys/class/net/$interface/threaded"
done
# What skb defer lists hold back would be freed only with later packets.
sysctl -qw net.core.skb_defer_max=0
# Thousands of connections begin at once.
sysctl -qw net.core.somaxconn=4096
ulimit -n 8192

for ((round = 0; round < ROUNDS; round++)); do
  for CASE; do
    IFS=, read -r SEGMENTS CONNECTIONS MESSAGE KEEP WARM_UP MIB <<<"$CASE"
    case $SEGMENTS in
      tso) set_up_nics 9000 on ;;
      *) set_up_nics "$SEGMENTS" off ;;
    esac
    for each in "${CONTENDERS[@]}"; do
      run "$each" leave
      if [[ $each != *-no-dma ]]; then run "$each" touch; fi
    done
  done
done

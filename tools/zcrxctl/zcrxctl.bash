# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Completion of zcrxctl's command line, for bash.

_zcrxctl_interfaces() {
  local interface
  for interface in /sys/class/net/*; do printf '%s\n' "${interface##*/}"; done
}

_zcrxctl_options() { # SUBCOMMAND
  local common='--json --state_directory= --help'
  case $1 in
    doctor) echo "--queue= --port= --probe $common" ;;
    plan) echo "--queues= --port= --address= $common" ;;
    up) echo "--queues= --port= --address= --exec $common" ;;
    run) echo "--user= --queues= --port= --address= --region_mib= --restart $common" ;;
    top) echo "--once --interval= --count= $common" ;;
    restore) echo "--all $common" ;;
    explain) echo "--op=register --op=recv --op=ctrl $common" ;;
    *) echo "$common" ;;
  esac
}

_zcrxctl() {
  local current=${COMP_WORDS[COMP_CWORD]} subcommand='' operands=0 i words
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      # The rest is the command of "up --exec".
      --) return ;;
      -* | =) ;;
      *) if [[ -z $subcommand ]]; then subcommand=${COMP_WORDS[i]}; else operands=$((operands + 1)); fi ;;
    esac
  done
  if [[ -z $subcommand ]]; then
    words='doctor plan up down restore status top explain run set-split --help'
  elif [[ $current == -* ]]; then
    words=$(_zcrxctl_options "$subcommand")
  elif [[ $subcommand == explain && $operands == 0 ]]; then
    words='EPERM EINVAL EEXIST EBUSY ERANGE EOPNOTSUPP ENODATA ENOMEM ENODEV EFAULT ENOSPC ENOBUFS'
  elif [[ $subcommand == set-split && $operands == 1 ]]; then
    words='on off'
  elif ((operands == 0)) || [[ $subcommand == explain ]]; then
    words=$(_zcrxctl_interfaces)
  else
    return
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  # The value follows at once.
  if [[ ${COMPREPLY[0]-} == *= ]]; then compopt -o nospace; fi
}

complete -o default -F _zcrxctl zcrxctl

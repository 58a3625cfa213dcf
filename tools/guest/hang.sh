# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Part of guest/init: where everything stands when the time is up.

describe_hang() { # COMMAND_PID
  local entry pid
  echo "--- processes (pid, parent, state, waiting in, command)"
  for entry in /proc/[0-9]*; do
    pid=${entry#/proc/}
    if readlink "$entry/exe" >/dev/null 2>&1; then describe_process "$pid"; fi
  done
  echo
  echo "--- kernel stacks of the command's threads"
  for entry in /proc/[0-9]*; do
    pid=${entry#/proc/}
    # All that runs in the command's session, wherever it has been re-parented.
    if [[ $(stat_field "$pid" 4) == "$(stat_field "$1" 4)" ]]; then describe_threads "$pid"; fi
  done
  echo
  echo "--- end of the kernel log, with the blocked tasks"
  echo w >/proc/sysrq-trigger
  dmesg | tail -n 60
  # For the whole log only: all tasks, and what each CPU does.
  echo l >/proc/sysrq-trigger
  echo t >/proc/sysrq-trigger
}

# stat_field PID N: the N-th field of /proc/PID/stat after the name, which may
# hold blanks: 1 state, 2 parent, 4 session.
stat_field() {
  local line fields
  read -r line 2>/dev/null <"/proc/$1/stat" || return 0
  read -ra fields <<<"${line##*) }"
  echo "${fields[$2 - 1]}"
}

describe_process() { # PID
  local wchan arguments
  wchan=$(cat "/proc/$1/wchan" 2>/dev/null)
  arguments=$(tr '\0\n' '  ' <"/proc/$1/cmdline" 2>/dev/null)
  printf '%5d %5d %s %-24s %.100s\n' "$1" "$(stat_field "$1" 2)" \
    "$(stat_field "$1" 1)" "${wchan:-?}" "$arguments"
}

describe_threads() { # PID
  local task
  for task in "/proc/$1/task/"*; do
    printf '%s (%s) in %s\n' "${task##*/}" "$(cat "$task/comm")" "$(cat "$task/wchan")"
    sed 's/^/    /' "$task/stack"
  done 2>/dev/null
}

# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Part of guest/init: where everything stands when the time is up.

describe_hang() { # COMMAND_PID
  local pid session pids=' '
  session=$(stat_field "$1" 4)
  echo "--- processes (pid, parent, state, system call, command)"
  for pid in $(user_processes); do
    describe_process "$pid"
    # All that the command started, wherever it has been re-parented since.
    if [[ $(stat_field "$pid" 4) == "$session" ]]; then pids+="$pid "; fi
  done
  echo "--- the kernel's log since the command started"
  dmesg | sed -n '/zcrx: the command starts/,$p' | tail -n 60
  # Each CPU's work and the blocked tasks: for the whole log.
  echo l >/proc/sysrq-trigger
  echo w >/proc/sysrq-trigger
  # Showing a kernel thread reads memory that may not be there, of which User
  # Mode Linux of 6.12 dies. That kernel does not have this file either.
  if [[ ! -e /proc/self/syscall ]]; then
    echo "--- this kernel cannot show where threads are: try --machine qemu"
    return
  fi
  # All tasks, of which the command's own are shown here.
  echo t >/proc/sysrq-trigger
  echo "--- where the command's threads are in the kernel"
  dmesg | awk -v pids="$pids" '
    {sub(/^\[[^]]*\] ?/, "")}
    /^task:/ {match($0, /tgid:[0-9]+/); mine = index(pids, " " substr($0, RSTART + 5, RLENGTH - 5) " ")}
    /^[A-Za-z]/ && !/^(task:|Call Trace|Stack)/ {mine = 0}
    mine'
}

# Without the kernel's own threads, which have no command line.
user_processes() {
  local entry
  for entry in /proc/[0-9]*; do
    if IFS= read -rd '' _ <"$entry/cmdline"; then echo "${entry#/proc/}"; fi
  done 2>/dev/null
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
  local call arguments
  read -r call _ 2>/dev/null <"/proc/$1/syscall" || call='?'
  # It may be gone by now (our own helpers are).
  arguments=$({ tr '\0\n' '  ' <"/proc/$1/cmdline"; } 2>/dev/null) || return 0
  printf '%5d %5d %s %7s  %.100s\n' "$1" "$(stat_field "$1" 2)" "$(stat_field "$1" 1)" \
    "$call" "$arguments"
}

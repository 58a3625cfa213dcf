# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the scripts in tools/ share. Source it; it sets "set -euo pipefail".
#
# Everything here talks on stderr: stdout belongs to the result of a command
# (a path, the output of a guest program).

# Most of what is set here is used by the scripts that source this file.
# shellcheck disable=SC2034
set -euo pipefail

ZCRX_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
ZCRX_CACHE_DIR=${ZCRX_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/zcrx}

# Exit statuses of our own. A guest command's status is passed through, so
# these avoid what shells (126, 127, 128+n) and test programs (0, 1) use.
readonly EXIT_USAGE=2          # wrong use: unknown option, missing argument
readonly EXIT_NO_SOURCE=3      # the kernel's source could not be had

DEFAULT_KERNEL=6.12
# That of Debian 12: without zero-copy receive, without a series of ours, without test NICs. It shows what is said
# where zero copy cannot be had.
readonly OLD_KERNEL=6.1

say() { printf '==> %s\n' "$*" >&2; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# fail STATUS TEXT: one clear line, then exit.
fail() {
  warn "$2"
  exit "$1"
}
die() { fail 1 "$*"; }
usage_error() { fail "$EXIT_USAGE" "$* (see ${0##*/} --help)"; }

# option_value NAME COUNT VALUE: the value of an option that needs one; COUNT
# is how many arguments are left, the option's own name included.
option_value() {
  (($2 >= 2)) || usage_error "option $1 needs a value"
  printf '%s' "$3"
}

check_kernel_version() { # VERSION [ANOTHER]: one with a series, or the other one that is named
  case $1 in
    6.12 | 7.3 | "${2-6.12}") ;;
    *) usage_error "unknown kernel version '$1': it is ${2:+$2, }6.12 or 7.3" ;;
  esac
}

# check_kind VERSION MACHINE DEBUG: there is such a kernel.
check_kind() {
  [[ $1 != "$OLD_KERNEL" || ($2 == uml && -z $3) ]] ||
    usage_error "Linux $1 is for --machine uml, without --debug"
}

check_machine() {
  case $1 in
    uml | qemu) ;;
    *) usage_error "unknown machine '$1': it is uml or qemu" ;;
  esac
}

# --- Progress --------------------------------------------------------------

# A function may put its name here before it calls step(): it is called with
# the log file and prints how far the step has come ("512/900 objects").
STEP_PROGRESS=

# step TEXT LOG COMMAND...: runs COMMAND with its output in LOG and shows that
# it is alive: in place on a terminal, else a line every 30 seconds. On failure
# the end of the log is shown. Returns COMMAND's status. COMMAND may be a
# function; it runs in a subshell with "set -e" in force, so call step() plainly
# and not behind "if" or "||", which would switch that off.
step() {
  # Taken here: in the background command it would be that command's own.
  local text=$1 log=$2 began=$SECONDS ours=$BASHPID monitor status
  shift 2
  mkdir -p "$(dirname "$log")"
  : >"$log"
  if [[ ! -t 2 ]]; then say "$text ..."; fi
  step_monitor "$text" "$log" "$began" "$ours" &
  monitor=$!
  set +e
  (
    set -e
    "$@"
  ) >>"$log" 2>&1 </dev/null
  status=$?
  set -e
  kill "$monitor" 2>/dev/null || true
  wait "$monitor" 2>/dev/null || true
  if [[ -t 2 ]]; then printf '\r\033[K' >&2; fi
  if ((status != 0)); then
    say "$text ... FAILED after $((SECONDS - began)) s (status $status)"
    tail -n 40 "$log" | sed 's/^/    /' >&2
    warn "the whole log: $log"
    return "$status"
  fi
  say "$text ... $((SECONDS - began)) s"
}

# The moving part of step(). Ends with the script (also by kill -9).
step_monitor() {
  local text=$1 log=$2 began=$3 parent=$4 period=1 far
  if [[ ! -t 2 ]]; then period=30; fi
  # "read" from a pipe that stays silent: a sleep program would outlive us,
  # with our stderr and our locks in its hands.
  while read -rt "$period" <> <(:) || kill -0 "$parent" 2>/dev/null; do
    far=
    if [[ -n $STEP_PROGRESS ]]; then far="$("$STEP_PROGRESS" "$log" || true), "; fi
    if [[ -t 2 ]]; then
      printf '\r\033[K==> %s ... %s%d s' "$text" "$far" $((SECONDS - began)) >&2
    else
      say "$text ... $far$((SECONDS - began)) s (log: $log)"
    fi
  done
}

# --- One at a time ---------------------------------------------------------

declare -A LOCK_FDS=()

# lock NAME: held until unlock or until this process ends, so that two runs on
# one machine do not build the same thing twice: the second waits, then finds it
# done.
lock() {
  local fd
  mkdir -p "$ZCRX_CACHE_DIR/locks"
  exec {fd}>"$ZCRX_CACHE_DIR/locks/$1"
  if ! flock -n "$fd"; then
    say "another run works on $1: waiting for it"
    flock "$fd"
  fi
  LOCK_FDS[$1]=$fd
}

unlock() {
  local fd=${LOCK_FDS[$1]}
  exec {fd}>&-
}

# --- Debian packages -------------------------------------------------------

# need_packages PACKAGE...: installs what is missing (as root), or says how.
need_packages() {
  local missing=() package
  # Elsewhere than on Debian the missing program will name itself.
  command -v dpkg-query >/dev/null || return 0
  for package; do
    dpkg-query -W -f='${db:Status-Abbrev}\n' "$package" 2>/dev/null |
      grep -q '^ii' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    die "missing packages; run: sudo apt-get install --no-install-recommends ${missing[*]}"
  fi
  step "installing ${missing[*]}" "$ZCRX_CACHE_DIR/log/install" \
    install_packages "${missing[@]}"
}

install_packages() {
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y
    -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0)
  # The lists are fetched only if apt cannot do without: none there yet, or so
  # old that the mirror has dropped what they name.
  if ! "${apt[@]}" install --no-install-recommends "$@"; then
    echo "-- once more, after apt-get update"
    # A lock on the lists is not waited for by apt itself.
    for _ in {1..30}; do
      "${apt[@]}" update && break
      sleep 5
    done
    "${apt[@]}" install --no-install-recommends "$@"
  fi
}

# --- Our own programs --------------------------------------------------------

# What a build of this repository needs, the tests included.
readonly LIBRARY_PACKAGES=(build-essential cmake ninja-build pkg-config ccache libabsl-dev
  liburing-dev libnl-3-dev libnl-genl-3-dev libgtest-dev libasio-dev nlohmann-json3-dev systemtap-sdt-dev)
# And the benchmarks beside it.
readonly BENCHMARK_PACKAGES=(libbenchmark-dev libuv1-dev valgrind)

# Held until the script ends: one build at a time in a checkout. What the script starts has it, too.
lock_builds() {
  if [[ ${ZCRX_BUILDS_LOCKED-} == "$ZCRX_ROOT" ]]; then return; fi
  lock "build-$(sha256sum <<<"$ZCRX_ROOT" | cut -c 1-16)"
  export ZCRX_BUILDS_LOCKED=$ZCRX_ROOT
}

# build_preset PRESET [CMAKE_OPTION...] [-- TARGET...]: configures and builds; for
# step(). The same text compiles to the same cached object in any checkout.
# shellcheck disable=SC2317 # called by step
build_preset() {
  local preset=$1 options=()
  shift
  while (($#)) && [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  if (($#)); then set -- --target "${@:2}"; fi
  export CCACHE_DIR=$ZCRX_CACHE_DIR/ccache CCACHE_BASEDIR=$ZCRX_ROOT CCACHE_NOHASHDIR=1
  cd "$ZCRX_ROOT"
  cmake --preset "$preset" -DCMAKE_CXX_COMPILER_LAUNCHER=ccache ${options[@]+"${options[@]}"}
  cmake --build "build/$preset" "$@"
}

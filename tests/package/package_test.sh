#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Proves the package by small programs of a user that build with it, and run.
#
# usage: package_test.sh install|subdirectory|examples BUILD COMPILER [LAUNCHER]
#   install        what BUILD installs, a static library
#   subdirectory   zcrx inside another project, and the shared library
#   examples       every program of examples/, with what BUILD installs and nothing else of ours
set -euo pipefail

readonly BUILD=$2 COMPILER=$3 LAUNCHER=${4:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
work=$(mktemp -d "${TMPDIR:-/tmp}/zcrx-package.XXXXXX")
SERVER=
trap '[[ -z $SERVER ]] || kill "$SERVER" || true; rm -rf "$work"' EXIT

fail() {
  echo "FAILED: $1" >&2
  exit 1
}

# quiet COMMAND...: its output matters only if it fails.
quiet() {
  "$@" >"$work/output" 2>&1 || {
    cat "$work/output" >&2
    fail "$*"
  }
}

run_user() { # PROGRAM TEXT
  "$1" >"$work/output" 2>&1 || {
    cat "$work/output" >&2
    fail "$2: the program ended with status $?"
  }
  grep -qx 'echo: hello, zcrx' "$work/output" || fail "$2: no echo"
  echo "ok  $2"
}

# configure SOURCE BUILD OPTION...
configure() {
  local source=$1 build=$2
  shift 2
  quiet cmake -S "$source" -B "$build" -G Ninja -DCMAKE_CXX_COMPILER="$COMPILER" \
    ${LAUNCHER:+"-DCMAKE_CXX_COMPILER_LAUNCHER=$LAUNCHER"} "$@"
}

by_find_package() { # PREFIX TEXT
  configure "$here/installed" "$work/found-$2" "-DCMAKE_PREFIX_PATH=$1"
  quiet cmake --build "$work/found-$2"
  run_user "$work/found-$2/user" "find_package, $2 library"
}

pkg_config() { # PREFIX ARGUMENT...
  local directory
  directory=$(dirname "$(find "$1" -name zcrx.pc)")
  shift
  PKG_CONFIG_PATH=$directory pkg-config "$@" zcrx
}

by_pkg_config() { # PREFIX TEXT
  local flags
  read -ra flags <<<"$(pkg_config "$1" --cflags --libs)"
  quiet "$COMPILER" -std=c++20 "$here/main.cc" -o "$work/by-pkg-config" "${flags[@]}"
  LD_LIBRARY_PATH=$(pkg_config "$1" --variable=libdir) run_user "$work/by-pkg-config" "pkg-config, $2 library"
}

# Every header that is installed compiles by itself, twice included, without a warning.
headers_alone() { # PREFIX
  local header flags count=0
  read -ra flags <<<"$(pkg_config "$1" --cflags)"
  while read -r header; do
    printf '#include "%s"\n#include "%s"\n' "$header" "$header" >"$work/alone.cc"
    quiet "$COMPILER" -std=c++20 -Wall -Wextra -Werror -fsyntax-only "${flags[@]}" "$work/alone.cc"
    count=$((count + 1))
  done < <(cd "$1/include" && find zcrx -name '*.h' | sort)
  # As many as in the repository, and version.h.
  local expected
  expected=$(($(find "$here/../../include" -name '*.h' | wc -l) + 1))
  ((count == expected)) || fail "$count headers are installed, not $expected"
  [[ -e $1/include/zcrx/version.h ]] || fail "no version.h"
  echo "ok  $count headers, each by itself"
}

# Nothing of this build's directories, of its flags or of its inner targets.
nothing_leaks() { # PREFIX
  local found
  found=$(grep -rnE --include='*.cmake' --include='*.pc' -e '-W|-fsanitize|zcrx_[a-z]' "$1" || true)
  found+=$(grep -rnF --include='*.cmake' --include='*.pc' --include='*.h' \
    -e "$(cd "$here/../.." && pwd -P)" -e "$BUILD" "$1" || true)
  [[ -z $found ]] || fail "the package tells of its build: $found"
  echo "ok  nothing of the build leaks"
}

check_prefix() { # PREFIX TEXT
  nothing_leaks "$1"
  by_find_package "$1" "$2"
  by_pkg_config "$1" "$2"
}

# zcrxctl works from where it was moved to, with its man page and its completion.
the_tool() { # PREFIX
  quiet "$1/bin/zcrxctl" status lo --json
  [[ -e $1/share/man/man8/zcrxctl.8 ]] || fail "no man page"
  quiet bash -n "$1/share/bash-completion/completions/zcrxctl"
  echo "ok  zcrxctl"
}

test_install() {
  # A prefix that nobody configured: the package can be moved.
  quiet cmake --install "$BUILD" --prefix "$work/prefix"
  [[ -n $(find "$work/prefix" -name libzcrx.a) ]] || fail "no libzcrx.a"
  check_prefix "$work/prefix" static
  headers_alone "$work/prefix"
  the_tool "$work/prefix"
  # One minor version on, the API is another.
  sed 's/zcrx 0\.1/zcrx 0.2/; s|\.\./main|'"$here"'/main|' "$here/installed/CMakeLists.txt" >"$work/CMakeLists.txt"
  if cmake -S "$work" -B "$work/later" -G Ninja -DCMAKE_CXX_COMPILER="$COMPILER" \
    "-DCMAKE_PREFIX_PATH=$work/prefix" >"$work/output" 2>&1; then
    fail "find_package(zcrx 0.2) takes this version"
  fi
  grep -q 'zcrxConfig.cmake, version: 0.1' "$work/output" || fail "find_package(zcrx 0.2) fails for another reason"
  echo "ok  another minor version is refused"
}

test_subdirectory() {
  configure "$here/subdirectory" "$work/whole" -DCMAKE_BUILD_TYPE=Debug
  quiet cmake --build "$work/whole" -j 2
  run_user "$work/whole/user" "add_subdirectory, static library"
  # The same objects again, linked as a shared library.
  configure "$here/subdirectory" "$work/whole" -DBUILD_SHARED_LIBS=ON -DZCRX_INSTALL=ON
  quiet cmake --build "$work/whole" -j 2
  run_user "$work/whole/user" "add_subdirectory, shared library"
  quiet cmake --install "$work/whole" --prefix "$work/prefix"
  [[ -n $(find "$work/prefix" -name libzcrx.so) ]] || fail "no libzcrx.so"
  check_prefix "$work/prefix" shared
  # A program needs nothing but the library itself.
  if pkg_config "$work/prefix" --libs | grep -qE 'uring|lnl'; then
    fail "zcrx.pc makes a program link what the shared library has linked"
  fi
}

# serve PROGRAM ARGUMENT...: starts it; SERVER is its process, PORT where it listens.
serve() {
  # The background process opens its output when it gets to it: until then that of the last one would be read.
  : >"$work/served"
  "$work/built/$1" --port=0 "${@:2}" >"$work/served" 2>&1 &
  SERVER=$!
  local tries
  for ((tries = 0; tries < 600; tries++)); do
    PORT=$(sed -nE 's/^listening on .*:([0-9]+) receive path: .*/\1/p' "$work/served")
    if [[ -n $PORT ]]; then return; fi
    kill -0 "$SERVER" 2>/dev/null || break
    sleep 0.1
  done
  cat "$work/served" >&2
  fail "$1 does not listen"
}

end_server() { # PROGRAM
  kill "$SERVER"
  wait "$SERVER" || fail "$1 ended with status $? on SIGTERM: $(cat "$work/served")"
  SERVER=
}

echoes() { # PROGRAM: echoes what zcrx_load sends, and ends when it is told to.
  serve "$1"
  quiet "$work/built/zcrx_load" --port="$PORT" --connections=3 --total_bytes=10000000
  end_server "$1"
  grep -q '^summary: connections=3 ' "$work/served" || fail "$1 has no summary: $(cat "$work/served")"
  echo "ok  $1 echoes"
}

# answers FRAMING MESSAGE HEADER_BYTES: zcrx_checksum answers MESSAGE, a "hello", with its size and CRC-32,
# behind a header of so many bytes.
answers() {
  local answer peer
  serve zcrx_checksum --framing="$1"
  exec {peer}<>"/dev/tcp/127.0.0.1/$PORT"
  # shellcheck disable=SC2059 # with escapes
  printf "$2" >&"$peer"
  answer=$(timeout 60 head -c $(($3 + 10)) <&"$peer" | tail -c 10)
  exec {peer}>&-
  end_server zcrx_checksum
  [[ $answer == '5 3610a686' ]] || fail "zcrx_checksum --framing=$1 answers '$answer'"
  echo "ok  zcrx_checksum answers, framing $1"
}

test_examples() {
  local source count=0
  # A copy: in the repository an example could include what is not installed.
  mkdir -p "$work/user/examples"
  cp "$here/../../examples"/*.{cc,h} "$work/user/examples"
  cp "$here/examples/CMakeLists.txt" "$work/user"
  quiet cmake --install "$BUILD" --prefix "$work/prefix"
  configure "$work/user" "$work/built" "-DCMAKE_PREFIX_PATH=$work/prefix"
  quiet cmake --build "$work/built" -j 2
  for source in "$work/user/examples"/*.cc; do
    quiet "$work/built/$(basename "$source" .cc)" --help
    count=$((count + 1))
  done
  echo "ok  $count examples with the installed package"
  echoes embed_epoll
  echoes zcrx_echo_server
  answers lines 'hello\r\n' 0
  answers length '\0\0\0\5hello' 4
}

case $1 in
  install | subdirectory | examples) "test_$1" ;;
  *) fail "what is '$1'?" ;;
esac

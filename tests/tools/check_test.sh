#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Proves tools/check on a small checkout of its own: it is content with what is
# right, and refuses each thing it is there for, by file and line.
#
# usage: tests/tools/check_test.sh
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
work=$(mktemp -d "${TMPDIR:-/tmp}/zcrx-check-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# checkout: a new tree that tools/check has no finding in.
checkout() {
  rm -rf "$work/tree"
  mkdir -p "$work/tree"/{tools,include/zcrx,lib/{ring,net}}
  cd "$work/tree"
  cp "$here/tools/check" "$here/tools/lib.sh" tools/
  cp "$here/.clang-format" .
  put include/zcrx/stream.h '#include <string>' '#include "zcrx/status.h"'
  put lib/ring/ring.h '#include <liburing.h>' '#include "lib/uapi/zcrx.h"'
  put lib/net/stream.cc '#include "zcrx/stream.h"' '' '#include "lib/ring/ring.h"'
  put examples/echo.cc '#include "zcrx/stream.h"'
  echo '[the echo](examples/echo.cc)' >README.md
  git init -q .
  git add .
}

put() { # FILE LINE...: line 1 is the licence
  local path=$1
  shift
  mkdir -p "$(dirname "$path")"
  printf '%s\n' '// SPDX-License-Identifier: Apache-2.0' "$@" >"$path"
}

check() { # CHECK: leaves its status and output
  git add .
  status=0
  ZCRX_CACHE=$work/cache tools/check "$1" >"$work/output" 2>&1 || status=$?
}

expect() { # NAME STATUS TEXT...
  local name=$1 fault='' text
  [[ $status == "$2" ]] || fault="status $status, not $2"
  shift 2
  for text; do
    grep -qF -- "$text" "$work/output" || fault+=" nothing like '$text'"
  done
  if [[ -z $fault ]]; then
    passed=$((passed + 1))
    echo "ok       $name"
  else
    failed=$((failed + 1))
    echo "FAILED   $name: $fault"
    sed 's/^/    | /' "$work/output"
  fi
}

# refused NAME CHECK TEXT...: the check fails, and says so.
refused() {
  local name=$1
  check "$2"
  shift 2
  expect "$name" 1 "$@" "0 passed, 1 failed"
  checkout
}

good_tree() {
  local name
  for name in format rooms licences paths examples shell; do
    check "$name"
    expect "$name is content" 0 "1 passed, 0 failed"
  done
}

rooms() {
  put lib/ring/refill.cc '' '#include "lib/net/stream.h"'
  refused "a room above" rooms \
    'lib/ring/refill.cc:3: includes lib/net/stream.h: lib/ring may not include lib/net, which is above it'
  put lib/ring/refill.cc '  #  include "lib/net/stream.h"  // why'
  refused "however it is written" rooms 'lib/ring/refill.cc:2: includes lib/net/stream.h'
  put lib/ring/refill.cc '#include "../net/stream.h"'
  refused "a way around" rooms 'lib/ring/refill.cc:2: includes ../net/stream.h'
  put lib/attic/old.cc '#include <string>'
  refused "a room nobody knows" rooms 'lib/attic/old.cc:2: ' 'lib/attic is no room'
  put lib/ring/refill.cc '#include <netlink/attr.h>'
  refused "libnl outside its room" rooms 'lib/ring/refill.cc:2: includes netlink/attr.h'
  put lib/ring/refill.cc '#include "tests/help.h"'
  refused "a test in the library" rooms 'lib/ring/refill.cc:2: includes tests/help.h'
  put include/zcrx/bad.h '#include <liburing.h>' '#include <netlink/attr.h>' '#include "lib/uapi/zcrx.h"' \
    '#include <linux/io_uring.h>'
  refused "internals in a public header" rooms include/zcrx/bad.h:{2,3,4,5}:
  put examples/echo.cc '#include "lib/ring/ring.h"'
  refused "internals in an example" rooms 'examples/echo.cc:2: '
}

other_checks() {
  echo 'int i;' >lib/ring/bare.cc
  refused "a source without a licence" licences 'lib/ring/bare.cc:1: no SPDX-License-Identifier'
  printf '#!/bin/bash\ntrue\n' >tools/bare
  refused "a script without a licence" licences 'tools/bare:1: '
  put lib/ring/ugly.cc 'int   f( ) ;'
  refused "an unformatted file" format 'lib/ring/ugly.cc:2:'
  local homes=/home # in two parts, or this file has a finding
  put lib/ring/path.cc '' "// see $homes/alice/zcrx"
  refused "a path of somebody's machine" paths 'lib/ring/path.cc:3: ' "$homes/alice"
  put examples/sink.cc '#include "zcrx/stream.h"'
  echo 'And examples/sink.cc, by the way.' >>README.md
  refused "an example without a link" examples 'examples/sink.cc:1: README.md has no link to it'
  # shellcheck disable=SC2016 # as text
  printf '%s\n' '#!/usr/bin/env bash' '# SPDX-License-Identifier: Apache-2.0' 'rm $1/*' >tools/careless
  refused "a careless script" shell 'tools/careless:3:' SC2086
}

use() {
  check nonsense
  expect "an unknown check" 2 "unknown check 'nonsense'"
  check --nonsense
  expect "an unknown option" 2 "unknown option '--nonsense'"
  rm -rf .git
  status=0
  tools/check rooms >"$work/output" 2>&1 || status=$?
  expect "no checkout" 1 "is no git checkout"
}

checkout
good_tree
rooms
other_checks
use
echo "check_test: $passed passed, $failed failed"
((failed == 0))

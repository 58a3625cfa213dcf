# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Part of tools/kernel: is the series fit to be shown to kernel people? Uses the
# names that tools/kernel sets, and apply_series.

# FILE_PATH_CHANGES asks whether MAINTAINERS needs a line for a new file; ours
# are in directories that it names as a whole.
readonly ACCEPTED_TYPES=FILE_PATH_CHANGES

check() {
  set_names
  need_packages "${BUILD_PACKAGES[@]}" perl sparse
  ((${#PATCHES[@]})) || die "kernel-patches/linux-$KERNEL has no patches"
  # A tree of its own, in which only the touched directories are built.
  set_kind "$KIND-check"
  lock "kernel-$KERNEL-$KIND"
  get_source
  local count=${#PATCHES[@]} n patch_file directories
  for ((n = 1; n <= count; n++)); do
    patch_file=${PATCHES[n - 1]}
    step "check ($n/$count) ${patch_file##*/}: applies" "$LOG-patch" apply_series "${PATCHES[@]:0:n}"
    step "check ($n/$count) ${patch_file##*/}: checkpatch.pl --strict" "$LOG-checkpatch" \
      checkpatch "$patch_file"
    if ((n == 1)); then step "check: configure" "$LOG-config" configure; fi
    mapfile -t directories < <(touched_directories "$patch_file")
    step "check ($n/$count) ${patch_file##*/}: builds ${directories[*]}" "$LOG-build" \
      build_directories "${directories[@]}"
  done
  mapfile -t directories < <(touched_directories "${PATCHES[@]}")
  step "check: sparse ${directories[*]}" "$LOG-sparse" sparse_directories "${directories[@]}"
  say "check $KERNEL $KIND: $count patches in order"
}

checkpatch() { # PATCH
  cd "$SOURCE"
  perl scripts/checkpatch.pl --strict --show-types --ignore "$ACCEPTED_TYPES" "$1"
}

# Where the patches touch code that this kernel is built from.
touched_directories() { # PATCH...
  sed -nE 's#^(---|\+\+\+) [ab]/([^[:space:]]+)/[^/]+\.[ch]([[:space:]].*)?$#\2/#p' "$@" |
    grep -vE '^(include|tools|Documentation|arch)/' | sort -u || true
}

build_directories() { # DIRECTORY...
  (($#)) || return 0
  kernel_make KCFLAGS=-Werror "$@"
}

# Complaints about lines that are not the series' are not ours.
sparse_directories() { # DIRECTORY...
  (($#)) || return 0
  local output=$LOG-sparse.all
  kernel_make C=2 KCFLAGS=-Werror "$@" >"$output" 2>&1 || {
    tail -n 40 "$output"
    return 1
  }
  echo "checked: $(grep -c '^  CHECK ' "$output") files"
  our_lines >"$output.lines"
  # Nothing found is what we want.
  ! grep -E ': (warning|error): ' "$output" | grep -F -f "$output.lines"
}

# FILE:LINE: of each line that the series adds or changes.
our_lines() {
  local file
  sed -nE 's#^\+\+\+ b/([^[:space:]]+).*#\1#p' "${PATCHES[@]}" | sort -u | while read -r file; do
    # diff's status 1 says that there are differences, and a file that is new is one.
    diff -N --unchanged-line-format='' --old-line-format='' --new-line-format="$file:%dn:
" "$PRISTINE/$file" "$SOURCE/$file" || true
  done
}

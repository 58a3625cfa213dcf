# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Part of tools/kernel: where the source comes from, and how the series gets
# onto it. Uses KERNEL, KERNEL_DIR, SOURCE and LOG of tools/kernel.
#
#   $PRISTINE           the source as it came, shared by all kinds of kernel
#   $KERNEL_DIR/version what it is; written last, so its presence means "whole"
#   $SOURCE             one kind's tree with the series applied: hard links to
#                       the pristine files, save for those the series touches
#   $SOURCE.touched     their names

# A local mirror of kernel.org may be named here.
KERNEL_ORG=${ZCRX_KERNEL_ORG:-https://cdn.kernel.org/pub/linux/kernel}

# Left out of the tree: nothing we build includes it, and it is a third of it.
readonly NOT_UNPACKED=(--exclude='*/drivers/gpu/drm/amd/*.[ch]'
  --exclude='*/arch/*/boot/dts/*' --exclude='*/Documentation/translations')

get_source() {
  lock "source-$KERNEL"
  have_source || fetch_source
  unlock "source-$KERNEL"
}

have_source() { [[ -e $KERNEL_DIR/version && -e $PRISTINE/Kbuild ]]; }

fetch_source() {
  mkdir -p "$KERNEL_DIR"
  local free
  free=$(df -Pk "$KERNEL_DIR" | awk 'NR == 2 {print int($4 / 1024)}')
  ((free > 3000)) || die "$KERNEL_DIR has $free MB free; a kernel needs 3000 (ZCRX_CACHE names another place)"
  # Plain call and a look at the result: step() must not be called under "if".
  set +e
  (step "kernel $KERNEL (1/4) source package from Debian" "$LOG-source" source_from_debian)
  local status=$?
  if ((status)); then
    (
      need_packages curl ca-certificates
      step "kernel $KERNEL (1/4) source from kernel.org" "$LOG-source-kernel.org" source_from_kernel_org
    )
    status=$?
  fi
  set -e
  if ((status)); then
    fail "$EXIT_NO_SOURCE" "THE SOURCE OF LINUX $KERNEL COULD NOT BE HAD, neither as Debian's package
linux-source-$KERNEL nor from $KERNEL_ORG: check the network (logs above)"
  fi
}

# Debian 12 itself has but the oldest of them: other suites of the same mirror
# have the others, read with a private apt configuration.
source_from_debian() {
  local apt_dir=$KERNEL_DIR/apt mirror package version
  # shellcheck disable=SC1091
  . /etc/os-release
  [[ $ID == debian ]] || {
    echo "this is ${PRETTY_NAME:-no Debian}: its mirrors do not have linux-source-$KERNEL"
    return 1
  }
  rm -rf "$apt_dir"
  mkdir -p "$apt_dir/lists/partial" "$apt_dir/cache/archives/partial"
  mirror=$(debian_mirror "$apt_dir")
  echo "-- mirror: $mirror"
  local suite keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  for suite in trixie trixie-backports bookworm-backports bookworm; do
    echo "deb [signed-by=$keyring] $mirror $suite main"
  done >"$apt_dir/sources.list"
  # The hooks go: they would tidy the system's own lists and caches.
  cat >"$apt_dir/apt.conf" <<EOF
Dir::Etc::sourcelist "$apt_dir/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$apt_dir/lists";
Dir::Cache "$apt_dir/cache";
APT::Sandbox::User "";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
EOF
  # A suite that a mirror does not carry fails here and is simply not used.
  apt-get -c "$apt_dir/apt.conf" update || true
  package=linux-source-$KERNEL
  version=$(apt-cache -c "$apt_dir/apt.conf" policy "$package" |
    awk '$1 == "Candidate:" && $2 != "(none)" {print $2}')
  [[ -n $version ]] || {
    echo "no suite of $mirror has $package"
    return 1
  }
  cd "$apt_dir"
  apt-get -c "$apt_dir/apt.conf" download "$package=$version"
  dpkg-deb --fsys-tarfile "$package"_*.deb |
    tar -x --to-stdout "./usr/src/$package.tar.xz" |
    unpack_source "Debian $package $version"
  rm -rf "$apt_dir"
}

# The mirror that this system's own sources name, whatever their format is:
# apt reads them for us. Security archives carry no backports.
debian_mirror() {
  local apt_dir=$1 targets
  targets=$(list_archives)
  if [[ -z $targets ]]; then
    # apt knows only archives whose lists it has: fetch them for ourselves.
    apt-get -o Dir::State::lists="$apt_dir/lists" -o APT::Update::Post-Invoke= \
      -o APT::Sandbox::User= update >&2
    targets=$(list_archives -o Dir::State::lists="$apt_dir/lists")
  fi
  # Third-party archives are of another origin.
  awk -F'|' '$2 == "Debian" && $3 !~ /security/ {print $1; exit}' <<<"$targets" | grep .
}

list_archives() {
  # shellcheck disable=SC2016 # apt's placeholders
  apt-get "$@" indextargets --format '$(REPO_URI)|$(ORIGIN)|$(CODENAME)' 'Created-By: Packages'
}

# The newest stable release of the series. What protects it is HTTPS and the
# checksum of kernel.org's list; the list's PGP signature is not checked.
source_from_kernel_org() {
  local directory=$KERNEL_DIR/kernel.org base=$KERNEL_ORG/v${KERNEL%%.*}.x file
  rm -rf "$directory"
  mkdir -p "$directory"
  cd "$directory"
  curl -fsSL --retry 3 -o sums "$base/sha256sums.asc"
  file=$(grep -oE "linux-${KERNEL//./\\.}(\.[0-9]+)?\.tar\.xz$" sums | sort -uV | tail -n 1)
  [[ -n $file ]] || {
    echo "$base/sha256sums.asc names no linux-$KERNEL"
    return 1
  }
  curl -fsSL --retry 3 -o "$file" "$base/$file"
  grep " $file\$" sums | sha256sum --strict --check -
  unpack_source "kernel.org ${file%.tar.xz}" <"$file"
  cd "$KERNEL_DIR"
  rm -rf "$directory"
}

# unpack_source VERSION <TARBALL
unpack_source() {
  rm -rf "$KERNEL_DIR/version" "$PRISTINE" "$PRISTINE-new"
  mkdir "$PRISTINE-new"
  xz -dc -T0 | tar -x -C "$PRISTINE-new" --strip-components=1 "${NOT_UNPACKED[@]}"
  [[ -e $PRISTINE-new/Kbuild ]]
  mv "$PRISTINE-new" "$PRISTINE"
  echo "$1" >"$KERNEL_DIR/version"
}

# apply_series PATCH...: makes $SOURCE the pristine tree plus these patches.
# They are applied to copies of the files they touch, and only a file that
# comes out different is replaced: the others keep their times, so that make
# rebuilds what has changed and nothing else.
apply_series() {
  local stage=$SOURCE.stage file patch_file
  if [[ ! -e $SOURCE ]]; then
    rm -rf "$SOURCE.new" "$SOURCE.touched"
    cp -al "$PRISTINE" "$SOURCE.new"
    mv "$SOURCE.new" "$SOURCE"
  fi
  rm -rf "$stage"
  mkdir -p "$stage"
  # What this series touches and what earlier ones did. Written before the tree
  # changes: whenever we are interrupted, the list names all that may differ.
  touch "$SOURCE.touched"
  {
    cat "$SOURCE.touched"
    cat "$@" </dev/null | sed -nE 's#^(---|\+\+\+) [ab]/([^[:space:]]+).*#\2#p'
  } | sort -u >"$SOURCE.touched.new"
  mv "$SOURCE.touched.new" "$SOURCE.touched"
  while read -r file; do
    [[ -e $PRISTINE/$file ]] || continue
    mkdir -p "$(dirname "$stage/$file")"
    cp "$PRISTINE/$file" "$stage/$file"
  done <"$SOURCE.touched"
  for patch_file; do
    echo "-- ${patch_file##*/}"
    patch -d "$stage" -p1 --fuzz=0 --no-backup-if-mismatch -f <"$patch_file" || {
      echo "PATCH ${patch_file##*/} DOES NOT APPLY to $(cat "$KERNEL_DIR/version")"
      return 1
    }
  done
  while read -r file; do
    if [[ ! -e $stage/$file ]]; then
      rm -f "$SOURCE/$file"
    elif ! cmp -s "$stage/$file" "$SOURCE/$file"; then
      echo "   changed: $file"
      mkdir -p "$(dirname "$SOURCE/$file")"
      # A new file in its place: writing into a hard link would change the
      # pristine tree.
      cp "$stage/$file" "$SOURCE/$file.new"
      mv "$SOURCE/$file.new" "$SOURCE/$file"
    fi
  done <"$SOURCE.touched"
  rm -rf "$stage"
}

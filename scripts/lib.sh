# lib.sh: what scripts/demo, scripts/test and the others share. Sourced, never run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# A clone elsewhere finds what an earlier one compiled.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1

# Debian 12's packages, and what each is for.
packages_build=(
  g++ cmake ninja-build ccache       # the build
  libboost1.81-dev                   # Asio, Beast
  libssl-dev                         # HMAC, SHA-256
  protobuf-compiler libprotobuf-dev  # the wire's schema
  libxxhash-dev nlohmann-json3-dev   # checksums; the JSON form of the wire
  libtomlplusplus-dev                # the configuration file
  prometheus-cpp-dev                 # metrics
  libgtest-dev libgmock-dev python3  # the tests, which are configured along with the rest
)
packages_pack=(dpkg-dev file)        # a .deb names what its executables load
packages_test=(
  libbenchmark-dev
  libasio-dev                        # a user of kuilt/asio.hpp who has no Boost
  clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev llvm-19
  python3-websockets                 # clients in another language
  iproute2 git                       # network namespaces; mutants are git patches
  make pkg-config                    # a consumer of the package
  systemd man-db python3-yaml        # what judges the unit, the man page, compose.yaml
  zsh fish                           # completion is tried in the shells that it is for
  doxygen                            # the reference of the public headers
)

say() { printf '\n== %s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# Runs a step, says how long it took.
step() {
  local what=$1 begin=$SECONDS
  shift
  say "$what"
  "$@" || die "failed: $what"
  printf -- '-- %s: %d s\n' "$what" $((SECONDS - begin))
}

missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
      printf '%s ' "$package"
  done
}

# Shows and installs what is missing; asks nothing, says what it would need when it may not.
install_packages() {
  local missing sudo=
  missing=$(missing_packages "$@")
  if [ -z "$missing" ]; then
    echo "all packages are there"
    return
  fi
  echo "installing: $missing"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "become root and run: apt-get install $missing"
    sudo=sudo
  fi
  $sudo apt-get update -qq
  # shellcheck disable=SC2086
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    $missing >/dev/null
}

# build PRESET [TARGET...]
build() {
  local preset=$1
  shift
  cmake --preset "$preset" >"build-$preset.log" 2>&1 ||
    { cat "build-$preset.log"; rm -f "build-$preset.log"; return 1; }
  rm -f "build-$preset.log"
  cmake --build --preset "$preset" ${1:+--target "$@"} -- --quiet
}

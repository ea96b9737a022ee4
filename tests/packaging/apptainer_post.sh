#!/usr/bin/env bash
# apptainer_post.sh [FOLDER]: launch/packaging/tutti.def makes a Tutti that works. Built with
# apptainer where that is to be had; otherwise its %post and %test run in a chroot that debootstrap
# makes in FOLDER (default: a temporary one; removed at the end). Takes as long as a build, wants
# root, the network and 3 GB; the label is `packaging`, which tests/run.sh runs only when asked to.
# TUTTI_DEBIAN_MIRROR: where packages come from (default: where this machine's do).
# Exit code: 0 it works, 77 skipped by name, else it does not.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
definition=$root/launch/packaging/tutti.def
skip() { echo "skipped: $*"; exit 77; }
section() { awk -v want="%$1" '/^%/ { on = $1 == want; next } on' "$definition"; }

folder=$(mktemp -d "${1:-${TMPDIR:-/tmp}/tutti-apptainer}.XXXXXX")
clean_up() {
  local point
  for point in proc dev; do
    ! mountpoint -q "$folder/debian/$point" || umount "$folder/debian/$point"
  done
  rm -rf --one-file-system "$folder"
}
trap clean_up EXIT

# What was committed: the image is made of a fresh clone.
git clone -q --no-hardlinks "$root" "$folder/clone"

if command -v apptainer >/dev/null; then
  cd "$folder/clone"
  apptainer build "$folder/tutti.sif" "$definition" && apptainer test "$folder/tutti.sif"
  exit
fi

((EUID == 0)) || skip "no apptainer here, and a chroot wants root"
command -v debootstrap >/dev/null || skip "neither apptainer nor debootstrap here"
release=$(sed -n 's/^ *base=debian:\([0-9]*\)$/\1/p' "$definition")
case $release in
  12) suite=bookworm ;;
  *) echo "which Debian is '$release'? wanted base=debian:12 in $definition"; exit 1 ;;
esac
# shellcheck disable=SC2016  # those are apt's own names
sites=$(apt-get indextargets --format '$(CODENAME) $(SITE)' 'Created-By: Packages')
mirror=${TUTTI_DEBIAN_MIRROR:-$(sed -n "s/^$suite //p" <<<"$sites" | head -n 1)}
[[ -n $mirror ]] || skip "no mirror of Debian $suite among this machine's sources"

echo "== debootstrap $suite"
chroot=$folder/debian
debootstrap --variant=minbase "$suite" "$chroot" "$mirror" >"$folder/log" 2>&1 ||
  { tail -n 20 "$folder/log"; exit 1; }
mkdir -p "$chroot/opt"
mv "$folder/clone" "$chroot/opt/tutti"
cp /etc/resolv.conf "$chroot/etc/resolv.conf"
mount -t proc proc "$chroot/proc"
mount --bind /dev "$chroot/dev"

# run_section NAME: as an argument, since apt and dpkg would read what is left of standard input.
run_section() {
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
    chroot "$chroot" /bin/bash -ec "$(section "$1")" </dev/null
}
echo "== %post"
run_section post >"$folder/log" 2>&1 || { tail -n 40 "$folder/log"; exit 1; }
echo "== %test"
run_section test
du -sxh "$chroot" | sed "s|$chroot|installed|"

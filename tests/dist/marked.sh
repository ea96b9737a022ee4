# Sourced: finds what a test started, by a mark in the environment. No process is ended by its name.
# shellcheck shell=bash
mark() { export TUTTI_TEST_MARK=$1; }
# marked NAME…: processes with the mark whose program has one of the names.
marked() {
  local process name
  for process in $(grep -lzs "^TUTTI_TEST_MARK=$TUTTI_TEST_MARK\$" /proc/[0-9]*/environ | cut -d / -f 3); do
    name=$(cat "/proc/$process/comm" 2>/dev/null)
    [[ " $* " != *" $name "* ]] || echo "$process"
  done
}
kill_marked() { for process in $(marked "$@"); do kill -9 "$process" 2>/dev/null; done; }
# wait_until_none TENTHS NAME…: fails where some are left.
wait_until_none() {
  local tries=$1
  shift
  for ((; tries > 0; tries--)); do
    [[ -n $(marked "$@") ]] || return 0
    sleep 0.1
  done
  return 1
}

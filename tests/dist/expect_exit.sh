#!/bin/sh
# expect_exit.sh WANTED COMMAND…: passes where the command's exit code is WANTED.
wanted=$1
shift
"$@"
found=$?
echo "exit code: wanted $wanted, found $found"
[ "$found" -eq "$wanted" ]

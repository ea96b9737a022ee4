#!/usr/bin/env bash
# consumer.sh CMAKE BUILD FOLDER: other programs find an installed Tutti, by CMake and by
# pkg-config, also after it has moved; the modulefile names the prefix of the installation.
set -euo pipefail
cmake=$1 build=$2 folder=$3
fail() { echo "$*"; exit 1; }
rm -rf "$folder"
mkdir -p "$folder/user"
"$cmake" --install "$build" --prefix "$folder/first" >/dev/null

module=$(ls "$folder"/first/share/tutti/modulefiles/tutti/*)
grep -qx "set prefix \"$folder/first\"" "$module" || fail "$module: another prefix"
! grep -n '@[a-z]*@' "$module" || fail "$module: something was not filled in"

mv "$folder/first" "$folder/second"
cat >"$folder/user/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.20)
project(user LANGUAGES NONE)
find_package(Tutti 0.1 REQUIRED)
get_target_property(program Tutti::tutti IMPORTED_LOCATION)
execute_process(COMMAND ${program} --version OUTPUT_VARIABLE said COMMAND_ERROR_IS_FATAL ANY)
if(NOT said MATCHES "^tutti ${Tutti_VERSION} ")
  message(FATAL_ERROR "package ${Tutti_VERSION}, program: ${said}")
endif()
if(NOT EXISTS ${Tutti_SHAPES}/llama-2-7b.json)
  message(FATAL_ERROR "no shapes in ${Tutti_SHAPES}")
endif()
END
"$cmake" -S "$folder/user" -B "$folder/user/build" -DCMAKE_PREFIX_PATH="$folder/second" \
  >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
sed 's/0\.1 REQUIRED/0.2 REQUIRED/' "$folder/user/CMakeLists.txt" >"$folder/wrong"
mv "$folder/wrong" "$folder/user/CMakeLists.txt"
! "$cmake" -S "$folder/user" -B "$folder/user/other" -DCMAKE_PREFIX_PATH="$folder/second" \
  >"$folder/log" 2>&1 || fail "version 0.2 was found"
grep -q 'requested version "0.2"' "$folder/log" || { cat "$folder/log"; exit 1; }

export PKG_CONFIG_PATH=$folder/second/share/pkgconfig
pkg-config --exists 'tutti >= 0.1' || fail "pkg-config does not find it"
"$(pkg-config --variable=program tutti)" --version >/dev/null
[[ -s $(pkg-config --variable=shapes tutti)/llama-2-7b.json ]] || fail "no shapes by pkg-config"
[[ -z $(pkg-config --cflags --libs tutti | tr -d ' ') ]] || fail "there is something to link"

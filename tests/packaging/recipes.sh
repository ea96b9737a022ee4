#!/usr/bin/env bash
# recipes.sh: what can be said of the recipes in launch/packaging without Apptainer, Spack and
# EasyBuild: Python that parses, an image definition whose sections are known and whose scripts
# parse, dependencies that all name what the build looks for, versions that are this project's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
status=0
fail() { echo "$*"; status=1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

recipes=launch/packaging
spack=$recipes/spack/packages/tutti/package.py
easybuild=$(ls $recipes/*.eb)
definition=$recipes/tutti.def

for file in "$spack" "$easybuild"; do
  cp "$file" "$folder/recipe.py"
  python3 -m py_compile "$folder/recipe.py" || fail "$file: no Python"
done

# A library that the build asks for and a recipe forgets.
for name in hdf5 openssl xxhash nlohmann.json fmt boost pcre2 utf8proc sentencepiece; do
  for file in "$spack" "$easybuild"; do
    grep -qiE "['(\"]${name}['\"@ ]" "$file" || fail "$file: lacks $name"
  done
done
libraries=$(grep -cE '^(find_package\((fmt|MPI|HDF5|OpenSSL|nlohmann_json|Boost|SentencePiece) |pkg_check_modules)' \
  .cmake/dependencies.cmake)
((libraries == 11)) || fail ".cmake/dependencies.cmake names $libraries libraries, this test knows 11"

version=$(sed -n 's/^project(tutti VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
[[ $easybuild == *"/tutti-$version-"* ]] || fail "$easybuild: wanted version $version in its name"
grep -q "^version = '$version'" "$easybuild" || fail "$easybuild: wanted version $version"

while read -r section _; do
  case $section in
    %arguments | %files | %post | %environment | %test | %runscript | %labels | %help) ;;
    *) fail "$definition: $section is no section that is known here" ;;
  esac
done < <(grep '^%' $definition)
for section in post environment test runscript; do
  awk -v want="%$section" '/^%/ { on = $1 == want; next } on' $definition >"$folder/$section"
  [[ -s $folder/$section ]] || fail "$definition: %$section is empty"
  bash -n "$folder/$section" || fail "$definition: %$section does not parse"
done
! command -v shellcheck >/dev/null ||
  shellcheck -s bash -e SC1091,SC2154 "$folder/post" || fail "$definition: shellcheck of %post"
grep -qx 'Bootstrap: docker' $definition || fail "$definition: no Bootstrap"
exit $status

#!/usr/bin/env bash
# modulefile.sh CMAKE BUILD FOLDER: `module load tutti` puts the program, its page and its packages
# into the environment, and unloading takes them out again. Skips (77) where there is no `module`.
set -euo pipefail
cmake=$1 build=$2 folder=$3
init=
for file in /usr/share/modules/init/bash /etc/profile.d/lmod.sh /usr/share/lmod/lmod/init/bash; do
  [[ ! -r $file ]] || { init=$file; break; }
done
[[ -n $init ]] || { echo "skipped: neither Environment Modules nor Lmod here"; exit 77; }
rm -rf "$folder"
"$cmake" --install "$build" --prefix "$folder" >/dev/null

unset MODULEPATH LOADEDMODULES _LMFILES_
export MANPATH=/usr/share/man
before=$PATH
set +eu  # the init files of Debian
# shellcheck source=/dev/null
source "$init"
module use "$folder/share/tutti/modulefiles"
module load tutti || { echo "module load failed"; exit 1; }
set -eu
[[ $(command -v tutti) == "$folder/bin/tutti" ]] || { echo "PATH is $PATH"; exit 1; }
[[ $TUTTI_ROOT == "$folder" && :$MANPATH: == *":$folder/share/man:"* ]]
tutti --version >/dev/null
pkg-config --exists tutti
set +eu
module unload tutti
set -eu
[[ $PATH == "$before" && -z ${TUTTI_ROOT-} ]] || { echo "left behind: $PATH"; exit 1; }

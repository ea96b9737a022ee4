# Writes the commit that is being built into OUTPUT, only when it changed. Run by cmake -P at every
# build; works in a tarball without git too, where `git archive` has filled in ARCHIVE_COMMIT.
set(ARCHIVE_COMMIT "$Format:%h$")
set(commit "unknown commit")
execute_process(COMMAND git -C ${SOURCE} rev-parse --short=12 HEAD
  OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(NOT failed AND EXISTS ${SOURCE}/.git)
  set(commit ${found})
  execute_process(COMMAND git -C ${SOURCE} diff --quiet HEAD RESULT_VARIABLE changed ERROR_QUIET)
  if(changed)
    string(APPEND commit "+changes")
  endif()
elseif(NOT ARCHIVE_COMMIT MATCHES "Format")
  set(commit ${ARCHIVE_COMMIT})
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#pragma once\n#define TUTTI_GIT_COMMIT \"${commit}\"\n")

# The few words that the CMakeLists.txt of the tree are written in.

add_library(tutti_flags INTERFACE)
target_include_directories(tutti_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(tutti_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
                              -Wno-missing-field-initializers>)
# fmt 9 takes nvcc for a compiler without constexpr, and then its consteval finds nothing to call.
target_compile_definitions(tutti_flags INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:FMT_USE_CONSTEXPR=1>)
# GCC 12 sees overlaps in std::string::insert and operator+ that are not there (its bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(tutti_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
if(TUTTI_WERROR)
  target_compile_options(tutti_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(NOT TUTTI_OPENMP)
  target_compile_options(tutti_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-unknown-pragmas>)
endif()
if(TUTTI_SANITIZE)
  target_compile_options(tutti_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${TUTTI_SANITIZE} -fno-omit-frame-pointer
                              -fno-sanitize-recover=all>)
  target_link_options(tutti_flags INTERFACE -fsanitize=${TUTTI_SANITIZE})
  target_compile_definitions(tutti_flags INTERFACE TUTTI_SANITIZED)
endif()
if(TUTTI_FUZZ)  # the libraries too: without their coverage libFuzzer has nothing to go by and stops
  target_compile_options(tutti_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=fuzzer-no-link>)
endif()

# Programs of tests: most of their code runs once, so that what counts is how long it takes to
# compile. Clang takes twice as long for what is optimised and watched for addresses.
add_library(tutti_test_flags INTERFACE)
target_link_libraries(tutti_test_flags INTERFACE tutti_flags)
if(TUTTI_SANITIZE MATCHES address)
  target_compile_options(tutti_test_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-O0>)
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(tutti_test_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-O1>)
endif()

# tutti_library(NAME SOURCES … USES …): a static library of one layer.
function(tutti_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;USES" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC tutti_flags fmt::fmt ${arg_USES})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()

# The target tests_LABEL builds the programs of one label.
function(tutti_label program label)
  if(NOT TARGET tests_${label})
    add_custom_target(tests_${label})
  endif()
  add_dependencies(tests_${label} ${program})
endfunction()

# tutti_test(NAME LABEL unit [ONE_THREAD] [BUSY] SOURCES … USES … PROPERTIES …): one GoogleTest
# program, each of its tests known to ctest by name. Tests run in the source tree's root, so that
# they find tests/golden. ThreadSanitizer has nothing to look for in those that are ONE_THREAD: they
# are not built for it with the rest of their label. Those that are BUSY compute for long and are
# optimised.
function(tutti_test name)
  cmake_parse_arguments(arg "ONE_THREAD;BUSY" "LABEL;TIMEOUT" "SOURCES;USES;PROPERTIES" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_USES} GTest::gmock GTest::gtest_main
                        $<IF:$<BOOL:${arg_BUSY}>,tutti_flags,tutti_test_flags>)
  if(NOT (arg_ONE_THREAD AND TUTTI_SANITIZE STREQUAL "thread"))
    tutti_label(${name} ${arg_LABEL})
  endif()
  if(TUTTI_SANITIZE MATCHES address)
    list(APPEND arg_PROPERTIES ENVIRONMENT
         LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/support/lsan.supp:print_suppressions=0)
  endif()
  gtest_discover_tests(${name}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    PROPERTIES LABELS "${arg_LABEL}" TIMEOUT ${arg_TIMEOUT} ${arg_PROPERTIES}
    DISCOVERY_TIMEOUT 60)
endfunction()

# tutti_kernel(NAME): one operation of kernels/. Refuses to configure where its contract, its
# host twin, its test or its benchmark is missing.
function(tutti_kernel op)
  foreach(part kernels/${op}.hpp kernels/${op}.cpp tests/kernels/${op}_test.cpp
               tests/bench/${op}_bench.cpp)
    if(NOT EXISTS ${PROJECT_SOURCE_DIR}/${part})
      message(FATAL_ERROR "kernel '${op}' lacks ${part}")
    endif()
  endforeach()
  target_sources(tutti_kernels PRIVATE ${op}.cpp)
  if(TUTTI_HAVE_CUDA AND EXISTS ${PROJECT_SOURCE_DIR}/kernels/${op}.cu)
    target_sources(tutti_cuda_kernels PRIVATE ${op}.cu)
  endif()
  set_property(GLOBAL APPEND PROPERTY TUTTI_KERNELS ${op})
endfunction()

# tutti_gpu_test(NAME SOURCES … USES … PROPERTIES …): one GoogleTest program whose tests want a GPU
# and skip themselves, with the reason, where there is none; label gpu.
function(tutti_gpu_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;USES;PROPERTIES" ${ARGN})
  tutti_test(${name} LABEL gpu TIMEOUT 300 SOURCES ${arg_SOURCES} USES ${arg_USES} tutti_device
             PROPERTIES ${arg_PROPERTIES})
  set_target_properties(${name} PROPERTIES BUILD_RPATH ${PROJECT_BINARY_DIR}/lib)
  if(TUTTI_HAVE_CUDA)
    add_dependencies(${name} tutti_cuda)
  endif()
endfunction()

# tutti_fuzzer(NAME SOURCES … USES …): a libFuzzer program with its seeds in tests/fuzz/seeds/NAME.
# Without TUTTI_FUZZ the same source replays the seeds as an ordinary test.
function(tutti_fuzzer name)
  cmake_parse_arguments(arg "" "" "SOURCES;USES" ${ARGN})
  set(seeds ${PROJECT_SOURCE_DIR}/tests/fuzz/seeds/${name})
  add_executable(fuzz_${name} ${arg_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE ${arg_USES} tutti_flags)
  tutti_label(fuzz_${name} fuzz)
  if(TUTTI_FUZZ)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    add_test(NAME fuzz_${name}
      COMMAND fuzz_${name} -max_total_time=30 -timeout=10 -rss_limit_mb=2048 -verbosity=0
              -print_final_stats=1 ${CMAKE_CURRENT_BINARY_DIR}/corpus_${name} ${seeds})
    file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/corpus_${name})
  else()
    target_sources(fuzz_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cpp)
    add_test(NAME fuzz_${name} COMMAND fuzz_${name} ${seeds})
  endif()
  set_tests_properties(fuzz_${name} PROPERTIES LABELS fuzz TIMEOUT 120)
endfunction()

# tutti_mpirun(OUT RANKS): the words that start a program on RANKS ranks of this machine, for
# add_test; with them, what Open MPI wants where cores are few, ranks are root or the tests run in
# a container.
function(tutti_mpirun out ranks)
  if(NOT DEFINED CACHE{TUTTI_OPEN_MPI})
    execute_process(COMMAND ${MPIEXEC_EXECUTABLE} --version OUTPUT_VARIABLE version ERROR_QUIET)
    string(FIND "${version}" "Open" found)
    if(found EQUAL -1)
      set(TUTTI_OPEN_MPI OFF CACHE INTERNAL "mpirun is Open MPI's")
    else()
      set(TUTTI_OPEN_MPI ON CACHE INTERNAL "mpirun is Open MPI's")
    endif()
  endif()
  set(command ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks})
  if(TUTTI_OPEN_MPI)
    set(command ${CMAKE_COMMAND} -E env OMPI_ALLOW_RUN_AS_ROOT=1
        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
        OMPI_MCA_mpi_yield_when_idle=1
        ${command} --oversubscribe --bind-to none)
  endif()
  set(${out} ${command} PARENT_SCOPE)
endfunction()

# tutti_mpi_test(NAME RANKS 1 2 3 4 SOURCES … USES …): one GoogleTest program with an MPI main
# (tests/support/mpi_main.cpp: `test_session()` is its MpiSession), run once for each count, label
# dist or LABEL. ctest counts a rank as a processor, so that tests do not crowd one another out.
function(tutti_mpi_test name)
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "RANKS;SOURCES;USES" ${ARGN})
  if(NOT arg_LABEL)
    set(arg_LABEL dist)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_USES} tutti_test_flags tutti_mpi_main GTest::gmock)
  tutti_label(${name} ${arg_LABEL})
  foreach(ranks ${arg_RANKS})
    tutti_mpirun(command ${ranks})
    add_test(NAME ${name}.n${ranks} COMMAND ${command} $<TARGET_FILE:${name}>
             WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${name}.n${ranks} PROPERTIES
      LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT} PROCESSORS ${ranks}
      SKIP_RETURN_CODE 77
      ENVIRONMENT "ASAN_OPTIONS=detect_leaks=0")  # Open MPI keeps its own until the end
  endforeach()
endfunction()

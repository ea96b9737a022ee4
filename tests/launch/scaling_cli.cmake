# tutti bench scaling on the host: what it writes, and what it refuses.
tutti_mpi_test(scaling_run_test RANKS 1 2 3 SOURCES scaling_run_test.cpp USES tutti_launch)

add_executable(scaling_files_check scaling_files_check.cpp)
target_link_libraries(scaling_files_check PRIVATE tutti_flags fmt::fmt nlohmann_json::nlohmann_json)
set(few --requests 5 --input-tokens 8 --output-tokens 6 --max-running 3 --prompt-tokens 8
    --new-tokens 6)
function(scaling_test name world rows)
  tutti_mpirun(launcher ${world})
  add_test(NAME cli.bench_scaling${name}
           COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/bench_scaling.sh $<TARGET_FILE:scaling_files_check>
                   ${world} ${rows} ${launcher} $<TARGET_FILE:tutti> bench scaling ${m} ${few}
                   ${ARGN}
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(cli.bench_scaling${name} PROPERTIES LABELS dist TIMEOUT 120 PROCESSORS 2
                       FIXTURES_REQUIRED cli_models ENVIRONMENT "${host_only}")
endfunction()
scaling_test("" 3 3 --repeats 3)
scaling_test(.alone 1 1 --repeats 2)
scaling_test(.with_replicas 3 4 --replicas --repeats 2 --price-per-gpu-hour 2.5)
scaling_test(.of_odd_counts 3 2 --counts 3,1 --repeats 1 --units-per-gpu-hour 100)

cli_test(bench_scaling.above_the_world 2 2 "--counts wants 3 ranks, there are 2" bench scaling ${m}
         --counts 1,3)
cli_test(bench_scaling.no_number 2 2 "--counts wants numbers of ranks" bench scaling ${m}
         --counts 1,x)
cli_test(bench_scaling.folder_in_the_way 2 1 "choose another folder with --out" bench scaling ${m}
         --out ${models}/foreign.h5)
cli_test(bench_scaling.more_ranks_than_heads 7 2 "the largest workable count is 6" bench scaling
         ${m} --out ${models}/scaling --quiet)
cli_test(bench_scaling.fits_nowhere 2 4 "" bench scaling ${CMAKE_CURRENT_SOURCE_DIR}/tiny_shape.json
         --random-weights 1 --context 2097152 --requests 4096 --max-running 4096 --repeats 1
         --input-tokens 1048576 --output-tokens 1048575 --prompt-tokens 4 --new-tokens 4
         --out ${models}/scaling --quiet)
set_tests_properties(cli.bench_scaling.fits_nowhere PROPERTIES ENVIRONMENT
                     "${host_only};RESULTS_TOO=1")

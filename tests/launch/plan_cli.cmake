# tutti plan as a user starts it: by itself, under mpirun, and beside a run of the same model.
cli_test(plan_fits 0 0 "" plan llama-2-70b --gpu a100-40 --ranks 4)
cli_test(plan_of_a_mixture 0 0 "" plan qwen3-30b-a3b --gpu h100-80 --ranks 1,2)
cli_test(plan_under_mpirun 2 0 "" plan llama-2-70b --gpu a100-80 --ranks 3 --json)
cli_test(plan_refuses 0 4 "4 ranks are the fewest that work" plan llama-2-70b --gpu a100-40
         --ranks 1)
cli_test(plan_of_a_list_fits_with_one 0 0 "" plan llama-2-70b --gpu a100-40 --ranks 1,4)
cli_test(plan_compares_kinds 0 0 "" plan llama-3-8b)
cli_test(plan_of_no_kind 0 4 "of each h200" plan llama-2-70b --context 4000000)
cli_test(plan_of_a_model_file 0 0 "" plan ${m} --gpu h200 --json)
cli_test(plan_of_a_folder 0 0 "" plan ${models}/source --gpu a10)
cli_test(plan_of_memory_alone 0 0 "" plan llama-2-7b --device-memory 24GiB)
cli_test(plan_of_cpus 0 0 "" plan ${tiny} --gpu host --device-memory 8GiB)
cli_test(plan_of_cpus_without_memory 0 2 "--gpu host wants --device-memory" plan ${tiny} --gpu host)
cli_test(plan_unknown_gpu 0 2 "did you mean 'a100-40'" plan llama-2-7b --gpu a100-41)
cli_test(plan_unknown_shape 0 2 "known are falcon-40b" plan llama-9)
cli_test(plan_missing_file 0 3 "nowhere.h5" plan ${models}/nowhere.h5)
cli_test(plan_more_ranks_than_heads 0 2 "the largest workable count is 64" plan llama-2-70b
         --gpu h200 --ranks 65)
cli_test(plan_other_fingerprint 0 3 "--expect wants a fingerprint that begins with 00000000" plan
         ${m} --expect 00000000 --gpu a10)
cli_test(plan_fingerprint_of_a_shape 0 2 "--expect is of model files" plan llama-2-7b --expect 00)
cli_test(plan_bad_ranks 0 2 "--ranks wants a number of ranks" plan llama-2-7b --ranks 2,x)
cli_test(plan_bad_memory 0 2 "found 'lots'" plan llama-2-7b --device-memory lots)
cli_test(plan_bad_context 0 2 "was made for" plan ${m} --context 100000)
cli_test(plan_too_much 0 2 "more tokens than any cache holds" plan llama-2-7b --context 10000000
         --batch 65536)
cli_test(plan_long_requests 0 2 "the context is 4096" plan llama-2-7b --prompt-tokens 5000)
cli_test(plan_constants_of_no_kind 0 2 "say which by --gpu" plan llama-2-7b --set layer_us=3)
cli_test(plan_unknown_constant 0 2 "did you mean 'layer_us'" plan llama-2-7b --gpu h200
         --set layer_ms=3)
set_tests_properties(cli.plan_refuses cli.plan_of_no_kind PROPERTIES ENVIRONMENT
                     "${host_only};RESULTS_TOO=1")
foreach(ranks 1 3)
  tutti_mpirun(launcher ${ranks})
  add_test(NAME cli.plan_says_what_a_run_allocates.n${ranks}
           COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/plan_agrees.sh $<TARGET_FILE:tutti> ${tiny} ${ranks}
                   ${launcher}
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(cli.plan_says_what_a_run_allocates.n${ranks} PROPERTIES LABELS dist
                       TIMEOUT 60 PROCESSORS ${ranks} ENVIRONMENT "${host_only}")
endforeach()

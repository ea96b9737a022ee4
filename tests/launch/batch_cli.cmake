# tutti batch as a whole: bad input, resumption, and what ends it in the middle.
set(requests ${CMAKE_CURRENT_SOURCE_DIR}/batch_requests.jsonl)
set(scratch ${models}/batch)  # made with the models, anew for each run of the tests

cli_test(batch_without_input 2 2 "wants --input FILE" batch ${m} -o ${scratch}/x.jsonl)
cli_test(batch_without_output 2 2 "wants --output FILE" batch ${m} -i ${requests})
cli_test(batch_missing_input 2 2 "cannot be read: No such file" batch ${m} -i ${scratch}/nowhere
         -o ${scratch}/x.jsonl --quiet)
cli_test(batch_input_is_a_folder 2 2 "is a folder" batch ${m} -i ${scratch} -o ${scratch}/x.jsonl)
cli_test(batch_missing_folder 2 1 "the output's folder must be there" batch ${m} -i ${requests}
         -o ${scratch}/nowhere/x.jsonl)
cli_test(batch_output_is_a_folder 2 2 "is a folder: wanted a file" batch ${m} -i ${requests}
         -o ${scratch})
cli_test(batch_output_is_the_input 2 2 "is the same file as" batch ${m} -i ${scratch}/own.jsonl
         -o ${scratch}/own.jsonl --overwrite)
cli_test(batch_output_is_the_model 2 2 "is the same file as" batch ${m} -i ${requests} -o ${m}
         --overwrite)
cli_test(batch_foreign_output 2 2 "line 1 is no record of tutti batch" batch ${m} -i ${requests}
         -o ${scratch}/foreign.jsonl)
cli_test(batch_existing_output 2 2 "--no-resume wants a new output" batch ${m} -i ${requests}
         -o ${scratch}/foreign.jsonl --no-resume)
cli_test(batch_unknown_chat_format 2 2 "known" batch ${m} -i ${requests} -o ${scratch}/x.jsonl
         --chat-format nobody)
cli_test(batch_bad_time_limit 2 2 "--time-limit wants a time" batch ${m} -i ${requests}
         -o ${scratch}/x.jsonl --time-limit soon)
cli_test(batch_report_that_cannot_be_written 2 1 "/nowhere/r.json cannot be written" batch ${m}
         -i ${requests} -o ${scratch}/x.jsonl --report /nowhere/r.json)
cli_test(batch_nothing_but_errors 1 1 "" batch ${m} -i ${scratch}/foreign.jsonl
         -o ${scratch}/errors.jsonl)
cli_test(batch_no_requests 2 0 "" batch ${m} -i /dev/null -o ${scratch}/none.jsonl)

cli_test(batch_tp_that_does_not_divide 3 2 "--tp wants a number that divides the 3 ranks" batch ${m}
         -i ${requests} -o ${scratch}/x.jsonl --tp 2)

function(batch_script name ranks script)
  set(launcher env)
  if(ranks GREATER 0)
    tutti_mpirun(launcher ${ranks})
  endif()
  add_test(NAME cli.batch_${name}
           COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/${script} ${ARGN} $<TARGET_FILE:tutti> ${m}
                   ${launcher}
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(cli.batch_${name} PROPERTIES LABELS dist TIMEOUT 240 PROCESSORS 2
                       SKIP_RETURN_CODE 77 FIXTURES_REQUIRED cli_models
                       ENVIRONMENT "${host_only};${batch_environment}")
endfunction()

foreach(ranks 0 1 2 3)
  batch_script(resumes.n${ranks} ${ranks} batch_resume.sh)
endforeach()
foreach(kind root term interrupt_twice full tmpfs)
  batch_script(survives_${kind}.n1 1 batch_crash.sh ${kind} 1 1)
endforeach()
foreach(kind root other launcher term usr1 interrupt full)
  batch_script(survives_${kind}.n2 2 batch_crash.sh ${kind} 1 2)
endforeach()
foreach(ranks 1 2 3)
  batch_script(survives_random.n${ranks} ${ranks} batch_crash.sh random 4 ${ranks})
endforeach()
batch_script(needs_bounded_memory 0 batch_memory.sh 500 4000 4096)

# Replicas: batch_replicas(RANKS TP), and what ends a rank of the last of them.
function(batch_replicas ranks tp)
  math(EXPR requests "300 / (2 * ${tp} - 1)")  # lone ranks are done sooner
  set(batch_environment
    "TUTTI_BATCH_TP=${tp};TUTTI_CRASH_TP=${tp};TUTTI_CRASH_REQUESTS=${requests}")
  batch_script(resumes.n${ranks}tp${tp} ${ranks} batch_resume.sh)
  foreach(kind ${ARGN})
    batch_script(survives_${kind}.n${ranks}tp${tp} ${ranks} batch_crash.sh ${kind} 1 ${ranks})
  endforeach()
endfunction()
batch_replicas(4 2 term other)
batch_replicas(4 1)
batch_replicas(3 1 usr1 full)
set(batch_environment "TUTTI_CRASH_TP=2;TUTTI_CRASH_TP_AGAIN=1;TUTTI_CRASH_REQUESTS=100")
batch_script(survives_root_with_another_tp.n4 4 batch_crash.sh root 1 4)
set(batch_environment)

# How a job ends where a rank, a node or the launcher fails (docs/errors.md, "The end of a job"): the
# exit code, the seconds, the last line, and that nothing is left.
add_executable(job_fault_probe job_fault_probe.cpp)
target_link_libraries(job_fault_probe PRIVATE tutti_launch)
tutti_label(job_fault_probe dist)
set(expect_end ${CMAKE_CURRENT_SOURCE_DIR}/expect_end.sh)
set(tiny_model ${PROJECT_SOURCE_DIR}/tests/launch/tiny_shape.json)
tutti_mpirun(three_ranks 3)
tutti_mpirun(four_ranks 4)

# job_ends(NAME CODES SECONDS PATTERN COMMAND…)
function(job_ends name codes seconds pattern)
  add_test(NAME job_ends.${name} COMMAND ${expect_end} ${codes} ${seconds} ${pattern} ${ARGN})
  set_tests_properties(job_ends.${name} PROPERTIES LABELS dist TIMEOUT 120 PROCESSORS 1
                       ENVIRONMENT "ASAN_OPTIONS=detect_leaks=0;CUDA_VISIBLE_DEVICES=-1")
endfunction()

# A run of three ranks that would take long, with a fault on one of them.
set(endless --random-weights 7 --threads 1 --device host --quiet --peer-timeout 6)
set(startup 40)  # --startup-timeout: long, a busy machine starts slowly
function(faulty_run name codes seconds pattern rank stage fault)
  job_ends(${name} ${codes} ${seconds} ${pattern} ${three_ranks} $<TARGET_FILE:job_fault_probe>
           ${rank} ${stage} ${fault} generate ${tiny_model} -p "1 2 3" --max-tokens 200 --ignore-eos
           ${endless} --startup-timeout ${startup})
endfunction()

# A start that stalls: at each stage, a rank that sleeps (as in a file system) or is stopped.
set(startup 8)
set(late "has not arrived: alive")
set(stopped "does not answer: its process [0-9]+ is stopped")
faulty_run(start_mpi 5 45 "rank 1 on .*: MPI up: .*its process [0-9]+ is stopped" 1 "before MPI" stop)
faulty_run(start_identity 5 45 "rank 1 on .*: identity: ${late}" 1 identity sleep)
faulty_run(start_devices 5 45 "rank 2 on .*: devices: ${late}" 2 devices sleep)
faulty_run(start_communicators 5 45 "rank 1 on .*: communicators: ${stopped}" 1 communicators stop)
faulty_run(start_self_test 5 45 "rank 0 on .*: self-test: ${late}" 0 self-test sleep)
faulty_run(start_weights 5 45 "rank 1 on .*: weights: ${stopped}" 1 weights stop)
faulty_run(start_first_step 5 45 "rank 2 on .*: first step: ${late}" 2 "first step" sleep)

set(startup 40)

# In the middle of a run. mpirun's own code for a rank that a signal killed is 128 + the signal.
set(ended "running: its process [0-9]+ has ended")
faulty_run(kill_9 137 20 "rank 1 on .*: ${ended}" 1 running kill)
faulty_run(kill_9_of_root 137 20 "rank 0 on .*: ${ended}" 0 running kill)
faulty_run(crash 139 20 "rank 2 on .*: ${ended}" 2 running crash)
faulty_run(stopped 5 30 "rank 1 on .*: running: ${stopped}" 1 running stop)
faulty_run(stopped_root 5 30 "rank 0 on .*: running: ${stopped}" 0 running stop)
faulty_run(hangs 5 30 "rank 2 on .*: running: ${late}" 2 running sleep)
faulty_run(exception 1 20 "rank 1 on .*: running: a planted failure" 1 running throw)
faulty_run(device_error 5 20 "rank 1 on .*: running: a planted failure of a device" 1 running device)

# Where a rerun goes on.
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/requests.jsonl
     "{\"custom_id\": \"a\", \"prompt\": \"1 2 3\", \"max_tokens\": 200, \"ignore_eos\": true}\n")
function(faulty_batch name codes pattern rank stage fault)
  job_ends(batch_${name} ${codes} 30 ${pattern} ${three_ranks} $<TARGET_FILE:job_fault_probe>
           ${rank} ${stage} ${fault} batch ${tiny_model} -i ${CMAKE_CURRENT_BINARY_DIR}/requests.jsonl
           -o /dev/null ${endless} --startup-timeout ${startup})
endfunction()
faulty_batch(stopped 75 "rank 1 on .*: running: ${stopped}" 1 running stop)
faulty_batch(device_error 75 "rank 2 on .*: running: a planted failure of a device" 2 running device)
# Two replicas, of which one has nothing to do: its root rests, and is not named.
job_ends(idle_replica 75 30 "rank 1 on .*: running: ${late}" ${four_ranks}
         $<TARGET_FILE:job_fault_probe> 1 running sleep batch ${tiny_model}
         -i ${CMAKE_CURRENT_BINARY_DIR}/requests.jsonl -o /dev/null ${endless} --tp 2
         --startup-timeout 40)
set(startup 8)
faulty_batch(stopped_at_start 5 "rank 1 on .*: weights: ${stopped}" 1 weights stop)

# The launcher ends, and a node.
foreach(kind kill terminate)
  add_test(NAME job_ends.mpirun_${kind} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/launcher_ends.sh ${kind}
           $<TARGET_FILE:tutti> ${tiny_model} ${three_ranks})
  set_tests_properties(job_ends.mpirun_${kind} PROPERTIES LABELS dist TIMEOUT 120 PROCESSORS 1)
endforeach()
foreach(kind cut stopped woken killed start)
  add_test(NAME job_ends.node_${kind} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/node_ends.sh ${kind}
           $<TARGET_FILE:tutti> $<TARGET_FILE:job_fault_probe> ${tiny_model}
           ${PROJECT_SOURCE_DIR}/launch/openmpi-mca-params.conf)
  set_tests_properties(job_ends.node_${kind} PROPERTIES LABELS dist TIMEOUT 180 PROCESSORS 1
                       SKIP_RETURN_CODE 77)
endforeach()
